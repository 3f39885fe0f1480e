//! docs/conformance.md says what the code does: its tables are made from the code, and compared here.
//! `SIALOSCOPE_WRITE_DOCS=1` writes them anew.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dicom_dictionary_std::uids;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use firmware::dicom::dataset::storable;
use firmware::dicom::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, Service, Services};
use firmware::limits;
use firmware::report::Kind;
use firmware::station::config::Config;
use models::mr::{MR_IMAGES, reads};

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let mut text = line(&head) + &line(&rule);
    for row in rows {
        text += &line(&row);
    }
    text
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The name of a UID in the dictionary of the standard.
fn named(uid: &str) -> String {
    let known = [
        (uids::COMPREHENSIVE3_DSR_STORAGE, "Comprehensive 3D SR Storage"),
        (uids::SEGMENTATION_STORAGE, "Segmentation Storage"),
        (
            uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            "Secondary Capture Image Storage",
        ),
        (uids::MR_IMAGE_STORAGE, "MR Image Storage"),
        (uids::ENHANCED_MR_IMAGE_STORAGE, "Enhanced MR Image Storage"),
        (
            uids::ENHANCED_MR_COLOR_IMAGE_STORAGE,
            "Enhanced MR Color Image Storage (read, and refused as colour)",
        ),
        (
            uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
            "Legacy Converted Enhanced MR Image Storage",
        ),
    ];
    let found = known.iter().find(|(known, _)| *known == uid);
    found
        .unwrap_or_else(|| panic!("{uid} has no name here"))
        .1
        .to_owned()
}

fn services() -> String {
    let offered = Services::default();
    let rows = [
        ("Verification", uids::VERIFICATION, Service::Verification, "yes"),
        (
            "Storage: every standard class, see below",
            uids::MR_IMAGE_STORAGE,
            Service::Storage,
            "yes",
        ),
        (
            "Storage Commitment Push Model",
            uids::STORAGE_COMMITMENT_PUSH_MODEL,
            Service::Commitment,
            "yes, where a destination offers it",
        ),
        (
            "Modality Performed Procedure Step",
            uids::MODALITY_PERFORMED_PROCEDURE_STEP,
            Service::PerformedStep,
            "no",
        ),
    ];
    let rows = rows.map(|(name, uid, service, user)| {
        assert_eq!(offered.of(uid), Some(service), "{name}");
        row([name, uid, user, "yes"])
    });
    for query in [
        uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
        uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
    ] {
        assert_eq!(offered.of(query), None);
    }
    table(
        &["Service", "SOP class", "User (SCU)", "Provider (SCP)"],
        rows.into(),
    )
}

fn analyzed() -> String {
    let rows = MR_IMAGES.iter().map(|uid| {
        assert!(Services::default().stores(uid));
        row([&named(uid), uid])
    });
    table(&["SOP class", "UID"], rows.collect())
}

fn syntaxes() -> String {
    let yes = |holds: bool| if holds { "yes" } else { "no" };
    let mut all: Vec<_> = TransferSyntaxRegistry.iter().collect();
    all.sort_by_key(|syntax| {
        syntax
            .uid()
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect::<Vec<u64>>()
    });
    let rows = all.iter().map(|syntax| {
        row([
            syntax.name(),
            syntax.uid(),
            yes(storable(syntax.uid()).is_some()),
            yes(reads(syntax.uid())),
        ])
    });
    table(
        &["Transfer syntax", "UID", "Stored", "Images read"],
        rows.collect(),
    )
}

fn created() -> String {
    let rows = Kind::ALL.map(|kind| {
        row([
            &named(kind.sop_class()),
            kind.sop_class(),
            kind.modality(),
            kind.series_number(),
            kind.file_name(),
        ])
    });
    table(
        &["SOP class", "UID", "Modality", "Series Number", "File"],
        rows.into(),
    )
}

