//! Findings from a six-series study to the archives of others: dcmtk, Orthanc by DICOM and by DICOMweb.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dicom_dictionary_std::tags;
use dicom_object::open_file;
use firmware::dicom::send::files_under;
use phantom::{Diagnosis, Patient};
use tests::peers::{Orthanc, Running, free_port, python, succeeds};
use tests::station::{Settings, Station, data_set};
use tests::tls::{Authority, FOREVER};

const WAIT: Duration = Duration::from_secs(120);

/// A station with the shipped model and these destinations.
fn station(folder: &Path, destinations: &str) -> Station {
    let settings = Settings {
        quiet_seconds: 30.0,
        package: &tests::package(),
        tables: destinations,
        ..Settings::default()
    };
    Station::with(folder, &settings)
}

fn destination(title: &str, port: u16) -> String {
    format!("[[destination]]\nae_title = \"{title}\"\nhost = \"127.0.0.1\"\nport = {port}\n")
}

/// A study with a tumour.
fn send_study(folder: &Path, station: &Station) {
    let patient = Patient::draw(7, Some(Diagnosis::Malignant));
    let written = phantom::write_study(&patient, &folder.join("scanner")).unwrap();
    let files = files_under(&[written.dicom]).unwrap();
    let port = station.port.to_string();
    succeeds("storescu", &["-aec", "SIALOSCOPE", "127.0.0.1", &port], &files);
}

fn wait_for<T>(what: &str, station: &Station, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        let log = || fs::read_to_string(&station.log).unwrap();
        assert!(Instant::now() < deadline, "no {what}: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The folder of the only study, when its state is this one.
fn record(station: &Station, stage: &str) -> PathBuf {
    wait_for(stage, station, || {
        let all = fs::read_dir(station.data_dir.join("studies")).ok()?.flatten();
        let mut folders = all.map(|entry| entry.path());
        folders.find(|folder| {
            let state = fs::read_to_string(folder.join("state.json")).unwrap_or_default();
            state.contains(&format!("\"stage\": \"{stage}\""))
        })
    })
}

/// Report, segmentation and picture.
fn objects(record: &Path) -> [PathBuf; 3] {
    ["sr.dcm", "seg.dcm", "sc.dcm"].map(|name| record.join(name))
}

fn uid(object: &Path) -> String {
    let object = open_file(object).unwrap();
    object.meta().media_storage_sop_instance_uid().to_owned()
}

/// Every DICOM file under a folder, by its UID.
fn received(folder: &Path, uid_of: &str) -> PathBuf {
    let all = files_under(&[folder.to_owned()]).unwrap();
    let mut fitting = all
        .into_iter()
        .filter(|path| open_file(path).is_ok_and(|o| o.meta().media_storage_sop_instance_uid() == uid_of));
    let found = fitting.next().unwrap_or_else(|| panic!("{uid_of} is not there"));
    assert_eq!(fitting.next(), None, "{uid_of} is there twice");
    found
}

#[test]
fn dcmtk_receives_everything_by_storescp_and_dcmqrscp() {
    let folder = tempfile::tempdir().unwrap();
    let (port, qr_port) = (free_port(), free_port());
    let [plain, archive] = ["storescp", "archive"].map(|name| folder.path().join(name));
    for folder in [&plain, &archive] {
        fs::create_dir(folder).unwrap();
    }
    let mut storescp = Command::new("storescp");
    storescp
        .args(["--bit-preserving", "-od"])
        .arg(&plain)
        .arg(port.to_string());
    let _storescp = Running::listening(storescp, port);
    let settings = folder.path().join("dcmqrscp.cfg");
    let text = format!(
        "NetworkTCPPort = {qr_port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
         HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n\
         AETable BEGIN\nQRSCP {} RW (200, 1024mb) ANY\nAETable END\n",
        archive.display()
    );
    fs::write(&settings, text).unwrap();
    let mut dcmqrscp = Command::new("dcmqrscp");
    dcmqrscp.arg("-c").arg(&settings);
    let _dcmqrscp = Running::listening(dcmqrscp, qr_port);
    let tables = destination("STORESCP", port) + &destination("QRSCP", qr_port);
    let station = station(folder.path(), &tables);
    send_study(folder.path(), &station);
    let record = record(&station, "delivered");
    for object in objects(&record) {
        let uid = uid(&object);
        assert_eq!(data_set(&received(&plain, &uid)), data_set(&object));
        received(&archive, &uid);
    }
    assert!(station.terminate().success());
}

#[test]
fn orthanc_receives_everything_and_commits_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start(&folder.path().join("orthanc"), "");
    let table = destination("ORTHANC", orthanc.dicom_port) + "commitment = \"required\"\n";
    let station = station(folder.path(), &table);
    orthanc.knows(&station);
    send_study(folder.path(), &station);
    let record = record(&station, "delivered");
    let told = fs::read_to_string(record.join("delivery.json")).unwrap();
    assert_eq!(told.matches("\"committed\"").count(), 3, "{told}");
    has_all(&orthanc, &record);
    assert!(station.terminate().success());
}

/// Orthanc has exactly the objects of a record, with their series and their patient.
fn has_all(orthanc: &Orthanc, record: &Path) {
    let mut there = orthanc.instances();
    there.sort();
    let mut ours = objects(record).map(|object| uid(&object));
    ours.sort();
    assert_eq!(there, ours);
}

fn web_service(name: &str, url: &str, more: &str) -> String {
    format!("[[destination]]\nname = \"{name}\"\nstow = \"{url}/dicom-web/studies\"\n{more}\n")
}

#[test]
fn orthanc_receives_everything_by_stow_rs_from_who_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start_web(&folder.path().join("orthanc"), ("box", "secret"));
    let url = format!("http://127.0.0.1:{}", orthanc.http_port);
    let table = |name: &str, user: &str| {
        let file = folder.path().join(name);
        fs::write(&file, format!("Basic {}\n", base64(user))).unwrap();
        web_service(name, &url, &format!("authorization = {file:?}"))
    };
    let web = table("web", "box:secret");
    let first = station(folder.path(), &(web.clone() + &table("guessing", "box:guessed")));
    send_study(folder.path(), &first);
    let record = record(&first, "reported");
    wait_for("refusal", &first, || {
        let log = fs::read_to_string(&first.log).unwrap();
        let told = fs::read_to_string(record.join("delivery.json")).unwrap();
        let stored = told.matches("\"stored\"").count() == 3;
        (log.contains("HTTP status 401") && stored).then_some(())
    });
    assert!(first.terminate().success());
    has_all(&orthanc, &record);
    // Without the one that cannot work nobody waits any more.
    let again = station(folder.path(), &web);
    assert!(again.terminate().success());
    let state = fs::read_to_string(record.join("state.json")).unwrap();
    assert!(
        state.contains("\"reported\""),
        "not everybody was served: {state}"
    );
}

