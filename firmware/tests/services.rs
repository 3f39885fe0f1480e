//! What is offered to callers, and under which conditions: negotiation, storage commitment, performed
//! procedure steps.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Ids, Station, WAIT, config, explicit, file, object, status};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::pdu::{
    AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed,
    PresentationContextResultReason as Result_, UserIdentity, UserIdentityType, UserVariableItem, read_pdu,
    write_pdu,
};
use firmware::dicom::dimse::{Command, N_ACTION_RQ, N_CREATE_RQ, N_SET_RQ, RESPONSE, Status};
use firmware::dicom::scp::{Intake, Provider};
use firmware::dicom::{Admission, Commitment, Services};
use firmware::limits::{MAX_MESSAGE_BYTES, MAX_REPORTS_WAITING};
use firmware::spool::{Spool, SpoolLimits, Stored};
use firmware::station::config::{Config, Peer};
use firmware::station::refusals::Refusal;
use firmware::station::services::UserIdentity as Users;
use firmware::study::evidence::Announced;
use models::findings::Fault;

const QUIET: f64 = 600.0;
const COMMITMENT: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
const STEP: &str = uids::MODALITY_PERFORMED_PROCEDURE_STEP;
const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
const IDS: Ids<'_> = Ids {
    study: "1.2.3",
    series: "1.2.3.1",
    sop: "1.2.3.1.1",
};

/// A caller that writes each PDU itself.
struct Caller {
    socket: TcpStream,
}

impl Caller {
    /// Proposes the abstract syntaxes as contexts 1, 3, 5 … and whatever user information.
    fn ask(address: SocketAddr, classes: &[&str], items: Vec<UserVariableItem>) -> (Self, Pdu) {
        let context = |(number, class): (usize, &&str)| PresentationContextProposed {
            id: 2 * number as u8 + 1,
            abstract_syntax: (*class).into(),
            transfer_syntaxes: vec![EXPLICIT.into()],
        };
        let request = Pdu::AssociationRQ(AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CALLER".into(),
            called_ae_title: "SIALOSCOPE".into(),
            application_context_name: "1.2.840.10008.3.1.1.1".into(),
            presentation_contexts: classes.iter().enumerate().map(context).collect(),
            user_variables: items,
        });
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let mut caller = Self { socket };
        caller.send(&request);
        let answer = caller.receive();
        (caller, answer)
    }

    fn associate(address: SocketAddr, classes: &[&str]) -> Self {
        let (caller, answer) = Self::ask(address, classes, vec![]);
        assert!(matches!(answer, Pdu::AssociationAC(_)), "{answer:?}");
        caller
    }

    fn send(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).unwrap();
        self.socket.write_all(&bytes).unwrap();
    }

    fn receive(&mut self) -> Pdu {
        let mut header = [0; 6];
        self.socket.read_exact(&mut header).unwrap();
        let length = u32::from_be_bytes(header[2..].try_into().unwrap());
        let mut bytes = header.to_vec();
        bytes.resize(6 + length as usize, 0);
        self.socket.read_exact(&mut bytes[6..]).unwrap();
        read_pdu(&bytes[..], 1 << 20, true).unwrap().unwrap()
    }

    fn value(&mut self, kind: PDataValueType, is_last: bool, data: Vec<u8>) {
        let value = PDataValue {
            presentation_context_id: 1,
            value_type: kind,
            is_last,
            data,
        };
        self.send(&Pdu::PData { data: vec![value] });
    }

    /// A request with its data set, if any.
    fn request(&mut self, command: &Command, data_set: Option<&[u8]>) {
        self.value(PDataValueType::Command, true, command.encode());
        if let Some(data_set) = data_set {
            for chunk in data_set.chunks(16_000) {
                self.value(PDataValueType::Data, false, chunk.to_vec());
            }
            self.value(PDataValueType::Data, true, vec![]);
        }
    }

    /// The next command set, its data set if any, and the longest PDU of both.
    fn message(&mut self) -> (Command, Vec<u8>, usize) {
        let mut command = None;
        let (mut bytes, mut longest) = (Vec::new(), 0);
        loop {
            let Pdu::PData { data } = self.receive() else {
                panic!("no message");
            };
            longest = longest.max(data.iter().map(|value| value.data.len() + 6).sum());
            for value in data {
                match value.value_type {
                    PDataValueType::Command => {
                        let decoded = Command::decode(&value.data).unwrap();
                        if !decoded.data_set_follows {
                            return (decoded, bytes, longest);
                        }
                        command = Some(decoded);
                    }
                    PDataValueType::Data => {
                        bytes.extend_from_slice(&value.data);
                        if value.is_last {
                            return (command.unwrap(), bytes, longest);
                        }
                    }
                }
            }
        }
    }

    fn response(&mut self) -> Command {
        let (command, data_set, _) = self.message();
        assert_ne!(command.field & RESPONSE, 0, "{command:?}");
        assert!(data_set.is_empty());
        command
    }

    /// The storage commitment report that comes now, acknowledged.
    fn report(&mut self) -> Report {
        let (command, data_set, longest) = self.message();
        let report = Report::of(&command, &data_set, longest);
        self.request(&command.response(Status::SUCCESS, None), None);
        report
    }

    fn release(mut self) {
        self.send(&Pdu::ReleaseRQ);
        assert_eq!(self.receive(), Pdu::ReleaseRP);
    }
}

