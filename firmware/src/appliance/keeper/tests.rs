//! The core by single steps, on a simulated and on a real disk.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dicom_core::{DataElement, Tag, VR};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use models::findings::{Fault, Findings, Outcome, Reason};
use models::mr::Evidence;
use models::pictures::Pictures;

use super::core::{Action, Core, Hands, Rules};
use super::life::archives;
use super::{Arrival, Message};
use crate::analysis::Answer;
use crate::appliance::{Absent, Appliance, Event, Parts};
use crate::dicom::Uid;
use crate::dicom::dataset::Counts;
use crate::disk::simulated::{Faults, SimulatedDisk};
use crate::disk::{Disk, RealDisk};
use crate::limits::LISTED_STUDIES;
use crate::outbox::Visit;
use crate::outbox::destination::Terms;
use crate::screen::Screen;
use crate::screen::situation::Verdict;
use crate::spool::{Spool, SpoolLimits};
use crate::station::audit::{AuditEvent, Deleted};
use crate::station::config::Config;
use crate::station::device::Transactions;
use crate::study::open::OpenStudies;
use crate::study::record::{Records, State, fingerprint};
use crate::study::retention::Retention;
use crate::study::{Stage, Waits};

const DAY: Duration = Duration::from_secs(86_400);

fn rules() -> Rules {
    Rules {
        waits: Waits {
            quiet: Duration::from_secs(30),
            patience: Duration::from_secs(300),
        },
        retention: Retention {
            age: Duration::from_secs(30 * 86_400),
            keep_free_bytes: 0,
            warn_free_bytes: 1 << 30,
        },
        destinations: vec![],
    }
}

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

struct Bench {
    disk: Arc<dyn Disk>,
    spool: Arc<Spool>,
    open: Arc<OpenStudies>,
    core: Core,
    /// What was written down as removed.
    removed: Removals,
}

type Removals = Arc<Mutex<Vec<(Uid, Option<String>)>>>;

impl Bench {
    fn start(disk: Arc<dyn Disk>, data_dir: &Path) -> Self {
        Self::delivering(disk, data_dir, vec![])
    }

    fn delivering(disk: Arc<dyn Disk>, data_dir: &Path, destinations: Vec<Terms>) -> Self {
        let limits = SpoolLimits {
            object_bytes: 1 << 20,
            free_bytes: 0,
        };
        let spool = Arc::new(Spool::open(Arc::clone(&disk), data_dir, limits).unwrap());
        let records = Arc::new(Records::open(Arc::clone(&disk), data_dir).unwrap());
        let open = Arc::new(OpenStudies::open(records, &spool).unwrap());
        let no_page = Box::new(|_: &_, _: &_| None);
        let removed = Removals::default();
        let book = Arc::clone(&removed);
        let witness = move |event| {
            if let AuditEvent::StudyDeleted(Deleted { study, patient_id }) = event {
                book.lock().unwrap().push((study, patient_id));
            }
        };
        let hands = Hands {
            draw: no_page,
            compose: Box::new(|_, _, _| Ok(archives::objects("1.2.3", "a result"))),
            witness: Box::new(witness),
            transactions: Transactions::of("test"),
        };
        let rules = Rules {
            destinations,
            ..rules()
        };
        let core = Core::new(Arc::clone(&spool), Arc::clone(&open), rules, hands);
        Self {
            disk,
            spool,
            open,
            core,
            removed,
        }
    }

    /// One image comes, and its association ends.
    fn receive(&mut self, study: &Uid, counts: Counts, now: Duration) {
        let series = uid(&format!("{study}.1"));
        let folder = self.spool.folder(study);
        self.disk.create_folder(&folder).unwrap();
        self.disk.create_folder(&folder.join(series.as_str())).unwrap();
        let sop = uid(&format!("{series}.1"));
        let path = folder.join(series.as_str()).join(format!("{sop}.dcm"));
        self.disk.create(&path).unwrap();
        self.open.mark(study).unwrap();
        let arrival = Arrival {
            association: 1,
            series,
            sop,
            counts,
        };
        let stored = Message::Stored {
            study: study.clone(),
            arrival,
            is_new: true,
        };
        self.core.take(stored, now);
        let ended = Message::Ended {
            association: 1,
            released: true,
        };
        self.core.take(ended, now);
    }

