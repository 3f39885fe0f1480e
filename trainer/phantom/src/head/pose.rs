//! Where the template lies in a real head: the pose under which its labels explain the intensities best.
//!
//! The measure is the correlation ratio (Roche et al., MICCAI 1998): the share of the variance of the
//! intensities that vanishes within the labels. It asks only that one tissue has one brightness, not
//! which, so that T1 with and without fat suppression both fit.

use std::ops::Range;

use super::lattice::{Field, Lattice};
use crate::anatomy::{Label, Template};
use crate::space::{Point, Rotation, add, sub};

/// Template millimetres → patient millimetres: stretched along the axes, turned, shifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pose {
    /// About x, y, z, radians.
    pub turn: [f32; 3],
    /// Patient millimetres of the template's origin.
    pub shift: Point,
    /// Stretch along the template's axes.
    pub stretch: [f32; 3],
}

impl Pose {
    /// A head in true size and the template's directions → patient millimetres.
    pub fn place(&self) -> impl Fn(Point) -> Point + use<> {
        let turn = Rotation::about_axes(self.turn[0], self.turn[1], self.turn[2]);
        let shift = self.shift;
        move |head| add(turn.apply(head), shift)
    }

    /// The inverse of [`Pose::place`].
    pub fn back(&self) -> impl Fn(Point) -> Point + use<> {
        let turn = Rotation::about_axes(self.turn[0], self.turn[1], self.turn[2]);
        let shift = self.shift;
        move |p| turn.undo(sub(p, shift))
    }

    /// Template millimetres → a head in true size.
    pub fn stretched(&self, p: Point) -> Point {
        std::array::from_fn(|a| p[a] * self.stretch[a])
    }

    /// The inverse of [`Pose::stretched`].
    pub fn relaxed(&self, head: Point) -> Point {
        std::array::from_fn(|a| head[a] / self.stretch[a])
    }
}

/// Places of the template with what they are made of.
pub(crate) struct Landmarks(Vec<(Point, Label)>);

/// The template's places before this are left out, mm: noses differ, and faces are removed from public data.
const FACE_MM: f32 = -62.0;
/// Air around the head belongs to the template as far as this, mm.
const AROUND_MM: f32 = 14.0;
/// What of the template is used: without the vault, which a neck coil may not see.
const REACH: [Point; 2] = [[-95.0, FACE_MM, -56.0], [95.0, 95.0, 58.0]];

impl Landmarks {
    /// The whole template at an even step, mm.
    pub fn of(template: &Template, step: f32) -> Self {
        Landmarks::within(template, step, |_| true)
    }

