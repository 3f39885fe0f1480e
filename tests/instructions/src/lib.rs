//! How many instructions a program executes on an emulated processor. A plugin for `qemu-aarch64` (its interface,
//! version 1: docs/devel/tcg-plugins.rst of QEMU); the number goes to the file that `INSTRUCTIONS` names.
//!
//! Emulation says nothing about milliseconds, but the same program on the same data executes the same instructions on
//! every host: a number that can be compared over years. QEMU adds without locks, so the program has to run on one
//! processor (`taskset`).
#![allow(unsafe_code, reason = "QEMU's plugins are functions of C")]

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// The version of QEMU's interface for plugins that this is written for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "QEMU looks for this name")]
pub static qemu_plugin_version: c_int = 1;

/// QEMU's number for a plugin.
type Id = u64;
/// Instructions in a row, as QEMU translates them.
type Block = c_void;

/// The one thing that translated code can do without calling us (`QEMU_PLUGIN_INLINE_ADD_U64`).
const ADD: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, translated: extern "C" fn(Id, *mut Block));
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_register_vcpu_tb_exec_inline(
        block: *mut Block,
        operation: c_int,
        counter: *mut c_void,
        number: u64,
    );
    fn qemu_plugin_register_atexit_cb(id: Id, ends: extern "C" fn(Id, *mut c_void), user: *mut c_void);
}

static EXECUTED: AtomicU64 = AtomicU64::new(0);

/// Where QEMU begins.
#[unsafe(no_mangle)]
pub extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const c_void,
    _count: c_int,
    _words: *mut *mut c_char,
) -> c_int {
    // SAFETY: QEMU calls this once with its number for us, and offers both functions to every plugin.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ends, std::ptr::null_mut());
    }
    0
}

extern "C" fn translated(_: Id, block: *mut Block) {
    // SAFETY: QEMU gives a block that is valid during this call; the counter lives as long as the program.
    unsafe {
        let length = qemu_plugin_tb_n_insns(block) as u64;
        qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, EXECUTED.as_ptr().cast(), length);
    }
}

extern "C" fn ends(_: Id, _: *mut c_void) {
    let executed = EXECUTED.load(Ordering::Relaxed);
    let written = std::env::var("INSTRUCTIONS")
        .map_err(std::io::Error::other)
        .and_then(|file| std::fs::write(file, format!("{executed}\n")));
    if let Err(error) = written {
        eprintln!("INSTRUCTIONS: {error}");
    }
}
