//! Services besides storage, asked for by pynetdicom and dcmtk at `sialoscope run`.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tests::peers::{python, said};
use tests::station::{Station, image};

/// Runs a Python program with pynetdicom at hand; what it prints, by lines.
fn pynetdicom(program: &str, port: u16, arguments: &[&str]) -> Vec<String> {
    let output = python(program).arg(port.to_string()).args(arguments).output();
    let output = output.expect("python3 can be run");
    assert!(output.status.success(), "{}", said(&output));
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().map(str::to_owned).collect()
}

/// Stores an image, asks for it and for one that was never sent, and prints the answer and the report.
const COMMIT: &str = r#"
import sys, threading
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
COMMITMENT, INSTANCE, MR = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", "1.2.840.10008.5.1.4.1.1.4"
told, said, answering = threading.Event(), [], []
transaction = generate_uid()
def report(event):
    answering.append(threading.current_thread())
    data = event.event_information
    assert data.TransactionUID == transaction
    failed = [f"{item.FailureReason:04X}" for item in data.get("FailedSOPSequence", [])]
    committed = len(data.get("ReferencedSOPSequence", []))
    said.extend(["event", event.event_type, "committed", committed, "failed", *failed])
    told.set()
    return 0x0000, None
ae = AE(ae_title="PYNETDICOM")
ae.add_requested_context(MR, "1.2.840.10008.1.2.1")
ae.add_requested_context(COMMITMENT)
roles = [build_role(COMMITMENT, scu_role=True, scp_role=True)] if "roles" in sys.argv else []
association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="SIALOSCOPE", ext_neg=roles,
    evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)])
assert association.is_established
still(association)
for context in association.accepted_contexts:
    if context.abstract_syntax == COMMITMENT:
        print("roles", context.as_scu, context.as_scp)
path = sys.argv[2]
print(f"store {association.send_c_store(path).Status:04X}")
asked = Dataset()
asked.TransactionUID = transaction
asked.ReferencedSOPSequence = []
for uid in [dcmread(path).SOPInstanceUID] + sys.argv[3].split():
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, uid
    asked.ReferencedSOPSequence.append(item)
status, _ = association.send_n_action(asked, 1, COMMITMENT, INSTANCE)
print(f"action {status.Status:04X}")
loose(association)
assert told.wait(30)
print(*said)
# A release that overtook the answer would let us be called back. pynetdicom answers in a thread of its own,
# and a request made meanwhile may wait forever for a mark that this thread takes away.
answering[0].join()
association.release()
"#;

fn an_image(folder: &Path) -> String {
    let (path, _) = image(folder, "1.2.3", "1.2.3.1", 1);
    path.to_str().unwrap().to_owned()
}

#[test]
fn pynetdicom_hears_that_nothing_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let path = an_image(folder.path());
    let told = pynetdicom(COMMIT, station.port, &[&path, "9.9.9"]);
    let report = "event 2 committed 0 failed 0213 0112";
    assert_eq!(told, ["roles True False", "store 0000", "action 0000", report]);
    assert!(station.terminate().success());
}

#[test]
fn pynetdicom_hears_what_is_committed_while_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let services = "[services]\nstorage_commitment = \"while_kept\"\n";
    let station = Station::start_with(folder.path(), "open = true", services);
    let path = an_image(folder.path());
    let told = pynetdicom(COMMIT, station.port, &[&path, "", "roles"]);
    let report = "event 1 committed 1 failed";
    assert_eq!(told, ["roles True False", "store 0000", "action 0000", report]);
    assert!(station.terminate().success());
}

/// Asks, and aborts when the report comes on its own association; prints the one that comes on another.
const COMMIT_AND_ABORT: &str = r#"
import sys, threading
from pydicom import Dataset
from pynetdicom import AE, evt
COMMITMENT, INSTANCE, MR = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", "1.2.840.10008.5.1.4.1.1.4"
told, said = threading.Event(), []
def elsewhere(event):
    failed = [f"{item.FailureReason:04X}" for item in event.event_information.FailedSOPSequence]
    said.extend(["called back by", event.assoc.requestor.ae_title, "event", event.event_type, "failed", *failed])
    told.set()
    return 0x0000, None
def here(event):
    event.assoc.abort()
    return 0x0000, None
own = AE(ae_title="PYNETDICOM")
own.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
server = own.start_server(("127.0.0.1", int(sys.argv[2])), block=False,
    evt_handlers=[(evt.EVT_N_EVENT_REPORT, elsewhere)])
