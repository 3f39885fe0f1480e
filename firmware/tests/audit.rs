//! What the audit trail says about a day at the door.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Station, User, config, peers, study};
use dicom_ul::pdu::{PDataValueType, Pdu};
use firmware::appliance::Event;
use firmware::station::audit::trail::verify;

/// The messages of a trail, in order.
fn messages(data_dir: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(data_dir.join("audit/000000000001.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["message"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_strangers_start_and_stop_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let images = study(folder.path(), "1.2.3", 3);
    let mut settings = config(&data_dir, 600.0);
    settings.station.open = false;
    settings.peer = peers("[[peer]]\nae_title = \"TEST\"\n");
    let mut station = Station::start(&settings).await;
    station.send(&images).await.unwrap();
    let stranger = firmware::dicom::user::Node {
        ae_title: "SIALOSCOPE".into(),
        address: station.appliance.address().to_string(),
    };
    let rejected =
        tokio::task::spawn_blocking(move || firmware::dicom::user::echo(&stranger, "STRANGER")).await;
    rejected.unwrap().unwrap_err();
    station.until_refused().await;
    station.appliance.stop().await;

    let messages = messages(&data_dir);
    let has = |message: &str, parts: &[&str]| {
        for part in parts {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    };
    assert_eq!(messages.len(), 5, "{messages:#?}");
    has(&messages[0], &["110100", "110120"]);
    has(&messages[1], &["110102", "\"1.2.3\"", "NumberOfInstances=\"1\""]);
    // Release and rejection may come in either order.
    let (transferred, alert) = if messages[2].contains("110104") {
        (&messages[2], &messages[3])
    } else {
        (&messages[3], &messages[2])
    };
    has(
        transferred,
        &[
            "110104",
            "EventOutcomeIndicator=\"0\"",
            "AETITLES=TEST",
            "NumberOfInstances=\"3\"",
            "127.0.0.1",
        ],
    );
    has(alert, &["110113", "unknown_caller", "STRANGER"]);
    has(&messages[4], &["110100", "110121"]);
    assert_eq!(verify(&data_dir).unwrap(), Ok(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_breaks_off_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut station = Station::start(&config(&data_dir, 600.0)).await;
    let address = station.appliance.address();
    tokio::task::spawn_blocking(move || {
        let mut user = User::associate(address);
        let ids = common::Ids {
            study: "1.2.3",
            series: "1.2.3.1",
            sop: "1.2.3.1.1",
        };
        user.store(ids.sop, common::explicit(&common::object(ids, 1)));
        user.value(PDataValueType::Command, vec![0; 10], false);
        user.0.send(&Pdu::ReleaseRQ).unwrap();
    })
    .await
    .unwrap();
    station
        .until(|event| matches!(event, Event::Refused(_)).then_some(()))
        .await;
    station.appliance.stop().await;
    let messages = messages(&data_dir);
    let transferred = messages.iter().find(|m| m.contains("110104")).unwrap();
    assert!(
        transferred.contains("EventOutcomeIndicator=\"4\""),
        "{transferred}"
    );
}
