//! From intensities and places to shares of tissues.
//!
//! A voxel's brightness lies between those of two neighbours in the order void, water, fat (or void,
//! fat, water where fat is suppressed), and mixes them in proportion: partial volume and the grain of a
//! tissue come from the image. Which watery tissue it is follows from the place.

use super::Unfit;
use super::glands::{Candidates, Gland, Place};
use super::lattice::{Field, Lattice, quantile};
use super::pose::Pose;
use super::scan::Upright;
use super::shading::{Levels, Shading};
use crate::Side;
use crate::anatomy::{Label, Template};
use crate::space::Point;

/// Tissues of a real head, in the order of a voxel's shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tissue {
    Skin,
    Muscle,
    Gland,
    Fat,
    Mucosa,
    Vessel,
    White,
    Grey,
    Fluid,
}

/// How many there are.
pub(crate) const TISSUES: usize = Tissue::Fluid as usize + 1;
/// After the tissues' shares: how much of a place gives way to no tumour.
pub(super) const FIRM: usize = TISSUES;
/// And how far it belongs to a parotid, whatever it holds.
pub(super) const IN_GLAND: usize = TISSUES + 1;
/// All that is kept of a voxel, each 0 to 1.
pub(super) const KEPT: usize = TISSUES + 2;
/// In 255ths.
type Voxel = [u8; KEPT];

/// Tissue shares of a head in true size, and its outline.
pub(crate) struct Maps {
    lattice: Lattice,
    voxels: Vec<Voxel>,
    depth: Field,
}

impl Maps {
    /// What is kept of a point; zeros outside.
    pub fn shares_at(&self, head: Point) -> [f32; KEPT] {
        let mut shares = [0.0; KEPT];
        if let Some((at, t)) = self.lattice.cell(head) {
            for (i, weight) in self.lattice.corners(at, t) {
                for (share, stored) in shares.iter_mut().zip(self.voxels[i]) {
                    *share += weight / 255.0 * f32::from(stored);
                }
            }
        }
        shares
    }

    /// Distance to the outline, mm, negative inside; far outside where the maps end.
    pub fn distance(&self, head: Point) -> f32 {
        self.depth.at(head).unwrap_or(100.0)
    }
}

/// The template's labels in a real head.
pub(super) struct Labels {
    lattice: Lattice,
    labels: Vec<Label>,
}

/// Labels are known this finely, mm; the template fits no better.
const LABEL_MM: f32 = 3.0;

impl Labels {
    pub fn of(template: &Template, pose: &Pose) -> Self {
        let lattice = Lattice::over([-105.0, -126.0, -84.0], [105.0, 123.0, 84.0], LABEL_MM);
        let labels = (0..lattice.len())
            .map(|at| template.label(pose.relaxed(lattice.place(at))))
            .collect();
        Labels { lattice, labels }
    }

    pub fn at(&self, p: Point) -> Label {
        self.lattice
            .nearest(p)
            .map_or(Label::Outside, |at| self.labels[at])
    }

    /// Distance of each of its nodes to the nearest place of the wanted labels, mm.
    fn distance_to(&self, wanted: &[Label]) -> Field {
        let set: Vec<bool> = self.labels.iter().map(|l| wanted.contains(l)).collect();
        Field {
            lattice: self.lattice,
            values: self.lattice.distance_to(&set),
        }
    }
}

