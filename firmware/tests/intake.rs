//! What comes in over the network: good images, hostile UIDs, broken data sets, other protocols.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use common::{Ids, Station, User, config, data_set, explicit, file, files, object, status, study};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_ul::pdu::{PDataValueType, Pdu};
use firmware::appliance::Event;
use firmware::dicom::dimse::{Command, Status};
use firmware::dicom::user::echo;
use firmware::limits::MAX_CONFLICTS;
use proptest::prelude::*;

const IDS: Ids<'_> = Ids {
    study: "1.2.3",
    series: "1.2.3.1",
    sop: "1.2.3.1.1",
};
const QUIET: f64 = 600.0;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_objects_are_stored_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), QUIET)).await;
    let sent = study(folder.path(), "1.2.3", 50);
    let told = station.send(&sent).await.unwrap();
    assert!(told.iter().all(|one| matches!(one.outcome, Ok(Status::SUCCESS))));
    let stored = station.stored();
    assert_eq!(stored.len(), 50);
    for path in sent {
        let original = dicom_object::open_file(&path).unwrap();
        let sop = original.meta().media_storage_sop_instance_uid();
        let copy = station.data_dir.join(format!("spool/1.2.3/1.2.3.1/{sop}.dcm"));
        assert_eq!(data_set(&path), data_set(&copy));
        let meta = dicom_object::open_file(&copy).unwrap().meta().clone();
        assert_eq!(meta.transfer_syntax(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(meta.source_application_entity_title(), Some("TEST"));
    }
    let instances = station.until(|event| match event {
        Event::InstanceStored { instances: 50, .. } => Some(50),
        _ => None,
    });
    assert_eq!(instances.await, 50);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_syntax_is_kept_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(&folder.path().join("data"), QUIET)).await;
    let syntaxes = [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2", // Explicit VR Big Endian, retired, still met
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ];
    for (number, syntax) in syntaxes.into_iter().enumerate() {
        let sop = format!("1.2.3.1.{number}");
        let original = file(folder.path(), Ids { sop: &sop, ..IDS }, 1, syntax);
        let told = station.send(std::slice::from_ref(&original)).await.unwrap();
        assert!(told[0].is_stored(), "{syntax}: {told:?}");
        let copy = station.data_dir.join(format!("spool/1.2.3/1.2.3.1/{sop}.dcm"));
        assert_eq!(data_set(&original), data_set(&copy), "{syntax}");
    }
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let node = station.node();
    let answer = tokio::task::spawn_blocking(move || echo(&node, "TEST"))
        .await
        .unwrap();
    assert_eq!(answer.unwrap(), Status::SUCCESS);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_uids_in_the_command_never_become_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut station = Station::start(&config(&data_dir, QUIET)).await;
    let before = files(folder.path());
    let long = "1.".repeat(33);
    let hostile = [
        "../../../evil",
        "1.2.\u{e9}",
        "/tmp/evil",
        "1.2\u{0}.3",
        &long,
        "$(touch evil)",
        "1.2;id",
        "..",
        "",
    ];
    for uid in hostile.map(str::to_owned) {
        let shown = uid.clone();
        let response = station
            .with_user(move |user| user.store(&uid, explicit(&object(IDS, 0))))
            .await;
        assert_eq!(status(&response), Status::INVALID_SOP_INSTANCE, "{shown:?}");
        assert!(
            response
                .error_comment
                .is_some_and(|comment| comment.contains("UID"))
        );
        assert_eq!(response.affected_sop_instance_uid, None, "it is not repeated");
        assert_eq!(station.until_refused().await.code, "bad_uid");
    }
    let news: Vec<_> = files(folder.path())
        .into_iter()
        .filter(|path| !before.contains(path))
        .collect();
    // What the keeper writes by itself may come at any time.
    let is_ours = |path: &std::path::PathBuf| {
        ["refusals.jsonl", "screen.png", "health.json"]
            .iter()
            .any(|name| path.ends_with(name))
    };
    assert!(news.iter().all(is_ours), "{news:?}");
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_uids_in_the_data_set_never_become_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), QUIET)).await;
    for ids in [
        Ids {
            study: "../../evil",
            ..IDS
        },
        Ids { series: "..", ..IDS },
        Ids {
            study: "1.2/../../x",
            ..IDS
        },
        Ids {
            series: "1.2.`id`",
            ..IDS
        },
    ] {
        let bytes = explicit(&object(ids, 0));
        let response = station.with_user(move |user| user.store(IDS.sop, bytes)).await;
        assert_eq!(status(&response), Status::DATA_SET_MISMATCH);
        assert_eq!(station.until_refused().await.code, "bad_uid");
    }
    assert_eq!(station.stored(), Vec::<std::path::PathBuf>::new());
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_data_sets_are_refused_by_name_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), QUIET)).await;
    let whole = explicit(&object(IDS, 7));
    let truncated = whole[..whole.len() - 100].to_vec();
    let other = explicit(&object(Ids { sop: "9.9", ..IDS }, 7));
    let mut computed = object(IDS, 7);
    computed.put(DataElement::new(
        tags::SOP_CLASS_UID,
        VR::UI,
        uids::CT_IMAGE_STORAGE,
    ));
    let mut nameless = object(IDS, 7);
    nameless.remove_element(tags::STUDY_INSTANCE_UID);
    let cases = [
        (truncated, Status::CANNOT_UNDERSTAND, "truncated"),
        (
            b"this is certainly no data set".to_vec(),
            Status::CANNOT_UNDERSTAND,
            "truncated",
        ),
        (explicit(&nameless), Status::DATA_SET_MISMATCH, "missing_uid"),
        (vec![], Status::DATA_SET_MISMATCH, "missing_uid"),
        (other, Status::DATA_SET_MISMATCH, "mismatch"),
        (explicit(&computed), Status::DATA_SET_MISMATCH, "mismatch"),
    ];
    for (bytes, expected, code) in cases {
        let response = station.with_user(move |user| user.store(IDS.sop, bytes)).await;
        assert_eq!(
            (status(&response), station.until_refused().await.code.as_str()),
            (expected, code)
        );
    }
    assert!(station.stored().is_empty());
    let response = station.with_user(move |user| user.store(IDS.sop, whole)).await;
    assert_eq!(
        status(&response),
        Status::SUCCESS,
        "and the good one is taken after all"
    );
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_beyond_the_limit_and_a_full_disk_are_out_of_resources() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&folder.path().join("a"), QUIET);
    settings.limits.object_mib = 1;
    let mut station = Station::start(&settings).await;
    let mut big = explicit(&object(IDS, 7));
    big.resize(1 << 20, 0);
    let at_limit = big.clone();
    big.push(0);
    let response = station.with_user(move |user| user.store(IDS.sop, big)).await;
    assert_eq!(status(&response), Status::OUT_OF_RESOURCES);
    assert_eq!(station.until_refused().await.code, "too_large");
    let response = station.with_user(move |user| user.store(IDS.sop, at_limit)).await;
    assert_ne!(
        status(&response),
        Status::OUT_OF_RESOURCES,
        "the limit itself is allowed"
    );
    station.appliance.stop().await;

    let mut settings = config(&folder.path().join("b"), QUIET);
    settings.limits.free_mib = u64::MAX >> 20;
    let mut station = Station::start(&settings).await;
    let response = station
        .with_user(|user| user.store(IDS.sop, explicit(&object(IDS, 7))))
        .await;
    assert_eq!(status(&response), Status::OUT_OF_RESOURCES);
    assert_eq!(station.until_refused().await.code, "no_space");
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_idempotent_and_conflicts_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(&folder.path().join("data"), QUIET)).await;
    let first = file(folder.path(), IDS, 1, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let other = file(folder.path(), IDS, 2, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    for path in [&first, &first, &other, &other] {
        assert!(station.send(std::slice::from_ref(path)).await.unwrap()[0].is_stored());
    }
    assert_eq!(station.until_refused().await.code, "conflicting_duplicate");
    assert_eq!(station.stored().len(), 1);
    assert_eq!(
        data_set(&station.stored()[0]),
        data_set(&first),
        "the first one is used"
    );
    let conflicts = files(&station.data_dir.join("conflicts"));
    assert_eq!(conflicts.len(), 1, "the same conflict is kept once");
    assert_eq!(data_set(&conflicts[0]), data_set(&other));
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_uid_has_a_limited_number_of_contents() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(&folder.path().join("data"), QUIET)).await;
    let contents: Vec<_> = (0..MAX_CONFLICTS as u16 + 2)
        .map(|fill| explicit(&object(IDS, fill)))
        .collect();
    let told: Vec<_> = station
        .with_user(|user| {
            contents
                .into_iter()
                .map(|bytes| status(&user.store(IDS.sop, bytes)))
                .collect()
        })
        .await;
    let (last, before) = told.split_last().unwrap();
    assert!(before.iter().all(|status| *status == Status::SUCCESS), "{told:?}");
    assert_eq!(*last, Status::DUPLICATE_SOP_INSTANCE);
    assert_eq!(files(&station.data_dir.join("conflicts")).len(), MAX_CONFLICTS);
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_commands_and_foreign_sop_classes_have_their_status() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&config(folder.path(), QUIET)).await;
    let (unknown, class) = station
        .with_user(|user| {
            let find = Command {
                field: 0x0020,
                message_id: Some(3),
                data_set_follows: true,
                ..Command::default()
            };
            user.value(PDataValueType::Command, find.encode(), true);
            user.value(PDataValueType::Data, vec![0; 8], true);
            let unknown = user.response();
            let request = Command::store_request(4, uids::CT_IMAGE_STORAGE, IDS.sop);
            user.value(PDataValueType::Command, request.encode(), true);
            user.value(PDataValueType::Data, explicit(&object(IDS, 0)), true);
            (unknown, user.response())
        })
        .await;
    assert_eq!(
        (status(&unknown), unknown.message_id_responded_to),
        (Status::UNRECOGNIZED_OPERATION, Some(3))
    );
    assert_eq!(
        (status(&class), class.message_id_responded_to),
        (Status::SOP_CLASS_NOT_SUPPORTED, Some(4))
    );
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_end_the_association_with_an_abort() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(folder.path(), QUIET)).await;
    let rude: [fn(&mut User); 8] = [
        // A data set that nothing announced.
        |user| user.value(PDataValueType::Data, vec![0; 8], true),
        // A command set that is none, one beyond the limit, one that is a response.
        |user| user.value(PDataValueType::Command, vec![0xFF; 9], true),
        |user| (0..3).for_each(|_| user.value(PDataValueType::Command, vec![0; 8_000], false)),
        |user| {
            let echo = Command::echo_request(1, uids::VERIFICATION);
            user.value(
                PDataValueType::Command,
                echo.response(Status::SUCCESS, None).encode(),
                true,
            );
        },
        // P-DATA of no length, of 4 GiB, and with a PDV longer than itself.
        |user| user.raw(&[4, 0, 0, 0, 0, 0]),
        |user| user.raw(&[4, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        |user| user.raw(&[4, 0, 0, 0, 0, 6, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2]),
        // An association that is already there.
        |user| {
            user.raw(
                &[2, 0, 0, 0, 0, 80]
                    .into_iter()
                    .chain([0; 80])
                    .collect::<Vec<u8>>(),
            )
        },
    ];
    for (number, act) in rude.into_iter().enumerate() {
        let end = station
            .with_user(move |user| {
                act(user);
                user.0.receive()
            })
            .await;
        assert!(matches!(end, Ok(Pdu::AbortRQ { .. })), "{number}: {end:?}");
        let code = station.until_refused().await.code;
        assert!(
            ["protocol_violation", "length", "malformed"].contains(&code.as_str()),
            "{number}: {code}"
        );
    }
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_are_named_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(folder.path(), QUIET)).await;
    let cases: [(&[u8], &str, &str); 4] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "other_protocol", "HTTP"),
        (&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3], "other_protocol", "TLS"),
        (&[0x99, 0, 0, 0, 0, 4, 0, 0, 0, 0], "not_dicom", "99h"),
        (&[1, 0, 0xFF, 0xFF, 0xFF, 0xFF], "length", "4294967295"),
    ];
    for (bytes, code, word) in cases {
        let mut socket = TcpStream::connect(station.appliance.address()).unwrap();
        socket.set_read_timeout(Some(common::WAIT)).unwrap();
        socket.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).unwrap();
        let reason = station.until_refused().await;
        assert_eq!(reason.code, code);
        assert!(reason.text.contains(word), "{reason}");
    }
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_cut_off_with_its_association_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Station::start(&config(folder.path(), QUIET)).await;
    station
        .with_user(|user| {
            user.value(
                PDataValueType::Command,
                Command::store_request(1, uids::MR_IMAGE_STORAGE, IDS.sop).encode(),
                true,
            );
            user.value(
                PDataValueType::Data,
                explicit(&object(IDS, 0))[..500].to_vec(),
                false,
            );
            user.0.inner_stream().shutdown(std::net::Shutdown::Both).unwrap();
        })
        .await;
    assert_eq!(station.until_refused().await.code, "connection_closed");
    assert!(station.stored().is_empty());
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_callers_than_allowed_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(folder.path(), QUIET);
    settings.limits.associations = 2;
    let mut station = Station::start(&settings).await;
    let address = station.appliance.address();
    let users = tokio::task::spawn_blocking(move || [User::associate(address), User::associate(address)])
        .await
        .unwrap();
    let third = station.node();
    let told = tokio::task::spawn_blocking(move || echo(&third, "TEST"))
        .await
        .unwrap();
    assert!(told.unwrap_err().text.contains("local limit exceeded"));
    assert_eq!(station.until_refused().await.code, "too_many_associations");
    tokio::task::spawn_blocking(|| users.into_iter().for_each(|user| user.0.release().unwrap()))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let again = station.node();
    assert!(
        tokio::task::spawn_blocking(move || echo(&again, "TEST"))
            .await
            .unwrap()
            .is_ok()
    );
    station.appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_an_association() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(folder.path(), QUIET);
    settings.limits.idle_seconds = 1;
    let mut station = Station::start(&settings).await;
    let end = station.with_user(|user| user.0.receive()).await;
    assert!(matches!(end, Ok(Pdu::AbortRQ { .. })));
    assert_eq!(station.until_refused().await.code, "silent");
    station.appliance.stop().await;
}

#[test]
fn random_bytes_never_stop_the_intake() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let station = runtime.block_on(Station::start(&config(&folder.path().join("data"), QUIET)));
    let address = station.appliance.address();
    let noise = (
        prop::option::of(prop::sample::select(vec![1_u8, 2, 3, 4, 5, 6, 7])),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    proptest!(ProptestConfig::with_cases(200), |((kind, bytes) in noise)| {
        let mut socket = TcpStream::connect(address).unwrap();
        // Half of it looks like a PDU of the right length, so that its inside is read.
        let mut sent = bytes.clone();
        if let Some(kind) = kind {
            sent = [&[kind, 0][..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat();
        }
        let _ = socket.write_all(&sent);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
    });
    let good = study(folder.path(), "1.2.3", 3);
    let told = runtime.block_on(station.send(&good)).unwrap();
    assert!(told.iter().all(|one| one.is_stored()));
    runtime.block_on(station.appliance.stop());
}
