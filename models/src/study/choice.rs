//! Which of several series is taken for a contrast.

use std::collections::BTreeMap;

use super::resample::radiological_axes;
use super::series_name;
use crate::findings::{Fault, Reason};
use crate::limits::PREFERRED_HIGH_B_S_PER_MM2;
use crate::mr::{Contrast, Series, VolumeIndex};

/// A volume that was recognised as a contrast, and the series it belongs to.
pub(super) type Candidate<'a> = (&'a Series, &'a VolumeIndex);

/// Sorts candidates for one contrast, the best first; the order is that of
/// [`super::Study::assemble`].
pub(super) fn rank(list: &mut [Candidate]) {
    list.sort_by(|(sa, a), (sb, b)| {
        let b_distance = |v: &VolumeIndex| v.b_value.map_or(0.0, |x| (x - PREFERRED_HIGH_B_S_PER_MM2).abs());
        let axial = |v: &VolumeIndex| radiological_axes(&v.grid).is_some();
        b.confidence
            .cmp(&a.confidence)
            .then_with(|| axial(b).cmp(&axial(a)))
            .then_with(|| b_distance(a).total_cmp(&b_distance(b)))
            .then_with(|| b.grid.shape[0].cmp(&a.grid.shape[0]))
            .then_with(|| b.acquired.cmp(&a.acquired))
            .then_with(|| sb.number.cmp(&sa.number))
            .then_with(|| sa.uid.cmp(&sb.uid))
    });
}

/// Takes the T1 series out that were acquired after the first CE-T1, ranked before: the agent stays in
/// the tissue, so they are no T1 without it, and no word of theirs makes them a CE-T1.
pub(super) fn without_agent<'a>(
    candidates: &mut BTreeMap<Contrast, Vec<Candidate<'a>>>,
) -> Vec<Candidate<'a>> {
    let after = candidates.get(&Contrast::CeT1).into_iter().flatten();
    let Some(given) = after.filter_map(|(_, v)| v.acquired.as_deref()).min() else {
        return Vec::new();
    };
    let Some(plain) = candidates.get_mut(&Contrast::T1) else {
        return Vec::new();
    };
    let late = |c: &Candidate| c.1.acquired.as_deref().is_some_and(|at| at > given);
    let (late, early) = std::mem::take(plain).into_iter().partition(late);
    *plain = early;
    late
}

/// Where no series is known to be after contrast agent and T1-weighted ones were acquired one after the
/// other, the later may be: the earliest goes first, and the reader is told.
pub(super) fn agent_unknown(candidates: &mut BTreeMap<Contrast, Vec<Candidate>>) -> Option<Reason> {
    if candidates.contains_key(&Contrast::CeT1) {
        return None;
    }
    let plain = candidates.get_mut(&Contrast::T1)?;
    let time = |c: &Candidate| c.1.acquired.clone();
    let first = plain.iter().filter_map(time).min()?;
    let later: Vec<String> = plain
        .iter()
        .filter(|c| time(c).is_some_and(|at| at > first))
        .map(|(series, _)| series_name(series))
        .collect();
    if later.is_empty() {
        return None;
    }
    plain.sort_by_key(|c| time(c) != Some(first.clone()));
    let text = format!(
        "T1-weighted series were acquired one after the other and none of them says that contrast agent was given; it is not known whether this is one after it: {}.",
        later.join(", ")
    );
    Some(Reason::new("contrast_agent_unknown", Fault::Data, text))
}
