//! Writes the seeds of the fuzz target `pdu`: whole conversations of a well-behaved peer, and of some
//! that are less so. `cargo run --release --workspace --example pdu_seeds -- FOLDER`.
#![allow(clippy::unwrap_used, reason = "a tool of the tests")]

use dicom_dictionary_std::{tags, uids};
use firmware::dicom::dimse::Command;
use tests::made::Slice;
use tests::wire::{ABORT, COMMAND, LAST, MR, P_DATA, RELEASE_RQ, Request, VERIFICATION, item, pdu, pdv};

fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).expect("a folder"));
    std::fs::create_dir_all(&folder).unwrap();
    let request = Request::default().encode();
    let release = pdu(RELEASE_RQ, &[0; 4]);
    let echo = Command::echo_request(1, uids::VERIFICATION).encode();
    let echo = pdu(P_DATA, &pdv(VERIFICATION, COMMAND | LAST, &echo));
    let store = Command::store_request(2, uids::MR_IMAGE_STORAGE, "1.2.1.1").encode();
    let store = pdu(P_DATA, &pdv(MR, COMMAND | LAST, &store));
    let image = Slice::new("1.2", 1)
        .put(tags::SOP_INSTANCE_UID, b"UI", b"1.2.1.1")
        .put(tags::PIXEL_DATA, b"OW", &[7; 64])
        .bytes();
    let (first, second) = image.split_at(200);
    let data_set = pdu(P_DATA, &[pdv(MR, 0, first), pdv(MR, LAST, second)].concat());
    // Role selection, asynchronous operations window, extended negotiation, user identity (PS3.7 D.3.3).
    let role = [&[0, 25][..], uids::MR_IMAGE_STORAGE.as_bytes(), &[1, 0]].concat();
    let extended = [
        &[0, 25][..],
        uids::MR_IMAGE_STORAGE.as_bytes(),
        &[2, 0, 3, 0, 1, 0],
    ]
    .concat();
    let identity = [&[1, 1, 0, 4][..], b"user", &[0, 0]].concat();
    let user = [
        item(0x53, &[0, 8, 0, 8]),
        item(0x54, &role),
        item(0x55, b"SEED_1"),
        item(0x56, &extended),
        item(0x58, &identity),
    ];
    let negotiating = Request {
        user: user.concat(),
        ..Request::default()
    }
    .encode();
    let deflated =
        Request::with_context(uids::MR_IMAGE_STORAGE, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN).encode();

    let conversations = [
        ("echo", vec![&request, &echo, &release]),
        ("store", vec![&request, &store, &data_set, &release]),
        (
            "store-twice",
            vec![
                &negotiating,
                &store,
                &data_set,
                &echo,
                &store,
                &data_set,
                &release,
            ],
        ),
        ("deflated", vec![&deflated, &store, &data_set]),
        ("cut", vec![&request, &store]),
    ];
    for (name, parts) in conversations {
        let all: Vec<u8> = parts.into_iter().flatten().copied().collect();
        std::fs::write(folder.join(name), all).unwrap();
    }
    let aborted = [request, pdu(ABORT, &[0; 4])].concat();
    std::fs::write(folder.join("abort"), aborted).unwrap();
}
