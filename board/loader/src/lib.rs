//! Starts one of two signed slots where the firmware is UEFI. What it does and remembers is what U-Boot's script
//! does on the other boards (`board/image/u-boot/box.env`): the same six variables in the same two copies, so that
//! updates and reports are the same everywhere.
//!
//! | module | owns |
//! |---|---|
//! | [`tries`] | which slot is started next, how many tries are left, what became of the last one |
//! | [`environment`] | the two copies on the disk, as libubootenv keeps them |
//! | [`kernel`] | the signed program of a slot: whether it is ours, and which root file system it asks for |
//!
//! The program itself (`main.rs`) exists for UEFI only; everything here runs and is tested anywhere.
#![no_std]
extern crate alloc;

pub mod environment;
pub mod kernel;
pub mod tries;
