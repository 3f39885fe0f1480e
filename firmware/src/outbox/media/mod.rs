//! Findings on a medium, such as a USB stick, for hospitals without a network: a DICOM file set
//! (PS3.10, PS3.3 Annex F) with the objects of any number of studies.
//!
//! ```text
//! FOLDER/
//!   DICOMDIR
//!   SIALO/
//!     00000001/SR  SEG  SC     the objects of one study
//! ```
//!
//! Every file is synced before the directory that names it appears, as a whole: a stick that is pulled out has
//! no DICOMDIR, or one that is right. What a folder holds already is never touched.

mod directory;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use models::findings::{Fault, Reason};
use models::mr::{DataSet, Syntax};

use self::directory::{COMPONENT, Record};
use crate::dicom::Uid;
use crate::disk::{Disk, RealDisk};
use crate::limits::MAX_REPORT_FILE_BYTES;
use crate::report::{Kind, Set};
use crate::study::record::Records;

const FOLDER: &str = "SIALO";
const NAME: &str = "SIALO";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Studies with objects.
    pub studies: usize,
    /// Their objects.
    pub objects: usize,
}

/// One object on the medium.
struct Filed {
    study: Uid,
    kind: Kind,
    bytes: Vec<u8>,
    /// Where its data set begins.
    data_set_at: usize,
    /// Components of its File ID.
    id: [String; 3],
}

/// Writes the objects about these studies into a folder; about all, where none is named.
///
/// # Errors
/// `medium` when there is a file set already or the medium fails, `unknown_study`, `nothing_to_export`, `disk`.
pub fn export(records: &Records, studies: &[Uid], to: &Path) -> Result<Exported, Reason> {
    let medium = |error: io::Error| {
        let text = format!("{}: {error}", to.display());
        Reason::new("medium", Fault::Hardware, text)
    };
    let disk = RealDisk;
    let root = to.join(FOLDER);
    for taken in [to.join("DICOMDIR"), root.clone()] {
        if disk.exists(&taken).map_err(medium)? {
            let text = format!("{} is there already; it is left as it is", taken.display());
            return Err(Reason::new("medium", Fault::Configuration, text));
        }
    }
    let filed = collect(records, studies)?;
    if filed.is_empty() {
        let text = "no study has an object to export";
        return Err(Reason::new("nothing_to_export", Fault::Configuration, text));
    }
    let tree = tree(&filed)?;
    let bytes = directory::file(NAME, &tree)?;
    write(&disk, to, &root, &filed, &bytes).map_err(medium)?;
    let mut studies: Vec<_> = filed.iter().map(|file| &file.study).collect();
    studies.dedup();
    Ok(Exported {
        studies: studies.len(),
        objects: filed.len(),
    })
}

fn collect(records: &Records, studies: &[Uid]) -> Result<Vec<Filed>, Reason> {
    let failed = |error: io::Error| Reason::new("disk", Fault::Hardware, error.to_string());
    let mut known = records.studies().map_err(failed)?;
    known.sort();
    if let Some(unknown) = studies.iter().find(|study| !known.contains(study)) {
        let text = format!("there is no study {unknown}");
        return Err(Reason::new("unknown_study", Fault::Configuration, text));
    }
    if !studies.is_empty() {
        known.retain(|study| studies.contains(study));
    }
    let mut filed = Vec::new();
    let mut number = 0;
    for study in known {
        let listed = records.objects(&study).map_err(failed)?;
        number += usize::from(!listed.is_empty());
        for object in listed {
            let path = records.folder(&study).join(object.kind.file_name());
            let bytes = RealDisk
                .read_at_most(&path, MAX_REPORT_FILE_BYTES)
                .map_err(failed)?;
            let name = object.kind.file_name().trim_end_matches(".dcm").to_uppercase();
            filed.push(Filed {
                study: study.clone(),
                kind: object.kind,
                data_set_at: data_set_at(&bytes)?,
                bytes,
                id: [FOLDER.to_owned(), format!("{number:0COMPONENT$}"), name],
            });
        }
    }
    Ok(filed)
}

fn data_set_at(bytes: &[u8]) -> Result<usize, Reason> {
    let mut rest = bytes.get(128..).unwrap_or_default();
    FileMetaTable::from_reader(&mut rest).map_err(|error| damaged(&error))?;
    Ok(bytes.len() - rest.len())
}

fn damaged(error: &dyn std::fmt::Display) -> Reason {
    let text = format!("an object on the disk is damaged: {error}");
    Reason::new("disk", Fault::Hardware, text)
}

fn write(disk: &dyn Disk, to: &Path, root: &Path, filed: &[Filed], directory: &[u8]) -> io::Result<()> {
    disk.make_folder(root)?;
    let mut made = PathBuf::new();
    for file in filed {
        let [_, study, name] = &file.id;
        let folder = root.join(study);
        if made != folder {
            disk.make_folder(&folder)?;
            made.clone_from(&folder);
        }
        disk.replace(&folder.join(name), &file.bytes)?;
    }
    disk.replace(&to.join("DICOMDIR"), directory)
}

