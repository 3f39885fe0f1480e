//! The voxels of a volume, rescaled to the unit of the modality.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use ndarray::Array3;

use super::codec;
use super::extent::Fragment;
use super::fragments::of_frame;
use super::header::{self, FileHeader, Header, Image};
use super::{Contrast, Part, SliceSource, Volume, VolumeIndex};
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
        let shape = [slices, rows, columns];
        if self.contrast == Some(Contrast::Adc) {
            return apparent_diffusion(&self.slices, shape);
        }
        let mut voxels = read_stack(&self.slices, shape, Image::clone)?;
        if !self.further_directions.is_empty() {
            voxels.mapv_inplace(log_signal);
            for direction in &self.further_directions {
                voxels += &read_stack(direction, shape, Image::clone)?.mapv_into(log_signal);
            }
            let directions = 1 + self.further_directions.len();
            voxels.mapv_inplace(|sum| (sum / directions as f32).exp());
        }
        Ok(voxels)
    }
}

/// Magnitude signals are not negative; the floor keeps a zero from becoming minus infinity.
fn log_signal(signal: f32) -> f32 {
    signal.max(1e-3).ln()
}

/// A map of apparent diffusion coefficients, 1e-3 mm²/s: by its real-world values where they state a unit,
/// else by the size of its numbers.
fn apparent_diffusion(slices: &[SliceSource], shape: [usize; 3]) -> Result<Array3<f32>, Reason> {
    let mut stated = 0;
    let mut voxels = read_stack(slices, shape, |image| {
        image.diffusivity().map_or_else(
            || image.clone(),
            |mapped| {
                stated += 1;
                mapped
            },
        )
    })?;
    if stated == 0 {
        let factor = adc_factor(&voxels)?;
        voxels.mapv_inplace(|v| v * factor);
    } else if stated < slices.len() {
        let text = "Some of its slices state a unit of ADC and some do not.";
        return Err(Reason::new("adc_unit_unknown", Fault::Data, text));
    }
    Ok(voxels)
}

/// The values of a stack of slices; `meaning` says what the stored values of each mean.
fn read_stack(
    slices: &[SliceSource],
    shape: [usize; 3],
    mut meaning: impl FnMut(&Image) -> Image,
) -> Result<Array3<f32>, Reason> {
    let mut values = Vec::with_capacity(shape.iter().product());
    let mut open: Option<Source> = None;
    for slice in slices {
        let source = match open.take().filter(|s| s.path == slice.path) {
            Some(source) => open.insert(source),
            None => open.insert(Source::open(slice)?),
        };
        source.rescale_into(slice, &shape[1..], &mut meaning, &mut values)?;
    }
    Array3::from_shape_vec(shape, values).map_err(|_| changed())
}

/// A file whose images are read one after the other.
struct Source {
    path: PathBuf,
    file: FileHeader,
    /// The last frame that was read, as stored.
    frame: Option<(usize, Vec<u8>)>,
}

impl Source {
    fn open(slice: &SliceSource) -> Result<Source, Reason> {
        Ok(Source {
            path: slice.path.clone(),
            file: header::read(&slice.path)?,
            frame: None,
        })
    }

    /// The values of one slice, appended.
    fn rescale_into(
        &mut self,
        slice: &SliceSource,
        size: &[usize],
        meaning: impl FnOnce(&Image) -> Image,
        values: &mut Vec<f32>,
    ) -> Result<(), Reason> {
        let same = |h: &&Header| h.part == slice.part && h.sop_instance_uid == slice.sop_instance_uid;
        let image = match slice.part {
            Part::Frame(n) => self.file.images.get(n),
            _ => self.file.images.iter().find(same),
        };
        let image = meaning(&image.filter(same).ok_or_else(changed)?.image);
        if [image.rows, image.columns] != size {
            return Err(changed());
        }
        let big_endian = self.file.transfer_syntax == EXPLICIT_BIG_ENDIAN;
        let across = self.file.stored.columns;
        let bytes = self.file.stored.bits_allocated as usize / 8;
        let frame = self.frame(match slice.part {
            Part::Frame(n) => n,
            _ => 0,
        })?;
        match slice.part {
            Part::Tile { row, column } => {
                let rows = frame.chunks_exact(across * bytes).skip(row).take(image.rows);
                let tile: Vec<u8> = rows
                    .flat_map(|line| &line[column * bytes..(column + image.columns) * bytes])
                    .copied()
                    .collect();
                image.rescale_into(&tile, big_endian, values)
            }
            _ => image.rescale_into(frame, big_endian, values),
        }
    }

