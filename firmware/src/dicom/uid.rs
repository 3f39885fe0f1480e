//! Unique identifiers that are safe to use.

use std::fmt;

use models::package::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits::MAX_UID_CHARS;

/// A unique identifier (PS3.5 9.1): digits in components separated by single dots, at most 64
/// characters. Only a value of this type ever becomes part of a path.
///
/// Components with leading zeros, which the standard forbids and scanners send, are taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

/// What is wrong with a UID. Holds no part of it: it may be hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// More than 64 characters.
    #[error("has more than {MAX_UID_CHARS} characters")]
    TooLong,
    /// Something else than digits and dots, or dots at the wrong place.
    #[error("is not made of numbers separated by dots")]
    Malformed,
}

impl Uid {
    /// Checks a UID as it stands in a data set: one trailing NUL or spaces are padding.
    pub fn parse(raw: &str) -> Result<Self, UidError> {
        let text = raw.strip_suffix('\0').unwrap_or(raw).trim_end_matches(' ');
        if text.is_empty() {
            return Err(UidError::Empty);
        }
        if text.len() > MAX_UID_CHARS {
            return Err(UidError::TooLong);
        }
        let component = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !text.split('.').all(component) {
            return Err(UidError::Malformed);
        }
        Ok(Self(text.to_owned()))
    }

    /// Made from names: the same names give the same UID. A UUID of our own making (RFC 9562 5.8) as UID
    /// (PS3.5 B.2).
    pub fn derived(names: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for name in names {
            // With its length, so that no two lists run into each other.
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
        }
        let hash = hash.finalize();
        let number = hash[..16]
            .iter()
            .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let version_8 = number & !(0xF << 76) | 8 << 76;
        let variant = version_8 & !(0b11 << 62) | 0b10 << 62;
        Self(format!("2.25.{variant}"))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Eight hexadecimal digits of its SHA-256. Logs name a study by this tag: who has the images can
    /// find it, who has only the log learns nothing.
    pub fn tag(&self) -> String {
        hex(&Sha256::digest(&self.0)[..4])
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Uid {
    type Error = UidError;

    fn try_from(raw: String) -> Result<Self, UidError> {
        Self::parse(&raw)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_scanners_send() {
        for good in ["1.2.840.10008.1.1", "1.2.840.10008.1.1\0", "2.25.7 ", "1.02.3"] {
            assert!(Uid::parse(good).is_ok(), "{good:?}");
        }
        let longest = format!("1.{}", "2".repeat(MAX_UID_CHARS - 2));
        assert_eq!(Uid::parse(&longest).map(String::from), Ok(longest));
    }

    #[test]
    fn refuses_what_must_not_become_a_path() {
        for bad in [
            "..", ".", "1..2", "../1", "1/2", "/etc", "1\0.2", "$(id)", "1;2", "1.", ".1", "1.a", "１.2",
        ] {
            assert_eq!(Uid::parse(bad), Err(UidError::Malformed), "{bad:?}");
        }
        assert_eq!(Uid::parse(""), Err(UidError::Empty));
        assert_eq!(Uid::parse(&"1".repeat(MAX_UID_CHARS + 1)), Err(UidError::TooLong));
    }
}
