//! Images of real boards. No such board is here, so what can be seen without one is looked at: partitions, the files
//! that the chip starts first, the signature that U-Boot will check, and where the device tree says that screen, keys
//! and lamps are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use box_tests::disk;
use box_tests::stick::run;
use box_tests::{flashable, images};
use tempfile::TempDir;

/// What a flashed card of a board holds.
struct Flashed {
    folder: TempDir,
    image: PathBuf,
    disk: PathBuf,
}

impl Flashed {
    fn open(board: &str) -> Option<Self> {
        let image = images()?.join(board);
        let disk = flashable(&image);
        let folder = tempfile::tempdir().expect("a folder");
        let flashed = Self { folder, image, disk };
        flashed.part("kernel_A", "kernel.fit");
        run(Command::new("dumpimage")
            .args(["-T", "flat_dt", "-p", "1", "-o"])
            .arg(flashed.file("linux.dtb"))
            .arg(flashed.file("kernel.fit")));
        Some(flashed)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies a partition out.
    fn part(&self, name: &str, to: &str) {
        let part = disk::partition(&self.disk, name);
        fs::write(self.file(to), []).expect("a file");
        disk::copy_part(&self.disk, part, &self.file(to), 0);
    }

    /// A file of the boot partition, which any computer reads.
    fn boot_file(&self, name: &str) -> PathBuf {
        let to = self.file(name);
        run(Command::new("mcopy")
            .arg("-n")
            .arg("-i")
            .arg(disk::boot(&self.disk))
            .arg(format!("::{name}"))
            .arg(&to));
        to
    }

    /// What Linux' device tree says.
    fn property(&self, node: &str, property: &str) -> String {
        said(&self.file("linux.dtb"), &["-t", "s"], node, property)
    }

    /// U-Boot with this control tree runs nothing but what our key has signed, and the kernel is signed with it.
    fn asks_for_our_signature(&self, control: &Path) {
        let key = "/signature/key-boot";
        assert_eq!(said(control, &["-t", "s"], key, "required"), "conf");
        let modulus = said(control, &["-t", "bx"], key, "rsa,modulus");
        let modulus: String = modulus
            .split_whitespace()
            .map(|byte| format!("{byte:0>2}").to_uppercase())
            .collect();
        let keys = PathBuf::from(std::env::var_os("SIALOSCOPE_BOX_KEYS").expect("keys"));
        let ours = run(Command::new("openssl")
            .args(["x509", "-noout", "-modulus", "-in"])
            .arg(keys.join("boot.crt")));
        assert_eq!(ours.trim(), format!("Modulus={modulus}"));
        let signature = "/configurations/box/signature";
        let kernel = self.file("kernel.fit");
        assert_eq!(said(&kernel, &["-t", "s"], signature, "algo"), "sha256,rsa4096");
        assert_eq!(
            said(&kernel, &["-t", "bx"], signature, "value")
                .split_whitespace()
                .count(),
            512
        );
    }

    /// What every board has.
    fn is_a_box(&self, control: &Path) {
        self.asks_for_our_signature(control);
        let part = |name: &str| disk::partition(&self.disk, name);
        let magic = disk::read(&self.disk, part("root_A").start, 4);
        assert_eq!(magic, b"hsqs", "no squashfs");
        assert!(part("boot").end <= part("ubootenv").start);
        assert!(fs::metadata(&self.disk).expect("an image").len() < 300_000_000);
        let settings = fs::read_to_string(self.boot_file("sialoscope.toml")).expect("settings");
        assert!(settings.contains("[screen.keys]"), "{settings}");
        for (lamp, label) in [
            ("ready", "green:ready"),
            ("work", "amber:work"),
            ("fault", "red:fault"),
        ] {
            let node = format!("/sialoscope-lamps/{lamp}");
            assert_eq!(self.property(&node, "label"), label);
            assert!(settings.contains(label), "{label} is in no settings");
        }
        assert!(self.image.join("sbom.json").exists());
    }
}

/// A property of a flattened tree.
fn said(tree: &Path, kind: &[&str], node: &str, property: &str) -> String {
    let mut get = Command::new("fdtget");
    get.args(kind).arg(tree).arg(node).arg(property);
    run(&mut get).trim().to_owned()
}

#[test]
fn slow_an_image_for_the_raspberry_pi_4_holds_what_it_starts() {
    let Some(pi) = Flashed::open("rpi4") else { return };
    for first in [
        "start4.elf",
        "fixup4.dat",
        "u-boot.bin",
        "LICENCE.raspberrypi.txt",
    ] {
        assert!(fs::metadata(pi.boot_file(first)).expect("a file").len() > 1000);
    }
    let config = fs::read_to_string(pi.boot_file("config.txt")).expect("config.txt");
    for line in ["arm_64bit=1", "kernel=u-boot.bin", "device_tree=control.dtb"] {
        assert!(config.lines().any(|one| one == line), "{line}: {config}");
    }
    let control = pi.boot_file("control.dtb");
    pi.is_a_box(&control);
    assert_eq!(pi.property("/soc/spi@7e204000", "status"), "okay");
    assert_eq!(
        pi.property("/soc/spi@7e204000/panel@0", "compatible"),
        "rohm,dh2228fv"
    );
    let pins = said(
        &pi.file("linux.dtb"),
        &["-t", "i"],
        "/soc/gpio@7e200000/sialoscope-keys",
        "brcm,pins",
    );
    assert_eq!(pins, "5 6 13");
}

#[test]
fn slow_an_image_for_the_imx8mp_evk_holds_all_but_its_first_program() {
    let Some(evk) = Flashed::open("imx8mp-evk") else {
        return;
    };
    let control = evk.image.join("u-boot.dtb");
    evk.is_a_box(&control);
    assert!(evk.image.join("u-boot-nodtb.bin").exists());
    // The ROM reads its first program at 32 KiB: nothing else may lie there.
    assert!(disk::partition(&evk.disk, "boot").start >= 8 << 20);
    let spi = "/soc@0/bus@30800000/spi@30830000";
    assert_eq!(evk.property(spi, "status"), "okay");
    assert_eq!(
        evk.property(&format!("{spi}/panel@0"), "compatible"),
        "rohm,dh2228fv"
    );
    let keys = evk.property("/soc@0/bus@30800000/i2c@30a40000/gpio@20", "compatible");
    assert_eq!(keys, "ti,tca6416");
}
