//! Storage commitment at the boundary: what is answered, where, and in which order.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::{SocketAddr, TcpListener};

use common::caller::{Caller, blocking};
use common::{Ids, Station, config, explicit, file, peers, status};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::association::Association as _;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu, UserVariableItem};
use firmware::dicom::Commitment;
use firmware::dicom::dimse::{Command, N_ACTION_RQ, N_SET_RQ, RESPONSE, Status};
use firmware::limits::{MAX_MESSAGE_BYTES, MAX_REPORTS_WAITING};
use firmware::station::config::{Config, Peer};
use models::findings::Fault;

const QUIET: f64 = 600.0;
const COMMITMENT: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
const IDS: Ids<'_> = Ids {
    study: "1.2.3",
    series: "1.2.3.1",
    sop: "1.2.3.1.1",
};

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

/// The storage commitment report that comes now, acknowledged.
fn report(caller: &mut Caller) -> Report {
    let (command, data_set, longest) = caller.message();
    let report = Report::of(&command, &data_set, longest);
    caller.request(&command.response(Status::SUCCESS, None), None);
    report
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
        let told = (caller.response(), report(&mut caller));
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
            report(&mut caller)
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
            assert_eq!(report(&mut caller).transaction, format!("2.25.{number}"));
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
        let report = report(&mut caller);
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

fn reported_to(port: u16) -> Vec<Peer> {
    peers(&format!(
        "[[peer]]\nae_title = \"CALLER\"\nreport_to = \"127.0.0.1:{port}\"\n"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_releases_early_is_called_back() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = config(folder.path(), QUIET);
    settings.station.open = false;
    settings.peer = reported_to(listener.local_addr().unwrap().port());
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
        (user.peer_ae_title().to_owned(), command.event_type_id)
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
    unreachable.station.open = false;
    unreachable.peer = reported_to(nobody);
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
