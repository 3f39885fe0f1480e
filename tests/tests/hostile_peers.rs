//! Peers that speak wrongly, by history: each test is named after what once brought another receiver
//! down, and ends with a well-behaved peer whose study arrives whole.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dicom_dictionary_std::{tags, uids};
use firmware::dicom::dimse::{Command, Status};
use firmware::limits::MAX_PDU_BYTES;
use tests::made::Slice;
use tests::peers::a_good_study_arrives_whole;
use tests::station::{Settings, Station};
use tests::wire::{
    ABORT, ASSOCIATE_AC, COMMAND, LAST, MR, P_DATA, Peer, Reply, Request, VERIFICATION, item, pdu, pdv, title,
};

/// What may be in the memory of the appliance beyond what it had before a hostile peer came, MiB.
const MEMORY_SLACK_MIB: u64 = 24;

fn station() -> (tempfile::TempDir, Station) {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::with(&folder.path().join("appliance"), &Settings::default());
    (folder, station)
}

/// Every path below a folder, folders too.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if entry.is_dir() {
            found.extend(everything(&entry));
        }
        found.push(entry);
    }
    found.sort();
    found
}

/// A C-STORE command in [`MR`], without its data set.
fn store_request(sop: &str) -> Vec<u8> {
    let command = Command::store_request(1, uids::MR_IMAGE_STORAGE, sop);
    pdu(P_DATA, &pdv(MR, COMMAND | LAST, &command.encode()))
}

/// CVE-2022-2119 and CVE-2022-2120 (DCMTK): a UID or a title as a path.
#[test]
fn cve_2022_2119_names_as_paths() {
    let (folder, station) = station();
    let before = everything(folder.path());
    let long = "1.".repeat(40);
    let paths = [
        "../../evil",
        "/tmp/sialoscope-evil",
        "1.2\0/../evil",
        "..",
        ".",
        "1.2/3",
        "C:\\evil",
        "\\\\host\\x",
        &long,
    ];
    for sop in paths {
        let mut peer = Peer::associate(&station.address());
        let status = peer.store(uids::MR_IMAGE_STORAGE, sop, &[]);
        assert_eq!(status, Status::INVALID_SOP_INSTANCE, "{sop:?}");
    }
    for calling in [
        &b"../../../evil"[..],
        b"/tmp/evil",
        b"a\0/../evil",
        b"\xFF\xFE\x80",
        b"",
        b"a\\b",
    ] {
        for (calling, called) in [(calling, &b"SIALOSCOPE"[..]), (b"RAW", calling)] {
            let request = Request {
                calling: title(calling),
                called: title(called),
                ..Request::default()
            };
            // Taken or rejected: a title becomes a field of a file, never a path.
            let (mut peer, reply) = Peer::request(&station.address(), &request);
            if matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)) {
                assert_ne!(
                    peer.store(uids::MR_IMAGE_STORAGE, "1.2.3", b"no data set"),
                    Status::SUCCESS
                );
            } else {
                assert!(reply.is_refusal(), "{reply:?}");
            }
        }
    }
    // Titles have 16 bytes on the wire; UIDs can be longer than 64 characters there.
    for class in [
        long.clone().into_bytes(),
        b"../../x".to_vec(),
        vec![b'1'; 30_000],
        vec![],
        vec![0xFF; 64],
    ] {
        let request = Request {
            contexts: vec![(MR, class.clone(), vec![class])],
            ..Request::default()
        };
        let (_, reply) = Peer::request(&station.address(), &request);
        // A context that is not accepted says so in its result, the third byte of its value.
        let refused = matches!(&reply, Reply::Pdu(ASSOCIATE_AC, body) if body[68 + 25 + 4 + 2] != 0);
        assert!(refused || reply.is_refusal(), "{reply:?}");
    }
    let named_by_us = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !before.contains(path) && (name.contains("evil") || name.contains('\\') || name.contains(".."))
    };
    assert_eq!(
        everything(folder.path())
            .into_iter()
            .filter(named_by_us)
            .collect::<Vec<_>>(),
        Vec::<PathBuf>::new()
    );
    assert!(!Path::new("/tmp/sialoscope-evil").exists() && station.instances().is_empty());
    a_good_study_arrives_whole(&station);
}

