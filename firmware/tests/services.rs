//! What is offered to callers, and under which conditions; performed procedure steps.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{ErrorKind, Read as _};
use std::sync::{Arc, Mutex};

use common::caller::{Caller, blocking};
use common::{Ids, Station, config, explicit, object, peers, status};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::pdu::{
    PDataValueType, Pdu, PresentationContextResultReason as Answer, UserIdentity, UserIdentityType,
    UserVariableItem,
};
use firmware::dicom::admission::Callers;
use firmware::dicom::dimse::{Command, N_CREATE_RQ, N_SET_RQ, Status};
use firmware::dicom::door::{Door, Patience};
use firmware::dicom::scp::{Intake, Listeners, Provider};
use firmware::dicom::{Admission, Commitment, Services, Uid};
use firmware::disk::RealDisk;
use firmware::spool::{Spool, SpoolLimits, Stored};
use firmware::station::refusals::Refusal;
use firmware::station::services::UserIdentity as Users;
use firmware::study::evidence::Announced;

const QUIET: f64 = 600.0;
const COMMITMENT: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
const STEP: &str = uids::MODALITY_PERFORMED_PROCEDURE_STEP;
const IDS: Ids<'_> = Ids {
    study: "1.2.3",
    series: "1.2.3.1",
    sop: "1.2.3.1.1",
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_rejected_and_what_is_listed_is_stored() {
    const PRIVATE: &str = "1.3.12.2.1107.5.9.1";
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&folder.path().join("data"), QUIET);
    settings.services.storage_commitment = Commitment::Off;
    settings.services.performed_steps = false;
    settings.services.storage_classes = vec![Uid::parse(PRIVATE).unwrap()];
    let station = Station::start(&settings).await;
    let address = station.appliance.address();
    let (answer, response) = blocking(move || {
        let (mut caller, answer) = Caller::ask(
            address,
            &[PRIVATE, COMMITMENT, STEP, "1.3.12.2.1107.5.9.2"],
            vec![],
        );
        let mut image = object(IDS, 1);
        image.put(DataElement::new(tags::SOP_CLASS_UID, VR::UI, PRIVATE));
        let request = Command::store_request(1, PRIVATE, IDS.sop);
        caller.request(&request, Some(&explicit(&image)));
        let response = caller.response();
        caller.release();
        (answer, response)
    })
    .await;
    let Pdu::AssociationAC(accept) = answer else {
        panic!("{answer:?}");
    };
    let reasons: Vec<_> = accept
        .presentation_contexts
        .into_iter()
        .map(|c| c.reason)
        .collect();
    let rejected = Answer::AbstractSyntaxNotSupported;
    assert_eq!(
        reasons,
        [Answer::Acceptance, rejected.clone(), rejected.clone(), rejected]
    );
    assert_eq!(status(&response), Status::SUCCESS);
    assert_eq!(station.stored().len(), 1);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_ahead_is_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let address = station.appliance.address();
    blocking(move || {
        let window = UserVariableItem::Unknown(0x53, vec![0, 16, 0, 16]);
        let (mut caller, answer) = Caller::ask(address, &[uids::VERIFICATION], vec![window]);
        let Pdu::AssociationAC(accept) = answer else {
            panic!("{answer:?}");
        };
        let one = UserVariableItem::Unknown(0x53, vec![0, 1, 0, 1]);
        assert!(accept.user_variables.contains(&one));
        for number in 1..=16 {
            caller.request(&Command::echo_request(number, uids::VERIFICATION), None);
        }
        for number in 1..=16 {
            assert_eq!(caller.response().message_id_responded_to, Some(number));
        }
        caller.release();
    })
    .await;
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_message_unit_is_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(folder.path(), QUIET);
    settings.limits.pdu_kib = 8;
    let mut station = Station::start(&settings).await;
    let address = station.appliance.address();
    let (fits, beyond) = blocking(move || {
        let (mut caller, answer) = Caller::ask(address, &[uids::MR_IMAGE_STORAGE], vec![]);
        let Pdu::AssociationAC(accept) = answer else {
            panic!("{answer:?}");
        };
        let announced = UserVariableItem::MaxLength(8 * 1024);
        assert!(accept.user_variables.contains(&announced));
        let image = explicit(&object(IDS, 1));
        let store = Command::store_request(1, uids::MR_IMAGE_STORAGE, IDS.sop);
        caller.value(PDataValueType::Command, true, store.encode());
        let (first, rest) = image.split_at(8 * 1024 - 6);
        caller.value(PDataValueType::Data, false, first.to_vec());
        assert!(rest.len() < first.len());
        caller.value(PDataValueType::Data, true, rest.to_vec());
        let fits = caller.response();
        caller.value(PDataValueType::Command, true, store.encode());
        caller.value(PDataValueType::Data, false, vec![0; 8 * 1024 - 5]);
        (fits, caller.receive())
    })
    .await;
    assert_eq!(status(&fits), Status::SUCCESS);
    assert!(matches!(beyond, Pdu::AbortRQ { .. }), "{beyond:?}");
    assert_eq!(station.until_refused().await.code, "length");
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_comes_in_one_segment() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let address = station.appliance.address();
    blocking(move || {
        let mut caller = Caller::associate(address, &[uids::VERIFICATION]);
        for number in 1..=100 {
            caller.request(&Command::echo_request(number, uids::VERIFICATION), None);
            // One read takes what has come so far: were it written in two pieces, often the first alone.
            // Asking without a pause gives the second the least time to catch up.
            let mut bytes = [0; 4096];
            caller.socket.set_nonblocking(true).unwrap();
            let count = loop {
                match caller.socket.read(&mut bytes) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                    read => break read.unwrap(),
                }
            };
            caller.socket.set_nonblocking(false).unwrap();
            let length = u32::from_be_bytes(bytes[2..6].try_into().unwrap());
            assert_eq!(count, 6 + length as usize, "response {number}");
        }
        caller.release();
    })
    .await;
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_users_required_only_they_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(folder.path(), QUIET);
    settings.services.user_identity = Users::Required;
    settings.station.open = false;
    settings.peer = peers("[[peer]]\nae_title = \"CALLER\"\nuser = \"mr1\"\npasscode = \"open sesame\"\n");
    let mut station = Station::start(&settings).await;
    let address = station.appliance.address();
    let (good, bad, none) = blocking(move || {
        let ask = |items| Caller::ask(address, &[uids::VERIFICATION], items).1;
        let says = |passcode: &str| {
            let kind = UserIdentityType::UsernamePassword;
            let identity = UserIdentity::new(true, kind, b"mr1".to_vec(), passcode.into());
            vec![UserVariableItem::UserIdentityItem(identity)]
        };
        (ask(says("open sesame")), ask(says("open")), ask(vec![]))
    })
    .await;
    let Pdu::AssociationAC(accept) = good else {
        panic!("{good:?}");
    };
    let positive = UserVariableItem::Unknown(0x59, vec![0, 0]);
    assert!(accept.user_variables.contains(&positive));
    for refused in [bad, none] {
        assert!(matches!(refused, Pdu::AssociationRJ(_)), "{refused:?}");
        let reason = station.until_refused().await;
        assert_eq!(reason.code, "user_identity");
        assert!(!reason.text.contains("open"));
    }
    station.appliance.stop().await;
}