    /// All contrasts are there, so the analysis begins.
    fn begin(&mut self, study: &Uid, now: Duration) {
        let surveyed = Message::Surveyed {
            study: study.clone(),
            instances: 1,
            missing: Some(vec![]),
        };
        let actions = self.core.take(surveyed, now);
        assert!(actions.iter().any(|act| matches!(act, Action::Analyze { .. })));
    }

    fn answer(&mut self, study: &Uid, now: Duration) -> Vec<Action> {
        let analyzed = Message::Analyzed {
            study: study.clone(),
            outcome: Ok(Box::new(answer())),
            whose: None,
        };
        self.core.take(analyzed, now)
    }

    fn finish(&mut self, study: &Uid, now: Duration) {
        self.receive(study, Counts::default(), now);
        self.begin(study, now);
        self.answer(study, now);
    }

    /// Ticks until a walk of housekeeping that begins at `from` is over.
    fn keep_house(&mut self, from: Duration) {
        let mut now = from;
        for _ in 0..100 {
            self.core.tick(now);
            now = now.max(self.core.due());
        }
    }
}

fn answer() -> Answer {
    let findings = Findings {
        outcome: Outcome::Answered,
        ..Findings::blank("")
    };
    Answer {
        findings,
        pictures: Pictures::default(),
        evidence: Evidence::default(),
    }
}

/// Operations of the disk until a start is done, with so many finished studies on it.
fn operations_of_a_start(finished: usize) -> u64 {
    let disk = SimulatedDisk::new(Path::new("/data"));
    let mut bench = Bench::start(Arc::new(disk.clone()), Path::new("/data"));
    for number in 0..finished {
        bench.finish(&uid(&format!("1.{number}")), Duration::ZERO);
    }
    bench.receive(&uid("2.1"), Counts::default(), Duration::ZERO);
    assert_eq!(bench.core.unfinished(), 1, "finished studies leave the memory");
    disk.set_faults(Default::default());
    let again = Bench::start(Arc::new(disk.clone()), Path::new("/data"));
    assert_eq!(again.core.unfinished(), 1);
    disk.operations()
}

#[test]
fn a_start_looks_at_unfinished_studies_and_the_last_finished_ones_only() {
    assert_eq!(
        operations_of_a_start(LISTED_STUDIES),
        operations_of_a_start(200 + LISTED_STUDIES)
    );
}

/// What the screen lists of finished studies, and whether their age is known.
fn listed(bench: &Bench) -> Vec<(String, bool, Option<Verdict>)> {
    let views = bench.core.views();
    views
        .map(|view| (view.study.to_string(), view.since.is_some(), view.verdict))
        .collect()
}

#[test]
fn finished_studies_are_listed_after_a_start_without_an_age_and_not_after_their_removal() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(Arc::new(RealDisk), folder.path());
    for study in ["1.1", "1.2"] {
        bench.finish(&uid(study), Duration::ZERO);
    }
    let row = |study: &str, known| (study.to_owned(), known, Some(Verdict::NoTumour));
    assert_eq!(listed(&bench), [row("1.2", true), row("1.1", true)]);
    let draft = bench.open.records().draft(&uid("1.1"), 1);
    std::fs::write(&draft, b"cut off").unwrap();

    let mut again = Bench::start(Arc::new(RealDisk), folder.path());
    assert_eq!(listed(&again), [row("1.2", false), row("1.1", false)]);
    assert!(!draft.exists());
    again.finish(&uid("1.3"), Duration::ZERO);
    again.keep_house(29 * DAY);
    assert_eq!(
        listed(&again),
        [row("1.3", true), row("1.2", false), row("1.1", false)]
    );
    again.keep_house(32 * DAY);
    assert_eq!(listed(&again), []);
    std::fs::write(folder.path().join("studies/.last"), b"{").unwrap();
    assert_eq!(listed(&Bench::start(Arc::new(RealDisk), folder.path())), []);
}

