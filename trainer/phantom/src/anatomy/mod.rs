//! The head between skull base and larynx, in millimetres around a point midway between the parotids.
//!
//! Sizes and places are guesses after the proportions of an adult head; what matters to the reader
//! of the images is that each structure lies where it does in an atlas, and that no two heads agree.

mod bone;
mod growth;
mod measured;
mod midline;
mod soft;
mod template;

use crate::dice::{Dice, Purpose};
use crate::patient::Patient;
use crate::scene::{Ground, Hull, Knob, Material, MaterialId, Part, Scene, integument};
use crate::shape::{Form, Section};
use crate::space::{Noise, Point, Rotation};
use crate::tissue::{self, AIR, FAT, Substance};

pub(crate) use self::measured::head_on;
pub(crate) use self::template::{Label, Template};

/// The head of a patient, lesions included.
pub(crate) fn head(patient: &Patient) -> Scene {
    let dice = &mut Dice::new(patient.seed, Purpose::Anatomy);
    let sections = midline::outline(dice);
    let warp = [dice.uniform(2.0, 4.2), dice.uniform(34.0, 48.0)];
    let noise = Noise::draw(&mut Dice::new(patient.seed, Purpose::Texture));
    let mut builder = Builder::new(patient, dice);
    builder.air_and_bone();
    builder.lesions(patient);
    for side in [1.0, -1.0] {
        builder.vessels(side);
        builder.nodes(side, patient);
        builder.muscles(side);
        builder.glands(side);
    }
    builder.midline();
    let [rx, ry, rz] = patient.scan.turn;
    let mut scene = Scene {
        parts: builder.parts,
        bounds: Vec::new(),
        materials: builder.materials,
        ground: Ground::Drawn {
            hull: Hull {
                sections,
                knobs: builder.knobs,
                skin_mm: 1.8,
                fat_mm: patient.fat_mm,
            },
            skin: SKIN_ID,
            fat: FAT_ID,
            filler: FILLER_ID,
        },
        noise,
        turn: Rotation::about_axes(rx, ry, rz),
        shift: patient.scan.shift,
        size: patient.size,
        warp,
    };
    scene.finish();
    scene
}

const SKIN_ID: MaterialId = 0;
const FAT_ID: MaterialId = 1;
const FILLER_ID: MaterialId = 2;

/// The materials of healthy anatomy, in the order of the ids.
struct Palette {
    air: MaterialId,
    cortex: MaterialId,
    marrow: MaterialId,
    spongy: MaterialId,
    mastoid: MaterialId,
    nasal: MaterialId,
    teeth: MaterialId,
    muscle: MaterialId,
    loose: MaterialId,
    tongue: MaterialId,
    mucosa: MaterialId,
    parotid: MaterialId,
    submandibular: MaterialId,
    node: MaterialId,
    artery: MaterialId,
    vein: MaterialId,
    csf: MaterialId,
    cord: MaterialId,
    brain: MaterialId,
    cerebellum: MaterialId,
}

struct Builder<'a> {
    dice: &'a mut Dice,
    parts: Vec<Part>,
    materials: Vec<Material>,
    knobs: Vec<Knob>,
    of: Palette,
    /// Where the centre of each gland lies, left and right.
    glands: [Gland; 2],
}

/// Size and place of one parotid.
#[derive(Clone, Copy)]
struct Gland {
    shift: Point,
    size: f32,
}

/// The mean place of a drawn left gland before it is shifted, mm: where [`growth`] places lobes around.
const GLAND_CENTRE: Point = [55.3, -2.9, -2.5];

/// (z, x, y, rx, ry, turn) on the left side.
type Row = (f32, f32, f32, f32, f32, f32);

