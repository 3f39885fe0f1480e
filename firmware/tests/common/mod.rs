//! A small appliance with a scripted analyst, small DICOM objects, and a user that can be rude.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    reason = "shared by several test crates"
)]

pub mod archive;
pub mod caller;

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_ul::association::{ClientAssociation, ClientAssociationOptions};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use firmware::analysis::{Answer, Whose};
use firmware::appliance::{Analyst, Answering, Appliance, Event, Parts};
use firmware::dicom::dimse::{Command, Status};
use firmware::dicom::door::Patience;
use firmware::dicom::send::{Sent, send};
use firmware::dicom::user::Node;
use firmware::screen::Screen;
use firmware::station::config::{Config, Display, Peer};
use models::findings::{Fault, Findings, ModelIdentity, Outcome, Reason, StudyIdentity};
use models::mr::{Attribute, Contrast, Evidence};
use models::pictures::Pictures;
use tokio::sync::broadcast::Receiver;

pub const WAIT: Duration = Duration::from_secs(20);

/// An analyst who counts, and does as told.
#[derive(Default)]
pub struct Script {
    pub calls: AtomicUsize,
    pub images_seen: AtomicUsize,
    pub all_contrasts: AtomicBool,
    pub crash: AtomicBool,
    pub take: std::sync::Mutex<Duration>,
}

impl Analyst for Script {
    fn analyze<'a>(
        &'a self,
        folder: &'a Path,
        _: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Answering<'a, Result<Answer, Reason>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.images_seen.store(files(folder).len(), Ordering::SeqCst);
            let take = *self.take.lock().unwrap();
            tokio::time::sleep(take).await;
            assert!(!self.crash.load(Ordering::SeqCst), "as told");
            Ok(Answer {
                findings: findings(),
                pictures: Pictures::default(),
                evidence: evidence(),
            })
        })
    }

    fn identify<'a>(&'a self, _: &'a Path) -> Answering<'a, Option<Whose>> {
        let identity = StudyIdentity {
            patient_id: "P1".to_owned(),
            ..StudyIdentity::default()
        };
        Box::pin(std::future::ready(Some((identity, evidence()))))
    }

    fn missing_contrasts<'a>(&'a self, _: &'a Path) -> Answering<'a, Option<Vec<Contrast>>> {
        let all_there = self.all_contrasts.load(Ordering::SeqCst);
        let missing = if all_there { vec![] } else { vec![Contrast::T2] };
        Box::pin(std::future::ready(Some(missing)))
    }
}

fn findings() -> Findings {
    let study = StudyIdentity {
        study_instance_uid: "1.2.3".to_owned(),
        ..StudyIdentity::default()
    };
    Findings {
        outcome: Outcome::Answered,
        study,
        ..Findings::blank("0")
    }
}

/// What images say of their patient.
fn evidence() -> Evidence {
    let patient_id = Attribute {
        tag: (0x0010, 0x0020),
        value: b"P1".to_vec(),
    };
    Evidence {
        attributes: vec![patient_id],
        ..Evidence::default()
    }
}

/// The `[[peer]]` tables of a settings file.
pub fn peers(text: &str) -> Vec<Peer> {
    Config::parse(text, Path::new("s.toml")).unwrap().peer
}

/// An appliance on loopback.
pub struct Station {
    pub appliance: Appliance,
    pub script: Arc<Script>,
    pub events: Receiver<Event>,
    pub data_dir: PathBuf,
}

pub fn config(data_dir: &Path, quiet_seconds: f64) -> Config {
    let mut config = Config::default();
    config.station.bind = "127.0.0.1".parse().unwrap();
    config.station.port = 0;
    config.station.open = true;
    config.station.data_dir = data_dir.to_owned();
    config.study.quiet_seconds = quiet_seconds;
    config.limits.free_mib = 1;
    config.screen.display = Display::None;
    config.screen.touch = false;
    config
}

/// The screen that the settings name.
pub fn screen(config: &Config) -> Screen {
    fs::create_dir_all(&config.station.data_dir).unwrap();
    let inputs = Default::default();
    Screen::start(
        config.screen_settings(),
        config.outlet(),
        inputs,
        &config.station.data_dir,
        drop,
    )
    .unwrap()
}

impl Station {
    pub async fn start(config: &Config) -> Self {
        Self::start_with(config, Patience::default()).await
    }

    pub async fn start_with(config: &Config, patience: Patience) -> Self {
        let script = Arc::new(Script::default());
        let model = ModelIdentity {
            name: "test".into(),
            version: "0.0.0".into(),
            sha256: String::new(),
            trained_on: "nothing".into(),
        };
        let data_dir = config.station.data_dir.clone();
        let mut parts = Parts::new(script.clone(), Ok(model), screen(config));
        parts.patience = patience;
        let events = parts.events.subscribe();
        let appliance = Appliance::start(config, parts).await.unwrap();
        Self {
            appliance,
            script,
            events,
            data_dir,
        }
    }

    pub fn node(&self) -> Node {
        Node {
            ae_title: "SIALOSCOPE".into(),
            address: self.appliance.address().to_string(),
        }
    }

    pub async fn send(&self, files: &[PathBuf]) -> Result<Vec<Sent>, Reason> {
        let (files, node) = (files.to_vec(), self.node());
        let sending = move || {
            let mut sent = Vec::new();
            send(&files, &node, "TEST", |one| sent.push(one)).map(|()| sent)
        };
        tokio::task::spawn_blocking(sending).await.unwrap()
    }