#[test]
fn a_finished_study_goes_after_its_time_with_all_that_was_kept_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(Arc::new(RealDisk), folder.path());
    let study = uid("1.2.3");
    bench.finish(&study, Duration::ZERO);
    let (images, record) = (bench.spool.folder(&study), folder.path().join("studies/1.2.3"));
    bench.keep_house(29 * DAY);
    assert!(images.exists() && record.exists());
    bench.keep_house(31 * DAY);
    assert!(!images.exists() && !record.exists());
    for removed in ["spool/.removed", "studies/.removed"] {
        assert_eq!(std::fs::read_dir(folder.path().join(removed)).unwrap().count(), 0);
    }
}

/// A study of one image, in which its patient is named, analyzed long ago.
fn old_study(bench: &mut Bench, study: &Uid) {
    bench.finish(study, Duration::ZERO);
    let sop = format!("{study}.1.1");
    let path = bench.spool.folder(study).join(format!("{study}.1/{sop}.dcm"));
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.4")
        .media_storage_sop_instance_uid(&sop)
        .transfer_syntax("1.2.840.10008.1.2.1")
        .build()
        .unwrap();
    let patient = DataElement::new(Tag(0x0010, 0x0020), VR::LO, "P-7");
    let image = InMemDicomObject::from_element_iter([patient]).with_exact_meta(meta);
    let mut bytes = Vec::new();
    image.write_all(&mut bytes).unwrap();
    let mut file = bench.disk.create(&path).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync().unwrap();
    // As the spool leaves what it acknowledges.
    for folder in path.ancestors().skip(1).take(3) {
        bench.disk.sync_folder(folder).unwrap();
    }
}

#[test]
fn whenever_the_power_goes_a_removal_is_written_down_with_its_patient() {
    let study = uid("1.2.3");
    let mut cut_at = 1;
    loop {
        let disk = SimulatedDisk::new(Path::new("/data"));
        let mut bench = Bench::start(Arc::new(disk.clone()), Path::new("/data"));
        old_study(&mut bench, &study);
        disk.set_faults(Faults {
            cut_at: Some(cut_at),
            ..Faults::default()
        });
        bench.keep_house(31 * DAY);
        let uncut = !disk.is_off();
        let after = disk.after_cut(cut_at);
        let mut again = Bench::start(Arc::new(after), Path::new("/data"));
        again.keep_house(31 * DAY);
        again.keep_house(62 * DAY);
        let told = [&bench, &again].map(|bench| bench.removed.lock().unwrap().clone());
        let told = told.concat();
        assert!(!again.spool.holds(&study).unwrap(), "cut at {cut_at}: {told:?}");
        assert!(
            told.iter().all(|(removed, _)| *removed == study),
            "cut at {cut_at}: {told:?}"
        );
        // The ID is not known any more when the images went and nobody could write it down.
        let all = (1..=2).contains(&told.len());
        assert!(all, "cut at {cut_at}: {told:?}");
        if uncut {
            assert_eq!(told, [(study, Some("P-7".to_owned()))]);
            break;
        }
        cut_at += 1;
    }
    assert!(cut_at > 10, "{cut_at}");
}

