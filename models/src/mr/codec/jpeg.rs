//! JPEG Baseline, Extended and Lossless (ITU-T T.81), by jpeg-decoder.

use jpeg_decoder::{Decoder, PixelFormat};

/// The samples of a grayscale code stream, row by row; none when it is broken or of another size.
pub(super) fn decode(stream: &[u8], rows: usize, columns: usize) -> Option<Vec<u16>> {
    let mut decoder = Decoder::new(stream);
    decoder.set_max_decoding_buffer_size(2 * rows * columns);
    decoder.read_info().ok()?;
    let info = decoder.info()?;
    if (usize::from(info.height), usize::from(info.width)) != (rows, columns) {
        return None;
    }
    let bytes = decoder.decode().ok()?;
    let samples: Vec<u16> = match info.pixel_format {
        PixelFormat::L8 => bytes.into_iter().map(u16::from).collect(),
        PixelFormat::L16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| u16::from_ne_bytes(*b))
            .collect(),
        _ => return None,
    };
    (samples.len() == rows * columns).then_some(samples)
}