/// CVE-2026-5663 (DCMTK storescp's placeholders): what a peer names must never reach a shell.
#[test]
fn cve_2026_5663_shell_metacharacters() {
    let (folder, station) = station();
    let mark = folder.path().join("mark");
    let command = format!("touch {}", mark.display());
    for text in [
        format!("$({command})"),
        format!("`{command}`"),
        format!(";{command};"),
        format!("|{command}&"),
    ] {
        let mut peer = Peer::associate(&station.address());
        assert_eq!(
            peer.store(uids::MR_IMAGE_STORAGE, &text, &[]),
            Status::INVALID_SOP_INSTANCE
        );
    }
    for calling in ["`touch mark`", "$(touch mark)", ";touch mark;", "'\"|&><*?#!~"] {
        let request = Request {
            calling: title(calling.as_bytes()),
            ..Request::default()
        };
        let (mut peer, reply) = Peer::request(&station.address(), &request);
        if matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)) {
            let image = Slice::new("1.2.1", 1)
                .put(
                    tags::PATIENT_NAME,
                    b"PN",
                    format!("^{command};$({command})").as_bytes(),
                )
                .bytes();
            assert_eq!(
                peer.store(uids::MR_IMAGE_STORAGE, "1.2.1.1.1", &image),
                Status::SUCCESS
            );
        }
    }
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name == "mark");
    assert!(!everything(folder.path()).iter().any(named) && !mark.exists() && !Path::new("mark").exists());
    a_good_study_arrives_whole(&station);
}

/// fo-dicom#1678: an HTTP request read as a PDU header asked for a gigabyte.
#[test]
fn fo_dicom_1678_other_protocols_on_the_port() {
    let (_folder, station) = station();
    let before = station.peak_memory_mib().0;
    let hello = [&[0x16, 3, 1, 0, 0xF0, 1, 0, 0, 0xEC, 3, 3][..], &[0x5A; 229]].concat();
    let greetings: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: pacs\r\nUser-Agent: x\r\n\r\n",
        b"POST /studies HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x03\x00\x00\x13\x0E\xE0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        &hello,
    ];
    for greeting in greetings {
        let mut peer = Peer::connect(&station.address());
        peer.send(greeting).unwrap();
        let mut reply = peer.reply();
        if matches!(reply, Reply::Pdu(ABORT, _)) {
            reply = peer.reply();
        }
        assert_eq!(reply, Reply::Closed, "{:?}", String::from_utf8_lossy(greeting));
    }
    assert!(station.peak_memory_mib().0 < before + MEMORY_SLACK_MIB);
    a_good_study_arrives_whole(&station);
    nothing_timed_out(&station);
}

