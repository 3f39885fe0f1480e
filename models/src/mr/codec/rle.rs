//! RLE Lossless (PS3.5 annex G). The registry's decoder trusts the segment table and panics on a lying one.

/// The most segments a frame may have (PS3.5 G.5).
const MAX_SEGMENTS: usize = 15;
const TABLE: usize = 64;

/// The bytes of a grayscale frame, little endian; none when it is broken.
pub(super) fn decode(frame: &[u8], pixels: usize, bytes_per_pixel: usize) -> Option<Vec<u8>> {
    let number = |n: usize| {
        let bytes = frame.get(4 * n..4 * n + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let count = number(0)?;
    if count != bytes_per_pixel || count > MAX_SEGMENTS {
        return None;
    }
    let mut out = vec![0; pixels * bytes_per_pixel];
    for n in 0..count {
        let start = number(1 + n)?;
        let end = if n + 1 < count {
            number(2 + n)?
        } else {
            frame.len()
        };
        let segment = frame.get(start.max(TABLE)..end)?;
        // The most significant byte comes first.
        let plane = out.iter_mut().skip(count - 1 - n).step_by(bytes_per_pixel);
        unpack(segment, plane)?;
    }
    Some(out)
}

/// PackBits (G.3.2); none when the segment ends before the plane is full.
fn unpack<'a>(mut segment: &[u8], mut plane: impl Iterator<Item = &'a mut u8>) -> Option<()> {
    let mut next = plane.next();
    while let Some(pixel) = next.take() {
        let (&head, rest) = segment.split_first()?;
        segment = rest;
        // A run may be longer than what is left: encoders pad to an even length.
        let mut pixel = Some(pixel);
        match head {
            0..=127 => {
                let (literal, rest) = segment.split_at_checked(usize::from(head) + 1)?;
                segment = rest;
                for value in literal {
                    let Some(to) = pixel.take() else { break };
                    *to = *value;
                    pixel = plane.next();
                }
            }
            128 => {}
            129..=255 => {
                let (&value, rest) = segment.split_first()?;
                segment = rest;
                for _ in 0..257 - usize::from(head) {
                    let Some(to) = pixel.take() else { break };
                    *to = value;
                    pixel = plane.next();
                }
            }
        }
        next = pixel;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Literals of up to 128 and runs of up to 128, as any encoder may choose.
    fn packed(plane: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in plane.chunks(128) {
            if part.len() > 1 && part.iter().all(|b| *b == part[0]) {
                out.extend([(257 - part.len()) as u8, part[0]]);
            } else {
                out.push((part.len() - 1) as u8);
                out.extend(part);
            }
        }
        out
    }

    fn encoded(pixels: &[u16]) -> Vec<u8> {
        let high = packed(&pixels.iter().map(|p| (p >> 8) as u8).collect::<Vec<_>>());
        let low = packed(&pixels.iter().map(|p| *p as u8).collect::<Vec<_>>());
        let mut out = Vec::new();
        for number in [2, TABLE as u32, (TABLE + high.len()) as u32] {
            out.extend(number.to_le_bytes());
        }
        out.resize(TABLE, 0);
        out.extend(high);
        out.extend(low);
        out
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(pixels in prop::collection::vec(0u16..600, 1..400)) {
            let bytes: Vec<u8> = pixels.iter().flat_map(|p| p.to_le_bytes()).collect();
            prop_assert_eq!(decode(&encoded(&pixels), pixels.len(), 2), Some(bytes));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), pixels in 0usize..300) {
            decode(&bytes, pixels, 2);
            let mut table = vec![2, 0, 0, 0, 64, 0, 0, 0];
            table.extend(bytes);
            decode(&table, pixels, 2);
        }
    }

    #[test]
    fn a_frame_that_ends_early_is_none() {
        let whole = encoded(&[1, 2, 3, 4]);
        assert_eq!(decode(&whole[..whole.len() - 1], 4, 2), None);
        assert_eq!(decode(&whole, 5, 2), None);
    }
}