/// The skin's thickness, mm; a guess.
const SKIN_MM: f32 = 2.0;
/// Pure gland over muscle in T1; a guess between their relaxation times.
const GLAND_OVER_MUSCLE: f32 = 1.15;
/// Gland, with fat in it, is brighter than this share of muscle and darker than this share of the way to fat.
const GLAND_BRIGHTNESS: [f32; 2] = [0.72, 0.8];
/// The same with suppressed fat, over muscle.
const SUPPRESSED_GLAND: f32 = 1.7;
/// Bone and air are darker than this share of muscle.
const VOID: f32 = 0.4;
/// With suppressed fat, void is darker than this share of fat.
const VOID_OF_FAT: f32 = 0.5;
/// With suppressed fat, vessels with inflow are brighter than this many times muscle, fully at the second.
const INFLOW: [f32; 2] = [2.2, 3.0];
/// Brain is between these shares of its level.
const BRAIN: [f32; 2] = [0.6, 1.7];
/// Brain is cut loose from what touches it by this, mm.
const BRIDGE_MM: f32 = 2.5;
/// Fluid lies within this of brain and cord, mm.
const FLUID_MM: f32 = 4.0;
/// Fluid is this dark at least, over grey matter; a guess for spin echoes and prepared gradient echoes alike.
const FLUID_OVER_GREY: f32 = 0.4;
/// The rim of fluid lies between bone and brain, over grey matter.
const RIM: [f32; 2] = [0.15, 0.65];
/// Brain is looked for this far around the template's, mm.
const BRAIN_REACH_MM: f32 = 9.0;
/// Thickness of mucosa beside air, mm; a guess.
const MUCOSA_MM: f32 = 3.5;

/// Tissue maps and glands of a head.
pub(super) fn measure(
    image: &Upright,
    labels: &Labels,
    shading: &Shading,
    template: &Template,
    pose: &Pose,
    places: [Place; 2],
) -> Result<(Maps, [Gland; 2]), Unfit> {
    let lattice = image.image.lattice;
    let depth = &image.depth.values;
    let levels = shading.levels;
    let values: Vec<f32> = (0..lattice.len())
        .map(|at| match image.image.values[at] {
            v if v > 0.0 => v / shading.at(lattice.place(at)),
            _ => 0.0,
        })
        .collect();
    let brain = Brain::find(&lattice, &values, labels, levels.brain)?;
    let solid = solid(&lattice, &values, depth, levels, shading.suppressed);
    let airway = airway(&lattice, &solid, pose);
    let mut smooth = values.clone();
    lattice.blur(&mut smooth, 1.2);
    let bright = if shading.suppressed {
        SUPPRESSED_GLAND * levels.muscle
    } else {
        levels.muscle + GLAND_BRIGHTNESS[1] * (levels.fat - levels.muscle)
    };
    let candidate: Vec<bool> = (0..lattice.len())
        .map(|at| {
            depth[at] < -SKIN_MM - 0.5
                && !solid[at]
                && !brain.region[at]
                && (GLAND_BRIGHTNESS[0] * levels.muscle..bright).contains(&smooth[at])
        })
        .collect();
    let candidates = Candidates {
        lattice: &lattice,
        tissue: &candidate,
    };
    let (left, mut left_gland) = places[0].fill(Side::Left, template, pose, &candidates)?;
    let (right, mut right_gland) = places[1].fill(Side::Right, template, pose, &candidates)?;
    let gland = softened(&lattice, left.iter().chain(&right));

    let reader = Reader {
        levels,
        suppressed: shading.suppressed,
    };
    let mut voxels = vec![[0; KEPT]; lattice.len()];
    for (at, voxel) in voxels.iter_mut().enumerate() {
        // Beyond the partial volume of the surface there is only noise.
        if depth[at] > 1.0 || values[at] <= 0.0 && !solid[at] {
            continue;
        }
        let mut shares = [0.0; KEPT];
        if brain.region[at] {
            brain.share(values[at], &mut shares);
            shares[FIRM] = 1.0;
        } else {
            let watery = Watery {
                skin: ((SKIN_MM + 0.4 + depth[at]) / 0.8).clamp(0.0, 1.0),
                gland: gland[at],
                mucosa: airway
                    .as_ref()
                    .map_or(0.0, |d| ((MUCOSA_MM - d[at]) / 1.5).clamp(0.0, 1.0)),
            };
            reader.share(values[at], depth[at], &watery, &mut shares);
            shares[FIRM] = f32::from(u8::from(solid[at]));
            shares[IN_GLAND] = gland[at];
        }
        *voxel = shares.map(|s| (255.0 * s).round().clamp(0.0, 255.0) as u8);
    }
    for (set, found) in [(&left, &mut left_gland), (&right, &mut right_gland)] {
        let fat = set
            .iter()
            .map(|at| f32::from(voxels[*at][Tissue::Fat as usize]) / 255.0);
        found.fat = fat.sum::<f32>() / set.len().max(1) as f32;
    }
    let maps = Maps {
        lattice,
        voxels,
        depth: image.depth.clone(),
    };
    Ok((maps, [left_gland, right_gland]))
}

