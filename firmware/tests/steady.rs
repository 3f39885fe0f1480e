//! A page that is drawn again takes no memory, and all pages together take little.
#![allow(clippy::unwrap_used, missing_docs)]
// A counting allocator cannot be written without it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use board::{Action, Frame};
use firmware::screen::language::Language;
use firmware::screen::{Opened, Page, Settings, Shelf, examples};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, and a count of what is asked of it.
struct Counting;

// SAFETY: every call goes on to the system's allocator with the same arguments, and counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        let bytes = BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(bytes, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of this method, which are those of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct One(Opened);

impl Shelf for One {
    fn open(&self, _: &str) -> Option<Opened> {
        Some(self.0.clone())
    }
}

/// One test, since others in this process would count as well.
#[test]
fn leafing_through_slices_allocates_nothing_and_everything_stays_small() {
    let before = BYTES.load(Ordering::Relaxed);
    let shelf = One(examples::opened(examples::crowded()));
    let mut page = Page::new(Settings::default());
    page.tell(Arc::new(examples::busy()), &shelf);
    page.act(Action::Select, &shelf);
    let mut frame = Frame::new(Settings::default().size);
    let mut leaf = |page: &mut Page| {
        for action in [
            Action::Up,
            Action::Up,
            Action::Up,
            Action::Down,
            Action::Down,
            Action::Down,
        ] {
            page.act(action, &shelf);
            page.draw_into(&mut frame);
        }
    };
    leaf(&mut page);
    let counted = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..20 {
        leaf(&mut page);
    }
    assert_eq!(
        ALLOCATIONS.load(Ordering::Relaxed) - counted,
        0,
        "allocations in 120 drawn pages"
    );

    // Zoomed, with the heat map, in every language: what was once drawn stays bounded.
    for language in Language::ALL {
        let settings = Settings {
            language,
            ..Settings::default()
        };
        let mut page = Page::new(settings);
        page.tell(Arc::new(examples::busy()), &shelf);
        page.draw_into(&mut frame);
        page.act(Action::Select, &shelf);
        for _ in 0..9 {
            for _ in 0..4 {
                page.act(Action::Up, &shelf);
                page.draw_into(&mut frame);
            }
            page.act(Action::Select, &shelf);
        }
        page.act(Action::NextPage, &shelf);
        page.draw_into(&mut frame);
    }
    let most = MOST.load(Ordering::Relaxed) - before;
    println!("most memory of the screen: {most} bytes");
    // A study of 12 MiB of pictures, two frames and what reading them takes come to this: see docs/screen.md.
    assert!(most < 32 << 20, "{most} bytes");
}
