//! DICOM by TLS with the tools of dcmtk, against `sialoscope run`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tests::station::{Station, data_set, image};
use tests::tls::{Authority, FOREVER, Identity};

const WAIT: Duration = Duration::from_secs(30);

/// Settings with TLS on a free port.
fn settings(own: &Identity, authorities: &[&Authority<'_>], more: &str) -> String {
    let files: Vec<_> = authorities.iter().map(|authority| &authority.file).collect();
    format!(
        "[tls]\nport = 0\ncertificate = {:?}\nkey = {:?}\nauthorities = {files:?}\n{more}",
        own.certificate, own.key
    )
}

fn storescu(port: u16, options: &[&str], files: &[PathBuf]) -> Output {
    Command::new("storescu")
        .args(["-v", "-aet", "MR1", "-aec", "SIALOSCOPE"])
        .args(options)
        .args(["127.0.0.1", &port.to_string()])
        .args(files)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("storescu cannot be run ({error}): install dcmtk"))
}

fn by_tls<'a>(who: &'a Identity, trusts: &'a Path) -> [&'a str; 5] {
    let text = |path: &'a Path| path.to_str().unwrap();
    [
        "+tls",
        text(&who.key),
        text(&who.certificate),
        "+cf",
        text(trusts),
    ]
}

/// Waits until the appliance has written down a refusal with these words.
fn until_refused(station: &Station, code: &str, words: &str) {
    let deadline = Instant::now() + WAIT;
    loop {
        let text = fs::read_to_string(station.data_dir.join("refusals.jsonl")).unwrap_or_default();
        if text
            .lines()
            .any(|line| line.contains(&format!("\"{code}\"")) && line.contains(words))
        {
            return;
        }
        assert!(Instant::now() < deadline, "no {code} {words} in {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn storescu_stores_a_study_by_tls_in_every_profile() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let vendor = Authority::new(folder.path(), "vendor", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let text = settings(&own, &[&hospital, &vendor], "");
    let station = Station::start_with(folder.path(), "open = true", &text);
    let port = station.tls_port.unwrap();
    // Two authorities, and each profile of BCP 195 that storescu knows.
    for (number, authority) in [&hospital, &vendor].into_iter().enumerate() {
        let scanner = authority.signs(&format!("scanner{number}"), FOREVER);
        for (profile, name) in ["+py", "+px", "+pz"].into_iter().enumerate() {
            let study = format!("1.2.{number}.{profile}");
            let images: Vec<_> = (1..=4)
                .map(|number| image(folder.path(), &study, &format!("{study}.1"), number))
                .collect();
            let paths: Vec<_> = images.iter().map(|(path, _)| path.clone()).collect();
            let mut options = by_tls(&scanner, &hospital.file).to_vec();
            options.push(name);
            let output = storescu(port, &options, &paths);
            assert!(
                output.status.success(),
                "{name}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            for (path, sop) in images {
                let stored = station.stored(&study, &format!("{study}.1"), &sop);
                assert_eq!(data_set(&stored), data_set(&path));
            }
        }
    }
    assert!(station.terminate().success());
}

#[test]
fn certificates_that_do_not_hold_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let ended = Authority::new(folder.path(), "ended", 2020);
    let stranger = Authority::new(folder.path(), "stranger", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let text = settings(&own, &[&hospital, &ended], "");
    let station = Station::start_with(folder.path(), "open = true", &text);
    let port = station.tls_port.unwrap();
    let images = [image(folder.path(), "1.2.3", "1.2.3.1", 1).0];
    let foreign = stranger.signs("foreign", FOREVER);
    let expired = hospital.signs("expired", 2020);
    let of_ended = ended.signs("of-ended", FOREVER);
    let own_trust = hospital.file.to_str().unwrap();
    for (options, code, words) in [
        (vec!["+tla", "+cf", own_trust], "no_certificate", "TLS"),
        (by_tls(&foreign, &hospital.file).to_vec(), "certificate", "TLS"),
        (
            by_tls(&expired, &hospital.file).to_vec(),
            "certificate_expired",
            "TLS",
        ),
        // Its authority has ended, and is no longer one.
        (
            by_tls(&of_ended, &hospital.file).to_vec(),
            "certificate",
            "UnknownIssuer",
        ),
        // No TLS at all.
        (vec![], "other_protocol", "DICOM without TLS on the TLS port"),
    ] {
        let output = storescu(port, &options, &images);
        assert!(!output.status.success(), "{options:?}");
        until_refused(&station, code, words);
    }
    let to_plain = storescu(station.port, &by_tls(&foreign, &hospital.file), &images);
    assert!(!to_plain.status.success());
    until_refused(&station, "other_protocol", "TLS on the DICOM port");
    let mut browser = TcpStream::connect(("127.0.0.1", port)).unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = browser.read_to_end(&mut Vec::new());
    until_refused(&station, "other_protocol", "HTTP without TLS on the TLS port");
    assert!(!station.data_dir.join("spool/1.2.3").exists());
    let log = fs::read_to_string(&station.log).unwrap();
    assert!(
        log.contains("TLS authority ended: expired on 2020-12-31"),
        "{log}"
    );
    assert!(station.terminate().success());
}

#[test]
fn a_peer_can_be_bound_to_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let (scanner, other) = (
        hospital.signs("scanner", FOREVER),
        hospital.signs("other", FOREVER),
    );
    let image = image(folder.path(), "1.2.3", "1.2.3.1", 1).0;
    for binding in [
        format!("certificate_sha256 = {:?}", scanner.sha256),
        "certificate_name = \"scanner\"".to_owned(),
    ] {
        let peer = format!("[[peer]]\nae_title = \"MR1\"\n{binding}\n");
        let text = settings(&own, &[&hospital], &peer);
        let station = Station::start_with(folder.path(), "", &text);
        let port = station.tls_port.unwrap();
        let sends = |port, options: &[&str]| {
            storescu(port, options, std::slice::from_ref(&image))
                .status
                .success()
        };
        assert!(sends(port, &by_tls(&scanner, &hospital.file)));
        assert!(!sends(port, &by_tls(&other, &hospital.file)));
        assert!(!sends(station.port, &[]), "nor without TLS");
        until_refused(&station, "wrong_certificate", "MR1");
        assert!(station.terminate().success());
    }
}

#[test]
fn the_plain_port_can_be_switched_off_and_certificates_made_optional() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let text = settings(&own, &[&hospital], "client_certificate = \"optional\"\n");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let station = Station::start_with(
        folder.path(),
        &format!("open = true\nplain = false\nport = {}", free.port()),
        &text,
    );
    assert!(!station.data_dir.join("port").exists());
    assert!(TcpStream::connect(free).is_err(), "nothing listens there");
    let images = [image(folder.path(), "1.2.3", "1.2.3.1", 1).0];
    let options = ["+tla", "+cf", hospital.file.to_str().unwrap()];
    let output = storescu(station.tls_port.unwrap(), &options, &images);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(station.terminate().success());
}