#[test]
fn a_study_goes_in_time_although_the_running_time_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let study = uid("1.2.3");
    let mut bench = Bench::start(Arc::new(RealDisk), folder.path());
    bench.finish(&study, 1000 * DAY);
    std::fs::write(folder.path().join("studies/.running"), "no number").unwrap();
    let mut bench = Bench::start(Arc::new(RealDisk), folder.path());
    bench.keep_house(DAY);
    bench.keep_house(30 * DAY);
    assert!(bench.spool.folder(&study).exists(), "its age began again");
    bench.keep_house(32 * DAY);
    assert!(!bench.spool.folder(&study).exists());
}

/// Found by a life whose disk stayed full: a box without a steady supply must grow older, too, or nothing
/// ever goes.
#[test]
fn the_running_time_grows_although_the_power_goes_every_five_minutes() {
    let disk = SimulatedDisk::new(Path::new("/data"));
    for _ in 0..12 {
        let mut bench = Bench::start(Arc::new(disk.clone()), Path::new("/data"));
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(300) {
            bench.core.tick(now);
            now = bench.core.due();
        }
    }
    let records = Records::open(Arc::new(disk), Path::new("/data")).unwrap();
    assert!(records.running().unwrap() >= Duration::from_secs(12 * 240));
}

#[test]
fn what_is_not_analyzed_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(Arc::new(RealDisk), folder.path());
    let study = uid("1.2.3");
    bench.receive(&study, Counts::default(), Duration::ZERO);
    bench.begin(&study, Duration::ZERO);
    bench.keep_house(400 * DAY);
    assert!(bench.spool.folder(&study).exists());
}

#[test]
fn an_image_that_the_state_does_not_know_reopens_instead_of_being_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(Arc::new(RealDisk), folder.path());
    let study = uid("1.2.3");
    bench.finish(&study, Duration::ZERO);
    // Named in the moment before a power cut, and never acknowledged.
    std::fs::write(bench.spool.folder(&study).join("1.2.3.1/1.2.3.1.9.dcm"), b"").unwrap();
    bench.keep_house(31 * DAY);
    assert!(bench.spool.folder(&study).exists());
    assert_eq!(bench.core.unfinished(), 1);
}

#[test]
fn what_a_study_waits_for_is_shown_and_then_remarked_in_its_findings() {
    let disk = SimulatedDisk::new(Path::new("/data"));
    let mut bench = Bench::start(Arc::new(disk), Path::new("/data"));
    let study = uid("1.2.3");
    let counts = Counts {
        study_series: Some(6),
        ..Counts::default()
    };
    bench.receive(&study, counts, Duration::ZERO);
    assert_eq!(bench.core.views().next().unwrap().missing.series, Some((1, 6)));
    bench.core.tick(rules().waits.patience);
    let told = bench.answer(&study, rules().waits.patience);
    let remark = told.iter().find_map(|action| match action {
        Action::Tell(Event::Reported { findings, .. }) => findings.quality.first().cloned(),
        _ => None,
    });
    assert_eq!(remark.unwrap().code, "incomplete_study");
}

#[test]
fn little_space_is_warned_of_before_images_are_refused() {
    let disk = SimulatedDisk::new(Path::new("/data"));
    let mut bench = Bench::start(Arc::new(disk.clone()), Path::new("/data"));
    bench.keep_house(DAY);
    assert_eq!(bench.core.short_of_space(), None);
    disk.set_free_bytes((1 << 30) - 1);
    bench.keep_house(2 * DAY);
    assert_eq!(bench.core.short_of_space(), Some((1 << 30) - 1));
}

