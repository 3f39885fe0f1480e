//! Frames of reference: which volumes lie in one, and how those of another are brought into it.

use std::collections::BTreeMap;

use super::choice::Candidate;
use super::registration::{Found, Motion, register};
use super::{Study, not_chosen};
use crate::findings::{Fault, Reason, Registration};
use crate::mr::{Contrast, Volume};

/// Whose frame the others are brought into: the model's anchor, then what shows the most anatomy.
/// Also which volume of another frame is compared: b = 0 before the darker high b, ADC last.
pub(super) const BY_ANATOMY: [Contrast; 6] = [
    Contrast::T2,
    Contrast::CeT1,
    Contrast::T1,
    Contrast::DwiB0,
    Contrast::Dwi,
    Contrast::Adc,
];

/// What names a frame of reference: its UID (0020,0052), or the series where there is none, since
/// the volumes of one series share their frame (PS3.3 C.7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Frame<'a> {
    Known(&'a str),
    OfSeries(&'a str),
}

fn frame(candidate: Candidate<'_>) -> Frame<'_> {
    let (series, index) = candidate;
    match index.frame_of_reference_uid.as_deref() {
        Some(uid) => Frame::Known(uid),
        None => Frame::OfSeries(&series.uid),
    }
}

impl Study {
    /// Fills the study from ranked candidates: first what lies in the anchor's frame, then what can
    /// be registered to it.
    pub(super) fn fill(&mut self, candidates: &BTreeMap<Contrast, Vec<Candidate>>) {
        let mut unread: BTreeMap<Contrast, Vec<Candidate>> = candidates.clone();
        // A frame of which no volume can be loaded is no anchor.
        while self.volumes.is_empty() {
            let Some(anchor) = BY_ANATOMY.iter().find_map(|c| unread.get(c)?.first()) else {
                return;
            };
            let anchor = frame(*anchor);
            for list in unread.values_mut() {
                let (near, far) = std::mem::take(list)
                    .into_iter()
                    .partition(|c| frame(*c) == anchor);
                *list = far;
                self.take_first(near);
            }
        }
        self.register_others(unread);
        self.origins.sort_by_key(|o| o.contrast);
    }

    /// Takes the first of several candidates for one contrast that can be loaded.
    fn take_first(&mut self, list: Vec<Candidate>) {
        for candidate in list {
            match candidate.1.contrast {
                Some(contrast) if self.volumes.contains_key(&contrast) => {
                    self.refuse(candidate.0, not_chosen(contrast));
                }
                _ => {
                    if let Some(volume) = self.load(candidate) {
                        self.take(candidate, volume);
                    }
                }
            }
        }
    }

    /// Brings the best candidates of other frames into the anchor's.
    fn register_others(&mut self, candidates: BTreeMap<Contrast, Vec<Candidate>>) {
        // What lies in one frame moves together, by the volume that shows the most anatomy.
        let mut frames: BTreeMap<Frame, Vec<(Candidate, Volume)>> = BTreeMap::new();
        for (contrast, list) in candidates {
            let mut chosen = self.volumes.contains_key(&contrast);
            for candidate in list {
                if chosen {
                    self.refuse(candidate.0, not_chosen(contrast));
                } else if let Some(volume) = self.load(candidate) {
                    chosen = true;
                    frames
                        .entry(frame(candidate))
                        .or_default()
                        .push((candidate, volume));
                }
            }
        }
        join_by_grid(&mut frames);
        let anchor = BY_ANATOMY.iter().copied().find(|c| self.volumes.contains_key(c));
        self.anchor = anchor;
        for group in frames.into_values() {
            let leader = BY_ANATOMY
                .iter()
                .find_map(|c| group.iter().find(|(_, v)| v.contrast == *c));
            let (Some(anchor), Some((_, leader))) = (anchor, leader) else {
                continue;
            };
            let leading = leader.contrast;
            let found = register(&self.volumes[&anchor], leader);
            let answer = found.ok_or_else(empty).and_then(|f| Ok((f, f.accepted()?)));
            match answer {
                Ok((found, registration)) => self.move_group(group, leading, anchor, &found, registration),
                Err(reason) => {
                    for (candidate, volume) in group {
                        let text = format!("{} {}", volume.contrast, reason.text);
                        self.refuse(
                            candidate.0,
                            Reason {
                                text,
                                ..reason.clone()
                            },
                        );
                    }
                }
            }
        }
    }

    fn move_group(
        &mut self,
        group: Vec<(Candidate, Volume)>,
        leading: Contrast,
        anchor: Contrast,
        found: &Found,
        registration: Registration,
    ) {
        let names: Vec<&str> = group.iter().map(|(_, v)| v.contrast.name()).collect();
        let text = format!(
            "{} came in another frame of reference and {} aligned to {anchor} by the content of {leading}: turned by {:.1} degrees, shifted by {:.1} mm",
            names.join(", "),
            if names.len() == 1 { "was" } else { "were" },
            registration.rotation_degrees,
            registration.shift_mm
        );
        self.quality.push(Reason::new("registered", Fault::Data, text));
        for (candidate, volume) in group {
            let moved = carried(volume, &found.motion);
            self.take(candidate, moved);
            if let Some(origin) = self.origins.last_mut() {
                origin.registered = Some(registration);
            }
        }
    }
}

fn carried(volume: Volume, motion: &Motion) -> Volume {
    Volume {
        grid: motion.carry(&volume.grid),
        ..volume
    }
}

/// A computed ADC map often loses its frame of reference; where its voxels are those of another
/// diffusion volume, it goes with that one.
fn join_by_grid(frames: &mut BTreeMap<Frame, Vec<(Candidate, Volume)>>) {
    let diffusion = |v: &Volume| matches!(v.contrast, Contrast::DwiB0 | Contrast::Dwi | Contrast::Adc);
    let alone: Vec<Frame> = frames
        .iter()
        .filter(|(f, group)| matches!(f, Frame::OfSeries(_)) && group.iter().all(|(_, v)| diffusion(v)))
        .map(|(f, _)| *f)
        .collect();
    for lost in alone {
        let home = frames.iter().find_map(|(f, group)| {
            let same = |v: &Volume| frames[&lost].iter().all(|(_, own)| own.grid.coincides(&v.grid));
            (*f != lost && group.iter().any(|(_, v)| diffusion(v) && same(v))).then_some(*f)
        });
        if let Some(home) = home
            && let Some(group) = frames.remove(&lost)
        {
            frames.entry(home).or_default().extend(group);
        }
    }
}

fn empty() -> Reason {
    Reason::new(
        "not_registered",
        Fault::Data,
        "has another frame of reference and shows nothing that could be aligned",
    )
}
