//! Which of several series is taken for a contrast.

use super::resample::radiological_axes;
use crate::limits::PREFERRED_HIGH_B_S_PER_MM2;
use crate::mr::{Series, VolumeIndex};

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
            .then_with(|| sb.number.cmp(&sa.number))
            .then_with(|| sa.uid.cmp(&sb.uid))
    });
}
