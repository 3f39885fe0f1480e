//! The way to a server that is away, hangs, goes down within a burst, or is not the one that is meant.
#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::*;
use crate::limits::AUDIT_FILES;
use crate::station::audit::AuditEvent;
use crate::station::audit::trail::{Record, Trail, verify};
use crate::tls::ClientFiles;

const WAIT: Duration = Duration::from_secs(30);

/// An authority, and PEM files of those it signed.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let (folder, key) = (tempfile::tempdir().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "hospital");
        let file = folder.path().join("authority.pem");
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Certificate and key for a name or address.
    fn signs(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let path = |kind| self.folder.path().join(format!("{name}.{kind}"));
        let (certificate_file, key_file) = (path("certificate"), path("key"));
        fs::write(
            &certificate_file,
            params.signed_by(&key, &self.issuer).unwrap().pem(),
        )
        .unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        (certificate_file, key_file)
    }

    /// A server with a certificate for a name.
    fn serves(&self, name: &str, wants_certificate: bool) -> Arc<ServerConfig> {
        let (certificate, key) = self.signs(name);
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&self.file).unwrap())
            .unwrap();
        let verifier = match wants_certificate {
            false => WebPkiClientVerifier::no_client_auth(),
            true => WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap(),
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certificate).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            );
        Arc::new(config.unwrap())
    }
}

/// A syslog server of which the test decides what it reads.
struct Receiver {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

type Call = StreamOwned<ServerConnection, TcpStream>;

impl Receiver {
    fn new(config: Arc<ServerConfig>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), config)
    }

    fn at(address: SocketAddr, config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, config }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection; the handshake is done with the first read.
    fn call(&self) -> Call {
        let deadline = Instant::now() + WAIT;
        let socket = loop {
            match self.listener.accept() {
                Ok((socket, _)) => break socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    assert!(Instant::now() < deadline, "nobody calls");
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        };
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), socket)
    }

    /// The next connection after its handshake, with nothing read of it.
    fn shaken_call(&self) -> Call {
        let mut call = self.call();
        while call.conn.is_handshaking() {
            call.conn.complete_io(&mut call.sock).unwrap();
        }
        call
    }

    /// Everything that comes in the next connection, to its end.
    fn burst(&self) -> Vec<String> {
        let mut call = self.call();
        std::iter::from_fn(|| message(&mut call)).collect()
    }
}

/// The next message of a connection; none at its end.
fn message(call: &mut Call) -> Option<String> {
    let mut count = String::new();
    loop {
        let mut byte = [0];
        match call.read(&mut byte).unwrap() {
            0 => {
                assert_eq!(count, "", "it ended within a message");
                return None;
            }
            _ if byte == *b" " => break,
            _ => count.push(byte[0].into()),
        }
    }
    let mut bytes = vec![0; count.parse().unwrap()];
    call.read_exact(&mut bytes).unwrap();
    Some(String::from_utf8(bytes).unwrap())
}

/// A trail, and what was said about its way.
struct Bench {
    data_dir: TempDir,
    audit: Arc<Audit>,
    told: mpsc::Receiver<Vec<Notice>>,
    sending: Option<Sending>,
}

impl Bench {
    fn start(data_dir: TempDir, authority: &Authority, to: SocketAddr) -> Self {
        let audit = Arc::new(Audit::open(data_dir.path(), "SIALOSCOPE").unwrap());
        let (tell, told) = channel();
        let tell = Box::new(move |notices| drop(tell.send(notices)));
        let server = server(authority, to, None);
        let syslog = Syslog::open(server, data_dir.path(), Arc::clone(&audit), tell).unwrap();
        Self {
            data_dir,
            audit,
            told,
            sending: Some(syslog.start().unwrap()),
        }
    }

    fn record(&self, count: usize) {
        (0..count).for_each(|_| self.audit.record(&AuditEvent::Started));
    }

    /// What the messages of all records on disk must look like, from a number on.
    fn expected(&self, from: u64) -> Vec<String> {
        let mut reading = Reading::from(self.data_dir.path(), from);
        let last = self.audit.mark.last();
        let records = std::iter::from_fn(|| reading.next(last).unwrap());
        let framed = records.map(|found| match found {
            Found::Record(record) => String::from_utf8(frame(&record, &self.audit.own.host)).unwrap(),
            Found::Missing { to } => panic!("nothing up to {to}"),
        });
        framed
            .map(|text| text.split_once(' ').unwrap().1.to_owned())
            .collect()
    }

