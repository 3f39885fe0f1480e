//! JPEG-LS, lossless and near-lossless (ITU-T T.87), for one grayscale component.
//!
//! CharLS, the library that everybody uses, is C++ and wants CMake; hostile files come in over the network,
//! so these three hundred lines in safe Rust stand instead. Names are those of the recommendation, whose
//! annex is given where it is followed.

/// Why a code stream was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It ends too early, or a marker makes no sense.
    Malformed,
    /// More than one component, a restart interval, a mapping table.
    Unsupported,
    /// Of another size than the image.
    OtherSize,
}

/// Annex A.2.1: how many samples a one bit of a run stands for, as a power of two.
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// Regular contexts, A.3.4.
const CONTEXTS: usize = 365;
const MIN_C: i32 = -128;
const MAX_C: i32 = 127;

/// The samples of a code stream, row by row.
pub(super) fn decode(stream: &[u8], rows: usize, columns: usize) -> Result<Vec<u16>, Broken> {
    let (parameters, data) = headers(stream, rows, columns)?;
    Decoder::new(parameters, data).samples(rows, columns)
}

/// What the markers say (C.2).
#[derive(Clone, Copy)]
struct Parameters {
    maxval: i32,
    near: i32,
    thresholds: [i32; 3],
    reset: i32,
}

/// Walks the markers up to the entropy-coded data.
fn headers(stream: &[u8], rows: usize, columns: usize) -> Result<(Parameters, &[u8]), Broken> {
    let mut precision = None;
    let mut preset = [0i32; 5];
    let mut rest = stream.strip_prefix(&[0xFF, 0xD8]).ok_or(Broken::Malformed)?;
    loop {
        let [0xFF, marker, high, low, ..] = *rest else {
            return Err(Broken::Malformed);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = rest.get(4..2 + length).ok_or(Broken::Malformed)?;
        rest = &rest[2 + length..];
        let number = |at: usize| {
            let bytes = segment.get(at..at + 2)?;
            Some(i32::from(u16::from_be_bytes([bytes[0], bytes[1]])))
        };
        match marker {
            // SOF55
            0xF7 => {
                let [p, _, _, _, _, components, ..] = *segment else {
                    return Err(Broken::Malformed);
                };
                if components != 1 || !(2..=16).contains(&p) {
                    return Err(Broken::Unsupported);
                }
                if (number(1), number(3)) != (Some(rows as i32), Some(columns as i32)) {
                    return Err(Broken::OtherSize);
                }
                precision = Some(p);
            }
            // LSE: only preset parameters.
            0xF8 => {
                if segment.first() != Some(&1) {
                    return Err(Broken::Unsupported);
                }
                for (n, value) in preset.iter_mut().enumerate() {
                    *value = number(1 + 2 * n).ok_or(Broken::Malformed)?;
                }
            }
            // SOS
            0xDA => {
                let [components, _, _, near, interleave, ..] = *segment else {
                    return Err(Broken::Malformed);
                };
                if components != 1 || interleave != 0 {
                    return Err(Broken::Unsupported);
                }
                let precision = precision.ok_or(Broken::Malformed)?;
                return Ok((Parameters::new(precision, i32::from(near), preset)?, rest));
            }
            // DRI
            0xDD if number(0) != Some(0) => return Err(Broken::Unsupported),
            // Application data and comments.
            0xDD | 0xE0..=0xEF | 0xFE => {}
            _ => return Err(Broken::Unsupported),
        }
    }
}

impl Parameters {
    /// With the defaults of C.2.4.1.1 for whatever is zero.
    fn new(precision: u8, near: i32, [maxval, t1, t2, t3, reset]: [i32; 5]) -> Result<Self, Broken> {
        let largest = (1 << precision) - 1;
        let maxval = if maxval == 0 { largest } else { maxval };
        if maxval > largest || near > 255.min(maxval / 2) {
            return Err(Broken::Malformed);
        }
        let or = |value: i32, default: i32| if value == 0 { default } else { value };
        let [d1, d2, d3] = default_thresholds(maxval, near);
        let thresholds = [or(t1, d1), or(t2, d2), or(t3, d3)];
        let ordered = near < thresholds[0]
            && thresholds[0] <= thresholds[1]
            && thresholds[1] <= thresholds[2]
            && thresholds[2] <= maxval;
        let reset = or(reset, 64);
        if !ordered || !(3..=255.max(maxval)).contains(&reset) {
            return Err(Broken::Malformed);
        }
        Ok(Parameters {
            maxval,
            near,
            thresholds,
            reset,
        })
    }
}

fn default_thresholds(maxval: i32, near: i32) -> [i32; 3] {
    let clamp = |x: i32, low: i32| if x > maxval || x < low { low } else { x };
    let basic = [3, 7, 21];
    let scaled: [i32; 3] = if maxval >= 128 {
        let factor = (maxval.min(4095) + 128) / 256;
        std::array::from_fn(|i| factor * (basic[i] - (i as i32 + 2)) + i as i32 + 2)
    } else {
        let factor = 256 / (maxval + 1);
        std::array::from_fn(|i| (basic[i] / factor).max(i as i32 + 2))
    };
    let t1 = clamp(scaled[0] + 3 * near, near + 1);
    let t2 = clamp(scaled[1] + 5 * near, t1);
    [t1, t2, clamp(scaled[2] + 7 * near, t2)]
}

/// One context of regular mode (A.6).
#[derive(Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// One of the two contexts of a run's end (A.7.2).
#[derive(Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
}

