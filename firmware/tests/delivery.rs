//! Findings on their way to systems that take them, refuse them, hang, break off, or are away.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::archive::{Archive, Mood, Promise};
use common::{Station, config, study};
use firmware::appliance::Event;
use firmware::dicom::Uid;
use firmware::dicom::dimse::Status;
use firmware::dicom::door::Patience;
use firmware::disk::RealDisk;
use firmware::outbox::delivery::{Delivery, Progress};
use firmware::station::config::Config;
use firmware::study::Stage;
use firmware::study::record::{Records, State};

const UID: &str = "1.2.3";
const SOON: f64 = 0.2;

/// Settings with these destinations.
fn settings(data_dir: &Path, destinations: &str) -> Config {
    let mut settings = config(data_dir, SOON);
    let parsed = Config::parse(destinations, Path::new("s.toml")).unwrap();
    settings.destination = parsed.destination;
    settings
}

fn records(station: &Station) -> Records {
    Records::open(Arc::new(RealDisk), &station.data_dir).unwrap()
}

fn state(station: &Station) -> State {
    records(station)
        .state(&Uid::parse(UID).unwrap())
        .unwrap()
        .unwrap()
}

fn delivery(station: &Station) -> Delivery {
    records(station)
        .delivery(&Uid::parse(UID).unwrap())
        .unwrap()
        .unwrap()
}

/// The SOP Instance UIDs about the study.
fn objects(station: &Station) -> Vec<String> {
    let listed = records(station).objects(&Uid::parse(UID).unwrap()).unwrap();
    let mut uids: Vec<_> = listed
        .iter()
        .map(|object| object.sop_instance.to_string())
        .collect();
    uids.sort();
    uids
}

fn progress(delivery: &Delivery, name: &str) -> Vec<Progress> {
    let consignments = delivery.consignments().iter();
    let found = consignments.filter(|one| one.destination == name);
    found
        .flat_map(|one| one.objects.iter().map(|object| object.progress))
        .collect()
}

async fn until_delivered(station: &mut Station) {
    station
        .until(|event| matches!(event, Event::Delivered { .. }).then_some(()))
        .await;
}

