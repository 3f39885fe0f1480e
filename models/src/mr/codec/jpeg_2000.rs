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
    if component.bit_depth() > 16 || samples.len() != rows * columns {
        return None;
    }
    Some(samples.iter().map(|s| s.round() as i32 as u16).collect())
}
