#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use super::trail::{Finding, Record, verify};
use super::*;
use crate::limits::AUDIT_FILES;

fn transfer() -> Transfer {
    Transfer {
        from: Source {
            ae_title: "MR1 <&\">".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 10).into(),
        },
        study: Uid::parse("1.2.3").unwrap(),
        patient_id: "P-1".to_owned(),
        instances: [("1.2.840.10008.5.1.4.1.1.4".to_owned(), 144)].into(),
        released: true,
    }
}

fn alert(address: &str) -> AuditEvent {
    AuditEvent::Alert(Alert {
        address: address.to_owned(),
        ae_title: None,
        code: "unknown_caller".to_owned(),
        text: "it is not listed as a peer".to_owned(),
        unwritten: 0,
    })
}

fn records(data_dir: &Path) -> Vec<Record> {
    let mut files: Vec<_> = fs::read_dir(data_dir.join("audit"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .flat_map(|path| {
            fs::read_to_string(path)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

/// The one file of a short trail.
fn file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("audit/000000000001.jsonl")
}

fn export() -> Export {
    Export {
        to: "PACS".to_owned(),
        host: "pacs.example.org".to_owned(),
        study: Uid::parse("1.2.3").unwrap(),
        patient_id: "P-1".to_owned(),
        instances: BTreeMap::from([("1.2.840.10008.5.1.4.1.1.88.34".to_owned(), 1)]),
        complete: true,
    }
}

#[test]
fn messages_are_those_of_the_standard() {
    let now = "2026-11-22T10:00:00Z";
    for (name, event) in [
        ("started", AuditEvent::Started),
        ("transferred", AuditEvent::Transferred(transfer())),
        (
            "broken_off",
            AuditEvent::Transferred(Transfer {
                released: false,
                ..transfer()
            }),
        ),
        ("exported", AuditEvent::Exported(export())),
        (
            "deleted",
            AuditEvent::StudyDeleted(Deleted {
                study: Uid::parse("1.2.3").unwrap(),
                patient_id: Some("P-1 <&>".to_owned()),
            }),
        ),
        ("alert", alert("192.0.2.66")),
    ] {
        let xml = message::xml(&event, "SIALOSCOPE", "box", now);
        let process = format!("UserID=\"{}\"", std::process::id());
        // One line on disk and in syslog; broken up to be read here.
        let shown = xml.replace(&process, "UserID=\"PROCESS\"").replace("><", ">\n<");
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn a_trail_goes_on_after_a_restart_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let audit = Audit::open(folder.path(), "SIALOSCOPE").unwrap();
        audit.record(&AuditEvent::Started);
        audit.record(&AuditEvent::Transferred(transfer()));
    }
    assert_eq!(verify(folder.path()).unwrap(), Ok(6));
    let numbers: Vec<_> = records(folder.path()).iter().map(|r| r.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn whatever_is_changed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), "SIALOSCOPE").unwrap();
    for _ in 0..4 {
        audit.record(&AuditEvent::Transferred(transfer()));
    }
    drop(audit);
    let good = fs::read_to_string(file(folder.path())).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let forged: [(&str, String, u64); 5] = [
        ("changed", good.replacen("P-1", "P-2", 1), 0),
        ("removed", [lines[0], lines[2], lines[3]].concat(), 1),
        ("swapped", [lines[0], lines[2], lines[1], lines[3]].concat(), 1),
        ("inserted", [lines[0], lines[0], lines[1]].concat(), 1),
        ("not ours", [lines[0], "{}\n"].concat(), 1),
    ];
    for (how, text, after) in forged {
        fs::write(file(folder.path()), &text).unwrap();
        let found = verify(folder.path()).unwrap().unwrap_err();
        assert!(
            matches!(found, Finding::Broken { after: a, .. } if a == after),
            "{how}: {found:?}"
        );
    }
    // A start says so, in a file of its own, and leaves the forged one for those who look into it.
    let before = fs::read_to_string(file(folder.path())).unwrap();
    Audit::open(folder.path(), "SIALOSCOPE").unwrap();
    assert_eq!(fs::read_to_string(file(folder.path())).unwrap(), before);
    let newest = fs::read_dir(folder.path().join("audit"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .max();
    assert!(newest.is_some());
    assert!(
        fs::read_dir(folder.path().join("audit"))
            .unwrap()
            .any(|e| fs::read_to_string(e.unwrap().path()).is_ok_and(|text| text.contains("audit_broken")))
    );
}

#[test]
fn a_line_that_a_power_cut_left_is_cut_off_and_told() {
    let folder = tempfile::tempdir().unwrap();
    Audit::open(folder.path(), "SIALOSCOPE")
        .unwrap()
        .record(&AuditEvent::Started);
    let whole = fs::read(file(folder.path())).unwrap();
    fs::write(file(folder.path()), [&whole[..], &whole[..40]].concat()).unwrap();
    assert_eq!(
        verify(folder.path()).unwrap(),
        Err(Finding::Unfinished { after: 1 })
    );
    Audit::open(folder.path(), "SIALOSCOPE").unwrap();
    assert_eq!(verify(folder.path()).unwrap(), Ok(2));
    assert!(records(folder.path())[1].message.contains("audit_unfinished"));
}

#[test]
fn files_are_turned_over_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (mut trail, _) = Trail::open(folder.path()).unwrap();
    let long = "x".repeat(crate::limits::AUDIT_FILE_BYTES as usize / 2);
    for _ in 0..2 * (AUDIT_FILES + 2) {
        trail.append("2026-11-22T10:00:00Z", &long).unwrap();
    }
    let files = fs::read_dir(folder.path().join("audit")).unwrap().count();
    assert_eq!(files, AUDIT_FILES + 1, "and the key");
    assert!(verify(folder.path()).unwrap().is_ok());
}

#[test]
fn a_flood_of_alerts_is_counted_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), "SIALOSCOPE").unwrap();
    for _ in 0..1000 {
        audit.record(&alert("192.0.2.66"));
    }
    audit.record(&alert("192.0.2.67"));
    assert_eq!(records(folder.path()).len(), AUDIT_ALERTS as usize + 1);
    for address in 0..10 * AUDIT_ALERT_PEERS {
        audit.record(&alert(&format!("2001:db8::{address:x}")));
    }
    assert!(records(folder.path()).len() < AUDIT_ALERT_PEERS + 2 * AUDIT_ALERTS as usize + 1);
}
