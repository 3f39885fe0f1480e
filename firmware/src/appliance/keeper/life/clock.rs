//! The wall clock of a thread, as a test wants it to be.
//!
//! Every program asks `clock_gettime` of the C library for the time. In the tests it finds this one.

#![allow(
    unsafe_code,
    reason = "the wall clock of one thread cannot be moved in another way"
)]

use std::cell::Cell;
use std::ffi::{c_int, c_long};

thread_local! {
    /// Seconds since 1970; none where the clock was never moved.
    static WALL_CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Moves the wall clock of this thread, where it stands still until it is moved again.
pub(super) fn set(seconds: u64) {
    WALL_CLOCK.set(Some(seconds));
}

#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: c_int, time: *mut libc::timespec) -> c_int {
    if let (libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE, Some(seconds)) = (clock, WALL_CLOCK.get()) {
        let moved = libc::timespec {
            tv_sec: seconds as libc::time_t,
            tv_nsec: 0,
        };
        // SAFETY: whoever asks gives a place for the answer, as clock_gettime(2) wants it.
        unsafe { time.write(moved) };
        return 0;
    }
    // SAFETY: these are the arguments of this system call.
    unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), time) as c_int }
}
