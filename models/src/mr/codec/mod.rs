//! Compressed frames to stored bytes.
//!
//! | transfer syntax | by |
//! |---|---|
//! | RLE | [`rle`], ours |
//! | JPEG Baseline, Extended and Lossless | jpeg-decoder, safe Rust |
//! | JPEG-LS | [`jpeg_ls`], ours |
//! | JPEG 2000 | hayro-jpeg2000, safe Rust |

mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
mod rle;

use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::header::Image;
use crate::findings::{Fault, Reason};

const JPEG_LS: [&str; 2] = ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"];
const JPEG_2000: [&str; 2] = ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"];
const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG: [&str; 4] = [
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
];
/// Implicit, explicit, big endian, deflated.
const UNCOMPRESSED: [&str; 4] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
];

/// Whether pixel data in this transfer syntax are read.
pub fn reads(syntax: &str) -> bool {
    let known = [&UNCOMPRESSED[..], &[RLE], &JPEG, &JPEG_LS, &JPEG_2000];
    known.iter().any(|list| list.contains(&syntax))
}

/// The same, with why not.
pub(super) fn readable(syntax: &str) -> Result<(), Reason> {
    if reads(syntax) {
        return Ok(());
    }
    let name = TransferSyntaxRegistry
        .get(syntax)
        .map_or("unknown", |syntax| syntax.name());
    Err(Reason::new(
        "unsupported_transfer_syntax",
        Fault::Data,
        format!("Its encoding ({name}) is not read."),
    ))
}

/// Whether pixel data in this transfer syntax lie in the file as they are, without fragments.
pub(super) fn uncompressed(syntax: &str) -> bool {
    UNCOMPRESSED.contains(&syntax)
}

/// One compressed frame as stored bytes, little endian.
///
/// # Errors
/// `undecodable`
pub(super) fn decode(syntax: &str, frame: &[u8], image: &Image) -> Result<Vec<u8>, Reason> {
    let undecodable = || {
        let name = TransferSyntaxRegistry
            .get(syntax)
            .map_or("unknown", |syntax| syntax.name());
        let text = format!("Its pixels are no {name}, or damaged.");
        Reason::new("undecodable", Fault::Data, text)
    };
    if syntax == RLE {
        let bytes = image.bits_allocated as usize / 8;
        return rle::decode(frame, image.rows * image.columns, bytes).ok_or_else(undecodable);
    }
    let samples = if JPEG_LS.contains(&syntax) {
        jpeg_ls::decode(frame, image.rows, image.columns).ok()
    } else if JPEG_2000.contains(&syntax) {
        jpeg_2000::decode(frame, image.rows, image.columns)
    } else {
        jpeg::decode(frame, image.rows, image.columns)
    };
    let samples = samples.ok_or_else(undecodable)?;
    Ok(match image.bits_allocated {
        8 => samples.into_iter().map(|s| s as u8).collect(),
        _ => samples.into_iter().flat_map(u16::to_le_bytes).collect(),
    })
}