/// DCMTK PR #87 and #152: lengths of PDUs and of what is in them.
#[test]
fn dcmtk_87_152_lengths_that_lie() {
    let (_folder, station) = station();
    let before = station.peak_memory_mib().0;
    let lying = |length: u32, inside: &[u8]| [&length.to_be_bytes()[..], inside].concat();
    let within: [Vec<u8>; 9] = [
        // P-DATA-TF of no length, of 4 GiB, of one byte more than is allowed.
        pdu(P_DATA, &[]),
        vec![4, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        [&[4, 0][..], &(MAX_PDU_BYTES + 1).to_be_bytes()].concat(),
        // A PDV of length 0 and 1, where context and control header need two.
        pdu(P_DATA, &lying(0, &[])),
        pdu(P_DATA, &lying(1, &[1])),
        // Longer than its PDU, by one and by all.
        pdu(P_DATA, &lying(7, &[MR, 2, 0, 0, 0, 0])),
        pdu(P_DATA, &lying(u32::MAX, &[MR, 2, 0, 0])),
        // A second PDV that is cut off.
        pdu(P_DATA, &[pdv(MR, COMMAND, &[0; 4]), vec![0, 0, 0]].concat()),
        // A release that is too long.
        pdu(5, &[0; 5]),
    ];
    for bytes in &within {
        let mut peer = Peer::associate(&station.address());
        peer.send(bytes).unwrap();
        let reply = peer.reply();
        assert!(reply.is_refusal(), "{bytes:02X?}: {reply:?}");
    }
    // The same within a data set: nothing of it may be stored.
    for bytes in &within {
        let mut peer = Peer::associate(&station.address());
        peer.send(&store_request("1.2.3")).unwrap();
        peer.send(bytes).unwrap();
        let reply = peer.reply();
        assert!(reply.is_refusal(), "{bytes:02X?}: {reply:?}");
    }
    // And before there is an association.
    let request = Request::default().encode();
    let mut cut = request.clone();
    cut[5] -= 9;
    cut.truncate(request.len() - 9);
    let item_beyond = pdu(1, &[&request[6..], &[0x50, 0, 0xFF, 0xFF]].concat());
    for bytes in [
        vec![1, 0, 0, 0, 0, 0],
        vec![1, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        pdu(1, &[0; 4]),
        cut,
        item_beyond,
    ] {
        let mut peer = Peer::connect(&station.address());
        peer.send(&bytes).unwrap();
        let reply = peer.reply();
        assert!(reply.is_refusal(), "{bytes:02X?}: {reply:?}");
    }
    assert!(station.instances().is_empty());
    assert!(station.peak_memory_mib().0 < before + MEMORY_SLACK_MIB);
    a_good_study_arrives_whole(&station);
    nothing_timed_out(&station);
}

/// io-dicom PR #38: PDUs in a state where they make no sense.
#[test]
fn io_dicom_38_units_out_of_place() {
    let (_folder, station) = station();
    let request = Request::default().encode();
    let accept = [&[ASSOCIATE_AC][..], &request[1..]].concat();
    let echo = Command::echo_request(1, uids::VERIFICATION);
    let within: [Vec<u8>; 9] = [
        request.clone(),
        accept.clone(),
        pdu(3, &[0, 1, 1, 1]),
        pdu(6, &[0; 4]),
        pdu(0, &[0; 4]),
        pdu(8, &[0; 4]),
        // A response where a request belongs, a context that was not accepted, a data set of nothing.
        pdu(
            P_DATA,
            &pdv(
                VERIFICATION,
                COMMAND | LAST,
                &echo.response(Status::SUCCESS, None).encode(),
            ),
        ),
        pdu(P_DATA, &pdv(99, COMMAND | LAST, &echo.encode())),
        pdu(P_DATA, &pdv(MR, LAST, &[0; 8])),
    ];
    for bytes in &within {
        let mut peer = Peer::associate(&station.address());
        peer.send(bytes).unwrap();
        let reply = peer.reply();
        assert!(reply.is_refusal(), "{bytes:02X?}: {reply:?}");
    }
    // In the middle of a message, and first of all.
    for bytes in [&request, &accept, &store_request("1.2.4"), &pdu(5, &[0; 4])] {
        let mut peer = Peer::associate(&station.address());
        peer.send(&store_request("1.2.3")).unwrap();
        peer.send(&pdu(P_DATA, &pdv(MR, 0, &[0; 100]))).unwrap();
        peer.send(bytes).unwrap();
        let reply = peer.reply();
        assert!(reply.is_refusal(), "{bytes:02X?}: {reply:?}");
    }
    for bytes in [
        &accept,
        &within[8],
        &pdu(5, &[0; 4]),
        &pdu(6, &[0; 4]),
        &pdu(3, &[0, 1, 1, 1]),
    ] {
        let mut peer = Peer::connect(&station.address());
        peer.send(bytes).unwrap();
        let reply = peer.reply();
        assert!(reply.is_refusal(), "{bytes:02X?}: {reply:?}");
    }
    assert!(station.instances().is_empty());
    a_good_study_arrives_whole(&station);
    nothing_timed_out(&station);
}

/// CVE-2026-50254 and CVE-2026-35505: more association requests than anybody means. Connections that
/// open and stay silent are tested where the limits on them are.
#[test]
fn cve_2026_50254_a_flood_of_association_requests() {
    let (_folder, station) = station();
    let request = Request::default().encode();
    let before = station.peak_memory_mib().0;
    let flood: Vec<_> = (0..8)
        .map(|_| {
            let (address, request) = (station.address(), request.clone());
            std::thread::spawn(move || {
                for number in 0..60 {
                    let Ok(mut socket) = TcpStream::connect(&address) else {
                        continue;
                    };
                    // Whole, half, or one byte of it; then gone without a word.
                    let part = [request.len(), request.len() / 2, 1][number % 3];
                    let _ = socket.write_all(&request[..part]);
                }
            })
        })
        .collect();
    flood.into_iter().for_each(|one| one.join().unwrap());
    until_a_good_study_arrives(&station);
    assert!(station.peak_memory_mib().0 < before + MEMORY_SLACK_MIB);
}

/// A request of the largest size that is read at all, with as many items as fit.
#[test]
fn requests_with_many_items() {
    let (_folder, station) = station();
    let user: Vec<u8> = (0..2000).flat_map(|_| item(0x54, b"\0\x051.2.3\0")).collect();
    let many = |count: u32| -> Vec<(u8, Vec<u8>, Vec<Vec<u8>>)> {
        (0..count)
            .map(|number| {
                let id = (number * 2 + 1) as u8;
                (
                    id,
                    uids::MR_IMAGE_STORAGE.into(),
                    vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.into(); 40],
                )
            })
            .collect()
    };
    let requests = [
        Request {
            user,
            ..Request::default()
        },
        Request {
            contexts: many(128),
            ..Request::default()
        },
        // More contexts than there are numbers; the same number twice; an even one; none.
        Request {
            contexts: many(200),
            ..Request::default()
        },
        Request {
            contexts: many(2).into_iter().chain(many(1)).collect(),
            ..Request::default()
        },
        Request {
            contexts: vec![(2, b"1.2".to_vec(), vec![])],
            ..Request::default()
        },
        Request {
            contexts: vec![],
            ..Request::default()
        },
    ];
    for request in requests {
        let (_, reply) = Peer::request(&station.address(), &request);
        assert!(
            reply.is_refusal() || matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)),
            "{reply:?}"
        );
    }
    a_good_study_arrives_whole(&station);
}

