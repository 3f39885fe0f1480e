//! What is sent, and how. One sender for every receiver: this project's test peer (`tests::wire`), which
//! has its images in memory and waits for each response; and dcmtk's storescu as a second opinion.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dicom_dictionary_std::{tags, uids};
use firmware::dicom::dimse;
use tests::made::{Slice, file, header};
use tests::wire::{COMMAND, LAST, P_DATA, Peer, Request, pdu, pdv};

/// 264 × 264 pixels of 16 bits: 140 KB with its header.
const SIDE: u16 = 264;

/// The images of one study, in memory and as files.
pub struct Images {
    all: Vec<(String, Vec<u8>)>,
    files: Vec<PathBuf>,
}

impl Images {
    pub fn make(folder: &Path, count: usize) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let (mut all, mut files) = (vec![], vec![]);
        for number in 1..=count {
            let (sop, data_set) = image(number);
            let path = folder.join(format!("{number}.dcm"));
            std::fs::write(&path, file(&sop, &data_set)).unwrap();
            all.push((sop, data_set));
            files.push(path);
        }
        Self { all, files }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn bytes_each(&self) -> usize {
        self.all[0].1.len()
    }
}

fn image(number: usize) -> (String, Vec<u8>) {
    // Noise without a pattern that a file system could make smaller.
    let mut state = (number as u32).wrapping_mul(2_654_435_761) | 1;
    let pixels: Vec<u8> = (0..2 * usize::from(SIDE).pow(2))
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect();
    let slice = Slice::new("1.2.826.1", number)
        .number(tags::ROWS, SIDE)
        .number(tags::COLUMNS, SIDE)
        .put(tags::PIXEL_DATA, b"OW", &pixels);
    (format!("1.2.826.1.1.{number}"), slice.bytes())
}

/// A way to send all images.
pub struct Load {
    pub name: &'static str,
    pub send: fn(&Images, u16) -> Duration,
}

pub const LOADS: [Load; 4] = [
    Load {
        name: "1 association",
        send: |images, port| send(images, port, 1, Manner::Quick),
    },
    Load {
        name: "8 associations",
        send: |images, port| send(images, port, 8, Manner::Quick),
    },
    Load {
        name: "1, Nagle left on",
        send: |images, port| send(images, port, 1, Manner::Nagle),
    },
    Load {
        name: "1, storescu",
        send: storescu,
    },
];

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// TCP_NODELAY, one write for each PDU.
    Quick,
    /// Nagle's algorithm on, and small writes for the command and for each header.
    Nagle,
}

/// From the first request for an association to the last response.
fn send(images: &Images, port: u16, associations: usize, manner: Manner) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in images.all.chunks(images.len().div_ceil(associations)) {
            scope.spawn(move || {
                let mut peer = associate(port);
                peer.socket.set_nodelay(manner == Manner::Quick).unwrap();
                for (sop, data_set) in part {
                    let command = command(sop);
                    let sent = match manner {
                        Manner::Quick => peer.send(&command).and_then(|()| peer.send_data_set(1, data_set)),
                        Manner::Nagle => small_writes(&mut peer, &command, data_set),
                    };
                    sent.unwrap();
                    assert_eq!(peer.response().status, Some(0), "{sop}");
                }
                peer.release();
            });
        }
    });
    started.elapsed()
}

fn associate(port: u16) -> Peer {
    let mut request = Request::with_context(uids::MR_IMAGE_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    request.called = tests::wire::title(b"ANY-SCP");
    Peer::associate_with(&format!("127.0.0.1:{port}"), &request)
}

fn command(sop: &str) -> Vec<u8> {
    let command = dimse::Command::store_request(1, uids::MR_IMAGE_STORAGE, sop).encode();
    pdu(P_DATA, &pdv(1, COMMAND | LAST, &command))
}

fn small_writes(peer: &mut Peer, command: &[u8], data_set: &[u8]) -> io::Result<()> {
    peer.send(command)?;
    let room = if peer.max_pdu == 0 {
        128 << 10
    } else {
        peer.max_pdu as usize
    } - 6;
    let count = data_set.len().div_ceil(room);
    for (at, part) in data_set.chunks(room).enumerate() {
        let last = if at + 1 == count { LAST } else { 0 };
        let whole = pdu(P_DATA, &pdv(1, last, part));
        let (head, body) = whole.split_at(12);
        peer.send(head)?;
        peer.send(body)?;
    }
    Ok(())
}

/// dcmtk's storescu, which reads and parses each file before it sends it.
fn storescu(images: &Images, port: u16) -> Duration {
    let started = Instant::now();
    let mut program = Command::new("storescu");
    program.args(["--max-send-pdu", "131072", "127.0.0.1", &port.to_string()]);
    let done = program
        .args(&images.files)
        .env("TCP_NODELAY", "1")
        .output()
        .unwrap();
    let took = started.elapsed();
    assert!(done.status.success(), "{}", tests::peers::said(&done));
    took
}

/// `count` associations at once, each with one object of so many bytes.
pub fn large_objects(port: u16, count: usize, bytes: usize) {
    let chunk = vec![0x5A; 64 << 10];
    std::thread::scope(|scope| {
        for number in 1..=count {
            let chunk = &chunk;
            scope.spawn(move || {
                let mut peer = associate(port);
                let slice = Slice::new(&format!("1.2.826.2.{number}"), 1)
                    .number(tags::ROWS, 7240)
                    .number(tags::COLUMNS, 7240)
                    .raw(tags::PIXEL_DATA, header(tags::PIXEL_DATA, b"OW", bytes as u32));
                peer.send(&command(&format!("1.2.826.2.{number}.1.1"))).unwrap();
                let mut out = Pieces {
                    peer: &mut peer,
                    held: vec![],
                };
                out.write_all(&slice.bytes()).unwrap();
                for _ in 0..bytes / chunk.len() {
                    out.write_all(chunk).unwrap();
                }
                out.finish().unwrap();
                assert_eq!(peer.response().status, Some(0));
                peer.release();
            });
        }
    });
}

/// A data set that is sent while it is made.
struct Pieces<'p> {
    peer: &'p mut Peer,
    held: Vec<u8>,
}

impl Pieces<'_> {
    fn finish(self) -> io::Result<()> {
        self.peer.send(&pdu(P_DATA, &pdv(1, LAST, &self.held)))
    }
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = if self.peer.max_pdu == 0 {
            128 << 10
        } else {
            self.peer.max_pdu as usize
        } - 6;
        if self.held.len() == room {
            self.peer.send(&pdu(P_DATA, &pdv(1, 0, &self.held)))?;
            self.held.clear();
        }
        let taken = bytes.len().min(room - self.held.len());
        self.held.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
