//! A picture as text: each character cell shows two pixels, one above the other, by the upper half
//! block in the upper pixel's colour on the lower pixel's colour (24-bit SGR sequences, ITU-T T.416).

use std::fmt::Write as _;

use super::{CHANNELS, Frame};

const UPPER_HALF: char = '▀';
const RESET: &str = "\x1b[0m";

/// The widest and the tallest picture, characters: larger than any terminal; bounds the memory.
const MAX_COLUMNS: usize = 1000;
const MAX_LINES: usize = 1000;

impl Frame {
    /// The picture as lines of `columns` characters (held between 1 and 1000) in true colour.
    ///
    /// The picture keeps its proportions for character cells twice as high as wide. Each cell is the
    /// mean over the area that it covers. Every line ends with a reset of the colours and a newline.
    pub fn half_blocks(&self, columns: usize) -> String {
        let (width, height) = (self.width() as usize, self.height() as usize);
        let columns = columns.clamp(1, MAX_COLUMNS);
        let lines = (height * columns).div_ceil(width * 2).clamp(1, MAX_LINES);
        let cells = self.averaged(columns, lines * 2);

        // A colour change takes about 40 bytes; neighbours often share one.
        let mut text = String::with_capacity(columns * lines * 32);
        for pair in cells.chunks_exact(columns * 2) {
            let (above, below) = pair.split_at(columns);
            let mut last = None;
            for (&upper, &lower) in above.iter().zip(below) {
                if last != Some((upper, lower)) {
                    let ([r, g, b], [s, h, c]) = (upper, lower);
                    // Writing to a String cannot fail.
                    let _ = write!(text, "\x1b[38;2;{r};{g};{b};48;2;{s};{h};{c}m");
                    last = Some((upper, lower));
                }
                text.push(UPPER_HALF);
            }
            text.push_str(RESET);
            text.push('\n');
        }
        text
    }

    /// The picture as `columns × rows` mean colours, row by row.
    fn averaged(&self, columns: usize, rows: usize) -> Vec<[u8; CHANNELS]> {
        let across = shares(self.width() as usize, columns);
        let down = shares(self.height() as usize, rows);
        let stride = self.width() as usize * CHANNELS;
        let mut cells = Vec::with_capacity(columns * rows);
        for rows in &down {
            for columns in &across {
                let (mut sum, mut area) = ([0.0f32; CHANNELS], 0.0);
                for &(y, tall) in rows {
                    for &(x, wide) in columns {
                        let start = y * stride + x * CHANNELS;
                        for (sum, &byte) in sum.iter_mut().zip(&self.pixels[start..start + CHANNELS]) {
                            *sum += f32::from(byte) * tall * wide;
                        }
                        area += tall * wide;
                    }
                }
                cells.push(sum.map(|s| (s / area).round() as u8));
            }
        }
        cells
    }
}

/// For each of `cells` equal parts of a side of `length` pixels: the pixels in it and how much of each.
fn shares(length: usize, cells: usize) -> Vec<Vec<(usize, f32)>> {
    let part = length as f32 / cells as f32;
    (0..cells)
        .map(|cell| {
            let (start, end) = (cell as f32 * part, (cell + 1) as f32 * part);
            // Rounding may put the last end a hair past the side, or leave a cell a hair too thin.
            let last = (end.ceil() as usize).clamp(1, length);
            let first = (start as usize).min(last - 1);
            (first..last)
                .map(|i| {
                    (
                        i,
                        (end.min((i + 1) as f32) - start.max(i as f32)).max(f32::EPSILON),
                    )
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
    use proptest::prelude::*;

    use super::*;

    fn checked() -> Frame {
        let mut frame = Frame::new(Size::new(4, 4));
        frame
            .fill_solid(&Rectangle::new(Point::new(0, 0), Size::new(2, 2)), Rgb888::RED)
            .unwrap();
        frame
            .fill_solid(&Rectangle::new(Point::new(2, 2), Size::new(1, 2)), Rgb888::WHITE)
            .unwrap();
        frame
    }

    #[test]
    fn a_cell_is_the_mean_of_its_area() {
        assert_eq!(
            checked().half_blocks(2),
            "\x1b[38;2;255;0;0;48;2;0;0;0m▀\x1b[38;2;0;0;0;48;2;128;128;128m▀\x1b[0m\n"
        );
    }

    #[test]
    fn equal_neighbours_share_their_colour_codes() {
        assert_eq!(
            Frame::new(Size::new(4, 2)).half_blocks(4),
            "\x1b[38;2;0;0;0;48;2;0;0;0m▀▀▀▀\x1b[0m\n"
        );
    }

    proptest! {
        #[test]
        fn every_line_has_all_columns_and_ends_reset(w in 1..200u32, h in 1..200u32, columns in 0..300usize) {
            let text = Frame::new(Size::new(w, h)).half_blocks(columns);
            let columns = columns.max(1);
            let lines = text.lines().count();
            let ideal = (f64::from(h) / f64::from(w) * columns as f64 / 2.0).min(MAX_LINES as f64);
            prop_assert!((lines as f64 - ideal).abs() <= 1.0, "{} lines, {} wanted", lines, ideal);
            for line in text.lines() {
                prop_assert_eq!(line.matches(UPPER_HALF).count(), columns);
                prop_assert!(line.ends_with(RESET));
            }
        }

        #[test]
        fn shares_cover_the_side_once(length in 1..300usize, cells in 1..300usize) {
            let mut covered = vec![0.0f32; length];
            for (i, part) in shares(length, cells).into_iter().flatten() {
                covered[i] += part;
            }
            prop_assert!(covered.iter().all(|c| (c - 1.0).abs() < 1e-3), "{:?}", covered);
        }
    }
}
