//! The drawn head as a template: what a place in an average head is made of. It finds its counterpart
//! in a real head, so that no atlas of real people is needed.

use crate::head::lattice::Lattice;
use crate::patient::Patient;
use crate::scene::Scene;
use crate::space::{Point, add, scale};
use crate::tissue;
use crate::tumour::Diagnosis;

use super::head;

/// What a place in the template is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Outside,
    /// Air, cortical bone, teeth.
    Void,
    Muscle,
    /// Muscle and fat mixed.
    Loose,
    Mucosa,
    Gland,
    Fat,
    Marrow,
    Brain,
    Fluid,
    /// Vessels and what is too small to be told.
    Other,
}

impl Label {
    pub const COUNT: usize = Label::Other as usize + 1;
}

/// The seed whose jitter the template has: one head like any other.
const TEMPLATE_SEED: u64 = 0;

/// The drawn head without pose and deformation.
pub(crate) struct Template {
    scene: Scene,
    /// Of the left and the right gland, mm.
    centres: [Point; 2],
}

impl Template {
    pub fn new() -> Self {
        let mut patient = Patient::draw(TEMPLATE_SEED, Some(Diagnosis::None));
        (patient.size, patient.fat_mm) = (1.0, 5.0);
        (patient.scan.turn, patient.scan.shift) = ([0.0; 3], [0.0; 3]);
        let mut scene = head(&patient);
        scene.warp[0] = 0.0;
        let centres = [1.0, -1.0].map(|side| centre(&scene, side));
        Template { scene, centres }
    }

    pub fn label(&self, p: Point) -> Label {
        let Some(material) = self.scene.material_at(p) else {
            return Label::Outside;
        };
        let main = material.main.name;
        let is = |list: &[&tissue::Substance]| list.iter().any(|s| s.name == main);
        if is(&[&tissue::AIR, &tissue::CORTEX]) {
            Label::Void
        } else if is(&[&tissue::FAT]) {
            if material.share > 0.2 {
                Label::Loose
            } else {
                Label::Fat
            }
        } else if is(&[&tissue::MUSCLE]) {
            if material.share > 0.35 {
                Label::Loose
            } else {
                Label::Muscle
            }
        } else if is(&[&tissue::MUCOSA]) {
            Label::Mucosa
        } else if is(&[&tissue::PAROTID]) {
            Label::Gland
        } else if is(&[&tissue::RED_MARROW]) {
            Label::Marrow
        } else if is(&[&tissue::WHITE_MATTER, &tissue::GREY_MATTER]) {
            Label::Brain
        } else if is(&[&tissue::CSF]) {
            Label::Fluid
        } else {
            Label::Other
        }
    }

    /// Distance to the skin, mm, negative inside.
    pub fn outline(&self, p: Point) -> f32 {
        self.scene.outline(p)
    }

    /// Where the gland of a side (1 left, -1 right) has its centre, mm.
    pub fn gland_centre(&self, side: f32) -> Point {
        self.centres[usize::from(side < 0.0)]
    }

    /// Distance to the surface of the gland of a side, mm, negative inside.
    pub fn gland(&self, side: f32, p: Point) -> f32 {
        gland(&self.scene, side, p)
    }
}

fn gland(scene: &Scene, side: f32, p: Point) -> f32 {
    let glands = scene.parts.iter().filter(|part| {
        let bounds = part.form.bounds();
        let parotid = scene.materials[part.material].main.name == tissue::PAROTID.name;
        parotid && side * (bounds.min[0] + bounds.max[0]) > 0.0
    });
    glands
        .map(|part| part.form.distance(p))
        .fold(f32::INFINITY, f32::min)
}

/// The mean place of a gland, mm.
fn centre(scene: &Scene, side: f32) -> Point {
    let lattice = Lattice::over([-90.0, -40.0, -50.0], [90.0, 40.0, 50.0], 2.0);
    let places = (0..lattice.len()).map(|at| lattice.place(at));
    let (sum, count) = places
        .filter(|p| gland(scene, side, *p) < 0.0)
        .fold(([0.0; 3], 0.0), |(sum, n), p| (add(sum, p), n + 1.0));
    scale(sum, 1.0 / f32::max(count, 1.0))
}
