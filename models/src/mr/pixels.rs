//! The voxels of a volume, rescaled to the unit of the modality.

use ndarray::{Array3, ArrayViewMut3, Axis};

use super::header::Image;
use super::stored::{Frames, changed};
use super::{Contrast, Part, SliceSource, Volume, VolumeIndex};
use crate::findings::{Fault, Reason};
use crate::limits::MAX_VOLUME_VOXELS;

const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// Threads that read a volume: one waits for the disk while the other decodes.
const READERS: usize = 2;

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
        self.decode_first()?;
        if self.contrast == Some(Contrast::Adc) {
            return self.apparent_diffusion();
        }
        let mut voxels = Array3::zeros(self.grid.shape);
        if self.further_directions.is_empty() {
            self.read_into(&mut voxels, |part, first| {
                read_slices(&self.slices[first..], part, Image::clone, |voxel, value| {
                    *voxel = value
                })
            })?;
            return Ok(voxels);
        }
        let directions = 1 + self.further_directions.len();
        self.read_into(&mut voxels, |part, first| {
            for direction in std::iter::once(&self.slices).chain(&self.further_directions) {
                let direction = direction.get(first..).ok_or_else(changed)?;
                read_slices(direction, part, Image::clone, |sum, value| {
                    // Magnitudes are not negative; the floor keeps a zero from becoming minus infinity.
                    *sum += logarithm(value.max(1e-3));
                })?;
            }
            part.mapv_inplace(|sum| (sum / directions as f32).exp());
            Ok(())
        })?;
        Ok(voxels)
    }

    /// How large compressed pixels are only their header says; before anything of the volume's size is
    /// allocated for them, one slice is decoded.
    fn decode_first(&self) -> Result<(), Reason> {
        let first = self.slices.first().filter(|s| s.file.compressed());
        first.map_or(Ok(()), |slice| {
            slice.file.open()?.frame(slice.part.frame()).map(drop)
        })
    }

    /// A map of apparent diffusion coefficients, 1e-3 mm²/s: by its real-world values where they state a
    /// unit, else by the size of its numbers.
    fn apparent_diffusion(&self) -> Result<Array3<f32>, Reason> {
        let stated = self
            .slices
            .iter()
            .filter(|s| s.image.diffusivity().is_some())
            .count();
        if stated > 0 && stated < self.slices.len() {
            let text = "Some of its slices state a unit of ADC and some do not.";
            return Err(Reason::new("adc_unit_unknown", Fault::Data, text));
        }
        let mut voxels = Array3::zeros(self.grid.shape);
        let meaning = |image: &Image| image.diffusivity().unwrap_or_else(|| image.clone());
        self.read_into(&mut voxels, |part, first| {
            read_slices(&self.slices[first..], part, meaning, |voxel, value| {
                *voxel = value
            })
        })?;
        if stated == 0 {
            let factor = adc_factor(&voxels)?;
            voxels.mapv_inplace(|v| v * factor);
        }
        Ok(voxels)
    }

    /// Parts the slices among the readers; each gets its part and the number of the first slice in it.
    fn read_into(
        &self,
        voxels: &mut Array3<f32>,
        read: impl Fn(&mut ArrayViewMut3<f32>, usize) -> Result<(), Reason> + Sync,
    ) -> Result<(), Reason> {
        let each = self.slices.len().div_ceil(READERS).max(1);
        let read = &read;
        std::thread::scope(|scope| {
            let readers: Vec<_> = voxels
                .axis_chunks_iter_mut(Axis(0), each)
                .enumerate()
                .map(|(n, mut part)| scope.spawn(move || read(&mut part, n * each)))
                .collect();
            readers.into_iter().try_for_each(|reader| {
                reader
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }
}

/// Reads as many slices as there is room for; `put` takes each value to its voxel.
fn read_slices(
    slices: &[SliceSource],
    voxels: &mut ArrayViewMut3<f32>,
    meaning: impl Fn(&Image) -> Image,
    put: impl Fn(&mut f32, f32) + Copy,
) -> Result<(), Reason> {
    let (count, rows, columns) = voxels.dim();
    if slices.len() < count {
        return Err(changed());
    }
    let mut open: Option<Frames> = None;
    for (slice, mut plane) in slices.iter().zip(voxels.outer_iter_mut()) {
        let frames = match open.take().filter(|f| f.is_of(&slice.file)) {
            Some(frames) => open.insert(frames),
            None => open.insert(slice.file.open()?),
        };
        let image = meaning(&slice.image);
        let plane = plane
            .as_slice_mut()
            .filter(|_| [image.rows, image.columns] == [rows, columns]);
        slice.rescale_into(frames, &image, plane.ok_or_else(changed)?, put)?;
    }
    Ok(())
}

impl Part {
    /// Which frame of the file it lies in.
    fn frame(self) -> usize {
        match self {
            Part::Whole | Part::Tile { .. } => 0,
            Part::Frame(n) => n,
        }
    }
}

impl SliceSource {
    /// The values of one slice, taken to its voxels.
    fn rescale_into(
        &self,
        frames: &mut Frames,
        image: &Image,
        plane: &mut [f32],
        put: impl Fn(&mut f32, f32) + Copy,
    ) -> Result<(), Reason> {
        let big_endian = self.file.transfer_syntax == EXPLICIT_BIG_ENDIAN;
        let across = self.file.image.columns;
        let bytes = self.file.image.bits_allocated as usize / 8;
        let stored = frames.frame(self.part.frame())?;
        match self.part {
            Part::Whole | Part::Frame(_) => image.rescale_into(stored, big_endian, plane, put),
            Part::Tile { row, column } => {
                let lines = stored.chunks_exact(across * bytes).skip(row);
                for (line, values) in lines.zip(plane.chunks_exact_mut(image.columns)) {
                    let tile = &line[column * bytes..(column + image.columns) * bytes];
                    image.rescale_into(tile, big_endian, values, put)?;
                }
                Ok(())
            }
        }
    }
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

    /// Stored bytes to values (PS3.3 C.7.6.3, C.11.1.1.2), as many as there are voxels; padding becomes 0.
    fn rescale_into(
        &self,
        stored: &[u8],
        big_endian: bool,
        voxels: &mut [f32],
        put: impl Fn(&mut f32, f32) + Copy,
    ) -> Result<(), Reason> {
        self.readable()?;
        let shift = self.high_bit + 1 - self.bits_stored;
        let mask = (1i32 << self.bits_stored) - 1;
        let sign = if self.signed {
            1i32 << (self.bits_stored - 1)
        } else {
            0
        };
        // Of 16 bits at most, so that nothing here can overflow; the checks would cost a third of the time.
        let integer = |raw: u16| (((i32::from(raw) >> shift) & mask) ^ sign).wrapping_sub(sign);
        let (slope, intercept) = (self.slope, self.intercept);
        let rescaled = |integer: i32| (f64::from(integer) * slope + intercept) as f32;
        // The largest stored value plus the smallest: what inversion subtracts from.
        let ends = if self.signed { -1 } else { mask };
        let inverted = self.photometric == "MONOCHROME1";
        // Some writers state a negative padding value without its sign.
        let padding = self.padding.map(|ends| {
            let [a, b] = ends.map(|end| ((end & mask) ^ sign).wrapping_sub(sign));
            a.min(b)..=a.max(b)
        });
        match padding {
            // The same numbers; the way over `f64` is half of the time.
            None if !inverted && (slope, intercept) == (1.0, 0.0) => {
                self.each(stored, big_endian, voxels, put, |raw| integer(raw) as f32)
            }
            None if !inverted => self.each(stored, big_endian, voxels, put, |raw| rescaled(integer(raw))),
            padding => self.each(stored, big_endian, voxels, put, |raw| {
                let integer = integer(raw);
                if padding.as_ref().is_some_and(|range| range.contains(&integer)) {
                    return 0.0;
                }
                rescaled(if inverted {
                    ends.wrapping_sub(integer)
                } else {
                    integer
                })
            }),
        }
        Ok(())
    }

    fn each(
        &self,
        stored: &[u8],
        big_endian: bool,
        voxels: &mut [f32],
        put: impl Fn(&mut f32, f32),
        value: impl Fn(u16) -> f32,
    ) {
        let words = stored.as_chunks::<2>().0;
        if self.bits_allocated == 8 {
            let put_byte = |(voxel, byte): (&mut f32, &u8)| put(voxel, value(u16::from(*byte)));
            voxels.iter_mut().zip(stored).for_each(put_byte);
        } else if big_endian {
            let put_word = |(voxel, word): (&mut f32, &[u8; 2])| put(voxel, value(u16::from_be_bytes(*word)));
            voxels.iter_mut().zip(words).for_each(put_word);
        } else {
            let put_word = |(voxel, word): (&mut f32, &[u8; 2])| put(voxel, value(u16::from_le_bytes(*word)));
            voxels.iter_mut().zip(words).for_each(put_word);
        }
    }
}

/// The natural logarithm of a positive normal number, to the precision of `f32`: that of the library is
/// called value by value and was half of the time of reading a diffusion series.
fn logarithm(x: f32) -> f32 {
    /// Bits of the significand.
    const SIGNIFICAND: u32 = 23;
    let below_root = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    // x = m · 2^e with √½ ≤ m < √2.
    let e = (x.to_bits().wrapping_sub(below_root) as i32) >> SIGNIFICAND;
    let m = f32::from_bits(x.to_bits().wrapping_sub((e << SIGNIFICAND) as u32));
    // ln m = 2 artanh((m - 1) / (m + 1)), whose series ends below the precision after four terms.
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let series = 1.0 + s2 * (1.0 / 3.0 + s2 * (1.0 / 5.0 + s2 * (1.0 / 7.0)));
    e as f32 * std::f32::consts::LN_2 + 2.0 * s * series
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
mod tests {
    use super::logarithm;

    #[test]
    fn the_logarithm_is_that_of_the_library() {
        // Across all scales of a signal, at steps that meet every part of the significand.
        let mut x = 1e-3f32;
        while x < 1e6 {
            let (own, exact) = (logarithm(x), x.ln());
            assert!(
                (own - exact).abs() <= 2e-7 * exact.abs().max(1.0),
                "{x}: {own} {exact}"
            );
            x *= 1.000_37;
        }
    }
}