struct Decoder<'a> {
    parameters: Parameters,
    range: i32,
    qbpp: u32,
    limit: u32,
    contexts: Vec<Context>,
    run_contexts: [RunContext; 2],
    run_index: usize,
    bits: Bits<'a>,
}

impl<'a> Decoder<'a> {
    fn new(parameters: Parameters, data: &'a [u8]) -> Self {
        let Parameters { maxval, near, .. } = parameters;
        let bits_for = |values: i32| 32 - (values - 1).leading_zeros();
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bpp = bits_for(maxval + 1).max(2);
        let a = ((range + 32) / 64).max(2);
        Self {
            parameters,
            range,
            qbpp: bits_for(range),
            limit: 2 * (bpp + bpp.max(8)),
            contexts: vec![Context { a, b: 0, c: 0, n: 1 }; CONTEXTS],
            run_contexts: [RunContext { a, n: 1, negative: 0 }; 2],
            run_index: 0,
            bits: Bits::new(data),
        }
    }

    fn samples(&mut self, rows: usize, columns: usize) -> Result<Vec<u16>, Broken> {
        let mut out = Vec::with_capacity(rows * columns);
        // One sample of border on either side (A.2.1, figure A.1).
        let mut above = vec![0i32; columns + 2];
        let mut line = vec![0i32; columns + 2];
        for _ in 0..rows {
            line[0] = above[1];
            above[columns + 1] = above[columns];
            self.line(&above, &mut line)?;
            out.extend(line[1..=columns].iter().map(|v| *v as u16));
            std::mem::swap(&mut above, &mut line);
        }
        Ok(out)
    }

    fn line(&mut self, above: &[i32], line: &mut [i32]) -> Result<(), Broken> {
        let end = line.len() - 1;
        let mut x = 1;
        while x < end {
            let (a, b, c, d) = (line[x - 1], above[x], above[x - 1], above[x + 1]);
            let q = [d - b, b - c, c - a].map(|gradient| self.quantised(gradient));
            let context = 81 * q[0] + 9 * q[1] + q[2];
            if context == 0 {
                x = self.run(above, line, x)?;
            } else {
                line[x] = self.regular(context, a, b, c)?;
                x += 1;
            }
        }
        Ok(())
    }

    /// A.3.3
    fn quantised(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.parameters.thresholds;
        let size = gradient.abs();
        let region = match () {
            () if size <= self.parameters.near => 0,
            () if size < t1 => 1,
            () if size < t2 => 2,
            () if size < t3 => 3,
            () => 4,
        };
        if gradient < 0 { -region } else { region }
    }

    fn regular(&mut self, context: i32, a: i32, b: i32, c: i32) -> Result<i32, Broken> {
        let sign = context.signum();
        let index = context.unsigned_abs() as usize;
        let Context {
            a: ca,
            b: cb,
            c: cc,
            n,
        } = self.contexts[index];
        // A.4.1: the edge-detecting predictor, then its correction.
        let predicted = match () {
            () if c >= a.max(b) => a.min(b),
            () if c <= a.min(b) => a.max(b),
            () => a + b - c,
        };
        let predicted = (predicted + sign * cc).clamp(0, self.parameters.maxval);
        let k = golomb_parameter(n, ca);
        let mapped = self.bits.golomb(k, self.limit, self.qbpp)?;
        // A.5.2, inverted.
        let error = if self.parameters.near == 0 && k == 0 && 2 * cb <= -n {
            if mapped & 1 == 1 {
                mapped / 2
            } else {
                -(mapped / 2) - 1
            }
        } else if mapped & 1 == 1 {
            -(mapped / 2) - 1
        } else {
            mapped / 2
        };
        self.contexts[index].update(error, &self.parameters);
        Ok(self.reconstructed(predicted, sign * error))
    }

