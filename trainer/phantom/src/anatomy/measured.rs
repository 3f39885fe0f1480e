//! A scene on a real head: tumours, the vein of the gland and enlarged nodes are drawn, the rest is measured.

use super::{Builder, GLAND_CENTRE, Gland};
use crate::dice::{Dice, Purpose};
use crate::head::{MeasuredGround, RealHead, TISSUES, Tissue};
use crate::patient::Patient;
use crate::scene::{Ground, Material, MaterialId, Scene};
use crate::space::{Noise, Point, Rotation, sub};
use crate::tissue::{self, FAT, SKIN, Substance};

/// Patients on one head differ in size by this (standard deviation).
const SIZE_SPREAD: f32 = 0.02;
/// And by a smooth deformation of this amplitude, mm.
const WARP_MM: [f32; 2] = [0.5, 2.0];
/// How far the fat of the glands follows the drawn patient instead of the real head; a guess.
const FOLLOWS_PATIENT: f32 = 0.5;

/// A patient's head made of a real one.
pub(crate) fn head_on(patient: &Patient, real: &RealHead) -> Scene {
    let dice = &mut Dice::new(patient.seed, Purpose::Anatomy);
    let mirrored = dice.chance(0.5);
    let size = dice.normal_within(1.0, SIZE_SPREAD, 0.95, 1.05);
    let warp = [dice.uniform(WARP_MM[0], WARP_MM[1]), dice.uniform(34.0, 48.0)];
    let noise = Noise::draw(&mut Dice::new(patient.seed, Purpose::Texture));
    let mut builder = Builder::new(patient, dice);
    builder.knobs = Vec::new();
    let centres = real.gland_centres(mirrored);
    builder.glands = [(1.0, centres[0]), (-1.0, centres[1])].map(|(side, [x, y, z])| Gland {
        shift: sub([side * x, y, z], GLAND_CENTRE),
        size: 1.0,
    });
    let materials = materials(&mut builder);
    builder.lesions(patient);
    for side in [1.0, -1.0] {
        let shift: Point = builder.glands[usize::from(side < 0.0)].shift;
        builder.retromandibular_vein(side, shift);
        builder.nodal_spread(side, patient);
    }
    let fat = FOLLOWS_PATIENT * (patient.gland_fat - real.gland_fat());
    let ground = MeasuredGround::new(real, mirrored, materials, fat, builder.knobs);
    let [rx, ry, rz] = patient.scan.turn;
    let mut scene = Scene {
        parts: builder.parts,
        bounds: Vec::new(),
        materials: builder.materials,
        ground: Ground::Measured(ground),
        noise,
        turn: Rotation::about_axes(rx, ry, rz),
        shift: patient.scan.shift,
        size,
        warp,
    };
    scene.finish();
    scene
}

/// The pure tissues, with this patient's own relaxation times where the drawn head has them.
fn materials(builder: &mut Builder) -> [MaterialId; TISSUES] {
    let drawn = |id: MaterialId| builder.materials[id].main;
    let (muscle, gland, mucosa) = (
        drawn(builder.of.muscle),
        drawn(builder.of.parotid),
        drawn(builder.of.mucosa),
    );
    let mut ids = [0; TISSUES];
    let mut put = |tissue: Tissue, substance: Substance| {
        ids[tissue as usize] = builder.material(Material::pure(substance));
    };
    put(Tissue::Skin, SKIN);
    put(Tissue::Muscle, muscle);
    put(Tissue::Gland, gland);
    put(Tissue::Fat, FAT);
    put(Tissue::Mucosa, mucosa);
    put(Tissue::Vessel, tissue::ARTERY);
    put(Tissue::White, tissue::WHITE_MATTER);
    put(Tissue::Grey, tissue::GREY_MATTER);
    put(Tissue::Fluid, tissue::CSF);
    ids
}
