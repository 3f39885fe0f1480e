//! Who is let in, and what callers may use up: a few bad ones never keep a good one out.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Ids, Station, User, WAIT, config, explicit, object, status, study};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationRQ, PDataValueType, Pdu, PresentationContextProposed, UserVariableItem, read_pdu, write_pdu,
};
use firmware::dicom::Service;
use firmware::dicom::dimse::{Command, Status};
use firmware::dicom::door::Patience;
use firmware::dicom::user::echo;
use firmware::limits;
use firmware::station::config::{Config, Peer};
use socket2::{Domain, Socket, Type};

const IDS: Ids<'_> = Ids {
    study: "1.2.3",
    series: "1.2.3.1",
    sop: "1.2.3.1.1",
};
const QUIET: f64 = 600.0;
const SHORT: Duration = Duration::from_millis(500);
/// Loopback has many addresses: the scanner's is 127.0.0.1, this is somebody else's.
const NOISY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn peer(ae_title: &str) -> Peer {
    Peer {
        ae_title: ae_title.into(),
        address: None,
        may: Service::ALL.into(),
        certificate_sha256: None,
        certificate_name: None,
        user: None,
        passcode: None,
        report_to: None,
    }
}

fn listed(folder: &std::path::Path, peers: Vec<Peer>) -> Config {
    let mut config = config(&folder.join("data"), QUIET);
    config.station.open = false;
    config.peer = peers;
    config
}

async fn echoed(station: &Station) -> Result<Status, String> {
    let node = station.node();
    tokio::task::spawn_blocking(move || echo(&node, "TEST").map_err(|reason| reason.text))
        .await
        .unwrap()
}

/// Runs what blocks beside the appliance.
async fn aside<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.unwrap()
}

fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into()).unwrap();
    // Small, so that a peer that does not read is soon full.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    stream
}

fn request() -> Vec<u8> {
    let context = |id, class: &str| PresentationContextProposed {
        id,
        abstract_syntax: class.into(),
        transfer_syntaxes: vec![uids::IMPLICIT_VR_LITTLE_ENDIAN.into()],
    };
    let request = AssociationRQ {
        protocol_version: 1,
        calling_ae_title: "NOISY".into(),
        called_ae_title: "SIALOSCOPE".into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![context(1, uids::MR_IMAGE_STORAGE), context(3, uids::VERIFICATION)],
        user_variables: vec![UserVariableItem::MaxLength(16_384)],
    };
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, &Pdu::AssociationRQ(request)).unwrap();
    bytes
}

