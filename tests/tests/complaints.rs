//! What users of other receivers complained of, each as a test that is named after the complaint. Those
//! about study completion and about limits on silent connections are with the modules that own them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use dicom_dictionary_std::{tags, uids};
use firmware::dicom::dimse::{self, Status};
use firmware::dicom::send::send;
use firmware::dicom::user::Node;
use rustix::process::Resource;
use tests::made::Slice;
use tests::peers::{a_good_study_arrives_whole, free_port, said, succeeds, tool};
use tests::station::{Settings, Station, data_set, image};
use tests::wire::{ASSOCIATE_AC, COMMAND, LAST, MR, P_DATA, Peer, Reply, Request, VERIFICATION, pdu, pdv};

const PATIENCE: Duration = Duration::from_secs(120);

/// Tries again until it works or patience ends.
fn until(what: &str, mut works: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !works() {
        assert!(Instant::now() < give_up, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn images(folder: &Path, study: &str, count: usize) -> Vec<(PathBuf, String)> {
    let one = |number| image(folder, study, &format!("{study}.1"), number);
    (1..=count).map(one).collect()
}

fn arrived(station: &Station, study: &str, images: &[(PathBuf, String)]) {
    for (path, sop) in images {
        let stored = station.stored(study, &format!("{study}.1"), sop);
        assert_eq!(data_set(&stored), data_set(path), "{sop}");
    }
}

fn paths(images: &[(PathBuf, String)]) -> Vec<PathBuf> {
    images.iter().map(|(path, _)| path.clone()).collect()
}

/// mercure#45: larger studies abort, since the scanner limits the time of each transfer.
#[test]
fn mercure_45_a_large_study_in_one_association() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&folder.path().join("appliance"), 600.0, tests::no_package());
    let images = images(folder.path(), "1.2.45", 800);
    let port = station.port.to_string();
    // Five seconds for each answer.
    succeeds(
        "storescu",
        &["-td", "5", "-ta", "5", "127.0.0.1", &port],
        &paths(&images),
    );
    arrived(&station, "1.2.45", &images);
}

/// mercure#58: the receiver was reset during a transfer, and then each send took a minute.
#[test]
fn mercure_58_after_a_reset_the_next_send_works_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("appliance");
    let settings = Settings {
        port: free_port(),
        ..Settings::default()
    };
    let images = images(folder.path(), "1.2.58", 80);
    for round in 0..3 {
        let station = Station::with(&home, &settings);
        let (files, to) = (paths(&images), node(&station));
        let (told, hear) = channel();
        let sender = std::thread::spawn(move || {
            send(&files, &to, "SCANNER", |sent| {
                told.send(sent.is_stored()).unwrap()
            })
        });
        assert!(hear.recv_timeout(PATIENCE).unwrap(), "round {round}");
        station.kill();
        // It may have been quicker than the reset.
        let _ = sender.join().unwrap();

        // Up again at the same port: the first try has to work.
        let station = Station::with(&home, &settings);
        a_good_study_arrives_whole(&station);
        succeeds(
            "storescu",
            &["127.0.0.1", &station.port.to_string()],
            &paths(&images),
        );
        arrived(&station, "1.2.58", &images);
        station.kill();
    }
}

/// mercure#49: an enhanced multi-frame object became tens of thousands of files.
#[test]
fn mercure_49_an_enhanced_object_stays_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let sent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/enhanced.dcm");
    let object = dicom_object::open_file(&sent).unwrap();
    assert!(
        object
            .element(tags::NUMBER_OF_FRAMES)
            .unwrap()
            .to_int::<u32>()
            .unwrap()
            > 1
    );
    send(std::slice::from_ref(&sent), &node(&station), "SCANNER", |one| {
        assert!(one.is_stored())
    })
    .unwrap();
    let [stored] = &station.instances()[..] else {
        panic!("{:?}", station.instances())
    };
    assert!(data_set(stored) == data_set(&sent));
    a_good_study_arrives_whole(&station);
}

