//! The voxels of a volume, rescaled to the unit of the modality.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use dicom_object::OpenFileOptions;
use dicom_pixeldata::PixelDecoder;
use ndarray::Array3;

use super::header::{self, FileHeader, Image};
use super::{Contrast, SliceSource, Volume, VolumeIndex};
use crate::findings::{Fault, Reason};
use crate::limits::MAX_VOLUME_VOXELS;

const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

impl VolumeIndex {
    /// Reads the voxels.
    ///
    /// # Errors
    /// `no_contrast` when the volume is none of ours, and those of [`VolumeIndex::voxels`].
    pub fn load(&self) -> Result<Volume, Reason> {
        let contrast = self.contrast.ok_or_else(|| {
            Reason::new(
                "no_contrast",
                Fault::Data,
                format!("It is none of our contrasts. {}", self.reason),
            )
        })?;
        let voxels = self.voxels()?;
        Ok(Volume {
            contrast,
            b_value: self.b_value,
            grid: self.grid.clone(),
            voxels,
        })
    }

    /// The voxels whatever they show: (slice, row, column), rescaled, ADC in 1e-3 mm²/s.
    ///
    /// # Errors
    /// `too_large`, `changed`, `unsupported_transfer_syntax`, `undecodable`, `adc_unit_unknown`, and
    /// those of reading a file.
    pub fn voxels(&self) -> Result<Array3<f32>, Reason> {
        let [slices, rows, columns] = self.grid.shape;
        let count = slices.checked_mul(rows).and_then(|n| n.checked_mul(columns));
        if count.is_none_or(|n| n > MAX_VOLUME_VOXELS) || slices != self.slices.len() {
            return Err(Reason::new(
                "too_large",
                Fault::Data,
                "The volume has more voxels than are read.",
            ));
        }
        let mut voxels = read_stack(&self.slices, [slices, rows, columns])?;
        if !self.further_directions.is_empty() {
            voxels.mapv_inplace(log_signal);
            for direction in &self.further_directions {
                voxels += &read_stack(direction, [slices, rows, columns])?.mapv_into(log_signal);
            }
            let directions = 1 + self.further_directions.len();
            voxels.mapv_inplace(|sum| (sum / directions as f32).exp());
        }
        if self.contrast == Some(Contrast::Adc) {
            let factor = adc_factor(&voxels)?;
            voxels.mapv_inplace(|v| v * factor);
        }
        Ok(voxels)
    }
}

/// Magnitude signals are not negative; the floor keeps a zero from becoming minus infinity.
fn log_signal(signal: f32) -> f32 {
    signal.max(1e-3).ln()
}

fn read_stack(slices: &[SliceSource], shape: [usize; 3]) -> Result<Array3<f32>, Reason> {
    let mut values = Vec::with_capacity(shape.iter().product());
    for slice in slices {
        let file = header::read(&slice.path)?;
        let image = &file.header.image;
        if file.header.sop_instance_uid != slice.sop_instance_uid || [image.rows, image.columns] != shape[1..]
        {
            return Err(changed());
        }
        let stored = stored_bytes(slice, &file)?;
        image.rescale_into(&stored, file.transfer_syntax == EXPLICIT_BIG_ENDIAN, &mut values)?;
    }
    Array3::from_shape_vec(shape, values).map_err(|_| changed())
}

fn changed() -> Reason {
    Reason::new(
        "changed",
        Fault::Us,
        "A file is no longer the one that was scanned.",
    )
}

fn undecodable(text: &str) -> Reason {
    Reason::new("undecodable", Fault::Data, text)
}