    /// The template around a point.
    pub fn around(template: &Template, step: f32, centre: Point, reach: f32) -> Self {
        Landmarks::within(template, step, |p| {
            (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f32>() < reach * reach
        })
    }

    fn within(template: &Template, step: f32, wanted: impl Fn(Point) -> bool) -> Self {
        let lattice = Lattice::over(REACH[0], REACH[1], step);
        let places = (0..lattice.len()).map(|at| lattice.place(at));
        let labelled = places
            .filter(|p| wanted(*p) && template.outline(*p) < AROUND_MM)
            .map(|p| (p, template.label(p)));
        Landmarks(labelled.filter(|(_, l)| *l != Label::Other).collect())
    }

    /// How well the labels explain the field under a pose, shifted by `shift` in the template; 0 when more
    /// than `blind` of the places lie outside the field.
    pub fn fit(&self, field: &Field, pose: &Pose, shift: Point, blind: f32) -> Fit {
        let place = pose.place();
        let mut sums = [[0.0f64; 3]; Label::COUNT];
        let (mut unseen, mut right, mut border) = (0, 0, 0);
        for &(p, label) in &self.0 {
            let at = field.lattice.nearest(place(pose.stretched(add(p, shift))));
            let v = at.map_or(f32::NAN, |at| field.values[at]);
            let air = label == Label::Outside;
            if v.is_nan() {
                unseen += usize::from(!air);
                continue;
            }
            border += 1;
            right += usize::from(air == (v == 0.0));
            if !air {
                let v = f64::from(v);
                let s = &mut sums[label as usize];
                (s[0], s[1], s[2]) = (s[0] + 1.0, s[1] + v, s[2] + v * v);
            }
        }
        let unseen = unseen as f32 / (self.0.len() as f32).max(1.0);
        if unseen > blind || border == 0 {
            return Fit {
                unseen: 1.0,
                ..Fit::default()
            };
        }
        let scatter = |[n, s, s2]: [f64; 3]| if n > 0.0 { s2 - s * s / n } else { 0.0 };
        let all = sums
            .iter()
            .fold([0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
        let within: f64 = sums.into_iter().map(scatter).sum();
        let whole = scatter(all);
        Fit {
            tissues: if whole > 0.0 {
                (1.0 - within / whole) as f32
            } else {
                0.0
            },
            outline: right as f32 / border as f32,
            unseen,
        }
    }
}

/// How well the template explains an image.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fit {
    /// Correlation ratio inside the template, 0 to 1.
    pub tissues: f32,
    /// Share of the places that are air and head where they should be.
    pub outline: f32,
    /// Share of the places outside the field of view.
    pub unseen: f32,
}

impl Fit {
    /// Share of the places inside the field of view.
    pub fn seen(&self) -> f32 {
        1.0 - self.unseen
    }

    /// What a search climbs.
    pub fn score(&self) -> f32 {
        self.tissues + OUTLINE_WEIGHT * self.outline - UNSEEN_COST * self.unseen
    }
}

/// Climbs from `start` by steps along each number until no step of an eighth of the first one helps.
pub(crate) fn climb<const N: usize>(
    start: [f32; N],
    steps: [f32; N],
    score: impl Fn(&[f32; N]) -> f32,
) -> ([f32; N], f32) {
    let mut best = start;
    let mut highest = score(&best);
    let mut size = 1.0;
    while size > 0.1 {
        let mut moved = false;
        for i in 0..N {
            for sign in [1.0, -1.0] {
                let mut next = best;
                next[i] += sign * size * steps[i];
                let value = score(&next);
                if value > highest {
                    (best, highest, moved) = (next, value, true);
                }
            }
        }
        if !moved {
            size *= 0.5;
        }
    }
    (best, highest)
}

/// Heads are this much larger or smaller than the template at most, along x, y and z.
const STRETCH: [[f32; 2]; 3] = [[0.82, 1.28], [0.82, 1.28], [0.86, 1.12]];
/// Heads are turned this far at most, radians: they lie in a head coil.
const MAX_TURN: f32 = 0.5;
/// Share of the template that may lie outside the field of view: a parotid protocol shows three quarters.
const BLIND: f32 = 0.45;
/// What the outline counts beside the tissues.
const OUTLINE_WEIGHT: f32 = 1.0;
/// What is not seen cannot speak against a pose; this much of the unseen share is taken off the measure.
const UNSEEN_COST: f32 = 0.2;
/// Of the coarse search's results, how many are refined.
const KEPT: usize = 6;

fn pose_of(v: &[f32; 9]) -> Option<Pose> {
    let pose = Pose {
        turn: [v[0], v[1], v[2]],
        shift: [v[3], v[4], v[5]],
        stretch: [v[6], v[7], v[8]],
    };
    let sane = pose
        .stretch
        .iter()
        .zip(STRETCH)
        .all(|(s, [low, high])| (low..=high).contains(s))
        && pose.turn.iter().all(|t| t.abs() <= MAX_TURN);
    sane.then_some(pose)
}

/// Where bone and air beside the ears are looked for, mm in the head's directions: |x| and y.
const EARS_MM: [[f32; 2]; 2] = [[35.0, 75.0], [-15.0, 45.0]];
/// The search along z, mm, in bins of the lattice.
const EARS_HEIGHT_MM: [f32; 2] = [-30.0, 84.0];
/// Bone and air are darker than this share of what is around them.
const BONE_BRIGHTNESS: f32 = 0.4;
/// This deep under the skin nothing is dark but bone, air and fluid, mm.
const UNDER_MM: f32 = 4.0;
/// Where the head is cut through petrous bone and mastoid, at least this share of those places is dark.
const LEAST_BONE: f32 = 0.15;
/// The upper edge of that bone lies this far above the parotids' middle, mm: measured in two heads as 21 mm
/// above the ear canal, which lies 25 mm above it.
const EDGE_OVER_GLANDS_MM: f32 = 46.0;
/// A head is moved along z this far at most, mm.
const MAX_SETTLE_MM: f32 = 24.0;

/// Moves a pose along the neck until petrous bone and mastoid lie where they belong over the parotids: outline
/// and soft tissue leave a head free to slide. Unchanged where the field of view does not show their top.
fn settle(field: &Field, mask: &[bool], pose: Pose) -> Pose {
    let lattice = &field.lattice;
    let air: Vec<bool> = mask.iter().map(|m| !m).collect();
    let depth = lattice.distance_to(&air);
    let back = pose.back();
    let bins = ((EARS_HEIGHT_MM[1] - EARS_HEIGHT_MM[0]) / lattice.step) as usize;
    let mut counts = vec![[0.0f32; 2]; bins];
    for at in (0..lattice.len()).filter(|at| depth[*at] > UNDER_MM && !field.values[*at].is_nan()) {
        let [x, y, z] = back(lattice.place(at));
        let bin = (z - EARS_HEIGHT_MM[0]) / lattice.step;
        let beside = [x.abs(), y]
            .iter()
            .zip(EARS_MM)
            .all(|(v, [low, high])| (low..high).contains(v));
        if beside && bin >= 0.0 && (bin as usize) < bins {
            let [all, dark] = &mut counts[bin as usize];
            *all += 1.0;
            *dark += f32::from(u8::from(field.values[at] < BONE_BRIGHTNESS));
        }
    }
    // Over 10 mm, since air cells and marrow make the profile rough.
    let share = |i: usize| {
        let near = &counts[i.saturating_sub(2)..(i + 3).min(bins)];
        let sum = near.iter().fold([0.0, 0.0], |s, c| [s[0] + c[0], s[1] + c[1]]);
        // A rim of the field of view says nothing.
        if sum[0] < 500.0 { 0.0 } else { sum[1] / sum[0] }
    };
    let profile: Vec<f32> = (0..bins).map(share).collect();
    let peak = (0..bins).fold(0, |best, i| if profile[i] > profile[best] { i } else { best });
    let above = (peak..bins).find(|i| profile[*i] < 0.5 * profile[peak]);
    let edge = above.filter(|i| profile[peak] > LEAST_BONE && profile[*i] > 0.0);
    let Some(edge) = edge else { return pose };
    let height = EARS_HEIGHT_MM[0] + (edge as f32 + 0.5) * lattice.step;
    let along = (height - EDGE_OVER_GLANDS_MM).clamp(-MAX_SETTLE_MM, MAX_SETTLE_MM);
    Pose {
        shift: pose.place()([0.0, 0.0, along]),
        ..pose
    }
}

/// One size for all axes, but for what z allows.
fn spread([bent, x, y, z, size]: [f32; 5]) -> [f32; 9] {
    let height = size.clamp(STRETCH[2][0], STRETCH[2][1]);
    [bent, 0.0, 0.0, x, y, z, size, size, height]
}

/// The best pose of the template in a field whose head is `mask`, and its correlation ratio.
pub(crate) fn find(template: &Template, field: &Field, mask: &[bool]) -> (Pose, Fit) {
    let (coarse, fine) = (Landmarks::of(template, 9.0), Landmarks::of(template, 4.5));
    let heights = heights(field, mask);
    let score_of = |landmarks: &Landmarks, v: &[f32; 9]| {
        pose_of(v).map_or(-1.0, |pose| {
            let fits = heights.contains(&pose.shift[2]);
            if fits {
                landmarks.fit(field, &pose, [0.0; 3], BLIND).score()
            } else {
                -1.0
            }
        })
    };
    let mut found: Vec<([f32; 9], f32)> = starts(&field.lattice, mask)
        .into_iter()
        .filter(|start| heights.contains(&start[2]))
        .map(|[x, y, z]| {
            // First only where and how far bent, in one size; the rest follows.
            let (v, s) = climb([0.0, x, y, z, 1.0], [0.12, 8.0, 8.0, 8.0, 0.06], |v| {
                score_of(&coarse, &spread(*v))
            });
            (spread(v), s)
        })
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(KEPT);
    let steps = [0.06, 0.04, 0.04, 5.0, 5.0, 5.0, 0.04, 0.04, 0.04];
    let best = found
        .into_iter()
        .map(|(v, _)| climb(v, steps, |v| score_of(&fine, v)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let nowhere = Pose {
        turn: [0.0; 3],
        shift: [0.0; 3],
        stretch: [1.0; 3],
    };
    let pose = best.and_then(|(v, _)| pose_of(&v)).unwrap_or(nowhere);
    let pose = settle(field, mask, pose);
    (pose, fine.fit(field, &pose, [0.0; 3], BLIND))
}

/// The parotids lie this far below the vertex, mm: 130 mm to the ear canal (adult heads, a few per cent more
/// or less) and about 30 mm on; a guess with room for small heads.
const BELOW_VERTEX_MM: [f32; 2] = [125.0, 192.0];
/// The highest slice of a head whose vertex is in the field of view is smaller than this, mm².
const CAP_MM2: f32 = 6_000.0;

/// Nodes of air that must be seen above the vertex.
const CLEAR_NODES: usize = 3;

/// Heights at which the template's origin may lie: below the vertex if the field of view shows it.
fn heights(field: &Field, mask: &[bool]) -> Range<f32> {
    let lattice = &field.lattice;
    let [nx, ny, nz] = lattice.shape;
    let area = |z: usize| {
        let slice = &mask[z * nx * ny..(z + 1) * nx * ny];
        slice.iter().filter(|m| **m).count() as f32 * lattice.step.powi(2)
    };
    // An ear of noise above the head is not its vertex.
    let top = (0..nz).rev().find(|z| area(*z) > 0.1 * CAP_MM2);
    // Above a vertex there is air, above the end of a stack there is nothing.
    let air_above = |z: usize| {
        let over = (z * nx * ny..(z + 1) * nx * ny).filter(|at| mask[*at]);
        let seen = over.filter(|at| {
            let above = at + CLEAR_NODES * nx * ny;
            field.values.get(above).is_some_and(|v| !v.is_nan())
        });
        seen.count() as f32 * lattice.step.powi(2) > 0.8 * area(z)
    };
    match top {
        Some(z) if area(z) < CAP_MM2 && air_above(z) => {
            let vertex = lattice.min[2] + z as f32 * lattice.step;
            vertex - BELOW_VERTEX_MM[1]..vertex - BELOW_VERTEX_MM[0]
        }
        _ => f32::NEG_INFINITY..f32::INFINITY,
    }
}

/// Where the template's origin may lie: along the whole head, at the middle of each slice.
fn starts(lattice: &Lattice, mask: &[bool]) -> Vec<Point> {
    const APART_MM: f32 = 14.0;
    let [nx, ny, nz] = lattice.shape;
    let stride = ((APART_MM / lattice.step) as usize).max(1);
    let mut list = Vec::new();
    for z in (0..nz).step_by(stride) {
        let slice = z * nx * ny..(z + 1) * nx * ny;
        let (mut sum, mut count) = ([0.0; 2], 0.0);
        for at in slice.filter(|at| mask[*at]) {
            let [x, y, _] = lattice.place(at);
            (sum, count) = ([sum[0] + x, sum[1] + y], count + 1.0);
        }
        if count * lattice.step.powi(2) < 2_000.0 {
            continue;
        }
        let height = lattice.min[2] + z as f32 * lattice.step;
        for dy in [-20.0, 0.0, 20.0] {
            list.push([sum[0] / count, sum[1] / count + dy, height]);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbing_finds_the_top() {
        let (v, s) = climb([5.0, -3.0], [1.0, 1.0], |v| {
            -(v[0] - 1.0).powi(2) - (v[1] - 2.0).powi(2)
        });
        assert!(
            (v[0] - 1.0).abs() < 0.2 && (v[1] - 2.0).abs() < 0.2 && s > -0.1,
            "{v:?}"
        );
    }

    #[test]
    fn stretching_and_relaxing_are_inverse() {
        let pose = Pose {
            turn: [0.1, 0.2, -0.1],
            shift: [3.0, 4.0, 5.0],
            stretch: [0.9, 1.1, 1.05],
        };
        let p = pose.relaxed(pose.stretched([10.0, -20.0, 30.0]));
        assert!((p[0] - 10.0).abs() < 1e-4 && (p[2] - 30.0).abs() < 1e-4);
    }
}