/// Bone and air inside the head: dark regions that survive the loss of their outermost millimetre.
fn solid(lattice: &Lattice, values: &[f32], depth: &[f32], levels: Levels, suppressed: bool) -> Vec<bool> {
    let limit = if suppressed {
        (VOID_OF_FAT * levels.fat).min(VOID * levels.muscle)
    } else {
        VOID * levels.muscle
    };
    let dark: Vec<bool> = (0..lattice.len())
        .map(|at| depth[at] < -SKIN_MM && values[at] < limit)
        .collect();
    opened(lattice, &dark, lattice.step)
}

/// What is left of a set without its parts thinner than twice `mm`.
fn opened(lattice: &Lattice, set: &[bool], mm: f32) -> Vec<bool> {
    let outside: Vec<bool> = set.iter().map(|s| !s).collect();
    let core: Vec<bool> = lattice.distance_to(&outside).iter().map(|d| *d > mm).collect();
    lattice.distance_to(&core).iter().map(|d| *d <= mm).collect()
}

/// Distance to nose and throat, mm; none without any. Told from bone by place only: near the midline,
/// before the spine, and above the palate further forward, where no teeth are.
fn airway(lattice: &Lattice, solid: &[bool], pose: &Pose) -> Option<Vec<f32>> {
    let set: Vec<bool> = (0..lattice.len())
        .map(|at| {
            let [x, y, z] = pose.relaxed(lattice.place(at));
            let throat = (-34.0..-9.0).contains(&y) && (-62.0..40.0).contains(&z);
            let nose = (-100.0..-34.0).contains(&y) && (14.0..55.0).contains(&z);
            solid[at] && x.abs() < 20.0 && (throat || nose)
        })
        .collect();
    let wide = opened(lattice, &set, 2.0);
    wide.contains(&true).then(|| lattice.distance_to(&wide))
}

/// A set as a smooth share.
fn softened<'a>(lattice: &Lattice, set: impl Iterator<Item = &'a usize>) -> Vec<f32> {
    let mut share = vec![0.0; lattice.len()];
    for at in set {
        share[*at] = 1.0;
    }
    lattice.blur(&mut share, 0.8);
    share
}

/// Brain, cord and the fluid around.
struct Brain {
    region: Vec<bool>,
    fluid: f32,
    grey: f32,
    white: f32,
}