    /// Waits for a notice with these words, or until there is none any more.
    fn is_told(&self, words: Option<&str>) -> Vec<Notice> {
        loop {
            let notices = self.told.recv_timeout(WAIT).unwrap();
            let found = match words {
                Some(words) => notices.iter().any(|notice| notice.reason.text.contains(words)),
                None => notices.is_empty(),
            };
            if found {
                return notices;
            }
        }
    }

    fn delivered(&self) -> String {
        fs::read_to_string(delivered_path(self.data_dir.path())).unwrap()
    }

    fn stop(mut self) -> TempDir {
        self.sending.take().unwrap().stop();
        self.data_dir
    }
}

fn server(authority: &Authority, to: SocketAddr, own: Option<(PathBuf, PathBuf)>) -> Server {
    Server {
        address: to.to_string().parse().unwrap(),
        tls: ClientFiles {
            authorities: vec![authority.file.clone()],
            own,
        },
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_receiver_that_comes_late_gets_everything_in_order() {
    let authority = Authority::new();
    let config = authority.serves("127.0.0.1", false);
    let address = Receiver::new(Arc::clone(&config)).address();
    let bench = Bench::start(folder(), &authority, address);
    bench.record(3);
    let notices = bench.is_told(Some("3 audit records wait"));
    assert!(
        notices[0].reason.text.contains("it cannot be reached"),
        "{notices:?}"
    );
    assert_eq!(bench.delivered(), "0\n");
    bench.record(2);
    let receiver = Receiver::at(address, config);
    let all = receiver.burst();
    assert_eq!(all.len(), 5);
    assert_eq!(all, bench.expected(1));
    bench.is_told(None);
    assert_eq!(bench.delivered(), "5\n");
    bench.stop();
}

#[test]
fn what_a_receiver_had_not_read_when_it_went_comes_again() {
    let authority = Authority::new();
    let receiver = Receiver::new(authority.serves("127.0.0.1", false));
    let bench = Bench::start(folder(), &authority, receiver.address());
    bench.record(50);
    // It goes with bytes unread.
    let mut call = receiver.call();
    assert!(message(&mut call).is_some());
    thread::sleep(Duration::from_millis(200));
    drop(call);
    bench.is_told(Some("50 audit records wait"));
    // It ends its side before it has read anything: that is no answer to our end.
    let call = receiver.shaken_call();
    call.sock.shutdown(Shutdown::Write).unwrap();
    bench.is_told(Some("50 audit records wait"));
    assert_eq!(bench.delivered(), "0\n");
    drop(call);
    assert_eq!(receiver.burst(), bench.expected(1));
    bench.is_told(None);
    assert_eq!(bench.delivered(), "50\n");
    bench.stop();
}

#[test]
fn a_receiver_that_never_reads_has_not_taken_anything() {
    let authority = Authority::new();
    let receiver = Receiver::new(authority.serves("127.0.0.1", false));
    let bench = Bench::start(folder(), &authority, receiver.address());
    bench.record(1);
    let call = receiver.shaken_call();
    // Meanwhile nobody waits for it.
    let began = Instant::now();
    bench.record(50);
    assert!(began.elapsed() < SYSLOG_SETTLE * 5, "{:?}", began.elapsed());
    bench.is_told(Some("it did nothing for"));
    assert_eq!(bench.delivered(), "0\n");
    drop(call);
    assert_eq!(receiver.burst(), bench.expected(1));
    bench.stop();
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let authority = Authority::new();
    let receiver = Receiver::new(authority.serves("127.0.0.1", false));
    let bench = Bench::start(folder(), &authority, receiver.address());
    bench.record(3);
    assert_eq!(receiver.burst().len(), 3);
    bench.is_told(None);
    // The last record is sent while it stops.
    bench.record(1);
    let last = thread::scope(|scope| {
        let last = scope.spawn(|| receiver.burst());
        thread::sleep(Duration::from_millis(100));
        (last.join().unwrap(), bench.expected(4))
    });
    assert_eq!(last.0, last.1);
    let data_dir = bench.stop();
    let bench = Bench::start(data_dir, &authority, receiver.address());
    bench.record(2);
    assert_eq!(receiver.burst(), bench.expected(5));
    bench.stop();
}

#[test]
fn a_long_queue_goes_in_several_connections() {
    let authority = Authority::new();
    let receiver = Receiver::new(authority.serves("127.0.0.1", false));
    let folder = folder();
    let (mut trail, _) = Trail::open(folder.path()).unwrap();
    for _ in 0..SYSLOG_RECORDS + 10 {
        trail.append("2026-11-22T10:00:00Z", "<AuditMessage/>").unwrap();
    }
    drop(trail);
    let bench = Bench::start(folder, &authority, receiver.address());
    assert_eq!(receiver.burst().len() as u64, SYSLOG_RECORDS);
    assert_eq!(receiver.burst().len(), 10);
    bench.is_told(None);
    bench.stop();
}

#[test]
fn what_was_turned_over_before_it_was_delivered_is_counted_and_told() {
    let authority = Authority::new();
    let config = authority.serves("127.0.0.1", false);
    let nobody = Receiver::new(config).address();
    let data_dir = folder();
    let (mut trail, _) = Trail::open(data_dir.path()).unwrap();
    let long = "x".repeat(crate::limits::AUDIT_FILE_BYTES as usize / 2);
    // The last file has room for an alert.
    for _ in 0..=2 * (AUDIT_FILES + 2) {
        trail.append("2026-11-22T10:00:00Z", &long).unwrap();
    }
    drop(trail);
    fs::write(delivered_path(data_dir.path()), "1\n").unwrap();
    let first = oldest(data_dir.path()).unwrap().unwrap();
    assert!(first > 2);
    let bench = Bench::start(data_dir, &authority, nobody);
    bench.is_told(Some("it cannot be reached"));
    let last = bench.audit.mark.last();
    let mut reading = Reading::from(bench.data_dir.path(), last);
    let Some(Found::Record(Record { message, .. })) = reading.next(last).unwrap() else {
        panic!("no alert");
    };
    let text = format!(
        "audit_not_delivered: {} records of the audit trail, 2 to {},",
        first - 2,
        first - 1
    );
    assert!(message.contains(&text), "{message}");
    // Told once, not at each start.
    let data_dir = bench.stop();
    let bench = Bench::start(data_dir, &authority, nobody);
    bench.is_told(Some("it cannot be reached"));
    assert_eq!(bench.audit.mark.last(), last);
    assert!(verify(bench.data_dir.path()).unwrap().is_ok());
    bench.stop();
}

#[test]
fn a_server_is_told_apart_by_its_certificate_and_we_by_ours() {
    let (hospital, other) = (Authority::new(), Authority::new());
    let us = Some(hospital.signs("box"));
    let stranger = Some(other.signs("box"));
    let outcomes = [
        (other.serves("127.0.0.1", false), None, Err("syslog_certificate")),
        (hospital.serves("pacs", false), None, Err("syslog_certificate")),
        (hospital.serves("127.0.0.1", false), None, Ok(())),
        (hospital.serves("127.0.0.1", true), us, Ok(())),
        (hospital.serves("127.0.0.1", true), None, Err("syslog_refused")),
        (
            hospital.serves("127.0.0.1", true),
            stranger,
            Err("syslog_refused"),
        ),
    ];
    for (n, (config, own, expected)) in outcomes.into_iter().enumerate() {
        let receiver = Receiver::new(config);
        let server = server(&hospital, receiver.address(), own);
        let credentials = ClientCredentials::read(&server.tls, SystemTime::now()).unwrap();
        let (sent, read) = thread::scope(|scope| {
            let read = scope.spawn(|| {
                let mut text = Vec::new();
                let _ = receiver.call().read_to_end(&mut text);
                text
            });
            let sent =
                Connection::open(&server.address, credentials.config().unwrap()).and_then(|mut open| {
                    open.send(b"3 abc")?;
                    thread::sleep(Duration::from_millis(200));
                    open.is_whole()?;
                    open.end()
                });
            (sent, read.join().unwrap())
        });
        match (&sent, expected) {
            (Err(reason), Err(code)) => {
                assert_eq!((reason.code.as_str(), reason.fault), (code, Fault::Configuration));
                assert_eq!(read, b"", "{n}: somebody else learned something");
            }
            _ => {
                assert_eq!(sent, Ok(()), "{n}");
                assert_eq!((expected, &read[..]), (Ok(()), &b"3 abc"[..]), "{n}");
            }
        }
    }
}
