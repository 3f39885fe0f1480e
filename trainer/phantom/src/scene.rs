//! A head made of overlapping solids, and what a small sample of space in it contains.
//!
//! Parts are listed front to back: each hides what stands behind it, in proportion to the share of
//! the sample that it fills, so that edges carry partial volume.

use crate::head::MeasuredGround;
use crate::shape::{Bounds, Form, Section, ball, ellipse, melt};
use crate::space::{Noise, Point, Rotation, add, scale, sub};
use crate::tissue::{FAT, SKIN, Substance};

/// Two substances mixed by noise, so that a tissue has grain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Material {
    pub main: Substance,
    pub other: Substance,
    /// Mean share of `other`.
    pub share: f32,
    /// How far the share swings.
    pub swing: f32,
    /// Size of the swings, mm.
    pub grain_mm: f32,
}

impl Material {
    pub fn pure(main: Substance) -> Self {
        Material {
            main,
            other: main,
            share: 0.0,
            swing: 0.0,
            grain_mm: 5.0,
        }
    }

    pub fn mixed(main: Substance, other: Substance, share: f32, swing: f32, grain_mm: f32) -> Self {
        Material {
            main,
            other,
            share,
            swing,
            grain_mm,
        }
    }
}

/// Index into [`Scene::materials`].
pub(crate) type MaterialId = usize;

/// The most lesions of one patient.
pub(crate) const MAX_LESIONS: usize = 4;

/// One solid of one material.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub form: Form,
    pub material: MaterialId,
    /// Moves the surface inward (positive), mm: the marrow inside its cortex.
    pub inset: f32,
    /// Amplitude and size of surface bumps, mm.
    pub bumps: [f32; 2],
    /// Width over which the surface fades, mm.
    pub fade: f32,
    /// Lesion number from 1; 0 for anatomy.
    pub lesion: u8,
}

impl Part {
    pub fn new(form: Form, material: MaterialId) -> Self {
        Part {
            form,
            material,
            inset: 0.0,
            bumps: [0.6, 9.0],
            fade: 0.0,
            lesion: 0,
        }
    }

    /// The outermost reach of the part.
    fn bounds(&self) -> Bounds {
        self.form
            .bounds()
            .grown(1.2 * self.bumps[0] + 0.5 * self.fade + 1.5 - self.inset)
    }

    fn distance(&self, p: Point, noise: &Noise, width: f32) -> f32 {
        let d = self.form.distance(p) + self.inset;
        let [amplitude, size] = self.bumps;
        if amplitude > 0.0 && d.abs() < amplitude + 0.5 * (width + self.fade) {
            // Neighbours do not share bumps; a lesion and its capsule do.
            let own = if self.lesion > 0 {
                200 + usize::from(self.lesion)
            } else {
                self.material
            };
            let q = add(p, [3.1 * own as f32, 0.0, 0.0]);
            d + amplitude * noise.texture(q, size)
        } else {
            d
        }
    }
}

/// Something that stands out from the hull and melts into it.
#[derive(Debug, Clone)]
pub(crate) struct Knob {
    form: Form,
    /// Cover over the form, mm.
    cover: f32,
    blend: f32,
    reach: Bounds,
}

impl Knob {
    pub fn new(form: Form, cover: f32, blend: f32) -> Self {
        let reach = form.bounds().grown(cover + blend);
        Knob {
            form,
            cover,
            blend,
            reach,
        }
    }

    /// The distance to a surface at `d` after this has been melted onto it.
    pub fn raise(&self, d: f32, p: Point) -> f32 {
        if d > -20.0 && self.reach.contains(p) {
            melt(d, self.form.distance(p) - self.cover, self.blend)
        } else {
            d
        }
    }
}

/// The outside of the head.
#[derive(Debug, Clone)]
pub(crate) struct Hull {
    /// Cross-sections along z.
    pub sections: Vec<Section>,
    /// Nose, lips, ears, and the skin over lesions.
    pub knobs: Vec<Knob>,
    pub skin_mm: f32,
    pub fat_mm: f32,
}

