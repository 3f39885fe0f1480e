//! From images to findings: completion, late images, restarts, analyses that fail.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Station, config, files, study};
use dicom_dictionary_std::tags;
use dicom_object::open_file;
use firmware::appliance::Event;
use firmware::dicom::Uid;
use firmware::disk::RealDisk;
use firmware::station::config::Display;
use firmware::study::Stage;
use firmware::study::evidence::Expected;
use firmware::study::record::{Records, State, fingerprint};
use models::findings::{Findings, Outcome};
use models::pictures::Pictures;

const UID: &str = "1.2.3";
const SOON: f64 = 0.3;
const NEVER: f64 = 600.0;

fn state(data_dir: &Path) -> State {
    Records::open(Arc::new(RealDisk), data_dir)
        .unwrap()
        .state(&Uid::parse(UID).unwrap())
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_time_completes_a_study() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder.path().join("data"), SOON);
    config.screen.display = Display::Png;
    let mut station = Station::start(&config).await;
    station.send(&study(folder.path(), UID, 5)).await.unwrap();
    let results = station.until_reported().await;
    assert_eq!(station.script.images_seen.load(Ordering::SeqCst), 5);
    let findings: Findings =
        serde_json::from_slice(&fs::read(results.join("findings.json")).unwrap()).unwrap();
    assert_eq!(findings.outcome, Outcome::Answered);
    assert_eq!(&fs::read(results.join("screen.png")).unwrap()[1..4], b"PNG");
    let pictures: Pictures =
        serde_json::from_slice(&fs::read(results.join("pictures.json")).unwrap()).unwrap();
    assert_eq!(pictures, Pictures::default(), "what the analyst gave");
    assert_eq!(
        &fs::read(station.data_dir.join("screen.png")).unwrap()[1..4],
        b"PNG"
    );
    assert_eq!(state(&station.data_dir).stage, Stage::Reported);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_contrasts_complete_a_released_study_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), NEVER)).await;
    station.script.all_contrasts.store(true, Ordering::SeqCst);
    station.send(&study(folder.path(), UID, 5)).await.unwrap();
    station.until_reported().await;
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_image_reopens_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), SOON)).await;
    let images = study(folder.path(), UID, 6);
    station.send(&images[..5]).await.unwrap();
    let results = station.until_reported().await;
    let earlier = uid_of(&results.join("sr.dcm"));
    station.send(&images).await.unwrap();
    station.until_reported().await;
    assert_eq!(station.script.images_seen.load(Ordering::SeqCst), 6);
    assert_eq!(station.script.calls.load(Ordering::SeqCst), 2);
    assert!(
        results.join("superseded-1/findings.json").exists(),
        "nothing is deleted"
    );
    assert_eq!(uid_of(&results.join("superseded-1/sr.dcm")), earlier);
    assert_ne!(uid_of(&results.join("sr.dcm")), earlier);
    let report = open_file(results.join("sr.dcm")).unwrap();
    let before = &report
        .element(tags::PREDECESSOR_DOCUMENTS_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    let series = &before
        .element(tags::REFERENCED_SERIES_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    let named = &series
        .element(tags::REFERENCED_SOP_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    let named = named.element(tags::REFERENCED_SOP_INSTANCE_UID).unwrap();
    assert_eq!(named.to_str().unwrap(), earlier);
    station.appliance.stop().await;
}

fn uid_of(object: &Path) -> String {
    open_file(object)
        .unwrap()
        .meta()
        .media_storage_sop_instance_uid()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_during_the_analysis_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), SOON)).await;
    *station.script.take.lock().unwrap() = Duration::from_millis(700);
    let images = study(folder.path(), UID, 6);
    station.send(&images[..5]).await.unwrap();
    station
        .until(|event| matches!(event, Event::Analyzing { .. }).then_some(()))
        .await;
    station.send(&images[5..]).await.unwrap();
    station.until_reported().await;
    assert_eq!(
        station.script.calls.load(Ordering::SeqCst),
        2,
        "the first answer was about five images"
    );
    assert_eq!(station.script.images_seen.load(Ordering::SeqCst), 6);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_that_keeps_crashing_ends_in_a_reason_and_the_intake_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), SOON)).await;
    station.script.crash.store(true, Ordering::SeqCst);
    let images = study(folder.path(), UID, 3);
    station.send(&images[..2]).await.unwrap();
    let reason = station.until(|event| match event {
        Event::Failed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await.fault, common::OURS);
    assert_eq!(station.script.calls.load(Ordering::SeqCst), 3);
    let results = station.data_dir.join("studies").join(UID);
    let findings: Findings =
        serde_json::from_slice(&fs::read(results.join("findings.json")).unwrap()).unwrap();
    assert_eq!(
        (findings.outcome, findings.reasons[0].code.as_str()),
        (Outcome::CannotAnswer, "internal")
    );
    // Its report says so, since the headers still say whose it is.
    let report = open_file(results.join("sr.dcm")).unwrap();
    assert_eq!(report.element(tags::PATIENT_ID).unwrap().to_str().unwrap(), "P1");
    assert!(results.join("sc.dcm").exists() && !results.join("seg.dcm").exists());
    station.script.crash.store(false, Ordering::SeqCst);
    station.send(&images[2..]).await.unwrap();
    station.until_reported().await;
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let images = study(folder.path(), UID, 4);
    let station = Station::start(&config(&data_dir, NEVER)).await;
    station.send(&images).await.unwrap();
    station.appliance.stop().await;
    assert_eq!(state(&data_dir).stage, Stage::Receiving);
    fs::write(data_dir.join("spool/.incoming/7.part"), b"never acknowledged").unwrap();

    // Receiving: quiet time runs anew.
    let mut station = Station::start(&config(&data_dir, SOON)).await;
    assert!(!data_dir.join("spool/.incoming/7.part").exists());
    station.until_reported().await;
    station.appliance.stop().await;

    // Reported: nothing to do.
    let station = Station::start(&config(&data_dir, SOON)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(station.script.calls.load(Ordering::SeqCst), 0);
    station.appliance.stop().await;

    // Cut during the analysis: it is done again.
    let uids = (1..=4)
        .map(|n| {
            (
                Uid::parse("1.2.3.1").unwrap(),
                Uid::parse(&format!("1.2.3.1.{n}")).unwrap(),
            )
        })
        .collect();
    let cut = State {
        stage: Stage::Analyzing,
        attempts: 1,
        instances: fingerprint(&uids),
        expected: Expected::default(),
        finished_at_s: None,
    };
    Records::open(Arc::new(RealDisk), &data_dir)
        .unwrap()
        .mark(&Uid::parse(UID).unwrap())
        .unwrap();
    Records::open(Arc::new(RealDisk), &data_dir)
        .unwrap()
        .keep_state(&Uid::parse(UID).unwrap(), &cut)
        .unwrap();
    let mut station = Station::start(&config(&data_dir, NEVER)).await;
    station.until_reported().await;
    station.appliance.stop().await;

    // Acknowledged in the last moment, unknown to the state: the study is reopened.
    let seventh = common::Ids {
        study: UID,
        series: "1.2.3.1",
        sop: "1.2.3.1.7",
    };
    fs::write(data_dir.join("studies/.open/1.2.3"), b"").unwrap();
    let image = common::file(
        folder.path(),
        seventh,
        7,
        dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN,
    );
    fs::copy(image, data_dir.join("spool/1.2.3/1.2.3.1/1.2.3.1.7.dcm")).unwrap();
    let mut station = Station::start(&config(&data_dir, SOON)).await;
    station.until_reported().await;
    assert_eq!(station.script.images_seen.load(Ordering::SeqCst), 5);
    assert!(data_dir.join("studies/1.2.3/superseded-1").exists());
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_a_start_gives_up_has_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut station = Station::start(&config(&data_dir, SOON)).await;
    station.send(&study(folder.path(), UID, 2)).await.unwrap();
    let results = station.until_reported().await;
    station.appliance.stop().await;
    // Cut during the last analysis that it may have.
    let records = Records::open(Arc::new(RealDisk), &data_dir).unwrap();
    let study = Uid::parse(UID).unwrap();
    let cut = State {
        stage: Stage::Analyzing,
        attempts: firmware::limits::MAX_ATTEMPTS,
        finished_at_s: None,
        ..state(&data_dir)
    };
    records.mark(&study).unwrap();
    records.keep_state(&study, &cut).unwrap();
    for name in ["sr.dcm", "sc.dcm", "objects.json", "findings.json"] {
        fs::remove_file(results.join(name)).unwrap();
    }
    let mut station = Station::start(&config(&data_dir, SOON)).await;
    station
        .until(|event| matches!(event, Event::Failed { .. }).then_some(()))
        .await;
    let report = open_file(results.join("sr.dcm")).unwrap();
    assert_eq!(report.element(tags::PATIENT_ID).unwrap().to_str().unwrap(), "P1");
    let settled = || records.marked().unwrap().unwrap().is_empty();
    while !settled() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(state(&data_dir).stage, Stage::Failed(_)));
    assert_eq!(station.script.calls.load(Ordering::SeqCst), 0);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_file_that_cannot_be_read_loses_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut station = Station::start(&config(&data_dir, SOON)).await;
    station.send(&study(folder.path(), UID, 2)).await.unwrap();
    station.until_reported().await;
    station.appliance.stop().await;
    fs::write(data_dir.join("studies/1.2.3/state.json"), b"{").unwrap();
    fs::write(data_dir.join("studies/.open/1.2.3"), b"").unwrap();
    let mut station = Station::start(&config(&data_dir, SOON)).await;
    station.until_reported().await;
    assert_eq!(station.script.images_seen.load(Ordering::SeqCst), 2);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_belongs_to_one_appliance() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), SOON)).await;
    assert_eq!(
        fs::read_to_string(folder.path().join("port")).unwrap().trim(),
        station.appliance.address().port().to_string()
    );
    let parts = firmware::appliance::Parts::new(
        station.script.clone(),
        Err(models::findings::Reason::new("none", common::OURS, "none")),
        common::screen(&config(folder.path(), SOON)),
    );
    let second = firmware::appliance::Appliance::start(&config(folder.path(), SOON), parts).await;
    assert_eq!(second.err().unwrap().code, "data_dir_in_use");
    station.appliance.stop().await;
    assert!(!files(folder.path()).is_empty());
}
