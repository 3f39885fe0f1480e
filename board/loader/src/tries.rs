//! Which slot is started next. RAUC writes these variables too: it puts tries back when a slot has proved itself, and
//! puts the slot first that it has just installed.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Tries of a slot that nobody has counted yet, as RAUC gives them back.
const ALL: u32 = 3;

/// One of two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The one that is flashed.
    A,
    /// The one that the first update is written to.
    B,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// What is remembered from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tries {
    /// Slots in the order in which they are tried, separated by spaces.
    pub order: String,
    /// Tries left of A and B.
    pub left: [u32; 2],
    /// What became of the last try of A and B: `started` or `refused`.
    pub why: [String; 2],
    /// How often no slot had a try left.
    pub exhausted: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            order: "A B".to_owned(),
            left: [ALL; 2],
            why: [String::new(), String::new()],
            exhausted: 0,
        }
    }
}

impl Tries {
    /// Takes one try off the first slot that has any.
    pub fn choose(&mut self) -> Option<Slot> {
        let mut slots = self.order.split_ascii_whitespace().filter_map(|word| match word {
            "A" => Some(Slot::A),
            "B" => Some(Slot::B),
            _ => None,
        });
        let slot = slots.find(|slot| self.left[*slot as usize] > 0)?;
        self.left[slot as usize] -= 1;
        self.why[slot as usize] = "started".to_owned();
        Some(slot)
    }

    /// A slot was tried, and its kernel could not be started.
    pub fn refuse(&mut self, slot: Slot) {
        self.why[slot as usize] = "refused".to_owned();
    }

    /// No slot has a try left: better all over again than a box that stays dark.
    pub fn begin_again(&mut self) {
        self.order = Self::default().order;
        self.left = [ALL; 2];
        self.exhausted = self.exhausted.saturating_add(1);
    }

    /// From `NAME=value` lines that end with a zero byte each. What is not ours is passed over; what is missing or empty is
    /// as on a new disk. Numbers are hexadecimal, and one that is none counts as zero.
    pub fn parse(text: &[u8]) -> Self {
        let mut tries = Self::default();
        for line in text.split(|byte| *byte == 0).take_while(|line| !line.is_empty()) {
            let Some((name, value)) = core::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once('='))
                .filter(|(_, value)| !value.is_empty())
            else {
                continue;
            };
            let number = || u32::from_str_radix(value, 16).unwrap_or(0);
            match name {
                "BOOT_ORDER" => tries.order = value.to_owned(),
                "BOOT_A_LEFT" => tries.left[0] = number(),
                "BOOT_B_LEFT" => tries.left[1] = number(),
                "BOOT_A_WHY" => tries.why[0] = value.to_owned(),
                "BOOT_B_WHY" => tries.why[1] = value.to_owned(),
                "BOOT_EXHAUSTED" => tries.exhausted = number(),
                _ => {}
            }
        }
        tries
    }

    /// The form that [`Self::parse`] reads, closed by a further zero byte.
    pub fn text(&self) -> Vec<u8> {
        let [left_a, left_b] = self.left;
        let [why_a, why_b] = &self.why;
        let mut text = format!(
            "BOOT_A_LEFT={left_a:x}\0BOOT_B_LEFT={left_b:x}\0BOOT_EXHAUSTED={:x}\0BOOT_ORDER={}\0",
            self.exhausted, self.order
        );
        for (name, why) in [("A", why_a), ("B", why_b)] {
            if !why.is_empty() {
                text += &format!("BOOT_{name}_WHY={why}\0");
            }
        }
        text.push('\0');
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_never_proves_itself_gives_way_to_the_other_and_all_begins_again() {
        let mut tries = Tries::default();
        let started: Vec<_> = (0..6).filter_map(|_| tries.choose()).collect();
        assert_eq!(started, [Slot::A, Slot::A, Slot::A, Slot::B, Slot::B, Slot::B]);
        assert_eq!(tries.choose(), None);
        tries.begin_again();
        assert_eq!((tries.exhausted, tries.choose()), (1, Some(Slot::A)));
    }

    #[test]
    fn an_installed_slot_goes_first_and_a_refused_one_is_remembered() {
        let mut tries = Tries::parse(b"BOOT_ORDER=B A\0BOOT_B_LEFT=1\0other=x\0\0BOOT_A_LEFT=0\0");
        assert_eq!(tries.choose(), Some(Slot::B));
        tries.refuse(Slot::B);
        assert_eq!(tries.choose(), Some(Slot::A), "{tries:?}");
        assert_eq!(Tries::parse(&tries.text()), tries);
        assert_eq!(tries.why, ["started", "refused"]);
    }

    #[test]
    fn an_order_that_names_no_slot_starts_none() {
        assert_eq!(Tries::parse(b"BOOT_ORDER=C\0\0").choose(), None);
        assert_eq!(
            Tries::parse(b"BOOT_A_LEFT=none\0BOOT_B_LEFT=0\0\0").choose(),
            None
        );
    }
}