/// Waits for something that shows only on the disk.
async fn until(what: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + common::WAIT;
    while !what() {
        assert!(std::time::Instant::now() < deadline, "it never comes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everything came, once.
fn has_once(archive: &Archive, station: &Station) {
    let stored = archive.stored();
    assert_eq!(stored.keys().cloned().collect::<Vec<_>>(), objects(station));
    assert!(stored.values().all(|count| *count == 1), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_everywhere_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Archive::start(Mood::Takes, Promise::NotOffered);
    let promising = Archive::start(Mood::Takes, Promise::AtOnce);
    let picky = Archive::start(Mood::Takes, Promise::AtOnce);
    let tables = [
        plain.table("PLAIN"),
        promising.table("PROMISING"),
        picky.table("PICKY") + "send = [\"capture\"]\ncommitment = \"never\"\n",
    ];
    let data_dir = folder.path().join("data");
    let mut station = Station::start(&settings(&data_dir, &tables.concat())).await;
    station.send(&study(folder.path(), UID, 3)).await.unwrap();
    until_delivered(&mut station).await;
    has_once(&plain, &station);
    has_once(&promising, &station);
    assert_eq!(picky.stored().len(), 1);
    assert_eq!(state(&station).stage, Stage::Delivered);
    let delivery = delivery(&station);
    assert_eq!(progress(&delivery, "PLAIN"), [Progress::Stored; 2]);
    assert_eq!(progress(&delivery, "PROMISING"), [Progress::Committed; 2]);
    assert_eq!(progress(&delivery, "PICKY"), [Progress::Stored]);
    // The bytes are those on the disk.
    let listed = records(&station).objects(&Uid::parse(UID).unwrap()).unwrap();
    for object in listed {
        let file = records(&station)
            .folder(&Uid::parse(UID).unwrap())
            .join(object.kind.file_name());
        assert_eq!(plain.bytes(object.sop_instance.as_str()), common::data_set(&file));
    }
    let trail = std::fs::read_to_string(data_dir.join("audit/000000000001.jsonl")).unwrap();
    let mut exports = trail
        .lines()
        .filter(|line| line.contains("Instances Transferred"));
    assert!(
        exports.any(|line| line.contains("PROMISING") && line.contains("ParticipantObjectName>1.2.3<")),
        "{trail}"
    );
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_stored_is_not_delivered_until_the_report_comes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(Mood::Takes, Promise::Later);
    let mut settings = settings(&folder.path().join("data"), &archive.table("PACS"));
    settings.station.open = false;
    settings.peer = common::peers("[[peer]]\nae_title = \"TEST\"\n");
    let mut station = Station::start(&settings).await;
    station.send(&study(folder.path(), UID, 3)).await.unwrap();
    let until_asked = || archive.until_asked(1);
    tokio::task::block_in_place(until_asked);
    until(|| progress(&delivery(&station), "PACS") == [Progress::Stored; 2]).await;
    assert_eq!(state(&station).stage, Stage::Reported);
    let address = station.appliance.address();
    let report =
        |title: &'static str, roles| tokio::task::block_in_place(|| archive.report(address, title, roles));
    // Somebody else says it.
    assert_eq!(report("OTHER", true), None);
    assert_eq!(report("TEST", true), None);
    assert_eq!(state(&station).stage, Stage::Reported);
    // Some say it without the role that it takes.
    assert_eq!(report("PACS", false), Some(Status::SUCCESS));
    until_delivered(&mut station).await;
    assert_eq!(progress(&delivery(&station), "PACS"), [Progress::Committed; 2]);
    // Once more, about nothing.
    assert_eq!(report("PACS", true), Some(Status::SUCCESS));
    has_once(&archive, &station);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_at_one_destination_is_no_trouble_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let full = Archive::start(Mood::Refuses(0xA700, "Disk full"), Promise::NotOffered);
    let hanging = Archive::start(Mood::Hangs, Promise::NotOffered);
    let dropping = Archive::start(Mood::Drops, Promise::NotOffered);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = nobody.local_addr().unwrap().port();
    drop(nobody);
    let good = Archive::start(Mood::Takes, Promise::AtOnce);
    let tables = [
        full.table("FULL"),
        hanging.table("HANGING"),
        dropping.table("DROPPING"),
        format!("[[destination]]\nae_title = \"AWAY\"\nhost = \"127.0.0.1\"\nport = {away}\n"),
        good.table("GOOD"),
    ];
    let patience = Patience {
        answer: Duration::from_secs(1),
        ..Patience::default()
    };
    let settings = settings(&folder.path().join("data"), &tables.concat());
    let mut station = Station::start_with(&settings, patience).await;
    station.send(&study(folder.path(), UID, 3)).await.unwrap();
    station.until_reported().await;
    until(|| progress(&delivery(&station), "GOOD") == [Progress::Committed; 2]).await;
    until(|| full.associations() + hanging.associations() + dropping.associations() >= 6).await;
    assert_eq!(state(&station).stage, Stage::Reported);
    let told = delivery(&station);
    for name in ["FULL", "HANGING", "DROPPING", "AWAY"] {
        assert_eq!(progress(&told, name), [Progress::Waiting; 2], "{name}");
    }
    let text = serde_json::to_string(&told).unwrap();
    assert!(
        text.contains("status A700, out of resources: Disk full"),
        "{text}"
    );
    // All come to their senses.
    for archive in [&full, &hanging, &dropping] {
        archive.mood(Mood::Takes);
    }
    let listener = TcpListener::bind(("127.0.0.1", away)).unwrap();
    let back = Archive::listen(listener, Mood::Takes, Promise::NotOffered);
    until_delivered(&mut station).await;
    for archive in [&full, &hanging, &dropping, &back, &good] {
        has_once(archive, &station);
    }
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_loses_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(Mood::Takes, Promise::Loses);
    let station = Station::start(&settings(&folder.path().join("data"), &archive.table("PACS"))).await;
    station.send(&study(folder.path(), UID, 3)).await.unwrap();
    tokio::task::block_in_place(|| archive.until_asked(1));
    let lost = || {
        let text = serde_json::to_string(&delivery(&station)).unwrap_or_default();
        text.contains("failure reason 0112")
    };
    until(lost).await;
    assert_eq!(progress(&delivery(&station), "PACS"), [Progress::Waiting; 2]);
    assert_eq!(state(&station).stage, Stage::Reported);
    // It is tried again after a minute; after a restart at once.
    archive.promise(Promise::AtOnce);
    station.appliance.stop().await;
    let mut station = Station::start(&settings(&folder.path().join("data"), &archive.table("PACS"))).await;
    until_delivered(&mut station).await;
    assert!(archive.stored().values().all(|count| *count == 2));
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_what_was_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(Mood::Refuses(0xA700, ""), Promise::NotOffered);
    let settings = settings(&folder.path().join("data"), &archive.table("PACS"));
    let mut station = Station::start(&settings).await;
    station.send(&study(folder.path(), UID, 3)).await.unwrap();
    station.until_reported().await;
    until(|| archive.associations() > 0).await;
    station.appliance.stop().await;
    archive.mood(Mood::Takes);
    let mut station = Station::start(&settings).await;
    until_delivered(&mut station).await;
    has_once(&archive, &station);
    let visits = archive.associations();
    station.appliance.stop().await;
    // What is delivered stays so.
    let station = Station::start(&settings).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(archive.associations(), visits);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn superseded_findings_that_were_not_delivered_are_not_sent_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(Mood::Refuses(0xA700, ""), Promise::NotOffered);
    let mut station = Station::start(&settings(&folder.path().join("data"), &archive.table("PACS"))).await;
    let images = study(folder.path(), UID, 4);
    station.send(&images[..3]).await.unwrap();
    station.until_reported().await;
    let first = objects(&station);
    station.send(&images).await.unwrap();
    station.until_reported().await;
    assert_ne!(objects(&station), first);
    archive.mood(Mood::Takes);
    until_delivered(&mut station).await;
    has_once(&archive, &station);
    let aside = station
        .data_dir
        .join("studies")
        .join(UID)
        .join("superseded-1/delivery.json");
    assert!(aside.exists(), "how far it was is kept");
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_analysis_is_delivered_too_and_a_destination_that_is_gone_got_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(Mood::Takes, Promise::AtOnce);
    let away = "[[destination]]\nae_title = \"AWAY\"\nhost = \"127.0.0.1\"\nport = 9\n";
    let data_dir = folder.path().join("data");
    let mut station = Station::start(&settings(&data_dir, &(archive.table("PACS") + away))).await;
    station
        .script
        .crash
        .store(true, std::sync::atomic::Ordering::SeqCst);
    station.send(&study(folder.path(), UID, 3)).await.unwrap();
    let failed = |event: &Event| matches!(event, Event::Failed { .. }).then_some(());
    station.until(failed).await;
    until(|| progress(&delivery(&station), "PACS") == [Progress::Committed; 2]).await;
    has_once(&archive, &station);
    assert!(matches!(state(&station).stage, Stage::Failed(_)));
    let marked = || records(&station).marked().unwrap().unwrap();
    assert_eq!(marked().len(), 1, "somebody still waits for it");
    station.appliance.stop().await;
    // Nobody waits any more, and nobody says that it was delivered there.
    let station = Station::start(&settings(&data_dir, &archive.table("PACS"))).await;
    until(|| records(&station).marked().unwrap().unwrap().is_empty()).await;
    assert_eq!(progress(&delivery(&station), "AWAY"), [Progress::Waiting; 2]);
    assert!(matches!(state(&station).stage, Stage::Failed(_)));
    station.appliance.stop().await;
}
