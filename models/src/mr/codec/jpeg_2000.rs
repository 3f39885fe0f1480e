//! JPEG 2000 (ITU-T T.800), lossless and lossy, by hayro-jpeg2000.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

/// The samples of a grayscale code stream, row by row, in two's complement when they are signed; none
/// when it is broken or of another size.
pub(super) fn decode(stream: &[u8], rows: usize, columns: usize) -> Option<Vec<u16>> {
    // A stream that ends early is refused instead of filled up.
    let settings = DecodeSettings {
        strict: true,
        ..Default::default()
    };
    let image = Image::new(stream, &settings).ok()?;
    // Before decoding, so that a small file cannot ask for a huge image.
    if (image.height() as usize, image.width() as usize) != (rows, columns) {
        return None;
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).ok()?;
    let [component] = decoded.components() else {
        return None;
    };
    let samples = component.samples();
    if !(1..=16).contains(&component.bit_depth()) || samples.len() != rows * columns {
        return None;
    }
    // The decoder takes every component for unsigned and adds half of its range.
    let half = if signed(stream)? {
        1i32 << (component.bit_depth() - 1)
    } else {
        0
    };
    Some(
        samples
            .iter()
            .map(|s| (s.round() as i32).wrapping_sub(half) as u16)
            .collect(),
    )
}

/// Whether the first component holds signed samples: the upper bit of Ssiz (T.800, A.5.1).
fn signed(stream: &[u8]) -> Option<bool> {
    const SOC_AND_SIZ: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    /// From the start of SOC.
    const SSIZ: usize = 42;
    let start = stream.windows(4).position(|w| w == SOC_AND_SIZ)?;
    Some(stream.get(start + SSIZ)? & 0x80 != 0)
}
