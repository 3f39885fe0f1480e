//! The audit trail by syslog over TLS, to rsyslog.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::peers::{Running, a_good_study_arrives_whole, free_port, succeeds};
use tests::station::{Station, image};
use tests::tls::{Authority, FOREVER, Identity};

const WAIT: Duration = Duration::from_secs(120);
const KILLING: Duration = Duration::from_secs(10);

/// rsyslog with a TLS input, which writes every message as it came, one a line. It writes before it reads
/// on, so what it has read survives even SIGKILL.
struct Rsyslog {
    process: Option<Running>,
    folder: PathBuf,
    port: u16,
}

impl Rsyslog {
    fn new(folder: &Path, authority: &Authority<'_>, own: &Identity) -> Self {
        let port = free_port();
        fs::create_dir_all(folder).unwrap();
        let configuration = format!(
            r#"global(workDirectory={folder:?} maxMessageSize="64k"
                parser.escapeControlCharactersOnReceive="off" defaultNetstreamDriver="gtls"
                defaultNetstreamDriverCAFile={:?} defaultNetstreamDriverCertFile={:?}
                defaultNetstreamDriverKeyFile={:?})
            module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
                streamDriver.authMode="x509/certvalid")
            template(name="as_it_came" type="string" string="%rawmsg%\n")
            ruleset(name="audit" queue.type="Direct") {{ action(type="omfile" file={:?} template="as_it_came") }}
            input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="audit")
            "#,
            authority.file,
            own.certificate,
            own.key,
            folder.join("received")
        );
        fs::write(folder.join("rsyslog.conf"), configuration).unwrap();
        Self {
            process: None,
            folder: folder.to_owned(),
            port,
        }
    }

    fn start(&mut self) {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        // Not everybody's PATH has this folder.
        let mut program = Command::new("/usr/sbin/rsyslogd");
        program
            .args(["-n", "-iNONE", "-f"])
            .arg(self.folder.join("rsyslog.conf"));
        program.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(Running::listening(program, self.port));
    }

    fn kill(&mut self) {
        self.process = None;
    }

    /// What it has written so far.
    fn received(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("received")).unwrap_or_default();
        // It may be writing a line just now.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits until it has all messages of an appliance, in order and byte for byte; some perhaps twice.
    fn has_all_of(&self, data_dir: &Path) -> Vec<String> {
        let deadline = Instant::now() + WAIT;
        loop {
            let (all, received) = (messages(data_dir), self.received());
            let mut once: Vec<&str> = Vec::new();
            for line in &received {
                // What was killed while it wrote may have left a part of a line; that message comes again.
                let Some((_, text)) = line.rsplit_once('\u{FEFF}') else {
                    continue;
                };
                // What is sent again begins with something that was sent before.
                match once.iter().position(|before| *before == text) {
                    Some(at) => once.truncate(at + 1),
                    None => once.push(text),
                }
            }
            if once == all {
                return received;
            }
            assert!(Instant::now() < deadline, "{once:#?} is not {all:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The messages of an appliance's trail.
fn messages(data_dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(data_dir.join("audit/000000000001.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["message"].as_str().unwrap().to_owned())
        .collect()
}

/// The table of a server on this machine.
fn table(port: u16, authority: &Path, own: Option<&Identity>) -> String {
    let own = own.map(|own| format!("certificate = {:?}\nkey = {:?}\n", own.certificate, own.key));
    format!(
        "[audit]\nsyslog = \"127.0.0.1:{port}\"\nauthorities = [{authority:?}]\n{}",
        own.unwrap_or_default()
    )
}

fn start(folder: &Path, tables: &str) -> Station {
    Station::start_with(folder, "open = true", tables)
}

/// Waits for words in the log of an appliance.
fn until_logged(station: &Station, words: &str) {
    let deadline = Instant::now() + WAIT;
    loop {
        let log = fs::read_to_string(&station.log).unwrap();
        if log.contains(words) {
            return;
        }
        assert!(Instant::now() < deadline, "no {words} in {log}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn rsyslog_gets_every_record_whenever_it_runs_and_whenever_we_do() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let (server, client) = (
        hospital.signs("syslog", FOREVER),
        hospital.signs("sialoscope", FOREVER),
    );
    let mut rsyslog = Rsyslog::new(&folder.path().join("rsyslog"), &hospital, &server);
    let tables = table(rsyslog.port, &hospital.file, Some(&client));
    let home = folder.path().join("station");

    // It is away, and comes later.
    let station = start(&home, &tables);
    a_good_study_arrives_whole(&station);
    until_logged(&station, "syslog_unreachable");
    rsyslog.start();
    let received = rsyslog.has_all_of(&station.data_dir);
    assert!(received[0].starts_with("<85>1 2"), "{}", received[0]);
    assert!(
        received[0].contains(" sialoscope - DICOM+RFC3881 - \u{FEFF}<AuditMessage>"),
        "{}",
        received[0]
    );
    assert!(received.iter().any(|line| line.contains("110104")));
    until_logged(&station, "takes the audit trail again");

    // It is killed again and again while records come. Not for long: each time we wait twice as long.
    let began = Instant::now();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            while began.elapsed() < KILLING {
                a_good_study_arrives_whole(&station);
            }
        });
        while !sending.is_finished() {
            std::thread::sleep(Duration::from_millis(1300));
            rsyslog.kill();
            std::thread::sleep(Duration::from_millis(200));
            rsyslog.start();
        }
    });
    rsyslog.has_all_of(&station.data_dir);
    // It may have been killed between the last record and its answer: then we wait, and know it only later.
    let (data_dir, deadline) = (home.join("data"), Instant::now() + WAIT);
    let delivered = || fs::read_to_string(data_dir.join("audit/delivered")).unwrap();
    while delivered().trim() != messages(&data_dir).len().to_string() {
        assert!(Instant::now() < deadline, "{} delivered", delivered());
        std::thread::sleep(Duration::from_millis(50));
    }

    // We stop, and go on where we were.
    assert!(station.terminate().success());
    let before = rsyslog.has_all_of(&data_dir);
    assert!(
        before.last().unwrap().contains("110121"),
        "the stop itself was told"
    );
    let stopped = messages(&data_dir).len();
    let station = start(&home, &tables);
    a_good_study_arrives_whole(&station);
    let after = rsyslog.has_all_of(&data_dir);
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(
        after.len() - before.len(),
        messages(&data_dir).len() - stopped,
        "nothing is sent again that was taken"
    );
}

#[test]
fn nothing_is_sent_to_a_server_that_is_not_the_one_meant() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let other = Authority::new(folder.path(), "other", FOREVER);
    let mut rsyslog = Rsyslog::new(
        &folder.path().join("rsyslog"),
        &hospital,
        &hospital.signs("syslog", FOREVER),
    );
    rsyslog.start();
    let client = hospital.signs("sialoscope", FOREVER);
    let tables = table(rsyslog.port, &other.file, Some(&client));
    let station = start(&folder.path().join("station"), &tables);
    until_logged(&station, "syslog_certificate");
    a_good_study_arrives_whole(&station);
    assert_eq!(rsyslog.received(), Vec::<String>::new());
    drop(station);

    // rsyslog hangs up on whoever shows it no certificate, without a word; that is no delivery either.
    let tables = table(rsyslog.port, &hospital.file, None);
    let station = start(&folder.path().join("without"), &tables);
    until_logged(&station, "syslog_closed");
    assert_eq!(rsyslog.received(), Vec::<String>::new());
    let delivered = fs::read_to_string(station.data_dir.join("audit/delivered")).unwrap();
    assert_eq!(delivered, "0\n");
}

#[test]
fn a_server_that_hangs_slows_nothing_down() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    // The kernel takes the connections, and nobody the bytes.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = hanging.local_addr().unwrap().port();
    let tables = table(port, &hospital.file, None);
    let names = ["with", "without"];
    let stations = [
        start(&folder.path().join(names[0]), &tables),
        start(&folder.path().join(names[1]), ""),
    ];
    // It is in the middle of it.
    let mut call = hanging.accept().unwrap().0;
    call.read_exact(&mut [0; 5]).unwrap();
    let files: Vec<_> = (1..=60)
        .map(|number| image(folder.path(), "1.2.9", "1.2.9.1", number).0)
        .collect();
    let took = stations.each_ref().map(|station| {
        let began = Instant::now();
        // One association each: as many records of the trail as there can be.
        for file in &files {
            let port = station.port.to_string();
            succeeds(
                "storescu",
                &["-aec", "SIALOSCOPE", "127.0.0.1", &port],
                std::slice::from_ref(file),
            );
        }
        began.elapsed()
    });
    println!(
        "60 associations with a server that hangs {:?}, without one {:?}",
        took[0], took[1]
    );
    assert!(took[0] < 3 * took[1] + Duration::from_secs(1), "{took:?}");
    let [station, _other] = stations;
    let began = Instant::now();
    assert!(station.terminate().success());
    assert!(began.elapsed() < Duration::from_secs(15), "nor the stop");
}

#[test]
fn a_file_that_is_not_there_is_named_by_the_check_and_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("hospital.pem");
    let settings = folder.path().join("s.toml");
    let text = table(6514, &missing, None);
    let data_dir = folder.path().join("data");
    fs::write(
        &settings,
        format!("[station]\nport = 0\ndata_dir = {data_dir:?}\n{text}"),
    )
    .unwrap();
    let sialoscope = |words: &[&str]| {
        let output = Command::new(tests::sialoscope())
            .args(words)
            .arg(&settings)
            .output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = sialoscope(&["config", "check"]);
    assert!(
        code == Some(0) && said.contains("note: ") && said.contains("hospital.pem"),
        "{said}"
    );
    let (code, said) = sialoscope(&["run", "--config"]);
    assert!(code == Some(2) && said.contains("hospital.pem"), "{said}");
}