impl Hull {
    fn distance(&self, p: Point) -> f32 {
        let upper = self
            .sections
            .iter()
            .position(|s| s.z > p[2])
            .unwrap_or(self.sections.len() - 1)
            .max(1);
        let (a, b) = (self.sections[upper - 1], self.sections[upper]);
        let t = ((p[2] - a.z) / (b.z - a.z)).clamp(0.0, 1.0);
        let t = t * t * (3.0 - 2.0 * t);
        let mix = |u: f32, v: f32| u + t * (v - u);
        let mut d = ellipse(
            p[0] - mix(a.x, b.x),
            p[1] - mix(a.y, b.y),
            mix(a.rx, b.rx),
            mix(a.ry, b.ry),
        );
        for knob in &self.knobs {
            d = knob.raise(d, p);
        }
        d
    }

    /// Subcutaneous fat is thicker at the nape and the chin than at the cheek.
    fn fat_at(&self, p: Point, noise: &Noise) -> f32 {
        let back = ((p[1] - 35.0) / 40.0).clamp(0.0, 1.0);
        let low = ((-25.0 - p[2]) / 25.0).clamp(0.0, 1.0);
        self.fat_mm * (1.0 + 0.7 * back + 0.35 * low + 0.35 * noise.texture(p, 24.0))
    }
}

/// What the parts stand in.
pub(crate) enum Ground {
    /// A drawn outline with skin, fat, and something between the parts.
    Drawn {
        hull: Hull,
        skin: MaterialId,
        fat: MaterialId,
        /// What fills the spaces between the parts.
        filler: MaterialId,
    },
    /// The tissues of a real head.
    Measured(MeasuredGround),
}

/// A whole head.
pub(crate) struct Scene {
    /// Front to back.
    pub parts: Vec<Part>,
    pub bounds: Vec<Bounds>,
    pub materials: Vec<Material>,
    pub ground: Ground,
    pub noise: Noise,
    /// Head in the scanner.
    pub turn: Rotation,
    pub shift: Point,
    pub size: f32,
    /// Amplitude and size of the smooth deformation that makes heads differ, mm.
    pub warp: [f32; 2],
}

/// What a material gives in one scan: its two substances' water signals of up to three volumes, and fat.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gives {
    pub water: [[f32; 3]; 2],
    pub fat: [f32; 2],
}

/// What one sample of space gives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub water: [f32; 3],
    pub fat: f32,
    pub lesion: [f32; MAX_LESIONS],
}

impl Scene {
    /// Fills in what follows from the parts.
    pub fn finish(&mut self) {
        self.bounds = self.parts.iter().map(Part::bounds).collect();
    }

    /// Patient millimetres → the undeformed head.
    pub fn to_head(&self, p: Point) -> Point {
        let q = scale(self.turn.undo(sub(p, self.shift)), 1.0 / self.size);
        let [amplitude, size] = self.warp;
        let u = scale(q, 1.0 / size);
        let warp = [
            self.noise.at(add(u, [11.3, 2.9, 5.1])),
            self.noise.at(add(u, [3.7, 17.1, 9.4])),
            self.noise.at(add(u, [8.2, 6.6, 23.8])),
        ];
        add(q, scale(warp, amplitude))
    }

    /// The parts that may reach into a ball, in their order; patient millimetres. False when the ball
    /// lies outside the head.
    pub fn near(&self, centre: Point, radius: f32, list: &mut Vec<u16>) -> bool {
        list.clear();
        let reach = radius / self.size * 1.25;
        let q = self.to_head(centre);
        let outside = match &self.ground {
            // Twice, since the distance to the outline is a first-order bound.
            Ground::Drawn { hull, .. } => hull.distance(q) > 2.0 * reach,
            Ground::Measured(ground) => ground.distance(q) > 1.2 * reach,
        };
        if outside {
            return false;
        }
        let around = Bounds { min: q, max: q }.grown(reach);
        list.extend((0..self.parts.len() as u16).filter(|&i| self.bounds[usize::from(i)].meets(&around)));
        true
    }

