//! Real T1 heads as the anatomy of simulated patients: read through the appliance's own MR reader, handed
//! to `phantom` as plain numbers. No identifier of the real person goes further than into a hash.

use std::collections::BTreeMap;
use std::path::Path;

use models::findings::{Fault, Reason};
use models::mr::{Contrast, Scan, VolumeIndex};
use models::package::hex_sha256;
use phantom::{Grid, HeadScan, RealHead, Unfit};

use crate::error::Error;

/// The most heads of one cohort: each takes about 125 MB of memory.
pub const MAX_HEADS: usize = 16;

/// The heads of a folder, and what of it cannot be one.
pub struct Heads {
    /// In the order of their studies' UIDs.
    pub found: Vec<RealHead>,
    /// One line for each study that is left out.
    pub left_out: Vec<String>,
}

/// Reads every study under a folder and finds its head in a T1 volume, the one with the smallest voxels
/// first. Studies of one Patient ID get one name, so that one person is never two.
///
/// # Errors
/// No study holds a usable T1 head, with the reasons, or more than [`MAX_HEADS`] do; the data's fault.
pub fn heads(dir: &Path) -> Result<Heads, Error> {
    // An absent folder is a wrong command line, not wrong data.
    std::fs::read_dir(dir).map_err(Error::file(dir))?;
    let scan = models::mr::scan(&[dir.to_owned()]);
    let mut heads = Heads {
        found: Vec::new(),
        left_out: Vec::new(),
    };
    for (study_uid, anatomy) in names(&scan) {
        match head(&scan, &study_uid, &anatomy) {
            Ok(head) if heads.found.len() == MAX_HEADS => {
                drop(head);
                let text = format!("more than {MAX_HEADS} heads in {}", dir.display());
                return Err(refused("too_many_heads", text));
            }
            Ok(head) => heads.found.push(head),
            Err(reasons) => {
                let start: String = anatomy.chars().take(8).collect();
                heads.left_out.push(format!("head {start}: {reasons}"));
            }
        }
    }
    if heads.found.is_empty() {
        let mut reasons = heads.left_out.join("; ");
        if reasons.is_empty() {
            reasons = match scan.refused.first() {
                Some(input) => format!("no examination; {}: {}", input.input, input.reason.text),
                None => "no DICOM files".to_owned(),
            };
        }
        let text = format!("no anatomy in {}: {reasons}", dir.display());
        return Err(refused("no_anatomy", text));
    }
    Ok(heads)
}

fn refused(code: &str, text: String) -> Error {
    Error::Reason(Reason::new(code, Fault::Data, text))
}

/// Each study with the name of its person's anatomy, by Study Instance UID: the hash of the person's first UID.
fn names(scan: &Scan) -> BTreeMap<String, String> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for study in scan.studies.iter().filter(|s| !s.patient_id.is_empty()) {
        let uid = first
            .entry(&study.patient_id)
            .or_insert(&study.study_instance_uid);
        *uid = (*uid).min(&study.study_instance_uid);
    }
    let name = |patient_id: &str, own: &str| {
        let uid = first.get(patient_id).copied().unwrap_or(own);
        hex_sha256(uid.as_bytes())
    };
    let studies = scan.studies.iter();
    studies
        .map(|s| {
            let uid = s.study_instance_uid.clone();
            let name = name(&s.patient_id, &uid);
            (uid, name)
        })
        .collect()
}

/// The head of one study, or why none of its T1 volumes gives one.
fn head(scan: &Scan, study_uid: &str, anatomy: &str) -> Result<RealHead, String> {
    let series = scan.series.iter().filter(|s| s.study_uid == study_uid);
    let volumes = series.flat_map(|s| &s.volumes);
    let mut candidates: Vec<&VolumeIndex> = volumes.filter(|v| v.contrast == Some(Contrast::T1)).collect();
    candidates.sort_by(|a, b| a.grid.voxel_volume().total_cmp(&b.grid.voxel_volume()));
    if candidates.is_empty() {
        return Err("it holds no T1 series without contrast agent".to_owned());
    }
    let mut reasons = Vec::new();
    for index in candidates {
        let volume = match index.load() {
            Ok(volume) => volume,
            Err(reason) => {
                reasons.push(reason.text);
                continue;
            }
        };
        let [slices, rows, columns] = volume.grid.shape;
        let found = RealHead::find(&HeadScan {
            grid: Grid {
                origin: volume.grid.origin,
                slice_step: volume.grid.slice_step,
                row_step: volume.grid.row_step,
                column_step: volume.grid.column_step,
                shape: volume.grid.shape,
                thickness_mm: volume.grid.spacing()[0],
            },
            voxels: volume.voxels,
            anatomy: anatomy.to_owned(),
        });
        match found {
            Ok(head) => return Ok(head),
            Err(unfit) => reasons.push(described(&unfit, [slices, rows, columns])),
        }
    }
    Err(reasons.join("; "))
}

fn described(unfit: &Unfit, [slices, rows, columns]: [usize; 3]) -> String {
    format!(
        "T1 of {slices} slices of {rows} × {columns} ({}): {unfit}",
        unfit.code()
    )
}