/// A command set that never ends, and one per context at once.
#[test]
fn commands_without_an_end() {
    let (_folder, station) = station();
    let before = station.peak_memory_mib().0;
    let mut peer = Peer::associate(&station.address());
    let chunk = pdu(P_DATA, &pdv(MR, COMMAND, &[0; 4000]));
    // The answer comes although the command does not end; later units may find nobody to take them.
    (0..1000).for_each(|_| drop(peer.send(&chunk)));
    assert!(peer.reply().is_refusal());
    let mut peer = Peer::associate(&station.address());
    peer.send(&pdu(P_DATA, &pdv(MR, COMMAND, &[0; 8]))).unwrap();
    peer.send(&pdu(P_DATA, &pdv(VERIFICATION, COMMAND, &[0; 8])))
        .unwrap();
    assert!(peer.reply().is_refusal());
    assert!(station.peak_memory_mib().0 < before + MEMORY_SLACK_MIB);
    a_good_study_arrives_whole(&station);
    nothing_timed_out(&station);
}

/// Nobody was waited for until a timer ran out: what was wrong was seen when it came.
fn nothing_timed_out(station: &Station) {
    let refusals = station.refusals();
    assert!(
        !refusals.iter().any(|code| code == "silent" || code == "too_slow"),
        "{refusals:?}"
    );
}

/// While connections of a flood are still being ended, the appliance may say that it is busy. A scanner
/// tries again then, and so does this.
fn until_a_good_study_arrives(station: &Station) {
    let give_up = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let (peer, reply) = Peer::request(&station.address(), &Request::default());
        if matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)) {
            peer.release();
            return a_good_study_arrives_whole(station);
        }
        assert!(std::time::Instant::now() < give_up, "it stays busy: {reply:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