/// monai-deploy-informatics-gateway#188: it must stop accepting while the disk is low.
#[test]
fn informatics_gateway_188_a_disk_that_fills_up() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::create_dir(home.join("data")).unwrap();
    // A file system of 40 MiB that only the appliance sees.
    let small_disk = r#"mount -t tmpfs -o size=40m tmpfs "$0" && exec "$@""#;
    let mut program = Command::new("unshare");
    let mount = [
        home.join("data").into_os_string(),
        tests::sialoscope().into_os_string(),
    ];
    program.args(["-rm", "sh", "-c", small_disk]).args(mount);
    let allowed = tool("unshare", &["-rm", "true"], &[]);
    if !allowed.status.success() {
        return eprintln!("skipped: no name spaces here: {}", said(&allowed));
    }
    let settings = Settings {
        limits: "free_mib = 8",
        ..Settings::default()
    };
    let station = Station::launch(home, &settings, program);
    let mebibyte = vec![0x5A; 1 << 20];
    let slice = |number| Slice::new("1.2.188", number).put(tags::PIXEL_DATA, b"OW", &mebibyte);
    let mut peer = Peer::associate(&station.address());
    let mut acknowledged = 0;
    let refused = loop {
        let number = acknowledged + 1;
        let status = peer.store(
            uids::MR_IMAGE_STORAGE,
            &format!("1.2.188.1.{number}"),
            &slice(number).bytes(),
        );
        if status != Status::SUCCESS {
            break status;
        }
        acknowledged = number;
        assert!(acknowledged < 40, "more than the disk holds");
    };
    assert_eq!(refused, Status::OUT_OF_RESOURCES);
    assert!(
        acknowledged > 8,
        "it is refused although there is room: {acknowledged}"
    );
    for number in 1..=acknowledged {
        let stored = station.stored("1.2.188", "1.2.188.1", &format!("1.2.188.1.{number}"));
        assert!(data_set(&stored) == slice(number).bytes(), "{number}");
    }
    assert_eq!(station.instances().len(), acknowledged);
    // Room again, by whomever: it goes on by itself.
    fs::remove_dir_all(station.data_dir.join("spool/1.2.188")).unwrap();
    until("room again", || {
        let mut peer = Peer::associate(&station.address());
        peer.store(
            uids::MR_IMAGE_STORAGE,
            "1.2.189.1.1",
            &Slice::new("1.2.189", 1).bytes(),
        ) == Status::SUCCESS
    });
    a_good_study_arrives_whole(&station);
}

/// dicoogle#721: 0000H was returned although the store failed.
#[test]
fn dicoogle_721_no_success_for_what_could_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // A write beyond the limit then fails with EFBIG instead of ending the process.
    let mut program = Command::new("sh");
    program
        .args(["-c", r#"trap "" XFSZ && exec "$0" "$@""#])
        .arg(tests::sialoscope());
    let station = Station::launch(folder.path(), &Settings::default(), program);
    let images = images(folder.path(), "1.2.721", 4);
    let mut outcomes = vec![];
    station.limit(Resource::Fsize, Some(16 << 10));
    send(&paths(&images), &node(&station), "SCANNER", |sent| {
        outcomes.push(sent.outcome)
    })
    .unwrap();
    assert_eq!(outcomes.len(), 4);
    for outcome in &outcomes {
        // Refused: Out of Resources, or a processing failure.
        let status = *outcome.as_ref().unwrap();
        assert!(status.0 == 0x0110 || status.0 & 0xFF00 == 0xA700, "{outcomes:?}");
    }
    assert!(
        station.instances().is_empty(),
        "what was refused is not there either"
    );
    station.limit(Resource::Fsize, None);
    until("success after the disk is well again", || {
        let mut stored = 0;
        send(&paths(&images), &node(&station), "SCANNER", |sent| {
            stored += usize::from(sent.is_stored())
        })
        .unwrap();
        stored == images.len()
    });
    arrived(&station, "1.2.721", &images);
    a_good_study_arrives_whole(&station);
}

/// fo-dicom#1464: 180 images were sent, 127 were received. Six senders at once, while others break off
/// in the middle of an image, in the middle of a message unit, or without a word.
#[test]
fn fo_dicom_1464_a_hundred_and_eighty_images_sent_and_received() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        limits: "free_mib = 1\nassociations = 32\nassociations_per_peer = 32",
        ..Settings::default()
    };
    let home = folder.path().join("appliance");
    let station = Station::with(&home, &settings);
    let senders: Vec<_> = (1..=6)
        .map(|number| {
            let study = format!("1.2.1464.{number}");
            let images = images(folder.path(), &study, 30);
            (study, images)
        })
        .collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for manner in 0..4_usize {
            let (station, over) = (&station, &over);
            scope.spawn(move || {
                let slice = Slice::new("1.2.9.9", manner).bytes();
                while !over.load(Ordering::Relaxed) {
                    drop_out(&station.address(), manner, &slice);
                }
            });
        }
        let sending: Vec<_> = senders
            .iter()
            .map(|(_, images)| {
                let port = station.port.to_string();
                scope.spawn(move || succeeds("storescu", &["127.0.0.1", &port], &paths(images)))
            })
            .collect();
        let outcomes: Vec<_> = sending.into_iter().map(|one| one.join()).collect();
        over.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
    for (study, images) in &senders {
        arrived(&station, study, images);
    }
    assert_eq!(
        station.instances().len(),
        180,
        "and nothing that was not acknowledged"
    );
    a_good_study_arrives_whole(&station);
}