    /// A run of samples like the one to its left, and the sample that ends it (A.7); the next column.
    fn run(&mut self, above: &[i32], line: &mut [i32], start: usize) -> Result<usize, Broken> {
        let end = line.len() - 1;
        let a = line[start - 1];
        let mut x = start;
        while self.bits.bit()? == 1 {
            let length = 1usize << J[self.run_index];
            let whole = end - x >= length;
            let stop = if whole { x + length } else { end };
            line[x..stop].fill(a);
            x = stop;
            if whole {
                self.run_index = (self.run_index + 1).min(J.len() - 1);
            }
            if x == end {
                return Ok(end);
            }
        }
        let length = self.bits.number(J[self.run_index])? as usize;
        if length >= end - x {
            return Err(Broken::Malformed);
        }
        line[x..x + length].fill(a);
        x += length;
        line[x] = self.run_end(a, above[x])?;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(x + 1)
    }

    fn run_end(&mut self, a: i32, b: i32) -> Result<i32, Broken> {
        let alike = (a - b).abs() <= self.parameters.near;
        let kind = usize::from(alike);
        let RunContext { a: ca, n, negative } = self.run_contexts[kind];
        let k = golomb_parameter(n, if alike { ca + (n >> 1) } else { ca });
        let limit = self.limit - J[self.run_index] - 1;
        let mapped = self.bits.golomb(k, limit, self.qbpp)?;
        let doubled = mapped + i32::from(alike);
        let map = doubled & 1;
        let size = (doubled + map) / 2;
        let below = (k != 0 || 2 * negative >= n) == (map == 1);
        let error = if below { -size } else { size };

        let context = &mut self.run_contexts[kind];
        context.negative += i32::from(error < 0);
        context.a += (mapped + 1 - i32::from(alike)) >> 1;
        if context.n == self.parameters.reset {
            context.a >>= 1;
            context.n >>= 1;
            context.negative >>= 1;
        }
        context.n += 1;
        let (predicted, sign) = match () {
            () if alike => (a, 1),
            () if a > b => (b, -1),
            () => (b, 1),
        };
        Ok(self.reconstructed(predicted, sign * error))
    }

    /// A.4.5 and A.8, inverted.
    fn reconstructed(&self, predicted: i32, error: i32) -> i32 {
        let Parameters { maxval, near, .. } = self.parameters;
        let step = 2 * near + 1;
        let value = predicted.wrapping_add(error.wrapping_mul(step));
        let value = match () {
            () if value < -near => value.wrapping_add(self.range * step),
            () if value > maxval + near => value.wrapping_sub(self.range * step),
            () => value,
        };
        value.clamp(0, maxval)
    }
}

impl Context {
    /// A.6
    fn update(&mut self, error: i32, parameters: &Parameters) {
        self.b += error * (2 * parameters.near + 1);
        self.a += error.abs();
        if self.n == parameters.reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(MIN_C);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(MAX_C);
        }
    }
}

/// A.5.1
fn golomb_parameter(n: i32, a: i32) -> u32 {
    (0..24).find(|k| (n << k) >= a).unwrap_or(24)
}

/// The entropy-coded data, with the bit that is stuffed behind each byte 0xFF taken out (A.1).
struct Bits<'a> {
    bytes: &'a [u8],
    kept: u32,
    count: u32,
    stuffed: bool,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            kept: 0,
            count: 0,
            stuffed: false,
        }
    }

    fn bit(&mut self) -> Result<u32, Broken> {
        if self.count == 0 {
            let (&byte, rest) = self.bytes.split_first().ok_or(Broken::Malformed)?;
            // Behind 0xFF a set high bit would be a marker.
            if self.stuffed && byte >= 0x80 {
                return Err(Broken::Malformed);
            }
            self.bytes = rest;
            self.kept = u32::from(byte);
            self.count = if self.stuffed { 7 } else { 8 };
            self.stuffed = byte == 0xFF;
        }
        self.count -= 1;
        Ok(self.kept >> self.count & 1)
    }

    fn number(&mut self, bits: u32) -> Result<u32, Broken> {
        (0..bits).try_fold(0, |number, _| Ok(number << 1 | self.bit()?))
    }

    /// A.5.3: a limited-length Golomb code.
    fn golomb(&mut self, k: u32, limit: u32, qbpp: u32) -> Result<i32, Broken> {
        let most = limit.checked_sub(qbpp + 1).ok_or(Broken::Malformed)?;
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > most {
                return Err(Broken::Malformed);
            }
        }
        let value = if zeros < most {
            zeros << k | self.number(k)?
        } else {
            self.number(qbpp)? + 1
        };
        i32::try_from(value).map_err(|_| Broken::Malformed)
    }
}

#[cfg(test)]
mod tests;
