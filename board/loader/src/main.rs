//! The program that UEFI starts: `EFI/BOOT/BOOTAA64.EFI` on the boot partition.
#![cfg_attr(target_os = "uefi", no_std, no_main)]

#[cfg(target_os = "uefi")]
extern crate alloc;

#[cfg(target_os = "uefi")]
mod disk;
#[cfg(target_os = "uefi")]
mod start;

#[cfg(not(target_os = "uefi"))]
fn main() {
    eprintln!("this program starts a box from UEFI: board/image/steps/loader builds it");
    std::process::exit(2);
}