/// An association that ends without a release.
fn drop_out(address: &str, manner: usize, slice: &[u8]) {
    let (mut peer, reply) = Peer::request(address, &Request::default());
    if !matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)) {
        return;
    }
    let command = dimse::Command::store_request(1, uids::MR_IMAGE_STORAGE, &format!("1.2.9.9.1.{manner}"));
    let command = pdu(P_DATA, &pdv(MR, COMMAND | LAST, &command.encode()));
    let half = pdu(P_DATA, &pdv(MR, 0, &slice[..slice.len() / 2]));
    // The appliance may hang up first.
    let _ = match manner {
        0 => Ok(()),
        1 => peer.send(&command),
        2 => peer.send(&[command, half].concat()),
        _ => peer.send(&[&command[..], &half[..half.len() / 2]].concat()),
    };
}

/// fo-dicom#1468: a receiver whose associations all hang is blocked for everybody else.
#[test]
fn fo_dicom_1468_hung_associations_give_way() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        limits: "free_mib = 1\nassociations = 4\nidle_seconds = 1",
        ..Settings::default()
    };
    let station = Station::with(folder.path(), &settings);
    let command = dimse::Command::store_request(1, uids::MR_IMAGE_STORAGE, "1.2.3").encode();
    let begun = pdu(P_DATA, &pdv(MR, COMMAND | LAST, &command));
    let hang: [&[u8]; 4] = [
        &[],
        &pdu(P_DATA, &pdv(MR, COMMAND, &command[..20])),
        &begun,
        &[&begun[..], &pdu(P_DATA, &pdv(MR, 0, &[0; 100]))].concat(),
    ];
    let hung: Vec<_> = hang
        .into_iter()
        .map(|bytes| {
            let mut peer = Peer::associate(&station.address());
            peer.send(bytes).unwrap();
            peer
        })
        .collect();
    until("a free place", || {
        let (peer, reply) = Peer::request(&station.address(), &Request::default());
        matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)) && peer.release() != Reply::Closed
    });
    a_good_study_arrives_whole(&station);
    // Each was told, while it still held its end.
    for mut peer in hung {
        assert!(peer.reply().is_refusal());
    }
}

/// dicom-dimse-native#71: associations leaked until the receiver knew only "local limit exceeded".
#[test]
fn dicom_dimse_native_71_associations_do_not_leak() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    a_good_study_arrives_whole(&station);
    let threads = station.threads();
    let slice = Slice::new("1.2.71", 1).bytes();
    for number in 0..400 {
        drop_out(&station.address(), number % 4, &slice);
    }
    until("a free place", || {
        let (peer, reply) = Peer::request(&station.address(), &Request::default());
        matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)) && peer.release() != Reply::Closed
    });
    // Pools keep a few threads for a while; one per association would be hundreds.
    assert!(
        station.threads() <= threads + 32,
        "{threads} threads became {}",
        station.threads()
    );
    for _ in 0..3 {
        a_good_study_arrives_whole(&station);
    }
}

/// fo-dicom#2110: an answer in two segments waits 40 ms for a delayed acknowledgement of the first.
#[test]
fn fo_dicom_2110_an_answer_is_one_segment() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let mut peer = Peer::associate(&station.address());
    for number in 1..=2000 {
        let echo = dimse::Command::echo_request(number, uids::VERIFICATION).encode();
        peer.send(&pdu(P_DATA, &pdv(VERIFICATION, COMMAND | LAST, &echo)))
            .unwrap();
        // What was written in pieces arrives in pieces now and then; what was not, never.
        let mut buffer = [0; 4096];
        let read = peer.socket.read(&mut buffer).unwrap();
        let length = u32::from_be_bytes(buffer[2..6].try_into().unwrap()) as usize;
        assert_eq!(read, 6 + length, "answer {number}");
        assert_eq!(dimse::Command::decode(&buffer[12..read]).unwrap().status, Some(0));
    }
    a_good_study_arrives_whole(&station);
}

fn node(station: &Station) -> Node {
    Node {
        ae_title: "SIALOSCOPE".to_owned(),
        address: station.address(),
    }
}