/// A web service by TLS that wants to see a certificate and keeps what is posted to it.
const SERVER: &str = r#"
import http.server, ssl
port, folder, certificate, key, authority = sys.argv[1:]
class Keeps(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open(folder + "/type", "w").write(self.headers["Content-Type"])
        open(folder + "/body", "wb").write(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(port)), Keeps)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.verify_mode = ssl.CERT_REQUIRED
context.load_verify_locations(authority)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn a_web_service_is_reached_by_tls_where_both_certificates_hold() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let stranger = Authority::new(folder.path(), "stranger", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let mut tables = String::new();
    let mut running = Vec::new();
    for (name, authority) in [("right", &hospital), ("wrong", &stranger)] {
        let there = folder.path().join(name);
        fs::create_dir(&there).unwrap();
        let shown = authority.signs(&format!("web-{name}"), FOREVER);
        let (port, mut server) = (free_port(), python(SERVER));
        server.arg(port.to_string()).arg(&there);
        server.args([&shown.certificate, &shown.key, &hospital.file]);
        running.push(Running::listening(server, port));
        let tls = format!(
            "[destination.tls]\nauthorities = [{:?}]\ncertificate = {:?}\nkey = {:?}",
            hospital.file, own.certificate, own.key
        );
        tables += &web_service(name, &format!("https://127.0.0.1:{port}"), &tls);
    }
    let station = station(folder.path(), &tables);
    send_study(folder.path(), &station);
    let record = record(&station, "reported");
    wait_for("refusal", &station, || {
        let log = fs::read_to_string(&station.log).unwrap();
        let told = fs::read_to_string(record.join("delivery.json")).unwrap();
        let stored = told.matches("\"stored\"").count() == 3;
        (log.contains("code=\"certificate\"") && stored).then_some(())
    });
    let there = folder.path().join("right");
    let kind = fs::read_to_string(there.join("type")).unwrap();
    let (_, boundary) = kind.split_once("boundary=").unwrap();
    assert!(kind.starts_with("multipart/related; type=\"application/dicom\""));
    let body = fs::read(there.join("body")).unwrap();
    let mut expected = Vec::new();
    for object in objects(&record) {
        expected
            .extend_from_slice(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").as_bytes());
        expected.extend_from_slice(&fs::read(object).unwrap());
        expected.extend_from_slice(b"\r\n");
    }
    expected.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    assert!(body == expected);
    assert_eq!(fs::read_dir(folder.path().join("wrong")).unwrap().count(), 0);
    assert!(station.terminate().success());
}

/// Of a user and a password; the test needs no library for that.
fn base64(text: &str) -> String {
    let output = Command::new("python3")
        .args([
            "-c",
            "import base64, sys; print(base64.b64encode(sys.argv[1].encode()).decode())",
        ])
        .arg(text)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn findings_go_by_tls_and_only_to_who_shows_the_right_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let hospital = Authority::new(folder.path(), "hospital", FOREVER);
    let stranger = Authority::new(folder.path(), "stranger", FOREVER);
    let own = hospital.signs("sialoscope", FOREVER);
    let mut tables = String::new();
    let mut running = Vec::new();
    for (title, authority) in [("RIGHT", &hospital), ("WRONG", &stranger)] {
        let archive = authority.signs(title, FOREVER);
        let (port, received) = (free_port(), folder.path().join(title));
        fs::create_dir(&received).unwrap();
        let mut storescp = Command::new("storescp");
        storescp.arg("+tls").arg(&archive.key).arg(&archive.certificate);
        storescp
            .arg("+cf")
            .arg(&hospital.file)
            .arg("-od")
            .arg(&received)
            .arg(port.to_string());
        running.push(Running::listening(storescp, port));
        tables += &destination(title, port);
        tables += &format!(
            "[destination.tls]\nauthorities = [{:?}]\ncertificate = {:?}\nkey = {:?}\n",
            hospital.file, own.certificate, own.key
        );
    }
    let station = station(folder.path(), &tables);
    send_study(folder.path(), &station);
    let record = record(&station, "reported");
    wait_for("refusal", &station, || {
        let told = fs::read_to_string(record.join("delivery.json")).unwrap();
        let log = fs::read_to_string(&station.log).unwrap();
        let stored = told.matches("\"stored\"").count() == 3;
        (stored && log.contains("code=\"certificate\"")).then_some(())
    });
    for object in objects(&record) {
        received(&folder.path().join("RIGHT"), &uid(&object));
    }
    assert_eq!(fs::read_dir(folder.path().join("WRONG")).unwrap().count(), 0);
    assert!(station.terminate().success());
}

#[test]
fn a_report_reads_back_as_text_where_it_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let there = folder.path().join("there");
    fs::create_dir(&there).unwrap();
    let mut storescp = Command::new("storescp");
    storescp.arg("-od").arg(&there).arg(port.to_string());
    let _storescp = Running::listening(storescp, port);
    let table = destination("STORESCP", port) + "send = [\"report\"]\n";
    let station = station(folder.path(), &table);
    send_study(folder.path(), &station);
    let record = record(&station, "delivered");
    let files = files_under(std::slice::from_ref(&there)).unwrap();
    assert_eq!(files.len(), 1, "only what was wanted");
    let text = |file: &Path| {
        let done = Command::new(tests::sialoscope())
            .arg("report")
            .arg(file)
            .output()
            .unwrap();
        assert!(done.status.success());
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(text(&files[0]), text(&record.join("sr.dcm")));
    let name = open_file(&files[0]).unwrap();
    assert!(name.element(tags::PATIENT_NAME).is_ok());
    assert!(station.terminate().success());
}