fn answer(stream: &mut TcpStream) -> Option<Pdu> {
    let mut header = [0; 6];
    stream.read_exact(&mut header).ok()?;
    let length = u32::from_be_bytes(header[2..].try_into().unwrap());
    let mut bytes = header.to_vec();
    bytes.resize(6 + length as usize, 0);
    stream.read_exact(&mut bytes[6..]).ok()?;
    read_pdu(&bytes[..], 1 << 20, true).unwrap()
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map_or_else(
        |error| error.kind() == std::io::ErrorKind::ConnectionReset,
        |count| count == 0,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_may_call_until_somebody_chooses() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&listed(folder.path(), vec![])).await;
    assert!(echoed(&station).await.is_err());
    let reason = station.until_refused().await;
    assert_eq!(reason.code, "unknown_caller");
    assert!(reason.text.contains("station.open"), "{reason}");
    assert!(station.send(&study(folder.path(), "1.2.3", 1)).await.is_err());
    assert!(station.stored().is_empty());
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_known_by_title_and_network() {
    let folder = tempfile::tempdir().unwrap();
    for (title, network, welcome) in [
        ("TEST", None, true),
        ("TEST", Some("127.0.0.0/8"), true),
        ("TEST", Some("127.0.0.1"), true),
        ("TEST", Some("127.0.0.2"), false),
        ("OTHER", None, false),
    ] {
        let mut peer = peer(title);
        peer.address = network.map(|network| network.parse().unwrap());
        let mut station = Station::start(&listed(folder.path(), vec![peer])).await;
        assert_eq!(echoed(&station).await.is_ok(), welcome, "{title} {network:?}");
        if !welcome {
            assert_eq!(station.until_refused().await.code, "unknown_caller");
        }
        station.appliance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_gets_only_the_services_that_it_may_use() {
    let folder = tempfile::tempdir().unwrap();
    let images = study(folder.path(), "1.2.3", 2);
    let mut echo_only = peer("TEST");
    echo_only.may = vec![Service::Verification];
    let station = Station::start(&listed(folder.path(), vec![echo_only])).await;
    assert_eq!(echoed(&station).await, Ok(Status::SUCCESS));
    let sent = station.send(&images).await;
    assert!(sent.is_err() || sent.unwrap().iter().all(|one| !one.is_stored()));
    assert!(station.stored().is_empty());
    station.appliance.stop().await;

    let mut store_only = peer("TEST");
    store_only.may = vec![Service::Storage];
    let station = Station::start(&listed(folder.path(), vec![store_only])).await;
    assert!(echoed(&station).await.is_err());
    assert!(station.stores_all(&images).await);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_push_out_only_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&folder.path().join("data"), QUIET);
    settings.limits.waiting = 20;
    let mut station = Station::start(&settings).await;
    let to = station.appliance.address();
    let (scanner, mut crowd) = aside(move || {
        let scanner = connect(Ipv4Addr::LOCALHOST, to);
        let crowd: Vec<_> = (0..100).map(|_| connect(NOISY, to)).collect();
        (scanner, crowd)
    })
    .await;
    let images = study(folder.path(), "1.2.3", 10);
    assert!(station.stores_all(&images).await);
    assert_eq!(station.until_refused().await.code, "crowded_out");
    let (mut scanner, oldest) = aside(move || (scanner, is_closed(&mut crowd[0]))).await;
    assert!(oldest, "the first of the crowd had to go");
    let accepted = aside(move || {
        scanner.write_all(&request()).unwrap();
        answer(&mut scanner)
    })
    .await;
    assert!(
        matches!(accepted, Some(Pdu::AssociationAC(_))),
        "who came first and alone is still there"
    );
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_noisy_peer_leaves_places_for_the_scanner() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&folder.path().join("data"), QUIET);
    settings.limits.associations = 4;
    settings.limits.associations_per_peer = 3;
    let mut station = Station::start(&settings).await;
    let to = station.appliance.address();
    let (kept, told) = aside(move || {
        let mut kept: Vec<_> = (0..10).map(|_| connect(NOISY, to)).collect();
        let told: Vec<_> = kept
            .iter_mut()
            .map(|stream| {
                stream.write_all(&request()).unwrap();
                answer(stream)
            })
            .collect();
        (kept, told)
    })
    .await;
    let accepted = |pdu: &&Option<Pdu>| matches!(pdu, Some(Pdu::AssociationAC(_)));
    let rejected = |pdu: &&Option<Pdu>| matches!(pdu, Some(Pdu::AssociationRJ(_)));
    assert_eq!(told.iter().filter(accepted).count(), 3);
    assert_eq!(told.iter().filter(rejected).count(), 7);
    assert_eq!(station.until_refused().await.code, "too_many_of_one_peer");

    // It goes on asking, as fast as it can, while the scanner sends.
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let flood = tokio::task::spawn_blocking({
        let over = over.clone();
        move || {
            while !over.load(Ordering::Relaxed) {
                let _ = connect(NOISY, to).write_all(&request());
            }
        }
    });
    let images = study(folder.path(), "1.2.3", 50);
    let told = station.send(&images).await.unwrap();
    over.store(true, Ordering::Relaxed);
    flood.await.unwrap();
    assert!(told.iter().all(|one| one.is_stored()));
    assert_eq!(station.stored().len(), 50);
    drop(kept);
    station.appliance.stop().await;
}

async fn impatient(folder: &std::path::Path, change: impl FnOnce(&mut Patience)) -> Station {
    let mut patience = Patience::default();
    change(&mut patience);
    let settings = config(&folder.join("data"), QUIET);
    Station::start_with(&settings, patience).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_must_ask_for_an_association_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = impatient(folder.path(), |patience| patience.artim = SHORT).await;
    let to = station.appliance.address();
    let silent = aside(move || is_closed(&mut drain(connect(NOISY, to)))).await;
    assert!(silent);
    assert_eq!(station.until_refused().await.code, "silent");
    // All of a request but its last byte, one byte after the other and then nothing.
    aside(move || {
        let mut stream = connect(NOISY, to);
        for byte in &request()[..20] {
            stream.write_all(&[*byte]).unwrap();
        }
        drain(stream)
    })
    .await;
    assert_eq!(station.until_refused().await.code, "too_slow");
    station.appliance.stop().await;
}

/// Reads the abort, so that only the end is left.
fn drain(mut stream: TcpStream) -> TcpStream {
    let _ = answer(&mut stream);
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_unit_must_come_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = impatient(folder.path(), |patience| patience.pdu = SHORT).await;
    let end = station
        .with_user(|user| {
            user.raw(&[4, 0, 0, 0, 1, 0, 0, 0]);
            user.0.receive()
        })
        .await;
    assert!(matches!(end, Ok(Pdu::AbortRQ { .. })), "{end:?}");
    let reason = station.until_refused().await;
    assert_eq!(reason.code, "too_slow");
    assert!(reason.text.contains("one message unit"), "{reason}");
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_must_make_progress() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = impatient(folder.path(), |patience| patience.message = SHORT).await;
    // In whole message units of one byte each, for as long as they are taken.
    let ended = station
        .with_user(|user| {
            let command = Command::store_request(1, uids::MR_IMAGE_STORAGE, IDS.sop).encode();
            user.value(PDataValueType::Command, command, true);
            let begin = Instant::now();
            while begin.elapsed() < WAIT {
                let drop = [4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 1, 0, 0];
                if user.0.inner_stream().write_all(&drop).is_err() {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            false
        })
        .await;
    assert!(ended);
    // On a machine that stalls, the drops themselves may come too late.
    assert!(["too_slow", "silent"].contains(&station.until_refused().await.code.as_str()));
    assert!(station.stored().is_empty());

    // And silence within a message.
    let end = station
        .with_user(|user| {
            let command = Command::store_request(1, uids::MR_IMAGE_STORAGE, IDS.sop).encode();
            user.value(PDataValueType::Command, command, true);
            user.0.receive()
        })
        .await;
    assert!(matches!(end, Ok(Pdu::AbortRQ { .. })), "{end:?}");
    assert_eq!(station.until_refused().await.code, "silent");
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_no_answers_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = impatient(folder.path(), |patience| patience.write = SHORT).await;
    let to = station.appliance.address();
    let dropped = aside(move || {
        let mut stream = connect(NOISY, to);
        stream.write_all(&request()).unwrap();
        assert!(matches!(answer(&mut stream), Some(Pdu::AssociationAC(_))));
        let command = Command::echo_request(1, uids::VERIFICATION).encode();
        let length = command.len() as u32;
        let mut echo = vec![4, 0];
        echo.extend((length + 6).to_be_bytes());
        echo.extend((length + 2).to_be_bytes());
        echo.extend([3, 3]);
        echo.extend(command);
        let many = echo.repeat(100);
        // Parting, the appliance reads on for a while; how much that is is the machine's affair.
        let deadline = Instant::now() + WAIT;
        loop {
            match stream.write_all(&many) {
                Err(_) => return true,
                Ok(()) if Instant::now() > deadline => return false,
                Ok(()) => {}
            }
        }
    })
    .await;
    assert!(dropped);
    assert_eq!(station.until_refused().await.code, "not_reading");
    station.appliance.stop().await;
}

/// What somebody announces takes nothing from others: message units are not waited for as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn long_message_units_are_no_hold_on_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&folder.path().join("data"), QUIET);
    settings.limits.pdu_kib = 4096;
    settings.limits.associations_per_peer = 32;
    let patience = Patience {
        pdu: SHORT,
        ..Patience::default()
    };
    let mut station = Station::start_with(&settings, patience).await;
    let to = station.appliance.address();
    // Message units of 4 MiB of which nothing comes.
    let hoarders = aside(move || {
        [(); 24].map(|()| {
            let mut user = User::associate(to);
            user.raw(&[4, 0, 0, 64, 0, 0]);
            user
        })
    })
    .await;
    let users: Vec<_> = (0..6)
        .map(|number| {
            let sop = format!("1.2.3.1.{number}");
            let mut bytes = explicit(&object(Ids { sop: &sop, ..IDS }, 7));
            // An element of private padding behind the pixels.
            bytes.extend([0xFC, 0xFF, 0xFC, 0xFF, b'O', b'B', 0, 0]);
            bytes.extend((3_u32 << 20).to_le_bytes());
            bytes.resize(bytes.len() + (3 << 20), 0);
            tokio::task::spawn_blocking(move || {
                let mut user = User::associate(to);
                let command = Command::store_request(1, uids::MR_IMAGE_STORAGE, &sop).encode();
                user.value(PDataValueType::Command, command, true);
                user.value(PDataValueType::Data, bytes, true);
                let told = status(&user.response());
                user.0.release().unwrap();
                told
            })
        })
        .collect();
    for user in users {
        assert_eq!(user.await.unwrap(), Status::SUCCESS);
    }
    assert_eq!(station.stored().len(), 6);
    assert_eq!(station.until_refused().await.code, "too_slow");
    drop(hoarders);
    station.appliance.stop().await;
}

/// The table in docs/intake-door.md names every limit of the door as it is.
#[test]
fn the_table_of_limits_is_current() {
    let table = include_str!("../../docs/intake-door.md");
    let all = Config::default().limits;
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let (idle, interval) = limits::KEEPALIVE;
    for (name, value) in [
        ("limits.associations", all.associations.to_string()),
        (
            "limits.associations_per_peer",
            all.associations_per_peer.to_string(),
        ),
        ("MAX_ASSOCIATIONS", limits::MAX_ASSOCIATIONS.to_string()),
        ("limits.waiting", all.waiting.to_string()),
        (
            "WAITING_SEAT_BYTES",
            format!("{} KiB", limits::WAITING_SEAT_BYTES >> 10),
        ),
        (
            "DESCRIPTORS_PER_ASSOCIATION",
            limits::DESCRIPTORS_PER_ASSOCIATION.to_string(),
        ),
        ("OTHER_DESCRIPTORS", limits::OTHER_DESCRIPTORS.to_string()),
        (
            "READ_BUFFER_BYTES",
            format!("{} KiB", limits::READ_BUFFER_BYTES >> 10),
        ),
        (
            "WRITE_BUFFER_BYTES",
            format!("{} KiB", limits::WRITE_BUFFER_BYTES >> 10),
        ),
        ("limits.idle_seconds", format!("{} s", all.idle_seconds)),
        ("TLS_HANDSHAKE", seconds(limits::TLS_HANDSHAKE)),
        ("ARTIM", seconds(limits::ARTIM)),
        ("DIMSE_TIMEOUT", seconds(limits::DIMSE_TIMEOUT)),
        (
            "MIN_MESSAGE_PROGRESS_BYTES",
            format!("{} KiB", limits::MIN_MESSAGE_PROGRESS_BYTES >> 10),
        ),
        ("PDU_DEADLINE", seconds(limits::PDU_DEADLINE)),
        ("WRITE_TIMEOUT", seconds(limits::WRITE_TIMEOUT)),
        (
            "KEEPALIVE",
            format!(
                "{} + {} × {}",
                seconds(idle),
                limits::KEEPALIVE_PROBES,
                seconds(interval)
            ),
        ),
        ("STOP_GRACE", seconds(limits::STOP_GRACE)),
        ("MAX_PDU_BYTES", format!("{} KiB", limits::MAX_PDU_BYTES >> 10)),
        (
            "MAX_ASSOCIATE_BYTES",
            format!("{} KiB", limits::MAX_ASSOCIATE_BYTES >> 10),
        ),
        (
            "MAX_PRESENTATION_CONTEXTS",
            limits::MAX_PRESENTATION_CONTEXTS.to_string(),
        ),
        (
            "MAX_COMMAND_BYTES",
            format!("{} KiB", limits::MAX_COMMAND_BYTES >> 10),
        ),
        ("MAX_AE_TITLE_CHARS", limits::MAX_AE_TITLE_CHARS.to_string()),
        ("MAX_UID_CHARS", limits::MAX_UID_CHARS.to_string()),
        ("limits.object_mib", format!("{} MiB", all.object_mib)),
        ("SYSLOG_RECORDS", limits::SYSLOG_RECORDS.to_string()),
        ("SYSLOG_SETTLE", seconds(limits::SYSLOG_SETTLE)),
        ("SYSLOG_ANSWER", seconds(limits::SYSLOG_ANSWER)),
        (
            "SYSLOG_RETRY",
            format!(
                "{} … {}",
                seconds(limits::SYSLOG_RETRY.0),
                seconds(limits::SYSLOG_RETRY.1)
            ),
        ),
        ("SYSLOG_FAREWELL", seconds(limits::SYSLOG_FAREWELL)),
        ("COMPLAINTS_PER_WINDOW", limits::COMPLAINTS_PER_WINDOW.to_string()),
        ("COMPLAINT_WINDOW", seconds(limits::COMPLAINT_WINDOW)),
        ("COMPLAINT_ADDRESSES", limits::COMPLAINT_ADDRESSES.to_string()),
        ("MAX_PEM_BYTES", format!("{} KiB", limits::MAX_PEM_BYTES >> 10)),
        ("CERTIFICATE_CHECK", seconds(limits::CERTIFICATE_CHECK)),
        (
            "CERTIFICATE_WARNING",
            format!("{} days", limits::CERTIFICATE_WARNING.as_secs() / 86_400),
        ),
    ] {
        let row = format!("| `{name}` | {value} |");
        assert!(table.contains(&row), "no row {row}");
    }
}