/// PATIENT, STUDY, SERIES, and an object below each (PS3.3 F.4).
fn tree(filed: &[Filed]) -> Result<Vec<Record>, Reason> {
    let mut patients: BTreeMap<Vec<Vec<u8>>, Record> = BTreeMap::new();
    for objects in filed.chunk_by(|a, b| a.study == b.study) {
        let mut series = Vec::new();
        for object in objects {
            series.push(series_record(object)?);
        }
        let Some(first) = objects.first() else {
            continue;
        };
        let set = parse(first)?;
        let value = |tag| {
            set.get(tag)
                .map_or(Vec::new(), |element| element.bytes().to_vec())
        };
        let who = [tags::SPECIFIC_CHARACTER_SET, tags::PATIENT_ID, tags::PATIENT_NAME].map(value);
        let patient = patients.entry(who.into()).or_insert_with(|| Record {
            kind: "PATIENT",
            keys: with_characters(&set)
                .and(copied(&set, tags::PATIENT_NAME, VR::PN, ""))
                .and(copied(
                    &set,
                    tags::PATIENT_ID,
                    VR::LO,
                    &format!("STUDY-{}", first.study.tag()),
                )),
            below: Vec::new(),
        });
        // The study may have no date; its result has one.
        let made = [tags::CONTENT_DATE, tags::INSTANCE_CREATION_DATE].map(|tag| set.text(tag));
        let made = made.into_iter().flatten().next().unwrap_or_default();
        patient.below.push(Record {
            kind: "STUDY",
            keys: with_characters(&set)
                .and(copied(&set, tags::STUDY_DATE, VR::DA, &made))
                .and(copied(&set, tags::STUDY_TIME, VR::TM, "000000"))
                .and(copied(&set, tags::ACCESSION_NUMBER, VR::SH, ""))
                .and(copied(&set, tags::STUDY_DESCRIPTION, VR::LO, ""))
                .and(copied(&set, tags::STUDY_INSTANCE_UID, VR::UI, ""))
                .and(copied(&set, tags::STUDY_ID, VR::SH, "0")),
            below: series,
        });
    }
    Ok(patients.into_values().collect())
}

fn series_record(object: &Filed) -> Result<Record, Reason> {
    let set = parse(object)?;
    let keys = with_characters(&set)
        .and(copied(&set, tags::MODALITY, VR::CS, ""))
        .and(copied(&set, tags::SERIES_DESCRIPTION, VR::LO, ""))
        .and(copied(&set, tags::SERIES_INSTANCE_UID, VR::UI, ""))
        .and(copied(&set, tags::SERIES_NUMBER, VR::IS, "0"));
    Ok(Record {
        kind: "SERIES",
        keys,
        below: vec![object_record(object, &set)?],
    })
}

fn object_record(object: &Filed, set: &DataSet<'_>) -> Result<Record, Reason> {
    let id: Vec<&str> = object.id.iter().map(String::as_str).collect();
    let value = |tag| set.text(tag).unwrap_or_default();
    let mut keys = with_characters(set)
        .texts(tags::REFERENCED_FILE_ID, VR::CS, &id)
        .text(
            tags::REFERENCED_SOP_CLASS_UID_IN_FILE,
            VR::UI,
            &value(tags::SOP_CLASS_UID),
        )
        .text(
            tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE,
            VR::UI,
            &value(tags::SOP_INSTANCE_UID),
        )
        .text(
            tags::REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE,
            VR::UI,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
        )
        .and(copied(set, tags::INSTANCE_NUMBER, VR::IS, "1"));
    if object.kind != Kind::Report {
        return Ok(Record {
            kind: "IMAGE",
            keys,
            below: Vec::new(),
        });
    }
    for (tag, vr) in [
        (tags::CONTENT_DATE, VR::DA),
        (tags::CONTENT_TIME, VR::TM),
        (tags::COMPLETION_FLAG, VR::CS),
        (tags::VERIFICATION_FLAG, VR::CS),
    ] {
        keys = keys.and(copied(set, tag, vr, ""));
    }
    let report = InMemDicomObject::read_dataset_with_ts(
        &object.bytes[object.data_set_at..],
        &EXPLICIT_VR_LITTLE_ENDIAN.erased(),
    );
    let report = report.map_err(|error| damaged(&error))?;
    let items = |tag| {
        let sequence = report.element(tag).ok().and_then(|element| element.items());
        sequence.unwrap_or_default().iter().cloned().map(Set::of)
    };
    let modifies = |item: &InMemDicomObject| {
        let relationship = item.element(tags::RELATIONSHIP_TYPE).ok();
        relationship.and_then(|element| element.to_str().ok()).as_deref() == Some("HAS CONCEPT MOD")
    };
    let content = report.element(tags::CONTENT_SEQUENCE).ok();
    let modifiers = content.and_then(|element| element.items()).unwrap_or_default();
    let modifiers = modifiers
        .iter()
        .filter(|item| modifies(item))
        .cloned()
        .map(Set::of);
    Ok(Record {
        kind: "SR DOCUMENT",
        keys: keys
            .items(
                tags::CONCEPT_NAME_CODE_SEQUENCE,
                items(tags::CONCEPT_NAME_CODE_SEQUENCE),
            )
            .some_items(tags::CONTENT_SEQUENCE, modifiers.collect()),
        below: Vec::new(),
    })
}

fn parse(object: &Filed) -> Result<DataSet<'_>, Reason> {
    let bytes = &object.bytes[object.data_set_at..];
    DataSet::parse(bytes, Syntax::EXPLICIT).map_err(|broken| damaged(&format!("{broken:?}")))
}

/// The character set of the texts of a record, where the object names one.
fn with_characters(set: &DataSet<'_>) -> Set {
    match set.get(tags::SPECIFIC_CHARACTER_SET) {
        Some(element) => Set::new().written(tags::SPECIFIC_CHARACTER_SET, VR::CS, element.bytes()),
        None => Set::new(),
    }
}

/// A value of the object byte by byte, or another one where it has none.
fn copied(set: &DataSet<'_>, tag: Tag, vr: VR, otherwise: &str) -> Set {
    let value = set.get(tag).map(|element| element.trimmed()).unwrap_or_default();
    if value.is_empty() {
        Set::new().text(tag, vr, otherwise)
    } else {
        Set::new().written(tag, vr, value)
    }
}
