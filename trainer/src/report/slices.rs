//! Example slices: a grey image with outlines.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::html::escaped;
use super::{Drawn, ExampleSlice};
use crate::statistics::Refusal;

/// Longest side of a slice in pixels.
const LARGEST: u32 = 4096;

/// Refuses a slice whose pixels or outlines do not fit it.
pub(super) fn check(slice: &ExampleSlice) -> Result<(), Refusal> {
    let refuse = |text: String| Err(Refusal(format!("slice “{}”: {text}", slice.caption)));
    let (rows, columns) = (slice.rows, slice.columns);
    if !(1..=LARGEST).contains(&rows) || !(1..=LARGEST).contains(&columns) {
        return refuse(format!(
            "{rows} rows by {columns} columns; 1 to {LARGEST} of each"
        ));
    }
    let needed = rows as usize * columns as usize;
    if slice.pixels.len() != needed {
        return refuse(format!("{} pixels instead of {needed}", slice.pixels.len()));
    }
    for outline in &slice.outlines {
        if outline.points.len() < 3 {
            return refuse("an outline has fewer than three points".to_owned());
        }
        if outline.points.iter().flatten().any(|v| !v.is_finite()) {
            return refuse("an outline has a point that is no number".to_owned());
        }
    }
    Ok(())
}

/// The slice as a figure.
pub(super) fn figure(slice: &ExampleSlice) -> Result<String, Refusal> {
    let (width, height) = (slice.columns, slice.rows);
    let image = STANDARD.encode(png(slice)?);
    let mut out = format!(
        "<figure class=\"slice\"><svg role=\"img\" aria-label=\"{0}\" viewBox=\"0 0 {width} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\"><image href=\"data:image/png;base64,{image}\" \
         width=\"{width}\" height=\"{height}\"/>",
        escaped(&slice.caption)
    );
    for outline in &slice.outlines {
        let class = match outline.of {
            Drawn::Truth => "truth",
            Drawn::Model => "model",
        };
        let points: Vec<String> = outline
            .points
            .iter()
            .map(|[x, y]| format!("{x:.2},{y:.2}"))
            .collect();
        let _ = write!(
            out,
            "<polygon class=\"{class}\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    let _ = writeln!(
        out,
        "</svg><figcaption>{}</figcaption></figure>",
        escaped(&slice.caption)
    );
    Ok(out)
}

fn png(slice: &ExampleSlice) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, slice.columns, slice.rows);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let refuse = |e: png::EncodingError| Refusal(format!("slice “{}”: {e}", slice.caption));
    let mut writer = encoder.write_header().map_err(refuse)?;
    writer.write_image_data(&slice.pixels).map_err(refuse)?;
    writer.finish().map_err(refuse)?;
    Ok(bytes)
}