/// The statuses in the source, with what is said of them there.
fn statuses() -> String {
    let source = include_str!("../src/dicom/dimse.rs");
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let rows: Vec<_> = lines
        .windows(2)
        .filter_map(|pair| {
            let code = pair[1].split_once(": Self = Self(0x")?.1.strip_suffix(");")?;
            let meaning = pair[0].strip_prefix("/// ")?.trim_end_matches('.');
            Some(row([&format!("{code}H"), meaning]))
        })
        .collect();
    assert!(rows.len() > 10);
    table(&["Status", "Meaning"], rows)
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

fn timers() -> String {
    let pauses =
        |(first, most): (Duration, Duration)| format!("{}, doubling up to {}", seconds(first), seconds(most));
    let rows = [
        ("Association request (ARTIM)", seconds(limits::ARTIM)),
        ("TLS handshake", seconds(limits::TLS_HANDSHAKE)),
        (
            "Silence between messages",
            format!("{} s, `limits.idle_seconds`", limits::DEFAULT_IDLE_SECONDS),
        ),
        ("Silence within a message", seconds(limits::DIMSE_TIMEOUT)),
        ("One PDU", seconds(limits::PDU_DEADLINE)),
        ("Connection to a destination", seconds(limits::CONNECT_TIMEOUT)),
        ("Answer of a destination", seconds(limits::RESPONSE_TIMEOUT)),
        (
            "Report of a commitment on its association",
            seconds(limits::COMMITMENT_MOMENT),
        ),
        (
            "A destination that cannot be reached is tried again after",
            pauses(limits::DELIVERY_RETRY),
        ),
        (
            "An object that was refused is tried again after",
            pauses(limits::REFUSAL_RETRY),
        ),
        (
            "A commitment that is not reported is asked for again after",
            pauses(limits::COMMITMENT_RETRY),
        ),
    ];
    table(
        &["Timer", "Value"],
        rows.map(|(name, value)| row([name, &value])).into(),
    )
}

fn networking() -> String {
    let config = Config::default();
    let rows = [
        (
            "Implementation Class UID, as acceptor",
            IMPLEMENTATION_CLASS_UID.to_owned(),
        ),
        (
            "Implementation Version Name, as acceptor",
            IMPLEMENTATION_VERSION.to_owned(),
        ),
        (
            "AE title",
            format!("{}, `station.ae_title`", config.station.ae_title),
        ),
        (
            "Port",
            format!("{}, `station.port`; by TLS 2762, `tls.port`", config.station.port),
        ),
        (
            "Longest PDU that is taken",
            format!("{} KiB, `limits.pdu_kib`", config.limits.pdu_kib),
        ),
        (
            "Associations at once, as acceptor",
            format!("{}, `limits.associations`", config.limits.associations),
        ),
        (
            "Associations at once, as requestor",
            "one for each destination".to_owned(),
        ),
        (
            "Presentation contexts in one association",
            limits::MAX_PRESENTATION_CONTEXTS.to_string(),
        ),
        (
            "Instances in one request or report of a commitment",
            limits::MAX_REFERENCES.to_string(),
        ),
        (
            "Largest object",
            format!("{} MiB, `limits.object_mib`", config.limits.object_mib),
        ),
    ];
    table(
        &["", "Value"],
        rows.map(|(name, value)| row([name, &value])).into(),
    )
}

#[test]
fn the_conformance_statement_is_true() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut made = text.clone();
    for (name, content) in [
        ("services", services()),
        ("analyzed", analyzed()),
        ("syntaxes", syntaxes()),
        ("created", created()),
        ("statuses", statuses()),
        ("timers", timers()),
        ("networking", networking()),
    ] {
        let (begin, end) = (format!("<!-- {name}, made from the code -->\n"), "<!-- end -->");
        let from = made.find(&begin).unwrap_or_else(|| panic!("no table {name}")) + begin.len();
        let to = from + made[from..].find(end).unwrap();
        let mut block = String::new();
        write!(block, "\n{content}\n").unwrap();
        made.replace_range(from..to, &block);
    }
    if std::env::var_os("SIALOSCOPE_WRITE_DOCS").is_some() {
        return fs::write(&path, made).unwrap();
    }
    assert!(
        made == text,
        "docs/conformance.md is not what the code does: SIALOSCOPE_WRITE_DOCS=1 writes it anew"
    );
}
