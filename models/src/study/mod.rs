//! The volumes of one examination, brought into one frame.
//!
//! [`Study::assemble`] picks one volume per contrast and loads it. What shares a frame of reference
//! with the anchor (T2 where it is there) is taken as the scanner says; what does not is registered
//! to it, or refused. [`Study::axial_grid`] and [`Study::resample`] then put every contrast onto one
//! axial grid with the radiological axes: columns run to the patient's left, rows to posterior,
//! slices to the head. [`Study::inspect`] says what is wrong with the images.

mod apparent_diffusion;
mod choice;
mod frames;
mod image;
mod interpolation;
#[cfg(test)]
mod made;
mod quality;
mod registration;
mod resample;
mod separable;

use std::collections::BTreeMap;

use crate::findings::{ContrastUse, Fault, Reason, RefusedInput, StudyIdentity};
use crate::mr::{Contrast, Scan, Series, Source, Volume};

use self::choice::{Candidate, agent_unknown, rank, without_agent};
use self::frames::BY_ANATOMY;
pub(crate) use self::image::tissue_level;
pub use self::quality::{Inspection, NOT_A_HEAD};
pub use self::resample::mask_on;

/// One examination, ready to be made into tensors.
#[derive(Debug, Clone)]
pub struct Study {
    /// Whose it is.
    pub identity: StudyIdentity,
    /// One volume per contrast.
    pub volumes: BTreeMap<Contrast, Volume>,
    /// Where each volume came from, in the order of [`Contrast::ALL`].
    pub origins: Vec<ContrastUse>,
    /// The images of each volume that was not computed here.
    pub sources: Vec<Source>,
    /// The contrast in whose frame of reference all volumes are.
    pub anchor: Option<Contrast>,
    /// What was left out.
    pub refused: Vec<RefusedInput>,
    /// What a reader should know.
    pub quality: Vec<Reason>,
}

/// An examination that cannot be assembled at all.
#[derive(Debug, Clone, Default)]
pub struct Unassembled {
    /// Whose it is, as far as known.
    pub identity: StudyIdentity,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What was left out.
    pub refused: Vec<RefusedInput>,
}

impl Study {
    /// Picks and loads one volume per contrast.
    ///
    /// Among several candidates for one contrast the first by this order is taken: higher
    /// confidence; axial before other orientations; for DWI the b-value nearest 1000 s/mm²
    /// (Liu 2023); more slices; the later acquisition, since a repeated series usually mends motion and
    /// the later phase after contrast agent shows more of it; the higher series number.
    /// One that shares the anchor's frame of reference goes before one that would have to be
    /// registered. A T1 acquired after a CE-T1 is none; where no series is known to be after contrast agent
    /// the earliest T1 is taken; both are told with the code `contrast_agent_unknown`. The others are listed in `refused` with the code `not_chosen`, and what cannot be
    /// registered with `not_registered`.
    ///
    /// # Errors
    /// No usable series, or files of more than one study.
    pub fn assemble(scan: &Scan) -> Result<Study, Box<Unassembled>> {
        let mut refused: Vec<RefusedInput> = scan.refused.clone();
        refused.extend(scan.series.iter().flat_map(|s| s.refused.iter().cloned()));
        let identity = scan.studies.first().cloned().unwrap_or_default();
        let unassembled = |reasons: Vec<Reason>, refused: Vec<RefusedInput>| {
            Box::new(Unassembled {
                identity: identity.clone(),
                reasons,
                refused,
            })
        };
        if scan.studies.len() > 1 {
            let text = format!("the files belong to {} different studies", scan.studies.len());
            return Err(unassembled(
                vec![Reason::new("several_studies", Fault::Data, text)],
                refused,
            ));
        }

        let mut candidates: BTreeMap<Contrast, Vec<Candidate>> = BTreeMap::new();
        for series in &scan.series {
            for volume in &series.volumes {
                match volume.contrast {
                    Some(contrast) => candidates.entry(contrast).or_default().push((series, volume)),
                    None => {
                        let reason = Reason::new("not_used", Fault::Data, volume.reason.clone());
                        refused.push(RefusedInput {
                            input: series_name(series),
                            reason,
                        });
                    }
                }
            }
        }
        if candidates.is_empty() {
            let text = "no series was recognised as one of T1, T2, CE-T1, DWI or ADC";
            return Err(unassembled(
                vec![Reason::new("no_known_contrast", Fault::Data, text)],
                refused,
            ));
        }

        candidates.values_mut().for_each(|list| rank(list));
        for (series, volume) in without_agent(&mut candidates) {
            let text = format!(
                "{} It was acquired after a series with contrast agent and does not say that it is one itself.",
                volume.reason
            );
            refused.push(RefusedInput {
                input: series_name(series),
                reason: Reason::new("contrast_agent_unknown", Fault::Data, text),
            });
        }
        let quality = agent_unknown(&mut candidates).into_iter().collect();

        let mut study = Study {
            identity: identity.clone(),
            volumes: BTreeMap::new(),
            origins: Vec::new(),
            sources: Vec::new(),
            anchor: None,
            refused,
            quality,
        };
        study.fill(&candidates);
        study.compute_adc();
        if study.volumes.is_empty() {
            let text = "the voxels of no series could be read";
            return Err(unassembled(
                vec![Reason::new("unreadable", Fault::Data, text)],
                study.refused,
            ));
        }
        Ok(study)
    }