/// The pixels of one file as stored, uncompressed.
fn stored_bytes(slice: &SliceSource, file: &FileHeader) -> Result<Vec<u8>, Reason> {
    let span = file.pixels.ok_or_else(|| undecodable("A file has no pixels."))?;
    let needed = file.header.image.stored_bytes().unwrap_or(u64::MAX);
    let bytes = if span.encapsulated {
        let object = OpenFileOptions::new()
            .open_file(&slice.path)
            .map_err(|_| undecodable("A compressed file cannot be parsed."))?;
        let decoded = object.decode_pixel_data().map_err(|_| {
            Reason::new(
                "unsupported_transfer_syntax",
                Fault::Data,
                format!(
                    "The pixels cannot be decompressed (transfer syntax {}).",
                    file.transfer_syntax
                ),
            )
        })?;
        decoded.into_data()
    } else {
        let read = || {
            let mut source = File::open(&slice.path)?;
            source.seek(SeekFrom::Start(span.offset))?;
            let mut bytes = Vec::with_capacity(needed.min(span.length) as usize);
            source.take(needed).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        read().map_err(|_| Reason::new("unreadable", Fault::Hardware, "The file cannot be read."))?
    };
    if (bytes.len() as u64) < needed {
        return Err(undecodable("A file holds fewer pixels than it states."));
    }
    Ok(bytes)
}

impl Image {
    /// Whether the pixels are ones that this module reads; else which code and why not.
    pub fn readable(&self) -> Result<(), Reason> {
        let refuse = |code: &str, text: &str| Err(Reason::new(code, Fault::Data, text));
        if self.samples != 1 || !matches!(self.photometric.as_str(), "MONOCHROME1" | "MONOCHROME2") {
            return refuse("not_grayscale", "It is a colour image.");
        }
        let bits = (1..=self.bits_allocated).contains(&self.bits_stored)
            && self.high_bit < self.bits_allocated
            && self.high_bit + 1 >= self.bits_stored;
        if !matches!(self.bits_allocated, 8 | 16) || !bits {
            return refuse(
                "unsupported_pixels",
                "Its pixels are not of 8 or 16 bits, or impossible.",
            );
        }
        if self.slope == 0.0 {
            return refuse("unsupported_pixels", "Its rescale slope (0028,1053) is zero.");
        }
        Ok(())
    }

    /// Stored bytes to values (PS3.3 C.7.6.3, C.11.1.1.2), appended.
    fn rescale_into(&self, stored: &[u8], big_endian: bool, out: &mut Vec<f32>) -> Result<(), Reason> {
        self.readable()?;
        let shift = self.high_bit + 1 - self.bits_stored;
        let mask = (1i32 << self.bits_stored) - 1;
        let sign = if self.signed {
            1i32 << (self.bits_stored - 1)
        } else {
            0
        };
        // The largest stored value plus the smallest: what inversion subtracts from.
        let ends = if self.signed { -1 } else { mask };
        let inverted = self.photometric == "MONOCHROME1";
        let value = |raw: u16| {
            let stored = (((i32::from(raw) >> shift) & mask) ^ sign) - sign;
            let stored = if inverted { ends - stored } else { stored };
            (f64::from(stored) * self.slope + self.intercept) as f32
        };
        let count = self.rows * self.columns;
        match self.bits_allocated {
            8 => out.extend(stored.iter().take(count).map(|&b| value(u16::from(b)))),
            _ => out.extend(stored.as_chunks::<2>().0.iter().take(count).map(|&b| {
                value(if big_endian {
                    u16::from_be_bytes(b)
                } else {
                    u16::from_le_bytes(b)
                })
            })),
        }
        Ok(())
    }
}

/// What brings an ADC map to 1e-3 mm²/s.
///
/// Scanners store 1e-6 mm²/s as integers (tissue in the hundreds to thousands), 1e-3 mm²/s or
/// mm²/s as rescaled fractions. Free water at body temperature has 3e-3 mm²/s, so the 98th
/// percentile of what is not air lies between about 0.5 and 5 in our unit.
fn adc_factor(voxels: &Array3<f32>) -> Result<f32, Reason> {
    let mut positive: Vec<f32> = voxels
        .iter()
        .copied()
        .filter(|v| *v > 0.0 && v.is_finite())
        .collect();
    if positive.is_empty() {
        return Ok(1.0);
    }
    let rank = (positive.len() - 1) * 98 / 100;
    let (_, high, _) = positive.select_nth_unstable_by(rank, f32::total_cmp);
    match *high {
        h if (200.0..20_000.0).contains(&h) => Ok(1e-3),
        h if (0.2..20.0).contains(&h) => Ok(1.0),
        h if (2e-4..2e-2).contains(&h) => Ok(1e3),
        h => Err(Reason::new(
            "adc_unit_unknown",
            Fault::Data,
            format!("Its largest values ({h:.3}) fit no unit of ADC."),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Mosaics are not read as volumes yet, so their encodings are compared below the surface.
    #[test]
    fn one_real_image_in_several_encodings_has_the_same_pixels() {
        let Some(root) = std::env::var_os("SIALOSCOPE_MR_DATA") else {
            eprintln!("skipped: nine-encodings (SIALOSCOPE_MR_DATA names no folder)");
            return;
        };
        let mut seen = Vec::new();
        for n in 1..=9 {
            let path = std::path::Path::new(&root).join(format!("nine-encodings/{n}.dcm"));
            let file = header::read(&path).unwrap();
            let slice = SliceSource {
                path,
                sop_instance_uid: file.header.sop_instance_uid.clone(),
            };
            let mut values = Vec::new();
            match stored_bytes(&slice, &file) {
                Ok(stored) => {
                    let big_endian = file.transfer_syntax == EXPLICIT_BIG_ENDIAN;
                    file.header
                        .image
                        .rescale_into(&stored, big_endian, &mut values)
                        .unwrap();
                    seen.push(values);
                }
                // JPEG-LS and JPEG 2000 have no decoder in pure Rust here.
                Err(reason) => assert_eq!(reason.code, "unsupported_transfer_syntax", "{n}"),
            }
        }
        assert!(seen.len() >= 5, "{}", seen.len());
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