    /// Whether each file is acknowledged.
    pub async fn stores_all(&self, files: &[PathBuf]) -> bool {
        let sent = self.send(files).await.unwrap();
        sent.len() == files.len() && sent.iter().all(Sent::is_stored)
    }

    /// Waits for an event.
    pub async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = wanted(&self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(WAIT, search)
            .await
            .expect("the event comes in time")
    }

    pub async fn until_refused(&mut self) -> Reason {
        self.until(|event| match event {
            Event::Refused(refusal) => Some(refusal.reason.clone()),
            _ => None,
        })
        .await
    }

    pub async fn until_reported(&mut self) -> PathBuf {
        self.until(|event| match event {
            Event::Reported { folder, .. } => Some(folder.clone()),
            _ => None,
        })
        .await
    }

    /// A rude user on a blocking thread, who releases the association if there still is one.
    pub async fn with_user<T: Send + 'static>(&self, act: impl FnOnce(&mut User) -> T + Send + 'static) -> T {
        let address = self.appliance.address();
        let visit = move || {
            let mut user = User::associate(address);
            let told = act(&mut user);
            let _ = user.0.release();
            told
        };
        tokio::task::spawn_blocking(visit).await.unwrap()
    }

    pub fn stored(&self) -> Vec<PathBuf> {
        files(&self.data_dir.join("spool"))
    }
}

/// Every file under a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = firmware::dicom::send::files_under(&[folder.to_owned()]).unwrap();
    all.sort();
    all
}

/// UIDs of a test object.
#[derive(Clone, Copy)]
pub struct Ids<'a> {
    pub study: &'a str,
    pub series: &'a str,
    pub sop: &'a str,
}

pub fn object(ids: Ids<'_>, fill: u16) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        DataElement::new(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
        DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, ids.sop),
        DataElement::new(tags::MODALITY, VR::CS, "MR"),
        DataElement::new(tags::PATIENT_NAME, VR::PN, "Test^Patient"),
        DataElement::new(tags::STUDY_INSTANCE_UID, VR::UI, ids.study),
        DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, ids.series),
        DataElement::new(tags::ROWS, VR::US, dicom_value!(U16, [64])),
        DataElement::new(tags::COLUMNS, VR::US, dicom_value!(U16, [64])),
        DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(vec![fill; 64 * 64].into()),
        ),
    ])
}

/// Writes an object as a file.
pub fn file(folder: &Path, ids: Ids<'_>, fill: u16, syntax: &str) -> PathBuf {
    let path = folder.join(format!(
        "{}-{fill}",
        ids.sop.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    ));
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(ids.sop)
        .transfer_syntax(syntax)
        .build()
        .unwrap();
    object(ids, fill)
        .with_exact_meta(meta)
        .write_to_file(&path)
        .unwrap();
    path
}

/// `count` files of one study.
pub fn study(folder: &Path, uid: &str, count: usize) -> Vec<PathBuf> {
    let series = format!("{uid}.1");
    let one = |number: usize| {
        let ids = Ids {
            study: uid,
            series: &series,
            sop: &format!("{uid}.1.{number}"),
        };
        file(folder, ids, number as u16, uids::EXPLICIT_VR_LITTLE_ENDIAN)
    };
    (1..=count).map(one).collect()
}

/// The bytes of the data set of a file.
pub fn data_set(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[128..132], b"DICM");
    let group = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    bytes[144 + group..].to_vec()
}

/// A user that sends whatever it is told to.
pub struct User(pub ClientAssociation<TcpStream>);

impl User {
    pub fn associate(address: SocketAddr) -> Self {
        let user = ClientAssociationOptions::new()
            .calling_ae_title("RUDE")
            .called_ae_title("SIALOSCOPE")
            .with_presentation_context(uids::MR_IMAGE_STORAGE, vec![uids::EXPLICIT_VR_LITTLE_ENDIAN])
            .with_presentation_context(uids::VERIFICATION, vec![uids::IMPLICIT_VR_LITTLE_ENDIAN])
            .read_timeout(WAIT)
            .establish(address)
            .unwrap();
        Self(user)
    }

    pub fn value(&mut self, kind: PDataValueType, data: Vec<u8>, is_last: bool) {
        let value = PDataValue {
            presentation_context_id: 1,
            value_type: kind,
            is_last,
            data,
        };
        self.0.send(&Pdu::PData { data: vec![value] }).unwrap();
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.inner_stream().write_all(bytes).unwrap();
    }

    pub fn response(&mut self) -> Command {
        match self.0.receive().unwrap() {
            Pdu::PData { data } => Command::decode(&data[0].data).unwrap(),
            other => panic!("no response: {other:?}"),
        }
    }

    /// A C-STORE with any UID and any bytes.
    pub fn store(&mut self, sop: &str, data_set: Vec<u8>) -> Command {
        self.value(
            PDataValueType::Command,
            Command::store_request(1, uids::MR_IMAGE_STORAGE, sop).encode(),
            true,
        );
        for chunk in data_set.chunks(10_000) {
            self.value(PDataValueType::Data, chunk.to_vec(), false);
        }
        self.value(PDataValueType::Data, vec![], true);
        self.response()
    }
}

pub fn explicit(object: &InMemDicomObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    let syntax = firmware::dicom::dataset::storable(uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    object.write_dataset_with_ts(&mut bytes, syntax).unwrap();
    bytes
}

pub fn status(response: &Command) -> Status {
    Status(response.status.unwrap())
}

pub const OURS: Fault = Fault::Us;