#[test]
fn a_handshake_must_come_to_its_end_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let station = Station::start_with(folder.path(), "open = true", &settings(&own, &[&hospital], ""));
    let mut silent = TcpStream::connect(("127.0.0.1", station.tls_port.unwrap())).unwrap();
    silent.set_read_timeout(Some(WAIT)).unwrap();
    // The beginning of a ClientHello, and then nothing.
    silent.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap_or_default(), 0);
    until_refused(&station, "silent", "10 s");
    assert!(station.terminate().success());
}

/// A peer whose TLS is refused is told so by an alert (RFC 8446 6.2), and not left with a closed connection.
#[test]
fn a_refused_handshake_is_answered_by_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let station = Station::start_with(folder.path(), "open = true", &settings(&own, &[&hospital], ""));
    let mut peer = TcpStream::connect(("127.0.0.1", station.tls_port.unwrap())).unwrap();
    peer.set_read_timeout(Some(WAIT)).unwrap();
    // A ClientHello of one byte.
    peer.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert!(matches!(answer[..], [0x15, 3, _, 0, 2, 2, _]), "{answer:02X?}");
    until_refused(&station, "tls", "TLS");
    assert!(station.terminate().success());
}

#[test]
fn files_that_cannot_be_used_are_a_failure_of_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let (own, other) = (hospital.signs("own", FOREVER), hospital.signs("other", FOREVER));
    let mixed = Identity {
        key: other.key.clone(),
        ..own
    };
    let missing = Identity {
        certificate: folder.path().join("missing.pem"),
        key: other.key.clone(),
        sha256: String::new(),
    };
    let no_pem = Identity {
        certificate: other.key,
        key: mixed.key.clone(),
        sha256: String::new(),
    };
    for (identity, name) in [
        (&mixed, "own.certificate.pem"),
        (&missing, "missing.pem"),
        (&no_pem, "other.key.pem"),
    ] {
        let file = folder.path().join("s.toml");
        let data_dir = folder.path().join("data");
        let text = format!(
            "[station]\nbind = \"127.0.0.1\"\nport = 0\ndata_dir = {data_dir:?}\n{}",
            settings(identity, &[&hospital], "[model]\npackage = \"/nonexistent\"\n")
        );
        fs::write(&file, text).unwrap();
        let output = Command::new(tests::sialoscope())
            .args(["run", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains(name), "{log}");
    }
}

#[test]
fn our_certificate_is_named_thirty_days_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let own = hospital.signs("sialoscope", 2020);
    let station = Station::start_with(folder.path(), "open = true", &settings(&own, &[&hospital], ""));
    let deadline = Instant::now() + WAIT;
    while !fs::read_to_string(&station.log)
        .unwrap()
        .contains("TLS certificate sialoscope: expired on 2020-12-31")
    {
        assert!(Instant::now() < deadline, "the log does not name it");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The peers decide whether they mind; the plain port goes on.
    let images = [image(folder.path(), "1.2.3", "1.2.3.1", 1).0];
    assert!(storescu(station.port, &[], &images).status.success());
    assert!(station.terminate().success());
}
