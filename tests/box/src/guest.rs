//! One run of the virtual box, from power on to power off.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::card::LAMPS;
use crate::monitor::Monitor;
use crate::pins::Pins;

/// Boots, and most other things, have to happen within this. Two idle cores need a sixth of it.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What a machine runs first.
#[derive(Debug, Clone)]
pub enum Starter {
    /// U-Boot and its control tree, from the folder that `board/image/build` left.
    UBoot(PathBuf),
    /// EDK2, which checks no signature.
    Uefi,
    /// EDK2 with Secure Boot on, and with this store of its variables: keys are among them.
    SecureBoot(PathBuf),
}

impl Starter {
    /// What an image of this folder is started by.
    fn of(image: &Path) -> Self {
        if image.join("u-boot.bin").exists() {
            Self::UBoot(image.to_owned())
        } else {
            Self::Uefi
        }
    }

    fn arguments(&self) -> Vec<String> {
        let flash = |unit, file: &Path, only| {
            let file = file.display();
            let flash = format!("if=pflash,unit={unit},format=raw,readonly={only},file={file}");
            ["-drive".to_owned(), flash]
        };
        let words: [String; 4] = match self {
            Self::UBoot(image) => {
                let file = |name| image.join(name).display().to_string();
                [
                    "-bios".into(),
                    file("u-boot.bin"),
                    "-dtb".into(),
                    file("control.dtb"),
                ]
            }
            Self::Uefi => return ["-bios", EDK2].map(str::to_owned).into(),
            Self::SecureBoot(variables) => {
                let [a, b] = flash(0, Path::new(EDK2_SECURE), "on");
                let [c, d] = flash(1, variables, "off");
                [a, b, c, d]
            }
        };
        words.into()
    }
}

/// EDK2 as Debian's qemu-efi-aarch64 brings it, whole and as the flash beside which its variables lie.
const EDK2: &str = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
const EDK2_SECURE: &str = "/usr/share/AAVMF/AAVMF_CODE.fd";

/// How the machine is put together.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What starts it.
    pub starter: Starter,
    /// The disk, as QEMU's `-blockdev` or `-drive` arguments with a device of virtio.
    pub disk: Vec<String>,
    /// A stick that is plugged in from the start.
    pub stick: Option<PathBuf>,
    /// Whether that stick can be written to.
    pub stick_is_writable: bool,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Whether it describes itself by ACPI in place of a device tree. It has no pins then.
    pub acpi: bool,
}

impl Machine {
    /// A machine with this disk, a raw file.
    pub fn new(image: &Path, disk: &Path) -> Self {
        let drive = format!(
            "file={},format=raw,if=none,id=disk,cache=writeback",
            disk.display()
        );
        let disk = ["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"];
        Self {
            starter: Starter::of(image),
            disk: disk.map(str::to_owned).into(),
            stick: None,
            stick_is_writable: false,
            memory_mib: 1024,
            acpi: false,
        }
    }

    /// The same with a stick.
    pub fn with_stick(mut self, stick: &Path) -> Self {
        self.stick = Some(stick.to_owned());
        self
    }
}

/// A running box.
#[derive(Debug)]
pub struct Guest {
    qemu: Child,
    folder: TempDir,
    started: Instant,
    /// The port of this machine behind which the box's DICOM port is.
    pub port: u16,
    /// Its monitor.
    pub monitor: Monitor,
    pins: Option<Pins>,
}

