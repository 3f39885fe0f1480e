//! Which fragments hold a frame of compressed pixel data (PS3.5 A.4).

use std::ops::Range;

use super::extent::Fragment;

/// The fragments of frame `n`, as indices into `fragments`, the offset table not counted; none when
/// nothing tells them apart.
///
/// A single frame has them all; as many fragments as frames have one each; else the offset table tells,
/// and where it is empty the fragments that `starts` recognises as the start of a code stream.
pub(super) fn of_frame(
    fragments: &[Fragment],
    table: &[u32],
    frames: usize,
    n: usize,
    starts: impl Fn(&Fragment) -> bool,
) -> Option<Range<usize>> {
    if n >= frames || fragments.len() < frames {
        return None;
    }
    if frames == 1 {
        return Some(0..fragments.len());
    }
    if fragments.len() == frames {
        return Some(n..n + 1);
    }
    let firsts: Vec<usize> = if table.len() == frames {
        let base = fragments.first()?.offset;
        let at = |offset: &u32| {
            let wanted = base + u64::from(*offset);
            fragments.iter().position(|f| f.offset == wanted)
        };
        table.iter().map(at).collect::<Option<_>>()?
    } else {
        (0..fragments.len()).filter(|i| starts(&fragments[*i])).collect()
    };
    let ordered = firsts.first() == Some(&0) && firsts.is_sorted_by(|a, b| a < b);
    if firsts.len() != frames || !ordered {
        return None;
    }
    let end = firsts.get(n + 1).copied().unwrap_or(fragments.len());
    Some(firsts[n]..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fragments of 100 bytes with their headers of 8.
    fn fragments(count: u64) -> Vec<Fragment> {
        (0..count)
            .map(|n| Fragment {
                offset: 1000 + 108 * n,
                length: 100,
            })
            .collect()
    }

    #[test]
    fn frames_are_told_apart_by_count_table_or_start() {
        let five = fragments(5);
        let none = |_: &Fragment| false;
        assert_eq!(of_frame(&five, &[], 1, 0, none), Some(0..5));
        assert_eq!(of_frame(&five, &[], 5, 3, none), Some(3..4));
        assert_eq!(of_frame(&five, &[0, 324], 2, 0, none), Some(0..3));
        assert_eq!(of_frame(&five, &[0, 324], 2, 1, none), Some(3..5));
        let third = |f: &Fragment| f.offset == 1000 || f.offset == 1216;
        assert_eq!(of_frame(&five, &[], 2, 1, third), Some(2..5));
    }

    #[test]
    fn what_nothing_tells_apart_is_none() {
        let five = fragments(5);
        let none = |_: &Fragment| false;
        assert_eq!(of_frame(&five, &[], 2, 0, none), None);
        assert_eq!(of_frame(&five, &[0, 300], 2, 0, none), None);
        assert_eq!(of_frame(&five, &[324, 0], 2, 0, none), None);
        assert_eq!(of_frame(&five, &[], 6, 0, none), None);
        assert_eq!(of_frame(&five, &[], 5, 5, none), None);
    }
}