ae = AE(ae_title="PYNETDICOM")
ae.add_requested_context(COMMITMENT)
association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="SIALOSCOPE",
    evt_handlers=[(evt.EVT_N_EVENT_REPORT, here)])
assert association.is_established
still(association)
asked, item = Dataset(), Dataset()
item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, "9.9.9"
asked.TransactionUID, asked.ReferencedSOPSequence = "2.25.7", [item]
status, _ = association.send_n_action(asked, 1, COMMITMENT, INSTANCE)
print(f"action {status.Status:04X}")
loose(association)
assert told.wait(30)
print(*said)
server.shutdown()
"#;

#[test]
fn pynetdicom_is_called_back_when_its_association_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let peer = format!("[[peer]]\nae_title = \"PYNETDICOM\"\nreport_to = \"127.0.0.1:{port}\"\n");
    let station = Station::start_with(folder.path(), "", &peer);
    let told = pynetdicom(COMMIT_AND_ABORT, station.port, &[&port]);
    assert_eq!(
        told,
        ["action 0000", "called back by SIALOSCOPE event 2 failed 0112"]
    );
    assert!(station.terminate().success());
}

/// A performed procedure step from its beginning to beyond its end.
const STEP: &str = r#"
import sys
from pydicom import Dataset
from pynetdicom import AE
MPPS = "1.2.840.10008.3.1.2.3.3"
ae = AE(ae_title="PYNETDICOM")
ae.add_requested_context(MPPS)
association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="SIALOSCOPE")
assert association.is_established
still(association)
begun, scheduled = Dataset(), Dataset()
scheduled.StudyInstanceUID = "1.2.3"
begun.ScheduledStepAttributesSequence = [scheduled]
begun.PerformedProcedureStepID, begun.Modality = "1", "MR"
begun.PatientName = "Test^Patient"
begun.PerformedProcedureStepStatus, begun.PerformedSeriesSequence = "IN PROGRESS", []
done, series = Dataset(), Dataset()
series.SeriesInstanceUID = "1.2.3.1"
series.ReferencedImageSequence = []
for number in range(24):
    image = Dataset()
    image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    image.ReferencedSOPInstanceUID = f"1.2.3.1.{number}"
    series.ReferencedImageSequence.append(image)
done.PerformedProcedureStepStatus, done.PerformedSeriesSequence = "COMPLETED", [series]
def create(uid):
    return association.send_n_create(begun, MPPS, uid)[0]
def set_(uid):
    return association.send_n_set(done, MPPS, uid)[0]
print(f"{set_('9.1').Status:04X}")
print(f"{create('9.1').Status:04X} {create('9.1').Status:04X}")
print(f"{set_('9.1').Status:04X}")
late = set_('9.1')
print(f"{late.Status:04X} {late.ErrorComment} {late.ErrorID:04X}")
loose(association).release()
"#;

#[test]
fn pynetdicom_performs_a_procedure_step() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let told = pynetdicom(STEP, station.port, &[]);
    let late = "0110 Performed Procedure Step Object may no longer be updated A710";
    assert_eq!(told, ["0112", "0000 0111", "0000", late]);
    let log = std::fs::read_to_string(&station.log).unwrap();
    assert!(!log.contains("Patient") && !log.contains("1.2.3"), "{log}");
    assert!(station.terminate().success());
}

#[test]
fn storescu_must_say_who_uses_it_where_that_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let tables = "[services]\nuser_identity = \"required\"\n\
                  [[peer]]\nae_title = \"STORESCU\"\nuser = \"mr1\"\npasscode = \"open sesame\"\n";
    let station = Station::start_with(folder.path(), "", tables);
    let (path, port) = (an_image(folder.path()), station.port.to_string());
    let storescu = |user: &[&str]| {
        let mut command = Command::new("storescu");
        let status = command.args(user).args(["127.0.0.1", &port, &path]).status();
        status.expect("storescu can be run: install dcmtk").success()
    };
    assert!(!storescu(&[]));
    assert!(!storescu(&["-usr", "mr1", "-pwd", "open"]));
    assert!(storescu(&["-usr", "mr1", "-pwd", "open sesame", "-rsp"]));
    let log = std::fs::read_to_string(&station.log).unwrap();
    assert!(!log.contains("sesame"), "{log}");
    let refusals = std::fs::read_to_string(station.data_dir.join("refusals.jsonl")).unwrap();
    assert_eq!(refusals.matches("user_identity").count(), 2, "{refusals}");
    assert!(station.terminate().success());
}
