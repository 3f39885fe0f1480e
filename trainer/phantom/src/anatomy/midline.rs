//! What is single: spine, brain, mouth, throat, and the outline of the head.

use super::{Builder, Palette, Row};
use crate::dice::Dice;
use crate::scene::{Knob, Part};
use crate::shape::{Form, Section, ball};
use crate::space::Rotation;

impl Builder<'_> {
    pub(super) fn midline(&mut self) {
        let Palette {
            csf,
            cord,
            brain,
            cerebellum,
            muscle,
            loose,
            tongue,
            mucosa,
            cortex,
            spongy,
            air,
            ..
        } = self.of;
        // Brain stem and cord run in fluid, the fluid in bone.
        let stem: [Row; 5] = [
            (-64.0, 0.0, 29.0, 6.5, 4.2, 0.0),
            (10.0, 0.0, 29.0, 6.2, 4.4, 0.0),
            (24.0, 0.0, 27.0, 7.5, 6.0, 0.0),
            (40.0, 0.0, 20.0, 9.5, 8.0, 0.0),
            (64.0, 0.0, 14.0, 15.0, 12.0, 0.0),
        ];
        let inner = self.column(0.0, &stem);
        self.put(inner, cord);
        let canal = self.column(
            0.0,
            &[
                (-64.0, 0.0, 28.5, 11.0, 7.8, 0.0),
                (8.0, 0.0, 28.5, 12.0, 9.5, 0.0),
                (26.0, 0.0, 27.0, 14.0, 12.0, 0.0),
                (44.0, 0.0, 19.0, 15.0, 12.0, 0.0),
                (64.0, 0.0, 12.0, 19.0, 16.0, 0.0),
            ],
        );
        self.put(canal, csf);
        let arch = self.column(
            0.0,
            &[
                (-64.0, 0.0, 31.0, 15.0, 12.0, 0.0),
                (-4.0, 0.0, 31.0, 16.0, 13.0, 0.0),
                (2.0, 0.0, 31.0, 17.0, 13.0, 0.0),
                (16.0, 0.0, 30.0, 17.0, 14.0, 0.0),
            ],
        );
        self.parts.push(Part {
            inset: 1.2,
            ..Part::new(arch.clone(), spongy)
        });
        self.put(arch, cortex);
        let spine = self.column(
            0.0,
            &[
                (-64.0, 0.0, 50.0, 3.0, 8.0, 0.0),
                (-2.0, 0.0, 47.0, 4.0, 8.0, 0.0),
            ],
        );
        self.bone(spine, 1.0);
        let fossa = [0.0, 44.0, 62.0];
        let skull = self.dice.uniform(4.0, 7.0);
        self.parts.push(Part {
            bumps: [1.6, 4.0],
            ..Part::new(ball(fossa, [53.0, 40.0, 38.0]), cerebellum)
        });
        self.put(ball(fossa, [55.5, 42.5, 40.0]), csf);
        let bone = ball(fossa, [55.5 + skull, 42.5 + skull, 40.0 + 0.7 * skull]);
        self.bone(bone, 1.6);
        for side in [1.0, -1.0] {
            let centre = [side * 37.0, -8.0, 64.0];
            self.parts.push(Part {
                bumps: [1.8, 5.0],
                ..Part::new(ball(centre, [24.0, 33.0, 27.0]), brain)
            });
            self.put(ball(centre, [26.0, 35.0, 28.5]), csf);
            self.bone(ball(centre, [29.0, 38.0, 31.0]), 1.2);
        }
        // Mouth and throat.
        let gap = self.dice.uniform(0.0, 2.2);
        self.put(ball([0.0, -46.0, 9.0], [19.0, 24.0, gap]), air);
        self.parts.push(Part {
            bumps: [1.2, 9.0],
            ..Part::new(ball([0.0, -46.0, -12.0], [23.0, 31.0, 21.0]), tongue)
        });
        self.put(ball([0.0, -24.0, 9.0], [13.0, 9.0, 4.0]), mucosa);
        let wall: [Row; 4] = [
            (-64.0, 0.0, -20.0, 12.0, 12.0, 0.0),
            (-20.0, 0.0, -16.0, 12.5, 8.0, 0.0),
            (10.0, 0.0, -14.0, 13.0, 8.0, 0.0),
            (36.0, 0.0, -16.0, 16.0, 10.0, 0.0),
        ];
        let lining = self.column(0.0, &wall.map(|(z, x, y, rx, ry, t)| (z, x, y, rx, ry, t)));
        self.put(lining, mucosa);
        let constrictor = self.column(
            0.0,
            &wall.map(|(z, x, y, rx, ry, t)| (z, x, y, rx + 3.5, ry + 1.5, t)),
        );
        self.put(constrictor, muscle);
        self.put(ball([0.0, -48.0, -33.0], [27.0, 27.0, 6.5]), muscle);
        // Between the named muscles lie others and their fat.
        let nape = self.column(
            0.0,
            &[
                (-64.0, 0.0, 36.0, 46.0, 24.0, 0.0),
                (-10.0, 0.0, 40.0, 46.0, 27.0, 0.0),
                (18.0, 0.0, 44.0, 44.0, 28.0, 0.0),
                (28.0, 0.0, 56.0, 28.0, 16.0, 0.0),
            ],
        );
        self.parts.push(Part {
            bumps: [2.0, 9.0],
            ..Part::new(nape, loose)
        });
        let face = self.column(
            0.0,
            &[
                (-20.0, 0.0, -44.0, 44.0, 26.0, 0.0),
                (14.0, 0.0, -48.0, 43.0, 30.0, 0.0),
                (44.0, 0.0, -46.0, 52.0, 32.0, 0.0),
            ],
        );
        self.parts.push(Part {
            bumps: [3.0, 9.0],
            ..Part::new(face, loose)
        });
        let cheek = |ry: f32, half: f32, z: [f32; 2]| Form::Horseshoe {
            centre_y: -30.0,
            rx: 41.0,
            ry,
            half_thickness: half,
            z,
            end: -34.0,
        };
        self.put(cheek(50.0, 1.6, [-14.0, 12.0]), muscle);
    }
}

