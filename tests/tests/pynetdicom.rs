//! pynetdicom, which research tools and many gateways are made of, against `sialoscope run`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use tests::peers::{a_good_study_arrives_whole, pydicom_file, python, said};
use tests::station::{Station, data_set, image};

/// Sends files in one association as they are, and prints the status of each.
const STORE: &str = r#"
from pydicom import dcmread
from pynetdicom import AE, _config
_config.STORE_SEND_CHUNKED_DATASET = True
port, files = int(sys.argv[1]), sys.argv[2:]
ae = AE(ae_title="PYNETDICOM")
for path in files:
    head = dcmread(path, stop_before_pixels=True)
    context = (head.SOPClassUID, head.file_meta.TransferSyntaxUID)
    if context not in [(c.abstract_syntax, c.transfer_syntax[0]) for c in ae.requested_contexts]:
        ae.add_requested_context(*context)
association = ae.associate("127.0.0.1", port, ae_title="SIALOSCOPE")
assert association.is_established
still(association)
for path in files:
    print(f"{association.send_c_store(path).Status:04X}")
loose(association).release()
"#;

const ECHO: &str = r#"
from pynetdicom import AE
ae = AE(ae_title="PYNETDICOM")
ae.add_requested_context("1.2.840.10008.1.1")
association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="SIALOSCOPE")
assert association.is_established
still(association)
for _ in range(3):
    assert association.send_c_echo().Status == 0
print(association.acceptor.implementation_class_uid, association.acceptor.implementation_version_name)
loose(association).release()
"#;

/// Everything that may be negotiated besides contexts (PS3.7 Annex D.3.3), then one image.
const NEGOTIATE: &str = r#"
from pydicom import dcmread
from pynetdicom import AE, _config
from pynetdicom.pdu_primitives import (AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation, SOPClassExtendedNegotiation, UserIdentityNegotiation)
_config.STORE_SEND_CHUNKED_DATASET = True
window = AsynchronousOperationsWindowNegotiation()
window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 8, 8
extended = SOPClassExtendedNegotiation()
extended.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4"
extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
common = SOPClassCommonExtendedNegotiation()
common.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4"
common.service_class_uid = "1.2.840.10008.4.2"
identity = UserIdentityNegotiation()
identity.user_identity_type, identity.primary_field = 1, b"radiographer"
ae = AE(ae_title="PYNETDICOM")
ae.maximum_pdu_size = 0
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")
association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="SIALOSCOPE",
    ext_neg=[window, extended, common, identity])
assert association.is_established
still(association)
print(f"{association.send_c_store(sys.argv[2]).Status:04X}")
loose(association).release()
"#;

/// Aborts between two images, and within one: half of its data set is on the wire.
const ABORT: &str = r#"
from pynetdicom import AE, _config
_config.STORE_SEND_CHUNKED_DATASET = True
def associate():
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="SIALOSCOPE")
    assert association.is_established
    return still(association)
between = associate()
for path in sys.argv[2:5]:
    print(f"{between.send_c_store(path).Status:04X}")
loose(between).abort()
within = associate()
type(within.dimse).maximum_pdu_size = 4096
send, sent = within.dul.send_pdu, []
def cut(primitive):
    if len(sent) > 4:
        raise EOFError
    sent.append(primitive)
    send(primitive)
within.dul.send_pdu = cut
try:
    within.send_c_store(sys.argv[5])
    raise SystemExit("it was sent as a whole")
except EOFError:
    within.dul.send_pdu = send
loose(within).abort()
"#;

fn output(program: &str, station: &Station, files: &[PathBuf]) -> String {
    let output = python(program)
        .arg(station.port.to_string())
        .args(files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn images(folder: &Path, study: &str, count: usize) -> (Vec<PathBuf>, Vec<String>) {
    let one = |number| image(folder, study, &format!("{study}.1"), number);
    (1..=count).map(one).unzip()
}

fn arrived(station: &Station, study: &str, paths: &[PathBuf], sops: &[String]) {
    for (path, sop) in paths.iter().zip(sops) {
        let stored = station.stored(study, &format!("{study}.1"), sop);
        assert_eq!(data_set(&stored), data_set(path), "{sop}");
    }
}

#[test]
fn it_stores_a_study_and_hears_0000_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let (paths, sops) = images(folder.path(), "1.2.1", 20);
    assert_eq!(output(STORE, &station, &paths), "0000\n".repeat(20));
    arrived(&station, "1.2.1", &paths, &sops);
    assert!(station.terminate().success());
}

#[test]
fn it_stores_other_kinds_of_objects_and_syntaxes() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    // MR, CT, SR, SEG, Secondary Capture, ultrasound, waveform; uncompressed in both byte orders,
    // JPEG, JPEG 2000, RLE, deflated.
    let files = [
        "MR_small.dcm",
        "693_J2KI.dcm",
        "test-SR.dcm",
        "liver_1frame.dcm",
        "JPEG2000.dcm",
        "examples_jpeg2k.dcm",
        "waveform_ecg.dcm",
        "ExplVR_BigEnd.dcm",
        "JPEG-lossy.dcm",
        "SC_rgb_rle.dcm",
        "image_dfl.dcm",
    ]
    .map(pydicom_file);
    assert_eq!(output(STORE, &station, &files), "0000\n".repeat(files.len()));
    let mut stored: Vec<_> = station.instances().iter().map(|path| data_set(path)).collect();
    let mut sent: Vec<_> = files.iter().map(|path| data_set(path)).collect();
    stored.sort();
    sent.sort();
    assert!(stored == sent, "not byte for byte");
    assert!(station.terminate().success());
}

#[test]
fn it_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let told = output(ECHO, &station, &[]);
    assert!(told.contains("SIALO_") && !told.contains("None"), "{told}");
    assert!(station.terminate().success());
}

#[test]
fn whatever_it_negotiates_the_image_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let (paths, sops) = images(folder.path(), "1.2.1", 1);
    assert_eq!(output(NEGOTIATE, &station, &paths), "0000\n");
    arrived(&station, "1.2.1", &paths, &sops);
    assert!(station.terminate().success());
}

#[test]
fn an_abort_takes_nothing_back_and_leaves_no_halves() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let (paths, sops) = images(folder.path(), "1.2.1", 4);
    assert_eq!(output(ABORT, &station, &paths), "0000\n".repeat(3));
    arrived(&station, "1.2.1", &paths[..3], &sops[..3]);
    station.has_refused(&["aborted_by_peer", "connection_closed"]);
    assert_eq!(station.instances().len(), 3);
    a_good_study_arrives_whole(&station);
    assert!(station.terminate().success());
}