/// Prints how long a start takes with little and with much on the disk. Run it with
/// `cargo nextest run --release --workspace --run-ignored only --no-capture start_with_history`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 100,000 files"]
async fn start_with_history() {
    for (studies, marks) in [(1, true), (200, true), (200, false)] {
        let folder = tempfile::tempdir().unwrap();
        history(folder.path(), studies);
        if !marks {
            std::fs::remove_dir(folder.path().join("studies/.open")).unwrap();
        }
        let mut config = Config::default();
        config.station.bind = "127.0.0.1".parse().unwrap();
        config.station.port = 0;
        config.station.data_dir = folder.path().to_owned();
        for round in 0..3 {
            let nobody = Reason::new("none", Fault::Us, "no model here");
            let screen = Screen::start(
                config.screen_settings(),
                config.outlet(),
                config.inputs(),
                folder.path(),
                drop,
            );
            let parts = Parts::new(Arc::new(Absent(nobody.clone())), Err(nobody), screen.unwrap());
            let began = Instant::now();
            let appliance = Appliance::start(&config, parts).await.unwrap();
            let ready = began.elapsed();
            // The keeper reads this message when it has gone on with all studies.
            appliance.stop().await;
            let instances = studies * 500;
            let whole = began.elapsed();
            eprintln!(
                "{instances} instances, marks {marks}, start {round}: ready {ready:?}, with stop {whole:?}"
            );
        }
    }
}

/// Finished studies of 500 instances each.
fn history(data_dir: &Path, studies: usize) {
    drop(Bench::start(Arc::new(RealDisk), data_dir));
    let records = Records::open(Arc::new(RealDisk), data_dir).unwrap();
    for number in 0..studies {
        let (study, series) = (uid(&format!("1.{number}")), uid(&format!("1.{number}.1")));
        let folder = data_dir.join("spool").join(study.as_str()).join(series.as_str());
        std::fs::create_dir_all(&folder).unwrap();
        let all = (0..500).map(|n| (series.clone(), uid(&format!("{series}.{n}"))));
        let all: Vec<_> = all.collect();
        for (_, sop) in &all {
            std::fs::write(folder.join(format!("{sop}.dcm")), b"small").unwrap();
        }
        let state = State {
            stage: Stage::Reported,
            attempts: 1,
            instances: fingerprint(&all.into_iter().collect()),
            expected: Default::default(),
            finished_at_s: Some(0),
        };
        records.keep_state(&study, &state).unwrap();
    }
}

#[test]
fn what_is_superseded_is_not_on_its_way_any_more() {
    let disk = SimulatedDisk::new(Path::new("/data"));
    let mut bench = Bench::delivering(Arc::new(disk), Path::new("/data"), archives::terms());
    let study = uid("1.2.3");
    bench.receive(&study, Counts::default(), Duration::ZERO);
    bench.begin(&study, Duration::ZERO);
    let errands: Vec<_> = bench
        .answer(&study, Duration::ZERO)
        .into_iter()
        .filter_map(|action| match action {
            Action::Deliver(errand) => Some(errand),
            _ => None,
        })
        .collect();
    assert_eq!(errands.len(), 3, "one for each destination");
    for errand in errands {
        bench
            .core
            .take(nobody_there(&study, errand.destination), Duration::ZERO);
    }
    let delivers = |actions: Vec<Action>| actions.iter().any(|act| matches!(act, Action::Deliver(_)));
    let soon = Duration::from_secs(6);
    assert!(delivers(bench.core.tick(soon)), "it is tried again");
    bench.core.take(another_image(&study), soon);
    for terms in archives::terms() {
        assert!(!delivers(bench.core.take(nobody_there(&study, terms.name), soon)));
    }
    assert!(
        !delivers(bench.core.tick(10 * soon)),
        "there is nothing to say about it now"
    );
}

/// A courier who did not get in.
fn nobody_there(study: &Uid, destination: String) -> Message {
    Message::Visited(Box::new(Visit {
        study: study.clone(),
        destination,
        about: vec![],
        sent: vec![],
        commitment: None,
        trouble: Some(Reason::new("unreachable", Fault::Peer, "away")),
        warnings: vec![],
    }))
}

fn another_image(study: &Uid) -> Message {
    let series = uid(&format!("{study}.1"));
    Message::Stored {
        study: study.clone(),
        arrival: Arrival {
            association: 2,
            sop: uid(&format!("{series}.2")),
            series,
            counts: Counts::default(),
        },
        is_new: true,
    }
}
