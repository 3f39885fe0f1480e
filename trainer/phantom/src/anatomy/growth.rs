//! Tumours in their place in the gland, with capsule, cysts and bumps, and the skin over them.

use super::Builder;
use crate::patient::Patient;
use crate::scene::{Knob, Material, Part};
use crate::shape::{Form, ball};
use crate::space::{Point, Rotation};
use crate::tissue::{self, Substance};
use crate::tumour::{Lesion, Lobe};

impl Builder<'_> {
    pub(super) fn lesions(&mut self, patient: &Patient) {
        for (i, lesion) in patient.disease.lesions.iter().enumerate() {
            self.lesion(lesion, i as u8 + 1);
        }
    }

    fn lesion(&mut self, lesion: &Lesion, number: u8) {
        let side = lesion.side.sign();
        let gland = self.glands[usize::from(side < 0.0)];
        let r = lesion.radius;
        let [px, py, pz] = lesion.place;
        // Centres drift outward with size: the tumour displaces skin, not the mandible.
        let grown = (r - 10.0).max(0.0);
        let (x, y, z) = match lesion.lobe {
            Lobe::Superficial => (
                56.5 + 2.0 * px + 0.12 * grown,
                -1.0 + 10.0 * py + 0.3 * grown,
                -2.0 + 13.0 * pz,
            ),
            Lobe::Deep => (
                46.0 + 1.5 * px - 0.1 * grown,
                2.0 + 3.0 * py + 0.2 * grown,
                -3.0 + 9.0 * pz,
            ),
            Lobe::Tail => (53.0 + 2.0 * px + 0.1 * grown, 3.0 + 5.0 * py, -20.0 + 5.0 * pz),
        };
        let centre = [
            side * (x + gland.shift[0]),
            y + gland.shift[1],
            z + gland.shift[2],
        ];
        let [ax, ay, az] = lesion.aspect;
        // Squeezed between mandible and skin, tumours are wider from front to back than from side to side.
        let radii = [r * ax * 0.86, r * ay * 1.05, r * az * 1.08];
        let axes = Rotation::about_axes(lesion.turn[0], lesion.turn[1], lesion.turn[2]);
        let form = Form::Ellipsoid { centre, radii, axes };
        let bumps = lesion.bumps;
        for cyst in &lesion.cysts {
            let fluid = if cyst.thick {
                tissue::THICK_CYST
            } else {
                tissue::CYST
            };
            let place: Point = std::array::from_fn(|a| cyst.centre[a] * radii[a]);
            let place = axes.apply(place);
            let material = self.material(Material::mixed(fluid, solid(lesion, 0.0), 0.08, 0.2, 4.0));
            let form = ball(
                std::array::from_fn(|a| centre[a] + place[a]),
                [cyst.radius * r; 3],
            );
            self.parts.push(Part {
                bumps: [0.25 * cyst.radius * r, 4.0],
                lesion: number,
                ..Part::new(form, material)
            });
        }
        let grain = (0.45 * r).clamp(3.0, 9.0);
        let body = self.material(Material::mixed(
            solid(lesion, -lesion.variety),
            solid(lesion, lesion.variety),
            0.5,
            0.9,
            grain,
        ));
        let capsule = lesion.capsule_mm.unwrap_or(0.0);
        // The same bumps for body and capsule: the noise shifts with the material, so the capsule takes
        // the form and the body stands inside it.
        self.parts.push(Part {
            inset: capsule,
            bumps,
            fade: lesion.fade,
            lesion: number,
            ..Part::new(form.clone(), body)
        });
        if lesion.capsule_mm.is_some() {
            let rim = self.material(Material::mixed(
                tissue::CAPSULE,
                solid(lesion, 0.0),
                0.25,
                0.3,
                5.0,
            ));
            self.parts.push(Part {
                bumps,
                lesion: number,
                ..Part::new(form.clone(), rim)
            });
        }
        let cover = self.dice.uniform(2.5, 4.5);
        self.knobs.push(Knob::new(form, cover, 10.0));
    }
}

/// The solid part of a lesion; `lean` makes it more watery (positive) or more cellular.
pub(super) fn solid(lesion: &Lesion, lean: f32) -> Substance {
    Substance {
        name: "tumour",
        density: 0.93,
        t1_ms: lesion.t1_ms.map(|t| t * (1.0 + 0.5 * lean)),
        t2_ms: lesion.t2_ms.map(|t| t * (1.0 + lean)),
        adc: lesion.adc * (1.0 + lean),
        vp: lesion.vp,
        source: "drawn per lesion",
        ..tissue::NODE
    }
    .kinetics(lesion.kep_per_min, (lesion.ve * (1.0 + lean)).min(0.95))
}
