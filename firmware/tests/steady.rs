//! A page that is drawn again takes no memory, and all pages together take little.
#![allow(clippy::unwrap_used, missing_docs)]
// A counting allocator cannot be written without it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use board::{Action, Frame};
use firmware::screen::language::Language;
use firmware::screen::{Opened, Page, Settings, Shelf, examples, live};
use models::mr::Contrast;
use models::pictures::Picture;

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

/// A shelf of one study, in files.
struct Files(PathBuf);

impl Shelf for Files {
    fn open(&self, _: &str) -> Option<Opened> {
        live::open(&self.0).ok()
    }
}

/// The same findings on as many pictures as there may be.
fn write_large(folder: &Path, opened: &Opened) {
    let mut pictures = opened.pictures.clone();
    (pictures.width, pictures.height, pictures.slices) = (256, 256, 32);
    pictures.of = 32;
    pictures.heat = None;
    let mut picture = pictures.contrasts[0].clone();
    picture.pixels = vec![77; 32 * 256 * 256];
    pictures.contrasts = Contrast::ALL
        .map(|contrast| Picture {
            contrast,
            ..picture.clone()
        })
        .into();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).unwrap();
    write("findings.json", serde_json::to_vec(&opened.findings).unwrap());
    write("pictures.json", serde_json::to_vec(&pictures).unwrap());
}

/// One test, since others in this process would count as well.
#[test]
fn leafing_through_slices_allocates_nothing_and_everything_stays_small() {
    let shelf = examples::opened(examples::crowded());
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
    drop(page);

    // The largest study that there is, from its files; and once more, when more of it is there to be seen.
    let folder = tempfile::tempdir().unwrap();
    write_large(folder.path(), &shelf);
    let files = Files(folder.path().to_owned());
    let before = BYTES.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let mut page = Page::new(Settings::default());
    let mut situation = examples::busy();
    for pictures in 0..3 {
        situation.studies[0].pictures = pictures;
        page.tell(Arc::new(situation.clone()), &files);
        page.act(Action::Select, &files);
        page.draw_into(&mut frame);
    }
    // The screen's thread has two frames.
    let most = MOST.load(Ordering::Relaxed) - before + 2 * frame.rgb().len();
    println!("most memory of the screen: {most} bytes");
    assert!(
        most > models::limits::MAX_PICTURE_BYTES,
        "the study was not opened"
    );
    assert!(most < 32 << 20, "{most} bytes");
}