    /// The pixels of one frame as stored, uncompressed.
    fn frame(&mut self, n: usize) -> Result<&[u8], Reason> {
        let frame = match self.frame.take().filter(|(kept, _)| *kept == n) {
            Some(frame) => frame,
            None => (n, self.read_frame(n)?),
        };
        Ok(&self.frame.insert(frame).1)
    }

    fn read_frame(&self, n: usize) -> Result<Vec<u8>, Reason> {
        let one = Image {
            frames: 1,
            ..self.file.stored.clone()
        };
        let length = one.stored_bytes().unwrap_or(u64::MAX);
        if n >= self.file.stored.frames {
            return Err(changed());
        }
        let span = self
            .file
            .pixels
            .as_ref()
            .ok_or_else(|| undecodable("A file has no pixels."))?;
        let bytes = match &span.fragments {
            Some(fragments) => codec::decode(
                &self.file.transfer_syntax,
                &self.compressed_frame(fragments, n)?,
                &one,
            )?,
            None => self.bytes(span.offset + length * n as u64, length)?,
        };
        if (bytes.len() as u64) < length {
            return Err(undecodable("A file holds fewer pixels than it states."));
        }
        Ok(bytes)
    }

    /// The code stream of one frame, put together from its fragments.
    fn compressed_frame(&self, fragments: &[Fragment], n: usize) -> Result<Vec<u8>, Reason> {
        let no_frames = || undecodable("Its compressed frames cannot be told apart.");
        let (table, fragments) = fragments.split_first().ok_or_else(no_frames)?;
        let offsets = self.bytes(table.offset, u64::from(table.length))?;
        let offsets: Vec<u32> = offsets
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect();
        // SOI of JPEG and JPEG-LS, SOC and SIZ of JPEG 2000.
        let starts = |fragment: &Fragment| {
            let head = self.bytes(fragment.offset, 3);
            head.is_ok_and(|head| matches!(head[..], [0xFF, 0xD8, 0xFF] | [0xFF, 0x4F, 0xFF]))
        };
        let range =
            of_frame(fragments, &offsets, self.file.stored.frames, n, starts).ok_or_else(no_frames)?;
        let mut stream = Vec::new();
        for fragment in &fragments[range] {
            stream.extend(self.bytes(fragment.offset, u64::from(fragment.length))?);
        }
        Ok(stream)
    }

    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, Reason> {
        if let Some(inflated) = &self.file.inflated {
            let rest = inflated.get(offset as usize..).unwrap_or_default();
            return Ok(rest[..rest.len().min(length as usize)].to_vec());
        }
        let read = || {
            let mut source = File::open(&self.path)?;
            source.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            source.take(length).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        read().map_err(|_| Reason::new("unreadable", Fault::Hardware, "The file cannot be read."))
    }
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

    /// The same pixels with real-world values in 1e-3 mm²/s; none when no unit of diffusivity is stated.
    pub fn diffusivity(&self) -> Option<Image> {
        let stated = self.real_world.as_ref()?;
        let factor = match stated.unit.as_str() {
            "mm2/s" => 1e3,
            "10*-3.mm2/s" | "10-3.mm2/s" | "1e-3mm2/s" => 1.0,
            "um2/s" | "10*-6.mm2/s" | "10-6.mm2/s" | "1e-6mm2/s" => 1e-3,
            "um2/ms" => 1.0,
            "cm2/s" => 1e5,
            "m2/s" => 1e9,
            _ => return None,
        };
        Some(Image {
            slope: stated.slope * factor,
            intercept: stated.intercept * factor,
            ..self.clone()
        })
    }

    /// Stored bytes to values (PS3.3 C.7.6.3, C.11.1.1.2), appended; padding becomes 0.
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
        // Some writers state a negative padding value without its sign.
        let padding = self.padding.map(|ends| {
            let [a, b] = ends.map(|end| ((end & mask) ^ sign) - sign);
            a.min(b)..=a.max(b)
        });
        let value = |raw: u16| {
            let stored = (((i32::from(raw) >> shift) & mask) ^ sign) - sign;
            if padding.as_ref().is_some_and(|range| range.contains(&stored)) {
                return 0.0;
            }
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