impl Guest {
    /// Switches it on.
    pub fn start(machine: &Machine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        let port = free_port();
        let mut command = Command::new("qemu-system-aarch64");
        command
            .args(["-M", if machine.acpi { "virt" } else { "virt,acpi=off" }])
            .args(["-cpu", "cortex-a72", "-smp", "2"])
            .args(["-m", &format!("{}M", machine.memory_mib)])
            .args(["-display", "none", "-nodefaults"])
            .args(machine.starter.arguments())
            .args(&machine.disk)
            .arg("-serial")
            .arg(format!("file:{}", file("serial").display()))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", file("qmp").display()))
            .arg("-qtest")
            .arg(format!("unix:{},server=on,wait=off", file("qtest").display()))
            .args(["-qtest-log", "/dev/null", "-accel", "tcg,thread=multi"])
            .args(["-device", "virtio-gpu-pci,xres=1024,yres=600"])
            .args(["-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci"])
            .args(["-device", "virtio-rng-pci", "-device", "i6300esb"])
            .args(["-device", "qemu-xhci,id=usb"])
            .arg("-netdev")
            .arg(format!(
                "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:11112"
            ))
            .args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        if let Some(stick) = &machine.stick {
            let only = if machine.stick_is_writable { "off" } else { "on" };
            let drive = format!(
                "file={},format=raw,if=none,id=stick,readonly={only}",
                stick.display()
            );
            command.args([
                "-drive",
                &drive,
                "-device",
                "usb-storage,bus=usb.0,drive=stick,removable=on,id=plugged",
            ]);
        }
        let words = File::create(file("qemu")).expect("a file");
        File::create(file("serial")).expect("a file");
        let qemu = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .unwrap_or_else(|error| panic!("qemu-system-aarch64: {error}; apt-get install qemu-system-arm"));
        let mut monitor = Monitor::open(&file("qmp"));
        let pins = Pins::open(&file("qtest"), &mut monitor);
        Self {
            qemu,
            folder,
            started: Instant::now(),
            port,
            monitor,
            pins,
        }
    }

    /// All that came over the serial line until now.
    pub fn serial(&self) -> String {
        let bytes = fs::read(self.folder.path().join("serial")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the serial line has said this so often, and says when, since power on.
    ///
    /// # Panics
    /// With the end of the serial line, if it does not come in time.
    pub fn wait_for(&mut self, text: &str, times: usize) -> Duration {
        self.wait_until(text, |serial| serial.matches(text).count() >= times)
    }

    /// Waits until the serial line satisfies this.
    ///
    /// # Panics
    /// With the end of the serial line, if it does not in time.
    pub fn wait_until(&mut self, what: &str, enough: impl Fn(&str) -> bool) -> Duration {
        let begin = Instant::now();
        loop {
            let serial = self.serial();
            if enough(&serial) {
                return self.started.elapsed();
            }
            let gone = self.qemu.try_wait().expect("QEMU's end");
            if gone.is_some() || begin.elapsed() > PATIENCE * 4 {
                let mut tail = String::new();
                let lines: Vec<_> = serial.lines().collect();
                for line in lines.iter().skip(lines.len().saturating_sub(60)) {
                    let _ = writeln!(tail, "  {line}");
                }
                let words = fs::read_to_string(self.folder.path().join("qemu")).unwrap_or_default();
                panic!(
                    "{what:?} did not come within {:?} ({gone:?})\n{tail}{words}",
                    begin.elapsed()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the lamps tell a result, and says how long that took: green flashes, amber has stopped to blink.
    ///
    /// # Panics
    /// If they do not in time.
    pub fn wait_for_result(&self) -> Duration {
        let begin = Instant::now();
        let [green, amber, _] = LAMPS;
        let tells = || {
            let flashes = |since| since < Duration::from_secs(2);
            let rests = |since| since > Duration::from_secs(5);
            let pins = self.pins();
            pins.steady(green).is_some_and(flashes)
                && pins.steady(amber).is_some_and(rests)
                && pins.level(amber) == Some(false)
        };
        while !tells() {
            assert!(
                begin.elapsed() < PATIENCE * 4,
                "no answer: the lamps do not tell a result"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        begin.elapsed()
    }

    /// Its pins.
    ///
    /// # Panics
    /// It has none.
    pub fn pins(&self) -> &Pins {
        self.pins.as_ref().expect("a machine with a device tree")
    }

    /// The lines of the box itself on the serial line.
    pub fn said(&self) -> Vec<String> {
        let serial = self.serial();
        let ours = serial
            .lines()
            .filter_map(|line| Some(&line[line.find("box: ")?..]));
        ours.map(|line| line.trim_end().to_owned()).collect()
    }

    /// Pulls the stick out.
    pub fn pull_stick(&mut self) {
        self.monitor.ask("device_del", json!({ "id": "plugged" }));
    }

    /// Presses the reset button.
    pub fn reset(&mut self) {
        self.monitor.ask("system_reset", json!({}));
    }

    /// Pulls the plug.
    pub fn cut(mut self) -> String {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        self.serial()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        // Kept for whoever looks why a test failed.
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("box-serial-{}", self.qemu.id()));
            let _ = fs::copy(self.folder.path().join("serial"), &kept);
            eprintln!("the serial line is kept in {}", kept.display());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
    listener.local_addr().expect("an address").port()
}
