//! No kernel may read or write outside its buffers, on whatever CPU this runs.
//!
//! Every block on the heap ends at a page that nobody may touch, so the first step outside ends the
//! process with SIGSEGV. Kernels in assembly are beyond the reach of the compiler's own checks.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::ptr;

use models::run::Model;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Puts blocks at the end of their pages, before a forbidden one.
struct Fenced;

/// Of all machines this is built for.
const PAGE: usize = 4096;
/// Smaller blocks hold no tensors, and a mapping for each would exceed what the kernel allows.
const FENCED_FROM: usize = 512;
const GUARD: usize = PAGE;

fn fenced(layout: Layout) -> bool {
    layout.size() >= FENCED_FROM && layout.align() <= PAGE
}

fn body(layout: Layout) -> usize {
    layout.size().next_multiple_of(PAGE)
}

/// Where the block lies behind the start of its mapping: as near to the end as its alignment allows.
fn offset(layout: Layout) -> usize {
    (body(layout) - layout.size()) / layout.align() * layout.align()
}

// SAFETY: a fenced block lies inside a mapping of its own of `body` bytes that are readable and writable,
// starts at a multiple of its alignment (the mapping starts at a page, `offset` is a multiple), and is
// unmapped once, with the layout it was made with, which gives back the start and length of the mapping.
// All other blocks are `System`'s; `fenced` decides by layout alone, so both ends agree.
unsafe impl GlobalAlloc for Fenced {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !fenced(layout) {
            return unsafe { System.alloc(layout) };
        }
        let all = body(layout) + GUARD;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        unsafe {
            let Ok(start) = mmap_anonymous(ptr::null_mut(), all, access, MapFlags::PRIVATE) else {
                return ptr::null_mut();
            };
            let fence = start.byte_add(body(layout));
            if mprotect(fence, GUARD, MprotectFlags::empty()).is_err() {
                return ptr::null_mut();
            }
            start.byte_add(offset(layout)).cast()
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe {
            if fenced(layout) {
                // What cannot be unmapped stays; the test ends soon.
                let _ = munmap(block.sub(offset(layout)).cast(), body(layout) + GUARD);
            } else {
                System.dealloc(block, layout);
            }
        }
    }
}

#[global_allocator]
static FENCED: Fenced = Fenced;

/// Loading runs every network on its golden vectors.
#[test]
fn every_kernel_of_the_shipped_package_stays_inside_its_buffers() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid");
    Model::load(&package, 1).unwrap_or_else(|reason| panic!("{}", reason.text));
}

/// The fence itself: reading the byte after a block must end the process.
#[test]
fn the_fence_stands() {
    const CHILD: &str = "STEP_OVER_THE_FENCE";
    if std::env::var_os(CHILD).is_some() {
        let block = vec![1u8; 4 * PAGE];
        // SAFETY: none; the kernel is expected to end this process here.
        let beyond = unsafe { block.as_ptr().add(block.len()).read_volatile() };
        println!("read {beyond}");
        return;
    }
    let me = std::env::current_exe().expect("the test's own program");
    let status = std::process::Command::new(me)
        .args(["--exact", "the_fence_stands"])
        .env(CHILD, "1")
        .status()
        .expect("the test starts itself");
    assert!(!status.success(), "the step over the fence went unpunished");
}
