//! What is wrong with the images of an examination, in words that reach the screen.
//!
//! | code | means |
//! |---|---|
//! | `not_a_head` | refusal: no contrast looks like a head |
//! | `parotids_not_covered` | refusal: the anchor ends above the parotid glands |
//! | `parotids_partly_covered`, `short_stack` | it may end inside them |
//! | `side_cut_off` | the field of view cuts a side off |
//! | `contrast_partly_covers` | a contrast leaves out much of what the anchor shows |
//! | `low_signal_to_noise` | noise |
//! | `motion_ghosts` | ghosts beside the head |
//! | `contrast_order` | the CE-T1 was acquired before the T1 |
//! | `contrast_swapped` | the T1 looks enhanced against the CE-T1 |
//! | `no_enhancement` | the CE-T1 does not |
//! | `registered` | a contrast of another frame of reference was aligned by its content |

mod agent;
mod coverage;
mod ghost;
mod head;
mod noise;
mod outline;

use self::outline::{EDGE_MM, Outline};
use super::image::Reduced;
use super::{BY_ANATOMY, Study};
use crate::findings::{Fault, Reason};
use crate::mr::{Contrast, Volume};

/// The images show something else.
pub const NOT_A_HEAD: &str = "not_a_head";

/// What was found out about the images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What a reader should know.
    pub remarks: Vec<Reason>,
    /// Why no model can honestly answer; empty when one may.
    pub refusals: Vec<Reason>,
}

impl Study {
    /// Checks the images: coverage, noise, motion, contrast agent, and whether they show a head.
    ///
    /// Thresholds are in [`crate::limits`]. They were set on a handful of real heads of four makers
    /// and on simulated patients, with room to spare, and not on clinical statistics.
    pub fn inspect(&self) -> Inspection {
        // Half a second of one core on a study of six series: two share it.
        std::thread::scope(|scope| {
            let signals = scope.spawn(|| self.signals());
            let mut inspection = self.shapes();
            // Nothing else about images of something else is worth reading.
            if !inspection.refusals.iter().any(|r| r.code == NOT_A_HEAD) {
                let signals = signals
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                inspection.remarks.extend(signals);
            }
            inspection
        })
    }

    /// Noise and ghosts, volume by volume.
    fn signals(&self) -> Vec<Reason> {
        let of_volume = |volume: &Volume| {
            let reduced = Reduced::of(volume, EDGE_MM);
            [noise::remark(volume, &reduced), ghost::remark(volume, &reduced)]
        };
        self.volumes.values().flat_map(of_volume).flatten().collect()
    }

    /// What is shown, how much of it, and in which order.
    fn shapes(&self) -> Inspection {
        let mut inspection = Inspection::default();
        let Some(anchor) = BY_ANATOMY.iter().find_map(|c| self.volume(*c)) else {
            return inspection;
        };
        let outline = Outline::of(anchor);
        if let Some(reason) = self.not_a_head(anchor.contrast, outline.as_ref()) {
            inspection.refusals.push(reason);
            return inspection;
        }
        let remarks = &mut inspection.remarks;
        if let Some(outline) = outline {
            if let Some(coverage) = coverage::coverage(&outline) {
                match coverage.refusal(anchor.contrast) {
                    Some(reason) => inspection.refusals.push(reason),
                    None => remarks.extend(coverage.remarks(anchor.contrast)),
                }
            }
            let others = self.volumes.values().filter(|v| v.contrast != anchor.contrast);
            remarks.extend(others.filter_map(|v| coverage::shared(&outline, anchor.contrast, v)));
            if let (Contrast::T2, Some(before), Some(after)) = (
                anchor.contrast,
                self.volume(Contrast::T1),
                self.volume(Contrast::CeT1),
            ) {
                remarks.extend(agent::uptake(&outline, before, after).and_then(|u| u.remark()));
            }
        }
        remarks.extend(agent::order(&self.origins));
        inspection
    }

    /// A refusal when every contrast that can tell says that this is no head. One that looks like a
    /// head is enough: an odd field of view or a failed series must not silence the others. The outline of the anchor is
    /// known already, if it has one.
    fn not_a_head(&self, anchor: Contrast, outlined: Option<&Outline>) -> Option<Reason> {
        let mut first = None;
        for contrast in BY_ANATOMY {
            // A computed map has no outline of its own, and high b shows little but noise.
            if matches!(contrast, Contrast::Adc | Contrast::Dwi) {
                continue;
            }
            let Some(volume) = self.volume(contrast) else {
                continue;
            };
            let own;
            let outline = if contrast == anchor {
                outlined
            } else {
                own = Outline::of(volume);
                own.as_ref()
            };
            let Some(outline) = outline else {
                first.get_or_insert((contrast, "it shows nothing at all".to_owned()));
                continue;
            };
            // A few slices are not held against it.
            if !head::can_tell(outline) {
                continue;
            }
            let small = || "it is smaller than any slice of a head".to_owned();
            match head::looks(outline).map_or_else(|| Some(small()), |looks| looks.against()) {
                Some(why) => first.get_or_insert((contrast, why)),
                None => return None,
            };
        }
        let (contrast, why) = first?;
        let text = format!("The {contrast} does not look like a head with face and neck: {why}.");
        Some(Reason::new(NOT_A_HEAD, Fault::Data, text))
    }
}

#[cfg(test)]
mod tests;
