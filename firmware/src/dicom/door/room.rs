//! The room in which connections wait until they have an association.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A room with a number of seats. When it is full, the oldest visitor of the address with the most
/// seats has to leave: a crowd pushes out itself, and nobody else.
pub(in crate::dicom) struct Room {
    seats: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    taken: usize,
    visitors: HashMap<u64, Visitor>,
    /// The visitors of each address, oldest first, and the seats that they take.
    crowds: BTreeMap<IpAddr, Crowd>,
}

struct Visitor {
    address: IpAddr,
    seats: usize,
    /// Dropped when it has to leave.
    _stay: oneshot::Sender<()>,
}

#[derive(Default)]
struct Crowd {
    seats: usize,
    visitors: BTreeSet<u64>,
}

/// A visitor's right to be in the room.
pub(super) struct Ticket {
    room: Arc<Room>,
    id: u64,
}

impl Room {
    pub(in crate::dicom) fn new(seats: usize) -> Self {
        Self {
            seats: seats.max(1),
            inside: Mutex::default(),
        }
    }

    /// Takes a seat. The second value becomes ready when the visitor has to leave.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> (Ticket, oneshot::Receiver<()>) {
        let (stay, leave) = oneshot::channel();
        let mut inside = self.lock();
        let id = inside.next;
        inside.next += 1;
        let visitor = Visitor {
            address,
            seats: 0,
            _stay: stay,
        };
        inside.visitors.insert(id, visitor);
        inside.seat(id, 1);
        inside.push_out_down_to(self.seats);
        let room = Arc::clone(self);
        (Ticket { room, id }, leave)
    }

    /// Sends everybody away.
    pub(in crate::dicom) fn clear(&self) {
        self.lock().push_out_down_to(0);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn seat(&mut self, id: u64, seats: usize) {
        let Some(visitor) = self.visitors.get_mut(&id) else {
            return;
        };
        let more = seats.saturating_sub(visitor.seats);
        visitor.seats += more;
        self.taken += more;
        let crowd = self.crowds.entry(visitor.address).or_default();
        crowd.seats += more;
        crowd.visitors.insert(id);
    }

    fn remove(&mut self, id: u64) {
        let Some(Visitor { address, seats, .. }) = self.visitors.remove(&id) else {
            return;
        };
        self.taken -= seats;
        if let Some(crowd) = self.crowds.get_mut(&address) {
            crowd.seats -= seats;
            crowd.visitors.remove(&id);
            if crowd.visitors.is_empty() {
                self.crowds.remove(&address);
            }
        }
    }

    fn push_out_down_to(&mut self, seats: usize) {
        while self.taken > seats {
            let largest = self
                .crowds
                .values()
                .max_by_key(|crowd| (crowd.seats, Reverse(crowd.visitors.first())));
            let Some(oldest) = largest.and_then(|crowd| crowd.visitors.first().copied()) else {
                return;
            };
            self.remove(oldest);
        }
    }
}

impl Ticket {
    /// Takes as many seats as that; never gives one back.
    pub(super) fn take_seats(&self, seats: usize) {
        let mut inside = self.room.lock();
        inside.seat(self.id, seats);
        inside.push_out_down_to(self.room.seats);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.room.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn stays(leave: &mut oneshot::Receiver<()>) -> bool {
        leave.try_recv() == Err(TryRecvError::Empty)
    }

    #[test]
    fn a_crowd_pushes_out_its_own_oldest() {
        let room = Arc::new(Room::new(4));
        let (_scanner, mut scanner) = room.enter(address(1));
        let mut crowd: Vec<_> = (0..100).map(|_| room.enter(address(2))).collect();
        assert!(stays(&mut scanner), "the oldest of all, and alone");
        let staying: Vec<_> = crowd.iter_mut().map(|(_, leave)| stays(leave)).collect();
        assert_eq!(staying.iter().filter(|stays| **stays).count(), 3);
        assert!(staying[97..].iter().all(|stays| *stays), "the newest");
    }

    #[test]
    fn among_single_visitors_the_oldest_leaves() {
        let room = Arc::new(Room::new(3));
        let mut visitors: Vec<_> = (1..=4).map(|last| room.enter(address(last))).collect();
        let staying: Vec<_> = visitors.iter_mut().map(|(_, leave)| stays(leave)).collect();
        assert_eq!(staying, [false, true, true, true]);
    }

    #[test]
    fn a_long_request_takes_several_seats() {
        let room = Arc::new(Room::new(4));
        let (_scanner, mut scanner) = room.enter(address(1));
        let (long, mut long_leaves) = room.enter(address(2));
        long.take_seats(3);
        assert!(stays(&mut long_leaves));
        long.take_seats(3);
        assert!(stays(&mut long_leaves), "seats are counted once");
        long.take_seats(4);
        assert!(!stays(&mut long_leaves) && stays(&mut scanner));
    }

    #[test]
    fn whoever_leaves_gives_back_the_seats() {
        let room = Arc::new(Room::new(2));
        let (_scanner, mut scanner) = room.enter(address(1));
        for _ in 0..100 {
            let (ticket, mut leave) = room.enter(address(2));
            ticket.take_seats(1);
            assert!(stays(&mut leave) && stays(&mut scanner));
        }
        room.clear();
        assert!(!stays(&mut scanner));
        assert_eq!(room.lock().taken, 0);
        assert!(room.lock().crowds.is_empty());
    }
}