    /// Adds what lies at a point to a sample; `width` is the size of the voxel in the slice, mm.
    pub fn sample(&self, head: Point, width: f32, near: &[u16], palette: &[Gives], out: &mut Sample) {
        match &self.ground {
            Ground::Drawn {
                hull,
                skin,
                fat,
                filler,
            } => {
                let d = hull.distance(head);
                let mut left = fill(d, width);
                if left <= 0.0 {
                    return;
                }
                let share = left * (1.0 - fill(d + hull.skin_mm, width));
                if share > 0.0 {
                    self.take(head, share, *skin, 0, palette, out);
                    left -= share;
                }
                left = self.sample_parts(head, width, near, left, palette, out);
                if left >= LEAST_SHARE {
                    let deep = fill(d + hull.skin_mm + hull.fat_at(head, &self.noise), width);
                    self.take(head, left * (1.0 - deep), *fat, 0, palette, out);
                    self.take(head, left * deep, *filler, 0, palette, out);
                }
            }
            Ground::Measured(ground) => {
                let Some(here) = ground.look(head) else { return };
                let left = self.sample_parts(head, width, near, here.yielding, palette, out);
                let kept = 1.0 - (here.yielding - left);
                for (&material, share) in ground.materials.iter().zip(here.shares) {
                    if kept * share > 0.0 {
                        self.take(head, kept * share, material, 0, palette, out);
                    }
                }
            }
        }
    }

    /// Adds the parts, front to back, to a sample of which `left` is still empty; gives what is left.
    fn sample_parts(
        &self,
        head: Point,
        width: f32,
        near: &[u16],
        mut left: f32,
        palette: &[Gives],
        out: &mut Sample,
    ) -> f32 {
        for &i in near {
            if left < LEAST_SHARE {
                return left;
            }
            let i = usize::from(i);
            if !self.bounds[i].contains(head) {
                continue;
            }
            let part = &self.parts[i];
            let share = left * fill(part.distance(head, &self.noise, width), width + part.fade);
            if share > 0.0 {
                self.take(head, share, part.material, part.lesion, palette, out);
                left -= share;
            }
        }
        left
    }

    /// Adds a share of a material to a sample.
    fn take(
        &self,
        head: Point,
        share: f32,
        material: MaterialId,
        lesion: u8,
        palette: &[Gives],
        out: &mut Sample,
    ) {
        let m = &self.materials[material];
        let g = &palette[material];
        let other = if m.swing > 0.0 {
            // Lesions of one patient must not show the same pattern.
            let q = add(head, [0.0, 13.7 * f32::from(lesion), 0.0]);
            (m.share + m.swing * self.noise.texture(q, m.grain_mm)).clamp(0.0, 1.0)
        } else {
            m.share
        };
        let (a, b) = (share * (1.0 - other), share * other);
        for v in 0..3 {
            out.water[v] += a * g.water[0][v] + b * g.water[1][v];
        }
        out.fat += a * g.fat[0] + b * g.fat[1];
        if lesion > 0 {
            out.lesion[usize::from(lesion) - 1] += share;
        }
    }

    /// The material of the frontmost part at a point of a drawn head; none outside it.
    pub fn material_at(&self, head: Point) -> Option<&Material> {
        let Ground::Drawn {
            hull,
            skin,
            fat,
            filler,
        } = &self.ground
        else {
            return None;
        };
        let d = hull.distance(head);
        if d > 0.0 {
            return None;
        }
        let part = || {
            let hits = |i: &usize| self.bounds[*i].contains(head);
            let holds = |i: &usize| self.parts[*i].distance(head, &self.noise, 0.0) < 0.0;
            (0..self.parts.len()).filter(hits).find(holds)
        };
        let id = if d > -hull.skin_mm {
            *skin
        } else if let Some(i) = part() {
            self.parts[i].material
        } else if d > -hull.skin_mm - hull.fat_mm {
            *fat
        } else {
            *filler
        };
        Some(&self.materials[id])
    }

    /// Distance to the outline of a drawn head, mm, negative inside; infinite for a measured one.
    pub fn outline(&self, head: Point) -> f32 {
        match &self.ground {
            Ground::Drawn { hull, .. } => hull.distance(head),
            Ground::Measured(_) => f32::INFINITY,
        }
    }
}

/// A smaller share of a sample is left out.
const LEAST_SHARE: f32 = 0.004;

/// How much of a sample of a width lies behind a surface at a distance.
fn fill(d: f32, width: f32) -> f32 {
    (0.5 - d / width).clamp(0.0, 1.0)
}

/// Skin with a little fat, fat with a little water: what every head has.
pub(crate) fn integument() -> [Material; 2] {
    [
        Material::mixed(SKIN, FAT, 0.1, 0.2, 4.0),
        Material::mixed(FAT, SKIN, 0.06, 0.12, 5.0),
    ]
}

/// A node or any small round thing.
pub(crate) fn bead(centre: Point, radius: f32) -> Form {
    ball(centre, [radius, radius * 0.85, radius * 1.35])
}