/// A storage commitment report.
#[derive(Debug, PartialEq)]
struct Report {
    event: u16,
    transaction: String,
    committed: Vec<String>,
    failed: Vec<(String, u16)>,
    longest_pdu: usize,
}

impl Report {
    fn of(command: &Command, data_set: &[u8], longest_pdu: usize) -> Self {
        assert_eq!(command.affected_sop_class_uid.as_deref(), Some(COMMITMENT));
        let instance = command.affected_sop_instance_uid.as_deref();
        assert_eq!(instance, Some(uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE));
        let syntax = firmware::dicom::dataset::storable(EXPLICIT).unwrap();
        let set = InMemDicomObject::read_dataset_with_ts(data_set, syntax).unwrap();
        let text = |set: &InMemDicomObject, tag| set.element(tag).unwrap().to_str().unwrap().to_string();
        let items = |tag| {
            let element = set.element_opt(tag).unwrap();
            element.map_or(vec![], |element| element.items().unwrap().to_vec())
        };
        let instance = |item: &InMemDicomObject| text(item, tags::REFERENCED_SOP_INSTANCE_UID);
        let failed = items(tags::FAILED_SOP_SEQUENCE).into_iter().map(|item| {
            let reason = item.element(tags::FAILURE_REASON).unwrap().to_int().unwrap();
            (instance(&item), reason)
        });
        Self {
            event: command.event_type_id.unwrap(),
            transaction: text(&set, tags::TRANSACTION_UID),
            committed: items(tags::REFERENCED_SOP_SEQUENCE)
                .iter()
                .map(instance)
                .collect(),
            failed: failed.collect(),
            longest_pdu,
        }
    }
}

fn action() -> Command {
    Command {
        requested_sop_class_uid: Some(COMMITMENT.into()),
        requested_sop_instance_uid: Some(uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE.into()),
        field: N_ACTION_RQ,
        message_id: Some(7),
        data_set_follows: true,
        action_type_id: Some(1),
        ..Command::default()
    }
}

fn references(transaction: &str, all: &[(&str, &str)]) -> Vec<u8> {
    let item = |(class, instance): &(&str, &str)| {
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::REFERENCED_SOP_CLASS_UID, VR::UI, *class),
            DataElement::new(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, *instance),
        ])
    };
    let items = DataSetSequence::new(all.iter().map(item).collect::<Vec<_>>(), Length::UNDEFINED);
    explicit(&InMemDicomObject::from_element_iter([
        DataElement::new(tags::TRANSACTION_UID, VR::UI, transaction),
        DataElement::new(tags::REFERENCED_SOP_SEQUENCE, VR::SQ, items),
    ]))
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.unwrap()
}

