#![allow(clippy::unwrap_used)]

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use embedded_graphics::{mock_display::MockDisplay, pixelcolor::Rgb565};
use embedded_hal::{delay::DelayNs, digital, spi};

use super::*;

/// What came over the wires: the level of the data line and the bytes of each transfer.
type Log = Rc<RefCell<Vec<(bool, Vec<u8>)>>>;

/// Both wires at once, to see how they go together.
#[derive(Clone, Default)]
struct Recorder {
    log: Log,
    data: Rc<RefCell<bool>>,
}

impl spi::ErrorType for Recorder {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Recorder {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        for operation in operations {
            let spi::Operation::Write(bytes) = operation else {
                return Err(spi::ErrorKind::Other);
            };
            self.log.borrow_mut().push((*self.data.borrow(), bytes.to_vec()));
        }
        Ok(())
    }
}

impl digital::ErrorType for Recorder {
    type Error = Infallible;
}

impl OutputPin for Recorder {
    fn set_low(&mut self) -> Result<(), Infallible> {
        *self.data.borrow_mut() = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        *self.data.borrow_mut() = true;
        Ok(())
    }
}

struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

fn wiring(controller: Controller, rotation: Rotation) -> Wiring {
    Wiring {
        controller,
        spi: "/dev/no-such-spidev".into(),
        speed_hz: SPEED_HZ,
        chip: "/dev/no-such-gpiochip".into(),
        data_line: 25,
        reset_line: None,
        light_line: None,
        rotation,
        inverted: false,
        blue_first: false,
    }
}

fn wire(recorder: &Recorder) -> Wire<Recorder, Recorder> {
    Wire {
        spi: recorder.clone(),
        data: recorder.clone(),
        bytes: Vec::new(),
    }
}

/// The pixels that a panel was sent after its last command, and the columns and rows that they fill.
fn last_window(log: &Log) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let log = log.borrow();
    let after = |command: u8| {
        let at = log
            .iter()
            .rposition(|(data, bytes)| !data && bytes == &[command])
            .unwrap();
        log[at + 1..]
            .iter()
            .take_while(|(data, _)| *data)
            .flat_map(|(_, bytes)| bytes.clone())
            .collect()
    };
    // Set column address, set page address, write memory start (MIPI DCS 1.3, 6.15, 6.17, 6.43).
    (after(0x2a), after(0x2b), after(0x2c))
}

#[test]
fn only_damage_goes_over_the_bus() {
    let recorder = Recorder::default();
    let wiring = wiring(Controller::St7789, Rotation::Deg90);
    let target = configured(models::ST7789, wire(&recorder), &wiring)
        .init(&mut NoDelay)
        .unwrap();
    let mut panel = Panel::new(target, "st7789");
    let size = Size::new(320, 240);
    assert_eq!(panel.size(), Some(size));

    panel.present(&Frame::new(size), &[]).unwrap();
    let (columns, rows, pixels) = last_window(&recorder.log);
    assert_eq!((columns, rows), (vec![0, 0, 1, 63], vec![0, 0, 0, 239]));
    assert_eq!(pixels, vec![0; 320 * 240 * 2]);

    recorder.log.borrow_mut().clear();
    let mut frame = Frame::new(size);
    frame.blend(Point::new(300, 7), Rgb888::RED, 1.0);
    panel
        .present(&frame, &[Rectangle::new(Point::new(299, 7), Size::new(2, 1))])
        .unwrap();
    let (columns, rows, pixels) = last_window(&recorder.log);
    assert_eq!((columns, rows), (vec![1, 43, 1, 44], vec![0, 7, 0, 7]));
    assert_eq!(pixels, [0, 0, 0xf8, 0]);

    recorder.log.borrow_mut().clear();
    panel.present(&frame, &[]).unwrap();
    assert!(recorder.log.borrow().is_empty());
}

#[test]
fn no_transfer_is_larger_than_the_kernel_takes_and_no_pixel_is_cut() {
    let recorder = Recorder::default();
    let wiring = wiring(Controller::Ili9488, Rotation::Deg0);
    let target = configured(models::ILI9488Rgb666, wire(&recorder), &wiring)
        .init(&mut NoDelay)
        .unwrap();
    let mut panel = Panel::new(target, "ili9488");
    panel.present(&Frame::new(Size::new(320, 480)), &[]).unwrap();
    let log = recorder.log.borrow();
    let pixels: Vec<usize> = log
        .iter()
        .map(|(_, bytes)| bytes.len())
        .filter(|&n| n > 64)
        .collect();
    assert_eq!(pixels.iter().sum::<usize>(), 320 * 480 * 3);
    assert!(
        pixels.iter().all(|&n| n <= TRANSFER_BYTES && n % 3 == 0),
        "{pixels:?}"
    );
}

#[test]
fn any_target_of_sixteen_bits_will_do() {
    let mut panel = Panel::new(MockDisplay::<Rgb565>::new(), "mock");
    let size = panel.size().unwrap();
    let mut frame = Frame::new(size);
    frame.blend(Point::new(1, 0), Rgb888::WHITE, 1.0);
    panel.present(&frame, &[]).unwrap();
    assert_eq!(panel.target.get_pixel(Point::new(1, 0)), Some(Rgb565::WHITE));
    assert_eq!(panel.target.get_pixel(Point::new(63, 63)), Some(Rgb565::BLACK));
}

#[test]
fn a_missing_bus_is_named() {
    for controller in [
        Controller::St7789,
        Controller::St7796,
        Controller::Ili9341,
        Controller::Ili9486,
        Controller::Ili9488,
    ] {
        let Err(error) = open(&wiring(controller, Rotation::Deg0)) else {
            panic!("{controller:?} opened");
        };
        assert!(error.to_string().contains("/dev/no-such-spidev"), "{error}");
    }
}
