//! How much is told about callers who are turned away before they have an association.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::{COMPLAINT_ADDRESSES, COMPLAINT_WINDOW, COMPLAINTS_PER_WINDOW};

/// A port scanner must not push everything else out of the journal of refusals: of each address only
/// the first few within a while are told, and of the others how many there were.
#[derive(Default)]
pub(in crate::dicom) struct Complaints(Mutex<HashMap<IpAddr, Window>>);

struct Window {
    since: Instant,
    told: usize,
    kept_back: usize,
}

impl Complaints {
    /// Whether to tell about this one; if so, how many before it were kept back.
    pub(super) fn tell(&self, address: IpAddr, now: Instant) -> Option<usize> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |window: &Window| now.saturating_duration_since(window.since) >= COMPLAINT_WINDOW;
        if windows.len() >= COMPLAINT_ADDRESSES && !windows.contains_key(&address) {
            windows.retain(|_, window| !is_over(window));
            if windows.len() >= COMPLAINT_ADDRESSES {
                return None;
            }
        }
        let window = windows.entry(address).or_insert(Window {
            since: now,
            told: 0,
            kept_back: 0,
        });
        if is_over(window) {
            window.since = now;
            window.told = 0;
        }
        if window.told >= COMPLAINTS_PER_WINDOW {
            window.kept_back += 1;
            return None;
        }
        window.told += 1;
        Some(std::mem::take(&mut window.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_first_few_are_told_and_the_others_counted() {
        let complaints = Complaints::default();
        let (noisy, other) = (
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv4Addr::new(192, 0, 2, 2).into(),
        );
        let now = Instant::now();
        let told: Vec<_> = (0..COMPLAINTS_PER_WINDOW + 5)
            .map(|_| complaints.tell(noisy, now))
            .collect();
        assert!(told[..COMPLAINTS_PER_WINDOW].iter().all(|one| *one == Some(0)));
        assert!(told[COMPLAINTS_PER_WINDOW..].iter().all(Option::is_none));
        assert_eq!(complaints.tell(other, now), Some(0));
        assert_eq!(complaints.tell(noisy, now + COMPLAINT_WINDOW), Some(5));
    }

    #[test]
    fn the_number_of_addresses_is_limited() {
        let complaints = Complaints::default();
        let now = Instant::now();
        let address = |number: usize| IpAddr::from(Ipv4Addr::from_bits(number as u32));
        assert!((0..COMPLAINT_ADDRESSES).all(|number| complaints.tell(address(number), now).is_some()));
        assert_eq!(complaints.tell(address(COMPLAINT_ADDRESSES), now), None);
        let later = now + COMPLAINT_WINDOW;
        assert_eq!(complaints.tell(address(COMPLAINT_ADDRESSES), later), Some(0));
    }
}
