//! Siemens' CSA header: a table of named values inside (0029,xx10).
//!
//! Two layouts are met. `SV10` (software VB13 and later) says so in its first bytes; the older one starts
//! with the number of entries. Each entry has a name of 64 bytes, and its values as texts with lengths
//! of their own (layout after nibabel's description, nipy.org/nibabel/dicom/siemens_csa.html).

use super::data_set::DataSet;
use super::private::Private;

/// Entries beyond any real header.
const MAX_ENTRIES: u32 = 2048;
/// Values of one entry beyond any real header.
const MAX_VALUES: u32 = 1024;
const NAME: usize = 64;

const HEADER: Private = Private {
    group: 0x0029,
    creator: "SIEMENS CSA HEADER",
    vendor: "SIEMENS",
};

/// The values of one entry of an image's CSA header, as [`values`].
pub(super) fn of_image(d: &DataSet, name: &str) -> Option<Vec<String>> {
    values(HEADER.element(d, 0x10)?.bytes(), name)
}

/// The values of one entry, trimmed, empty ones left out; none when the header is no CSA header, is cut
/// short, or has no such entry.
fn values(header: &[u8], name: &str) -> Option<Vec<String>> {
    let newer = header.starts_with(b"SV10");
    let mut bytes = Bytes(header);
    if newer {
        bytes.take(8)?;
    }
    let entries = bytes.number()?;
    if entries > MAX_ENTRIES {
        return None;
    }
    bytes.take(4)?;
    // In the older layout lengths are counted from the number of values of the first entry.
    let mut base = None;
    for _ in 0..entries {
        let found = bytes.text(NAME)? == name;
        bytes.take(12)?;
        let count = bytes.number()?;
        bytes.take(4)?;
        if count > MAX_VALUES {
            return None;
        }
        let base = *base.get_or_insert(count);
        let mut values = Vec::new();
        for _ in 0..count {
            let (first, second) = (bytes.number()?, bytes.number()?);
            bytes.take(8)?;
            let length = if newer { second } else { first.saturating_sub(base) } as usize;
            let value = bytes.text(length)?;
            // The last value may lack its padding.
            let padding = length.next_multiple_of(4) - length;
            bytes.take(padding.min(bytes.0.len()))?;
            if found && !value.is_empty() {
                values.push(value);
            }
        }
        if found {
            return Some(values);
        }
    }
    None
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Up to the first zero.
    fn text(&mut self, length: usize) -> Option<String> {
        let bytes = self.take(length)?;
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        Some(String::from_utf8_lossy(&bytes[..end]).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Entries as scanners write them.
    fn header(newer: bool, entries: &[(&str, &[&str])]) -> Vec<u8> {
        let mut out = Vec::new();
        if newer {
            out.extend(b"SV10\x04\x03\x02\x01");
        }
        out.extend((entries.len() as u32).to_le_bytes());
        out.extend(77u32.to_le_bytes());
        let base = entries.first().map_or(0, |(_, v)| v.len()) as u32;
        for (name, values) in entries {
            let mut field = name.as_bytes().to_vec();
            field.resize(NAME, 0);
            out.extend(field);
            out.extend([0; 12]);
            out.extend((values.len() as u32).to_le_bytes());
            out.extend(77u32.to_le_bytes());
            for value in *values {
                let length = value.len() as u32 + 1;
                let first = if newer { length } else { length + base };
                out.extend(first.to_le_bytes());
                out.extend(length.to_le_bytes());
                out.extend([0; 8]);
                out.extend(value.as_bytes());
                out.push(0);
                out.resize(out.len().next_multiple_of(4), 0);
            }
        }
        out
    }

    #[test]
    fn both_layouts_give_their_values() {
        for newer in [true, false] {
            // Names and lengths that leave every entry on a boundary of four.
            let bytes = header(
                newer,
                &[
                    ("NumberOfImagesInMosaic", &["25 ", ""]),
                    ("SliceNormalVector", &["0.0", "0.1", "0.9"]),
                ],
            );
            assert_eq!(values(&bytes, "NumberOfImagesInMosaic").unwrap(), ["25"]);
            assert_eq!(
                values(&bytes, "SliceNormalVector").unwrap(),
                ["0.0", "0.1", "0.9"]
            );
            assert_eq!(values(&bytes, "Nothing"), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), newer: bool) {
            let mut all = if newer { b"SV10\x04\x03\x02\x01".to_vec() } else { Vec::new() };
            all.extend(bytes);
            values(&all, "SliceNormalVector");
        }

        #[test]
        fn a_cut_header_gives_nothing_or_the_truth(cut in 0usize..400) {
            let bytes = header(true, &[("A", &["1"]), ("SliceNormalVector", &["0", "0", "1"])]);
            let cut = cut.min(bytes.len());
            if let Some(found) = values(&bytes[..cut], "SliceNormalVector") {
                prop_assert_eq!(found, ["0", "0", "1"]);
            }
        }
    }
}