/// A station that has one MR image.
async fn with_one_image(folder: &std::path::Path, change: impl FnOnce(&mut Config)) -> Station {
    let mut settings = config(&folder.join("data"), QUIET);
    change(&mut settings);
    let station = Station::start(&settings).await;
    let image = file(folder, IDS, 1, EXPLICIT);
    assert!(station.send(&[image]).await.unwrap()[0].is_stored());
    station
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_no_instance_is_committed_and_each_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let station = with_one_image(folder.path(), |_| {}).await;
    let address = station.appliance.address();
    let (response, report) = blocking(move || {
        let mut caller = Caller::associate(address, &[COMMITMENT]);
        let asked = references(
            "2.25.1",
            &[
                (uids::MR_IMAGE_STORAGE, IDS.sop),
                (uids::MR_IMAGE_STORAGE, "1.2.3.1.2"),
                (uids::CT_IMAGE_STORAGE, IDS.sop),
                ("1.3.12.2.1107.5.9.1", IDS.sop),
            ],
        );
        caller.request(&action(), Some(&asked));
        let told = (caller.response(), caller.report());
        caller.release();
        told
    })
    .await;
    assert_eq!(response.field, N_ACTION_RQ | RESPONSE);
    assert_eq!(
        (status(&response), response.message_id_responded_to),
        (Status::SUCCESS, Some(7))
    );
    assert_eq!(response.affected_sop_class_uid.as_deref(), Some(COMMITMENT));
    assert_eq!(response.action_type_id, Some(1));
    assert_eq!((report.event, report.transaction.as_str()), (2, "2.25.1"));
    assert!(report.committed.is_empty());
    let reasons: Vec<_> = report.failed.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(reasons, [0x0213, 0x0112, 0x0119, 0x0122]);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kept_commits_what_is_durable_here() {
    let folder = tempfile::tempdir().unwrap();
    let keep = |settings: &mut Config| settings.services.storage_commitment = Commitment::WhileKept;
    let station = with_one_image(folder.path(), keep).await;
    let address = station.appliance.address();
    let (all, some) = blocking(move || {
        let mut caller = Caller::associate(address, &[COMMITMENT]);
        let mut ask = |asked: &[(&str, &str)]| {
            caller.request(&action(), Some(&references("2.25.2", asked)));
            assert_eq!(status(&caller.response()), Status::SUCCESS);
            caller.report()
        };
        let held = (uids::MR_IMAGE_STORAGE, IDS.sop);
        let all = ask(&[held]);
        let some = ask(&[held, (uids::MR_IMAGE_STORAGE, "1.2.3.1.2")]);
        caller.release();
        (all, some)
    })
    .await;
    assert_eq!(
        (all.event, all.committed, all.failed),
        (1, vec![IDS.sop.to_owned()], vec![])
    );
    assert_eq!((some.event, some.committed.len()), (2, 1));
    assert_eq!(some.failed, [("1.2.3.1.2".to_owned(), 0x0112)]);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_rejected_and_what_is_listed_is_stored() {
    const PRIVATE: &str = "1.3.12.2.1107.5.9.1";
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&folder.path().join("data"), QUIET);
    settings.services.storage_commitment = Commitment::Off;
    settings.services.performed_steps = false;
    settings.services.storage_classes = vec![firmware::dicom::Uid::parse(PRIVATE).unwrap()];
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
    let rejected = Result_::AbstractSyntaxNotSupported;
    assert_eq!(
        reasons,
        [Result_::Acceptance, rejected.clone(), rejected.clone(), rejected]
    );
    assert_eq!(status(&response), Status::SUCCESS);
    assert_eq!(station.stored().len(), 1);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_have_their_status() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let good = references("2.25.3", &[(uids::MR_IMAGE_STORAGE, "1.2")]);
    let class = Command {
        requested_sop_class_uid: Some(uids::MR_IMAGE_STORAGE.into()),
        ..action()
    };
    let instance = Command {
        requested_sop_instance_uid: Some("1.2.3".into()),
        ..action()
    };
    let kind = Command {
        action_type_id: Some(2),
        ..action()
    };
    let operation = Command {
        field: N_SET_RQ,
        ..action()
    };
    let cases = [
        (class, good.clone(), Status::NO_SUCH_SOP_CLASS, "sop_class"),
        (
            instance,
            good.clone(),
            Status::NO_SUCH_SOP_INSTANCE,
            "sop_instance",
        ),
        (kind, good.clone(), Status::NO_SUCH_ACTION, "unknown_action"),
        (
            operation,
            good.clone(),
            Status::UNRECOGNIZED_OPERATION,
            "unknown_operation",
        ),
        (
            action(),
            good[..good.len() - 20].to_vec(),
            Status::PROCESSING_FAILURE,
            "malformed",
        ),
        (action(), vec![], Status::INVALID_ARGUMENT_VALUE, "bad_uid"),
        (
            action(),
            references("../7", &[(uids::MR_IMAGE_STORAGE, "1.2")]),
            Status::INVALID_ARGUMENT_VALUE,
            "bad_uid",
        ),
        (
            action(),
            vec![0; MAX_MESSAGE_BYTES + 1],
            Status::RESOURCE_LIMITATION,
            "too_much",
        ),
    ];
    let mut station = station;
    let address = station.appliance.address();
    for (command, data_set, expected, code) in cases {
        let response = blocking(move || {
            let mut caller = Caller::associate(address, &[COMMITMENT]);
            caller.request(&command, Some(&data_set));
            let response = caller.response();
            // And the association goes on: nothing is owed.
            caller.release();
            response
        })
        .await;
        assert_eq!(status(&response), expected, "{code}");
        assert_eq!(station.until_refused().await.code, code);
    }
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_wait_for_their_turn_and_not_too_many_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let address = station.appliance.address();
    blocking(move || {
        let mut caller = Caller::associate(address, &[COMMITMENT]);
        let asked = |number| references(&format!("2.25.{number}"), &[(uids::MR_IMAGE_STORAGE, "1.2")]);
        for number in 0..=MAX_REPORTS_WAITING {
            caller.request(&action(), Some(&asked(number)));
        }
        assert_eq!(status(&caller.response()), Status::SUCCESS);
        let (first, first_data, _) = caller.message();
        for _ in 1..MAX_REPORTS_WAITING {
            assert_eq!(status(&caller.response()), Status::SUCCESS);
        }
        assert_eq!(status(&caller.response()), Status::RESOURCE_LIMITATION);
        assert_eq!(Report::of(&first, &first_data, 0).transaction, "2.25.0");
        // One report at a time: the second comes when the first is answered.
        caller.request(&first.response(Status::SUCCESS, None), None);
        for number in 1..MAX_REPORTS_WAITING {
            assert_eq!(caller.report().transaction, format!("2.25.{number}"));
        }
        // An answer to nothing is a violation.
        caller.request(&first.response(Status::SUCCESS, None), None);
        assert!(matches!(caller.receive(), Pdu::AbortRQ { .. }));
    })
    .await;
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_report_keeps_to_the_length_that_the_caller_takes() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let address = station.appliance.address();
    let report = blocking(move || {
        let items = vec![UserVariableItem::MaxLength(4096)];
        let (mut caller, _) = Caller::ask(address, &[COMMITMENT], items);
        let instances: Vec<_> = (0..500).map(|number| format!("1.2.{number}")).collect();
        let all: Vec<_> = instances
            .iter()
            .map(|uid| (uids::MR_IMAGE_STORAGE, uid.as_str()))
            .collect();
        caller.request(&action(), Some(&references("2.25.4", &all)));
        caller.response();
        let report = caller.report();
        caller.release();
        report
    })
    .await;
    assert_eq!(report.failed.len(), 500);
    assert!(
        (4000..=4096).contains(&report.longest_pdu),
        "{}",
        report.longest_pdu
    );
    station.appliance.stop().await;
}

/// Asks, hears that it was understood, and releases without waiting for the report.
fn ask_and_release(address: SocketAddr) {
    let mut caller = Caller::associate(address, &[COMMITMENT]);
    let asked = references("2.25.5", &[(uids::MR_IMAGE_STORAGE, "1.2")]);
    caller.request(&action(), Some(&asked));
    assert_eq!(status(&caller.response()), Status::SUCCESS);
    caller.send(&Pdu::ReleaseRQ);
    while caller.receive() != Pdu::ReleaseRP {}
}

fn reported_to(port: u16) -> Peer {
    Peer {
        ae_title: "CALLER".into(),
        address: None,
        user: None,
        passcode: None,
        report_to: Some(format!("127.0.0.1:{port}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_releases_early_is_called_back() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = config(folder.path(), QUIET);
    settings.peer = vec![reported_to(listener.local_addr().unwrap().port())];
    let station = Station::start(&settings).await;
    let address = station.appliance.address();
    let (command, event) = blocking(move || {
        ask_and_release(address);
        let (socket, _) = listener.accept().unwrap();
        let mut user = dicom_ul::association::ServerAssociationOptions::new()
            .accept_any()
            .with_abstract_syntax(COMMITMENT)
            .establish(socket)
            .unwrap();
        let mut values = Vec::new();
        while values
            .last()
            .is_none_or(|value: &PDataValue| !value.is_last || value.value_type == PDataValueType::Command)
        {
            let Pdu::PData { data } = user.receive().unwrap() else {
                panic!("no report");
            };
            values.extend(data);
        }
        let command = Command::decode(&values[0].data).unwrap();
        let answer = PDataValue {
            presentation_context_id: values[0].presentation_context_id,
            value_type: PDataValueType::Command,
            is_last: true,
            data: command.response(Status::SUCCESS, None).encode(),
        };
        user.send(&Pdu::PData { data: vec![answer] }).unwrap();
        assert_eq!(user.receive().unwrap(), Pdu::ReleaseRQ);
        user.send(&Pdu::ReleaseRP).unwrap();
        (user.client_ae_title().to_owned(), command.event_type_id)
    })
    .await;
    assert_eq!((command.as_str(), event), ("SIALOSCOPE", Some(2)));
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_reaches_nobody_is_told_with_whose_fault_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut unreachable = config(&folder.path().join("b"), QUIET);
    unreachable.peer = vec![reported_to(nobody)];
    for (settings, fault) in [
        (config(&folder.path().join("a"), QUIET), Fault::Configuration),
        (unreachable, Fault::Peer),
    ] {
        let mut station = Station::start(&settings).await;
        let address = station.appliance.address();
        blocking(move || ask_and_release(address)).await;
        let reason = station.until_refused().await;
        assert_eq!(
            (reason.code.as_str(), reason.fault),
            ("report_undelivered", fault)
        );
        station.appliance.stop().await;
    }
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
    settings.limits.pdu_kib = 16;
    let mut station = Station::start(&settings).await;
    let address = station.appliance.address();
    let (fits, beyond) = blocking(move || {
        let (mut caller, answer) = Caller::ask(address, &[uids::MR_IMAGE_STORAGE], vec![]);
        let Pdu::AssociationAC(accept) = answer else {
            panic!("{answer:?}");
        };
        let announced = UserVariableItem::MaxLength(16 * 1024);
        assert!(accept.user_variables.contains(&announced));
        let image = explicit(&object(IDS, 1));
        let store = Command::store_request(1, uids::MR_IMAGE_STORAGE, IDS.sop);
        caller.value(PDataValueType::Command, true, store.encode());
        let (first, rest) = image.split_at(16 * 1024 - 6);
        caller.value(PDataValueType::Data, false, first.to_vec());
        assert!(rest.len() < first.len());
        caller.value(PDataValueType::Data, true, rest.to_vec());
        let fits = caller.response();
        caller.value(PDataValueType::Command, true, store.encode());
        caller.value(PDataValueType::Data, false, vec![0; 16 * 1024 - 5]);
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
            // One read takes what has come so far: were it written in two pieces, the first alone.
            let mut bytes = [0; 4096];
            let count = caller.socket.read(&mut bytes).unwrap();
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
    settings.peer = vec![Peer {
        user: Some("mr1".into()),
        passcode: Some("open sesame".to_owned().try_into().unwrap()),
        report_to: None,
        ..reported_to(0)
    }];
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
    fn stored(&self, _: u64, _: &Stored) {}
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
    let admission = Admission {
        ae_title: "SIALOSCOPE".into(),
        require_called_ae_title: false,
        callers: vec![],
    };
    let notes = Notes::default();
    let provider = Arc::new(Provider::new(
        admission,
        Services::default(),
        4,
        Duration::from_secs(60),
        Arc::new(Spool::open(folder.path(), limits).unwrap()),
        Box::new(notes.clone()),
    ));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(Arc::clone(&provider).serve(listener));
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
    let uid = |text| firmware::dicom::Uid::parse(text).unwrap();
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
