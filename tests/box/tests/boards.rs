//! Images of real boards. No such board is here, so what can be seen without one is looked at: partitions, the files
//! that the chip starts first, the signature that U-Boot will check, and where the device tree says that screen, keys
//! and lamps are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use box_tests::replay::Dice;
use box_tests::stick::run;
use box_tests::{disk, flashable, images};
use loader::kernel::{self, Refusal};
use loader::tries::Slot;
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
        flashed.part("kernel_A", "kernel.img");
        Some(flashed)
    }

    /// The same, started by U-Boot: its kernel comes with a device tree.
    fn with_tree(board: &str) -> Option<Self> {
        let flashed = Self::open(board)?;
        run(Command::new("dumpimage")
            .args(["-T", "flat_dt", "-p", "1", "-o"])
            .arg(flashed.file("linux.dtb"))
            .arg(flashed.file("kernel.img")));
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
        let to = self.file(name.rsplit('/').next().unwrap_or(name));
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
        let keys = keys("SIALOSCOPE_BOX_KEYS");
        let ours = run(Command::new("openssl")
            .args(["x509", "-noout", "-modulus", "-in"])
            .arg(keys.join("boot.crt")));
        assert_eq!(ours.trim(), format!("Modulus={modulus}"));
        let signature = "/configurations/box/signature";
        let kernel = self.file("kernel.img");
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

/// The folder of keys that this variable names.
fn keys(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).expect("keys"))
}

/// The public half of the boot key in this folder, as the loader has it.
fn public_key(keys: &Path) -> Vec<u8> {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-pubkey", "-in"]);
    let pem = run(openssl.arg(keys.join("boot.crt")));
    let coded: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD
        .decode(coded)
        .expect("base64")
}

/// A property of a flattened tree.
fn said(tree: &Path, kind: &[&str], node: &str, property: &str) -> String {
    let mut get = Command::new("fdtget");
    get.args(kind).arg(tree).arg(node).arg(property);
    run(&mut get).trim().to_owned()
}

#[test]
fn slow_an_image_for_the_raspberry_pi_4_holds_what_it_starts() {
    let Some(pi) = Flashed::with_tree("rpi4") else {
        return;
    };
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
    let Some(evk) = Flashed::with_tree("imx8mp-evk") else {
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

#[test]
fn slow_an_image_for_uefi_starts_nothing_but_what_our_key_has_signed() {
    let Some(uefi) = Flashed::open("generic-uefi") else {
        return;
    };
    assert!(disk::is_efi_system(&uefi.disk, "boot"));
    assert!(fs::metadata(&uefi.disk).expect("an image").len() < 300_000_000);
    assert!(uefi.image.join("sbom.json").exists());
    // What the firmware checks, where Secure Boot is on.
    let certificate = keys("SIALOSCOPE_BOX_KEYS").join("boot.crt");
    for program in [
        uefi.boot_file("EFI/BOOT/BOOTAA64.EFI"),
        uefi.image.join("kernel.img"),
    ] {
        let mut verify = Command::new("osslsigncode");
        verify.arg("verify").arg("-CAfile").arg(&certificate).arg(program);
        let said = run(&mut verify);
        assert!(said.contains("Number of verified signatures: 1"), "{said}");
    }

    // What our loader checks, in any case.
    let key = public_key(&keys("SIALOSCOPE_BOX_KEYS"));
    let mut partition = fs::read(uefi.file("kernel.img")).expect("a partition");
    let signed = fs::metadata(uefi.image.join("kernel.img"))
        .expect("a kernel")
        .len();
    let kernel = kernel::verified(&partition, &key).expect("our kernel");
    assert_eq!(kernel.program.len() as u64, signed);
    let line = kernel.root.command_line(Slot::B, "51a105c0");
    assert!(line.contains("rauc.slot=B ro root=/dev/dm-0"), "{line}");
    let foreign = public_key(&keys("SIALOSCOPE_BOX_FOREIGN"));
    assert_eq!(kernel::verified(&partition, &foreign), Err(Refusal::Foreign));
    let half = &partition[..partition.len() / 2];
    assert_eq!(kernel::verified(half, &key), Err(Refusal::NoProgram));
    // Headers, sections, and the end of the signature. Left out are the checksum in the header, which signing fills in,
    // and the certificate beside the signature: not that one is asked, but the key in the loader.
    let end = usize::try_from(signed).expect("a length");
    let (checksum, certificate) = (0xd8..0xdc, end - 3000..end - 300);
    let mut dice = Dice(14);
    let random = (0..200).map(|_| usize::try_from(dice.roll() % signed).expect("a place"));
    let places = (0..0x400).chain(random).chain(end - 300..end - 8);
    for at in places.filter(|at| !checksum.contains(at) && !certificate.contains(at)) {
        partition[at] ^= 0x10;
        assert!(
            kernel::verified(&partition, &key).is_err(),
            "a bit of byte {at:#x} changes nothing"
        );
        partition[at] ^= 0x10;
    }
}