/// Notes what performed procedure steps announce.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Announced>>>);

impl Intake for Notes {
    fn stored(&self, _: u64, _: &Stored) -> std::io::Result<()> {
        Ok(())
    }
    fn ended(&self, _: u64, _: bool) {}
    fn refused(&self, _: Refusal) {}
    fn announced(&self, announced: Announced) {
        self.0.lock().unwrap().push(announced);
    }
}

fn step(field: u16, data_set: bool) -> Command {
    let (class, instance) = (Some(STEP.to_owned()), Some("9.1".to_owned()));
    let command = Command {
        field,
        message_id: Some(1),
        data_set_follows: data_set,
        ..Command::default()
    };
    if field == N_CREATE_RQ {
        Command {
            affected_sop_class_uid: class,
            affected_sop_instance_uid: instance,
            ..command
        }
    } else {
        Command {
            requested_sop_class_uid: class,
            requested_sop_instance_uid: instance,
            ..command
        }
    }
}

fn items(items: Vec<InMemDicomObject>) -> DataSetSequence<InMemDicomObject> {
    DataSetSequence::new(items, Length::UNDEFINED)
}

#[tokio::test(flavor = "multi_thread")]
async fn performed_procedure_steps_announce_their_images() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        object_bytes: 1 << 20,
        free_bytes: 1,
    };
    let door = Door {
        admission: Admission {
            ae_title: "SIALOSCOPE".into(),
            require_called_ae_title: false,
            callers: Callers::Everybody,
        },
        tls: None,
        capacity: config(folder.path(), QUIET).capacity(),
        patience: Patience::default(),
    };
    let notes = Notes::default();
    let provider = Arc::new(Provider::new(
        door,
        Services::default(),
        Arc::new(Spool::open(Arc::new(RealDisk), folder.path(), limits).unwrap()),
        Box::new(notes.clone()),
    ));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(Arc::clone(&provider).serve(Listeners {
        plain: Some(listener),
        tls: None,
    }));
    blocking(move || {
        let status_is = |value| DataElement::new(tags::PERFORMED_PROCEDURE_STEP_STATUS, VR::CS, value);
        let scheduled = InMemDicomObject::from_element_iter([DataElement::new(
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            IDS.study,
        )]);
        let begun = explicit(&InMemDicomObject::from_element_iter([
            status_is("IN PROGRESS"),
            DataElement::new(
                tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
                VR::SQ,
                items(vec![scheduled]),
            ),
        ]));
        let image = InMemDicomObject::from_element_iter([DataElement::new(
            tags::REFERENCED_SOP_INSTANCE_UID,
            VR::UI,
            IDS.sop,
        )]);
        let series = InMemDicomObject::from_element_iter([
            DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, IDS.series),
            DataElement::new(tags::REFERENCED_IMAGE_SEQUENCE, VR::SQ, items(vec![image; 24])),
        ]);
        let done = explicit(&InMemDicomObject::from_element_iter([
            status_is("COMPLETED"),
            DataElement::new(tags::PERFORMED_SERIES_SEQUENCE, VR::SQ, items(vec![series])),
        ]));
        let mut caller = Caller::associate(address, &[STEP]);
        let mut say = |field, data_set: &[u8]| {
            caller.request(&step(field, true), Some(data_set));
            caller.response()
        };
        assert_eq!(status(&say(N_SET_RQ, &done)), Status::NO_SUCH_SOP_INSTANCE);
        let created = say(N_CREATE_RQ, &begun);
        assert_eq!(status(&created), Status::SUCCESS);
        assert_eq!(created.affected_sop_instance_uid.as_deref(), Some("9.1"));
        assert_eq!(status(&say(N_CREATE_RQ, &begun)), Status::DUPLICATE_SOP_INSTANCE);
        let set = say(N_SET_RQ, &done);
        assert_eq!(status(&set), Status::SUCCESS);
        assert_eq!(set.affected_sop_class_uid.as_deref(), Some(STEP));
        let late = say(N_SET_RQ, &done);
        assert_eq!(
            (status(&late), late.error_id),
            (Status::PROCESSING_FAILURE, Some(0xA710))
        );
        let text = "Performed Procedure Step Object may no longer be updated";
        assert_eq!(late.error_comment.as_deref(), Some(text));
        caller.release();
    })
    .await;
    let told = notes.0.lock().unwrap().clone();
    let uid = |text: &str| Uid::parse(text).unwrap();
    let announced = |series: &[(&str, u32)], finished| Announced {
        study: uid(IDS.study),
        series: series
            .iter()
            .map(|(series, count)| (uid(series), *count))
            .collect(),
        finished,
    };
    assert_eq!(
        told,
        [announced(&[], false), announced(&[(IDS.series, 24)], true)]
    );
    provider.stop();
    serving.await.unwrap();
}
