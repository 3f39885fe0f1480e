//! `sialoscope export`: findings to a medium.

use std::path::Path;
use std::sync::Arc;

use models::findings::{Fault, Reason};

use crate::dicom::Uid;
use crate::disk::RealDisk;
use crate::outbox::media;
use crate::station::config::Config;
use crate::study::record::Records;

/// Writes the objects about these studies, or about all, into a folder as a DICOM file set.
///
/// # Errors
/// As [`media::export`]; `data_dir` when there is no data folder, `bad_uid`.
pub fn export(config: &Config, to: &Path, studies: &[String]) -> Result<(), Reason> {
    let data_dir = &config.station.data_dir;
    let unusable = |why: String| {
        let text = format!("the data folder {}: {why}", data_dir.display());
        Reason::new("data_dir", Fault::Configuration, text)
    };
    if !data_dir.join("studies").is_dir() {
        return Err(unusable("no appliance has kept studies there".to_owned()));
    }
    let uid = |text: &String| {
        Uid::parse(text)
            .map_err(|error| Reason::new("bad_uid", Fault::Configuration, format!("{text:?} {error}")))
    };
    let studies = studies.iter().map(uid).collect::<Result<Vec<_>, _>>()?;
    let records = Records::open(Arc::new(RealDisk), data_dir).map_err(|error| unusable(error.to_string()))?;
    let done = media::export(&records, &studies, to)?;
    let (objects, studies) = (done.objects, done.studies);
    super::print(&format!(
        "{objects} objects about {studies} studies in {}",
        to.display()
    ));
    Ok(())
}