pub(super) fn outline(dice: &mut Dice) -> Vec<Section> {
    let jaw = dice.uniform(-4.0, 3.0);
    let rows: [(f32, f32, f32, f32); 8] = [
        (-70.0, 56.0, -44.0, 60.0),
        (-48.0, 59.0, -52.0 + 0.5 * jaw, 62.0),
        (-34.0, 63.0, -80.0 + jaw, 65.0),
        (-20.0, 68.0, -89.0 + jaw, 68.0),
        (0.0, 71.5, -92.0, 75.0),
        (20.0, 72.5, -92.0, 84.0),
        (45.0, 74.0, -90.0, 94.0),
        (75.0, 76.0, -90.0, 99.0),
    ];
    rows.iter()
        .map(|&(z, rx, front, back)| Section {
            z,
            x: 0.0,
            y: 0.5 * (front + back),
            rx,
            ry: 0.5 * (back - front),
            turn: 0.0,
        })
        .collect()
}

pub(super) fn knobs() -> Vec<Knob> {
    let mut forms = vec![
        ball([0.0, -94.0, 26.0], [12.0, 15.0, 17.0]),
        ball([0.0, -89.5, 0.0], [20.0, 4.0, 9.0]),
    ];
    for side in [1.0, -1.0] {
        forms.push(Form::Ellipsoid {
            centre: [side * 76.0, 16.0, 27.0],
            radii: [3.0, 15.0, 25.0],
            axes: Rotation::about_axes(0.0, 0.0, side * -0.5),
        });
    }
    forms.into_iter().map(|form| Knob::new(form, 0.0, 5.0)).collect()
}
