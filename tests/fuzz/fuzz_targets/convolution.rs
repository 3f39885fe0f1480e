//! Any convolution on any image: refused, or as defined on every kernel of this processor, inside its buffers.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use quantized::convolution::Integers;
use quantized::layout::{Layout, SLACK};
use quantized::tile::IntegerKernel;
use quantized::{Quantization, QuantizedConvolution, Window, reference};

#[derive(Debug, Arbitrary)]
struct Hostile {
    kernel: [u8; 2],
    stride: [u8; 2],
    pads: [u8; 4],
    size: [u8; 2],
    channels: u8,
    filters: u8,
    borders: [u8; 2],
    /// Rows, columns and channels of the output, if they are not what follows.
    out: Option<[u16; 3]>,
    /// One number that is beyond reason.
    beyond: Option<(u8, usize)>,
    /// Weights and biases more or less than there should be.
    excess: [i8; 2],
    scales: [f32; 3],
    zero_points: [u8; 2],
    steps: Vec<u8>,
}

fuzz_target!(|case: Hostile| {
    let below = |n: u8, most: u8| usize::from(n % most);
    let mut kernel = case.kernel.map(|n| below(n, 9));
    let mut stride = case.stride.map(|n| below(n, 5));
    let mut pads = case.pads.map(|n| below(n, 12));
    let [mut rows, mut columns] = case.size.map(|n| below(n, 20));
    let (mut channels, mut filters) = (below(case.channels, 70), below(case.filters, 40));
    let [mut border, out_border] = case.borders.map(|n| below(n, 14));
    let steps = || case.steps.iter().copied().chain([0]).cycle();
    let length = |sound: usize, excess: i8| sound.saturating_add_signed(isize::from(excess / 64));
    let weights = length(filters * channels * kernel[0] * kernel[1], case.excess[0]);
    let weights = steps().map(|step| step as i8).take(weights).collect();
    let weight_scales = vec![case.scales[0]; filters];
    let bias = vec![7; length(filters, case.excess[1])];
    if let Some((which, beyond)) = case.beyond {
        let ([a, b], [c, d], [e, f, g, h]) = (&mut kernel, &mut stride, &mut pads);
        let size = [&mut rows, &mut columns, &mut channels, &mut filters, &mut border];
        let mut numbers = [a, b, c, d, e, f, g, h].into_iter().chain(size);
        *numbers.nth(below(which, 13)).expect("one of thirteen") = beyond;
    }
    let conv = QuantizedConvolution {
        window: Window { kernel, stride, pads },
        channels,
        filters,
        weights,
        weight_scales,
        bias,
        input: Quantization {
            scale: case.scales[1],
            zero_point: case.zero_points[0],
        },
        output: Quantization {
            scale: case.scales[2],
            zero_point: case.zero_points[1],
        },
    };
    let [out_rows, out_columns] = conv.window.output(rows, columns).unwrap_or_default();
    let out = case.out.map(|out| out.map(usize::from));
    let [out_rows, out_columns, out_channels] = out.unwrap_or([out_rows, out_columns, filters]);
    let (from, to) = (
        Layout {
            rows,
            columns,
            channels,
            border,
        },
        Layout {
            rows: out_rows,
            columns: out_columns,
            channels: out_channels,
            border: out_border,
        },
    );
    let mut defined = None;
    for kernel in IntegerKernel::available() {
        let Some(ready) = Integers::new(&conv, from, to, kernel) else {
            continue;
        };
        let plain: Vec<u8> = steps().take(channels * rows * columns).collect();
        let mut image = vec![0; from.elements() + SLACK];
        from.fill_border(&mut image, conv.input.zero_point);
        for (n, step) in plain.iter().enumerate() {
            let (channel, row, column) = (n / (rows * columns), n / columns % rows, n % columns);
            image[from.at(row, column) + channel] = *step;
        }
        let mut outside = vec![0; to.elements() + SLACK];
        ready.run(&image, &mut outside);
        let defined = defined.get_or_insert_with(|| reference::convolve(&conv, &plain, rows, columns));
        let defined = defined.as_ref().expect("what is run is defined");
        for (n, step) in defined.iter().enumerate() {
            let (filter, row, column) = (
                n / (out_rows * out_columns),
                n / out_columns % out_rows,
                n % out_columns,
            );
            assert_eq!(outside[to.at(row, column) + filter], *step, "{}", kernel.name);
        }
    }
});