impl<'a> Builder<'a> {
    fn new(patient: &Patient, dice: &'a mut Dice) -> Self {
        let [skin, fat] = integument();
        let mut materials = vec![skin, fat, Material::mixed(FAT, tissue::MUSCLE, 0.34, 0.75, 6.0)];
        let own = |s: Substance, dice: &mut Dice| {
            // People differ a little in every tissue; a guess.
            let (a, b, c) = (
                dice.about(1.0, 0.04),
                dice.about(1.0, 0.05),
                dice.about(1.0, 0.08),
            );
            Substance {
                t1_ms: s.t1_ms.map(|t| t * a),
                t2_ms: s.t2_ms.map(|t| t * b),
                adc: s.adc * c,
                ..s
            }
        };
        let muscle = own(tissue::MUSCLE, dice);
        // Normal parotid varies most: 0.94 ± 0.19 (C).
        let parotid = Substance {
            adc: dice.normal_within(0.98, 0.17, 0.6, 1.4),
            ..own(tissue::PAROTID, dice)
        };
        let node = Substance {
            adc: dice.normal_within(0.92, 0.1, 0.7, 1.2),
            ..own(tissue::NODE, dice)
        };
        let marrow_fat = dice.uniform(0.45, 0.85);
        let gland_grain = dice.uniform(3.0, 5.5);
        let mut add = |m: Material| {
            materials.push(m);
            materials.len() - 1
        };
        let of = Palette {
            air: add(Material::pure(AIR)),
            cortex: add(Material::pure(tissue::CORTEX)),
            marrow: add(Material::mixed(tissue::RED_MARROW, FAT, marrow_fat, 0.3, 6.0)),
            spongy: add(Material::mixed(
                tissue::RED_MARROW,
                FAT,
                marrow_fat * 0.7,
                0.25,
                5.0,
            )),
            mastoid: add(Material::mixed(AIR, tissue::RED_MARROW, 0.2, 0.7, 4.0)),
            nasal: add(Material::mixed(AIR, tissue::MUCOSA, 0.4, 1.3, 8.0)),
            teeth: add(Material::mixed(tissue::CORTEX, tissue::MUCOSA, 0.15, 0.7, 4.5)),
            muscle: add(Material::mixed(muscle, FAT, 0.07, 0.22, 4.0)),
            loose: add(Material::mixed(muscle, FAT, 0.42, 0.8, 5.0)),
            tongue: add(Material::mixed(muscle, FAT, 0.24, 0.4, 5.0)),
            mucosa: add(Material::mixed(own(tissue::MUCOSA, dice), muscle, 0.2, 0.4, 4.0)),
            parotid: add(Material::mixed(
                parotid,
                FAT,
                patient.gland_fat,
                0.42,
                gland_grain,
            )),
            submandibular: add(Material::mixed(
                own(tissue::SUBMANDIBULAR, dice),
                FAT,
                patient.gland_fat * 0.4,
                0.22,
                4.0,
            )),
            node: add(Material::mixed(node, FAT, 0.06, 0.2, 4.0)),
            artery: add(Material::pure(tissue::ARTERY)),
            vein: add(Material::pure(tissue::VEIN)),
            csf: add(Material::mixed(tissue::CSF, tissue::ARTERY, 0.06, 0.35, 8.0)),
            cord: add(Material::mixed(
                tissue::WHITE_MATTER,
                tissue::GREY_MATTER,
                0.4,
                0.5,
                4.0,
            )),
            brain: add(Material::mixed(
                tissue::WHITE_MATTER,
                tissue::GREY_MATTER,
                0.55,
                1.4,
                7.0,
            )),
            cerebellum: add(Material::mixed(tissue::GREY_MATTER, tissue::CSF, 0.06, 0.3, 4.0)),
        };
        let gland = |dice: &mut Dice| Gland {
            shift: [
                dice.uniform(-1.0, 1.0),
                dice.uniform(-2.5, 2.5),
                dice.uniform(-3.0, 3.0),
            ],
            size: dice.normal_within(1.0, 0.09, 0.8, 1.2),
        };
        let glands = [gland(dice), gland(dice)];
        Builder {
            dice,
            parts: Vec::new(),
            materials,
            knobs: midline::knobs(),
            of,
            glands,
        }
    }

    /// A column given on the left side, jittered, mirrored for the right.
    fn column(&mut self, side: f32, rows: &[Row]) -> Form {
        let (dx, dy) = (self.dice.uniform(-0.8, 0.8), self.dice.uniform(-1.0, 1.0));
        let size = self.dice.normal_within(1.0, 0.06, 0.85, 1.15);
        Form::Column(
            rows.iter()
                .map(|&(z, x, y, rx, ry, turn)| Section {
                    z,
                    x: side * (x + dx),
                    y: y + dy,
                    rx: rx * size,
                    ry: ry * size,
                    turn: side * turn,
                })
                .collect(),
        )
    }

    fn put(&mut self, form: Form, material: MaterialId) {
        self.parts.push(Part::new(form, material));
    }

    /// Bone: marrow inside, cortex around.
    fn bone(&mut self, form: Form, cortex_mm: f32) {
        let marrow = self.of.marrow;
        self.parts.push(Part {
            inset: cortex_mm,
            ..Part::new(form.clone(), marrow)
        });
        self.put(form, self.of.cortex);
    }

    fn material(&mut self, material: Material) -> MaterialId {
        self.materials.push(material);
        self.materials.len() - 1
    }
}
