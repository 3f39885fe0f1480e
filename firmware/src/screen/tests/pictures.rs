//! Every page as a picture, compared with the approved one.

use super::*;

/// Pictures are kept as the means of squares of so many pixels: enough to see a line that moved by one pixel, and
/// small enough for every page, size and language.
const SQUARE: u32 = 8;

/// How far a mean may be off: rounding differs between processors.
const TOLERANCE: u8 = 3;

/// The page in small: the mean of each square.
fn reduced(frame: &Frame) -> Frame {
    let size = Size::new(frame.width().div_ceil(SQUARE), frame.height().div_ceil(SQUARE));
    let mut small = Frame::new(size);
    for at in small.bounding_box().points() {
        let (mut sum, mut count) = ([0u32; 3], 0);
        for y in 0..SQUARE as i32 {
            for x in 0..SQUARE as i32 {
                if let Some(color) = frame.pixel(at * SQUARE as i32 + Point::new(x, y)) {
                    sum[0] += u32::from(color.r());
                    sum[1] += u32::from(color.g());
                    sum[2] += u32::from(color.b());
                    count += 1;
                }
            }
        }
        let mean = sum.map(|all| (all / count.max(1)) as u8);
        small
            .draw_iter([Pixel(at, Rgb888::new(mean[0], mean[1], mean[2]))])
            .unwrap();
    }
    small
}

/// All pages of one size and language below each other, in small.
fn sheet(pages: &[Frame]) -> Frame {
    let small: Vec<Frame> = pages.iter().map(reduced).collect();
    let height = small.iter().map(Frame::height).sum();
    let mut sheet = Frame::new(Size::new(small[0].width(), height));
    let mut top = 0;
    for page in &small {
        let area = page.bounding_box().translate(Point::new(0, top));
        let colors = page.bounding_box().points().map(|at| page.pixel(at).unwrap());
        sheet.fill_contiguous(&area, colors).unwrap();
        top += page.height() as i32;
    }
    sheet
}

/// The picture that a sheet is compared with, and how to renew it after looking at the new one:
/// `SIALOSCOPE_RENEW_PICTURES=1 cargo test -p firmware screen`.
fn reference(name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "src",
        "screen",
        "pictures",
        &format!("{name}.png"),
    ]
    .iter()
    .collect()
}

fn decode(file: &[u8]) -> (u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    (reader.info().width, pixels)
}

#[test]
fn every_page_looks_as_approved_in_every_size_and_language() {
    let renew = std::env::var_os("SIALOSCOPE_RENEW_PICTURES").is_some();
    let names = Name::value_variants();
    for language in Language::ALL {
        for size in SIZES {
            let pages: Vec<Frame> = names.iter().map(|name| page(*name, size, language)).collect();
            let sheet = sheet(&pages);
            let name = format!("{}x{}-{}", size.width, size.height, language.code());
            if renew {
                fs::create_dir_all(reference(&name).parent().unwrap()).unwrap();
                fs::write(reference(&name), sheet.to_png()).unwrap();
            }
            let (width, approved) = decode(&fs::read(reference(&name)).unwrap());
            assert_eq!(
                (width, approved.len()),
                (sheet.width(), sheet.rgb().len()),
                "{name} has another size"
            );
            compare(&name, &approved, &sheet, &pages);
        }
    }
}

/// Where a sheet differs, the page is written out with the differing squares framed.
fn compare(name: &str, approved: &[u8], sheet: &Frame, pages: &[Frame]) {
    let differs = |at: Point| {
        let start = (at.y as usize * sheet.width() as usize + at.x as usize) * 3;
        let (one, other) = (&approved[start..start + 3], &sheet.rgb()[start..start + 3]);
        one.iter().zip(other).any(|(a, b)| a.abs_diff(*b) > TOLERANCE)
    };
    let rows = sheet.height() as i32 / pages.len() as i32;
    for (number, page) in pages.iter().enumerate() {
        let top = number as i32 * rows;
        let squares: Vec<Point> = (0..rows)
            .flat_map(|y| (0..sheet.width() as i32).map(move |x| Point::new(x, y)))
            .filter(|at| differs(*at + Point::new(0, top)))
            .collect();
        if squares.is_empty() {
            continue;
        }
        let mut marked = page.clone();
        for square in &squares {
            let area = Rectangle::new(*square * SQUARE as i32, Size::new_equal(SQUARE));
            for at in area.points().filter(|at| !area.offset(-1).contains(*at)) {
                marked.draw_iter([Pixel(at, Rgb888::MAGENTA)]).unwrap();
            }
        }
        let page = Name::value_variants()[number];
        let file = std::env::temp_dir().join(format!("sialoscope-{page:?}-{name}.png"));
        fs::write(&file, marked.to_png()).unwrap();
        panic!(
            "{page:?} {name} differs in {} squares: {}",
            squares.len(),
            file.display()
        );
    }
}

/// What the examples say in their own words may be cut, since a patient's name can have any length; no word of ours
/// may.
fn is_data(text: &str) -> bool {
    [
        "Wolfeschlegel",
        "Speicheldrüsen",
        "liu-phantom",
        "simulated examinations",
        "TLS certificate",
        "TR ",
        "diffusion series",
        "image type",
        "Remark ",
        "The study has no",
        "No space left",
        "10.20.30.",
        "MODALITY7",
        "Петрова",
        "Archive",
        "PACS",
        "0.2.0",
    ]
    .iter()
    .any(|part| text.contains(part))
}

#[test]
fn no_word_of_ours_is_cut_in_any_language_and_size() {
    let mut wrong = Vec::new();
    for language in Language::ALL {
        for size in SIZES {
            for name in Name::value_variants() {
                let mut desk = desk(*name, size, language);
                let mut frame = Frame::new(size);
                desk.draw(&mut frame);
                let cut = desk.kit().type_.cut.iter().filter(|text| !is_data(text));
                wrong.extend(cut.map(|text| {
                    format!(
                        "{name:?} {}x{} {}: {text}",
                        size.width,
                        size.height,
                        language.code()
                    )
                }));
            }
        }
    }
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} texts are cut:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn an_outlined_tumour_shows_its_colour_on_each_picture() {
    let settings = Settings::default();
    let mut opened = examples::opened(examples::one_tumour());
    let yellow = |frame: &Frame| {
        frame
            .rgb()
            .chunks_exact(3)
            .filter(|p| *p == lesion_rgb(1))
            .count()
    };
    let outlined = yellow(&capture(&opened.findings, &opened.pictures, &settings));
    opened.pictures.outlines.clear();
    let plain = yellow(&capture(&opened.findings, &opened.pictures, &settings));
    assert!(outlined > plain + 6 * 40, "{outlined} and {plain}");
}

#[test]
fn the_ground_is_dark() {
    for name in Name::value_variants() {
        let frame = page(*name, DEFAULT_SIZE, Language::English);
        let bright = frame
            .rgb()
            .chunks_exact(3)
            .filter(|p| p.iter().all(|c| *c > 160))
            .count();
        assert!(
            bright * 8 < frame.rgb().len() / 3,
            "{name:?}: {bright} bright pixels"
        );
    }
}
