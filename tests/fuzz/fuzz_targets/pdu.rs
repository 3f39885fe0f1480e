//! Any bytes on a connection to the receiver.
#![no_main]

use std::cell::RefCell;

use fuzz::Receiver;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static RECEIVER: RefCell<Receiver> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| RECEIVER.with_borrow_mut(|receiver| receiver.hear(bytes)));
