//! The places of associations.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// So many associations at once, and so many from one address.
pub(in crate::dicom) struct Places {
    total: usize,
    per_peer: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one association.
pub(in crate::dicom) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error("there are already as many associations as allowed")]
    Full,
    #[error("it already has as many associations as one peer may have")]
    PeerFull,
}

impl NoPlace {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Full => "too_many_associations",
            Self::PeerFull => "too_many_of_one_peer",
        }
    }
}

impl Places {
    pub(in crate::dicom) fn new(total: usize, per_peer: usize) -> Self {
        Self {
            total,
            per_peer,
            taken: Mutex::default(),
        }
    }

    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = taken.get(&address).copied().unwrap_or_default();
        if of_peer >= self.per_peer {
            return Err(NoPlace::PeerFull);
        }
        if taken.values().sum::<usize>() >= self.total {
            return Err(NoPlace::Full);
        }
        taken.insert(address, of_peer + 1);
        let places = Arc::clone(self);
        Ok(Place { places, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn one_peer_cannot_take_all_places() {
        let [noisy, scanner, third] = [1, 2, 3].map(|last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last)));
        let places = Arc::new(Places::new(3, 2));
        let _first = places.take(noisy).unwrap();
        let second = places.take(noisy).unwrap();
        assert_eq!(places.take(noisy).err(), Some(NoPlace::PeerFull));
        let _scanner = places.take(scanner).unwrap();
        assert_eq!(places.take(third).err(), Some(NoPlace::Full));
        drop(second);
        let _third = places.take(third).unwrap();
        assert_eq!(places.take(scanner).err(), Some(NoPlace::Full));
    }
}