impl Brain {
    fn find(lattice: &Lattice, values: &[f32], labels: &Labels, level: f32) -> Result<Self, Unfit> {
        let near = labels.distance_to(&[Label::Brain, Label::Fluid]);
        let [low, high] = BRAIN.map(|b| b * level);
        let within: Vec<bool> = (0..lattice.len())
            .map(|at| near.at(lattice.place(at)).is_some_and(|d| d < BRAIN_REACH_MM))
            .collect();
        let tissue: Vec<bool> = (0..lattice.len())
            .map(|at| within[at] && (low..high).contains(&values[at]))
            .collect();
        let outside: Vec<bool> = tissue.iter().map(|t| !t).collect();
        let core: Vec<bool> = lattice
            .distance_to(&outside)
            .iter()
            .map(|d| *d > BRIDGE_MM)
            .collect();
        // The skull keeps everything else apart from it, and nothing else there is as large.
        let core = lattice.largest(&core);
        let near_core = lattice.distance_to(&core);
        let mut bright: Vec<f32> = Vec::new();
        let region: Vec<bool> = (0..lattice.len())
            .map(|at| {
                let inside = tissue[at] && near_core[at] <= BRIDGE_MM + lattice.step;
                if core[at] {
                    bright.push(values[at]);
                }
                inside
            })
            .collect();
        let grey = quantile(&mut bright, 0.25);
        let white = quantile(&mut bright, 0.85).max(1.05 * grey);
        // Fluid is a rim that is darker than brain and brighter than bone; the rest of it fills what lies between.
        let to_brain = lattice.distance_to(&region);
        let [bone, brain] = RIM.map(|r| r * grey);
        let region: Vec<bool> = (0..lattice.len())
            .map(|at| region[at] || to_brain[at] <= FLUID_MM && (bone..brain).contains(&values[at]))
            .collect();
        let far: Vec<bool> = lattice
            .distance_to(&region)
            .iter()
            .map(|d| *d > FLUID_MM)
            .collect();
        let closed: Vec<bool> = lattice.distance_to(&far).iter().map(|d| *d > FLUID_MM).collect();
        let mut dark: Vec<f32> = (0..lattice.len())
            .filter(|at| closed[*at] && !region[*at])
            .map(|at| values[at])
            .collect();
        let fluid = quantile(&mut dark, 0.1).min(FLUID_OVER_GREY * grey);
        Ok(Brain {
            region: closed,
            fluid,
            grey,
            white,
        })
    }

    fn share(&self, v: f32, shares: &mut [f32]) {
        let (low, high, t) = if v < self.grey {
            let t = (v - self.fluid) / (self.grey - self.fluid).max(f32::MIN_POSITIVE);
            (Tissue::Fluid, Tissue::Grey, t)
        } else {
            let t = (v - self.grey) / (self.white - self.grey).max(f32::MIN_POSITIVE);
            (Tissue::Grey, Tissue::White, t)
        };
        let t = t.clamp(0.0, 1.0);
        shares[low as usize] = 1.0 - t;
        shares[high as usize] = t;
    }
}

/// Which watery tissue a voxel may hold, each 0 to 1; the rest is muscle.
struct Watery {
    skin: f32,
    gland: f32,
    mucosa: f32,
}

/// Turns brightness into shares outside the brain.
struct Reader {
    levels: Levels,
    suppressed: bool,
}

impl Reader {
    fn share(&self, v: f32, depth: f32, watery: &Watery, shares: &mut [f32]) {
        let Levels { muscle, fat, .. } = self.levels;
        // Gland is brighter than muscle before there is fat in it.
        let water_level = muscle * (1.0 + (GLAND_OVER_MUSCLE - 1.0) * watery.gland);
        let (water, fatty, inflow) = if self.suppressed {
            let inflow = ((v / muscle - INFLOW[0]) / (INFLOW[1] - INFLOW[0])).clamp(0.0, 1.0);
            if depth > -SKIN_MM {
                // Skin and the air beside it.
                ((v / water_level).min(1.0), 0.0, inflow)
            } else if v >= fat {
                let water = ((v - fat) / (water_level - fat)).clamp(0.0, 1.0);
                (water, 1.0 - water, inflow)
            } else {
                let full = ((v / fat - VOID_OF_FAT) / (1.0 - VOID_OF_FAT)).clamp(0.0, 1.0);
                (0.0, full, 0.0)
            }
        } else if v < water_level {
            (v / water_level, 0.0, 0.0)
        } else {
            let fatty = ((v - water_level) / (fat - water_level)).clamp(0.0, 1.0);
            (1.0 - fatty, fatty, 0.0)
        };
        let mut left = water;
        for (tissue, part) in [
            (Tissue::Vessel, inflow),
            (Tissue::Skin, watery.skin),
            (Tissue::Gland, watery.gland),
            (Tissue::Mucosa, watery.mucosa),
        ] {
            shares[tissue as usize] = left * part;
            left *= 1.0 - part;
        }
        shares[Tissue::Muscle as usize] = left;
        shares[Tissue::Fat as usize] = fatty;
    }
}