    /// Fills in the ADC where the scanner sent none.
    fn compute_adc(&mut self) {
        let (Some(b0), Some(dwi)) = (self.volume(Contrast::DwiB0), self.volume(Contrast::Dwi)) else {
            return;
        };
        if self.volumes.contains_key(&Contrast::Adc) {
            return;
        }
        let Some(map) = apparent_diffusion::compute(b0, dwi) else {
            return;
        };
        let high_b = self.origins.iter().find(|o| o.contrast == Contrast::Dwi);
        let Some(dwi) = high_b.cloned() else { return };
        let of = dwi.b_value.unwrap_or_default();
        self.origins.push(ContrastUse {
            contrast: Contrast::Adc,
            b_value: None,
            reason: format!(
                "Computed here from b = 0 and b = {of} s/mm² (one exponential, noise taken out), since the study brings no ADC map."
            ),
            computed: true,
            ..dwi
        });
        self.origins.sort_by_key(|o| o.contrast);
        self.volumes.insert(Contrast::Adc, map);
    }

    fn refuse(&mut self, series: &Series, reason: Reason) {
        self.refused.push(RefusedInput {
            input: series_name(series),
            reason,
        });
    }

    /// Loads one candidate, or writes down why not.
    fn load(&mut self, (series, index): Candidate) -> Option<Volume> {
        match index.load() {
            Ok(volume) => Some(volume),
            Err(reason) => {
                self.refuse(series, reason);
                None
            }
        }
    }

    /// Takes a loaded candidate.
    fn take(&mut self, (series, index): Candidate, volume: Volume) {
        self.origins.push(ContrastUse {
            contrast: volume.contrast,
            b_value: index.b_value,
            series_instance_uid: series.uid.clone(),
            series_number: series.number,
            description: series.description.clone(),
            reason: index.reason.clone(),
            confidence: index.confidence,
            used_by_model: false,
            registered: None,
            computed: false,
            acquired: index.acquired.clone(),
        });
        self.sources.extend(Source::of(series, index));
        self.volumes.insert(volume.contrast, volume);
    }

    /// The volume of a contrast.
    pub fn volume(&self, contrast: Contrast) -> Option<&Volume> {
        self.volumes.get(&contrast)
    }
}

/// The reason that names a missing contrast.
pub fn missing_contrast(contrast: Contrast) -> Reason {
    Reason::new(
        "missing_contrast",
        Fault::Data,
        format!("the study has no usable {contrast} series"),
    )
}

fn not_chosen(contrast: Contrast) -> Reason {
    let text = format!("another series was preferred for {contrast}");
    Reason::new("not_chosen", Fault::Data, text)
}

/// How a series is named to people: number and description, without patient data.
pub fn series_name(series: &Series) -> String {
    match series.number {
        Some(number) => format!("series {number} “{}”", series.description),
        None => format!("series “{}”", series.description),
    }
}
