//! Soft tissue beside the midline: vessels, nodes, muscles, glands.

use super::growth::solid;
use super::{Builder, Gland, Palette, Row};
use crate::patient::Patient;
use crate::scene::{Material, Part, bead};
use crate::shape::{Form, Section, ball};
use crate::space::Point;

impl Builder<'_> {
    pub(super) fn vessels(&mut self, side: f32) {
        let Palette { artery, vein, .. } = self.of;
        let shift = self.glands[usize::from(side < 0.0)].shift;
        let carotid = self.column(
            side,
            &[
                (-62.0, 30.0, 4.0, 3.4, 3.4, 0.0),
                (-36.0, 29.0, 3.0, 3.6, 3.2, 0.0),
                (0.0, 27.0, 1.0, 2.6, 2.6, 0.0),
                (30.0, 25.0, 4.0, 2.6, 2.6, 0.0),
                (40.0, 20.0, 0.0, 2.6, 2.6, 0.0),
            ],
        );
        self.put(carotid, artery);
        let external = self.column(
            side,
            &[
                (-38.0, 31.0, -2.0, 2.4, 2.4, 0.0),
                (-10.0, 42.0, -4.0, 1.9, 1.9, 0.0),
                (14.0, 47.0, -1.0, 1.5, 1.5, 0.0),
            ],
        );
        self.put(external, artery);
        let vertebral = self.column(
            side,
            &[
                (-62.0, 17.0, 12.0, 1.7, 1.7, 0.0),
                (6.0, 20.0, 12.0, 1.7, 1.7, 0.0),
                (20.0, 14.0, 24.0, 1.7, 1.7, 0.0),
            ],
        );
        self.put(vertebral, artery);
        let bulb = self.dice.uniform(0.7, 1.3);
        let jugular = self.column(
            side,
            &[
                (-62.0, 38.0, 10.0, 5.5 * bulb, 4.5 * bulb, 0.4),
                (-20.0, 36.0, 10.0, 4.6 * bulb, 4.2 * bulb, 0.4),
                (24.0, 32.0, 13.0, 4.0 * bulb, 4.0 * bulb, 0.0),
            ],
        );
        self.put(jugular, vein);
        self.retromandibular_vein(side, shift);
        let external_jugular = self.column(
            side,
            &[
                (-62.0, 50.0, 16.0, 1.8, 1.8, 0.0),
                (-30.0, 56.0, 9.0, 1.6, 1.6, 0.0),
            ],
        );
        self.put(external_jugular, vein);
        let facial = self.column(
            side,
            &[
                (-38.0, 45.0, -24.0, 1.5, 1.5, 0.0),
                (-10.0, 55.0, -50.0, 1.3, 1.3, 0.0),
                (10.0, 46.0, -66.0, 1.2, 1.2, 0.0),
            ],
        );
        self.put(facial, vein);
    }

    /// Runs through the gland; `shift` is the gland's.
    pub(super) fn retromandibular_vein(&mut self, side: f32, [x, y, _]: Point) {
        let form = self.column(
            side,
            &[
                (-34.0, 50.0 + x, 4.0 + y, 2.0, 2.0, 0.0),
                (-8.0, 51.0 + x, -1.0 + y, 2.3, 2.3, 0.0),
                (18.0, 52.0 + x, -3.0 + y, 1.8, 1.8, 0.0),
            ],
        );
        self.put(form, self.of.vein);
    }

    pub(super) fn nodes(&mut self, side: f32, patient: &Patient) {
        let node = self.of.node;
        for _ in 0..2 + self.dice.below(4) {
            let z = self.dice.uniform(-44.0, -6.0);
            let centre = [
                side * self.dice.uniform(36.0, 45.0),
                self.dice.uniform(-6.0, 20.0),
                z,
            ];
            let radius = self.dice.uniform(1.8, 4.6);
            self.put(bead(centre, radius), node);
        }
        if self.dice.chance(0.5) {
            // A node inside the gland, a distractor of a few millimetres.
            let centre = [
                side * self.dice.uniform(55.0, 62.0),
                self.dice.uniform(-12.0, 8.0),
                self.dice.uniform(-22.0, 10.0),
            ];
            let radius = self.dice.uniform(1.3, 2.6);
            self.put(bead(centre, radius), node);
        }
        for _ in 0..1 + self.dice.below(2) {
            let centre = [
                side * self.dice.uniform(30.0, 40.0),
                self.dice.uniform(-48.0, -36.0),
                self.dice.uniform(-42.0, -32.0),
            ];
            let radius = self.dice.uniform(2.0, 3.6);
            self.put(bead(centre, radius), node);
        }
        self.nodal_spread(side, patient);
    }

    /// Enlarged nodes beside a malignant tumour.
    pub(super) fn nodal_spread(&mut self, side: f32, patient: &Patient) {
        let ill = patient.disease.lesions.first().filter(|l| l.side.sign() == side);
        if let Some(lesion) = ill.filter(|_| patient.disease.nodal_spread) {
            let spread = self.material(Material::mixed(
                solid(lesion, -0.15),
                solid(lesion, 0.15),
                0.5,
                0.8,
                4.0,
            ));
            for _ in 0..1 + self.dice.below(3) {
                let centre = [
                    side * self.dice.uniform(38.0, 44.0),
                    self.dice.uniform(4.0, 18.0),
                    self.dice.uniform(-42.0, -24.0),
                ];
                let radius = self.dice.uniform(4.5, 7.5);
                self.put(bead(centre, radius), spread);
            }
        }
    }

    pub(super) fn muscles(&mut self, side: f32) {
        let muscle = self.of.muscle;
        let list: &[&[Row]] = &[
            // Masseter.
            &[
                (-27.0, 51.0, -31.0, 3.0, 8.0, 0.25),
                (-18.0, 53.5, -32.0, 5.5, 14.0, 0.2),
                (0.0, 55.0, -35.0, 6.0, 17.0, 0.15),
                (14.0, 55.5, -38.0, 5.0, 15.0, 0.1),
                (21.0, 56.0, -40.0, 3.0, 11.0, 0.0),
            ],
            // Medial and lateral pterygoid.
            &[
                (-24.0, 39.0, -24.0, 3.5, 8.0, 0.2),
                (-8.0, 36.0, -27.0, 5.5, 11.0, 0.25),
                (10.0, 31.0, -31.0, 5.5, 10.0, 0.3),
                (18.0, 28.0, -34.0, 3.0, 7.0, 0.3),
            ],
            &[
                (12.0, 36.0, -27.0, 8.0, 8.0, 0.6),
                (24.0, 37.0, -25.0, 10.0, 11.0, 0.7),
                (34.0, 37.0, -26.0, 8.0, 9.0, 0.7),
            ],
            // Temporalis.
            &[
                (8.0, 49.0, -34.0, 3.0, 6.0, 0.0),
                (26.0, 51.0, -32.0, 5.5, 13.0, 0.1),
                (62.0, 60.0, -24.0, 5.0, 26.0, 0.25),
            ],
            // Sternocleidomastoid.
            &[
                (-62.0, 44.0, 12.0, 6.5, 16.0, 0.5),
                (-36.0, 51.0, 19.0, 6.5, 14.0, 0.4),
                (-10.0, 55.0, 24.0, 6.0, 11.0, 0.25),
                (8.0, 57.0, 27.0, 4.5, 8.0, 0.2),
                (16.0, 59.0, 28.0, 3.0, 6.0, 0.2),
            ],
            // Posterior belly of the digastric.
            &[
                (-36.0, 30.0, -18.0, 2.5, 5.0, 0.5),
                (-18.0, 42.0, 4.0, 3.2, 6.0, 0.4),
                (6.0, 47.0, 18.0, 3.8, 7.0, 0.2),
            ],
            // Longus colli and capitis.
            &[
                (-62.0, 8.0, -1.0, 6.0, 3.5, 0.2),
                (10.0, 9.0, -3.0, 7.5, 4.5, 0.2),
                (24.0, 8.0, -5.0, 7.0, 4.0, 0.2),
            ],
            // Levator, scalenes.
            &[
                (-62.0, 32.0, 26.0, 8.0, 13.0, 0.4),
                (-10.0, 33.0, 28.0, 7.0, 9.0, 0.3),
                (8.0, 31.0, 26.0, 5.0, 6.0, 0.2),
            ],
            // Semispinalis, splenius, trapezius, suboccipital.
            &[
                (-62.0, 15.0, 46.0, 11.0, 9.0, 0.1),
                (-10.0, 14.0, 54.0, 11.5, 9.0, 0.1),
                (22.0, 14.0, 66.0, 10.0, 7.0, 0.1),
                (34.0, 14.0, 74.0, 8.0, 3.0, 0.1),
            ],
            &[
                (-62.0, 26.0, 48.0, 7.0, 15.0, 0.7),
                (-8.0, 33.0, 46.0, 6.0, 16.0, 0.75),
                (14.0, 42.0, 42.0, 5.0, 14.0, 0.6),
                (20.0, 46.0, 40.0, 3.0, 8.0, 0.5),
            ],
            &[
                (-62.0, 26.0, 56.0, 20.0, 3.5, -0.55),
                (-20.0, 18.0, 62.0, 14.0, 2.8, -0.35),
                (14.0, 10.0, 73.0, 7.0, 2.0, -0.2),
            ],
            &[
                (-20.0, 9.0, 41.0, 7.0, 5.0, 0.0),
                (2.0, 20.0, 38.0, 11.0, 6.5, -0.3),
                (18.0, 22.0, 42.0, 11.0, 7.0, 0.2),
                (26.0, 20.0, 48.0, 9.0, 6.0, 0.2),
            ],
            // Styloid muscles, strap muscles.
            &[
                (-30.0, 32.0, -8.0, 2.0, 4.0, 0.3),
                (4.0, 39.0, 3.0, 2.6, 3.5, 0.3),
            ],
            &[
                (-62.0, 9.0, -38.0, 7.0, 3.5, 0.3),
                (-46.0, 9.0, -42.0, 7.0, 3.5, 0.3),
            ],
        ];
        for rows in list {
            let form = self.column(side, rows);
            self.parts.push(Part {
                inset: -0.7,
                bumps: [1.8, 8.0],
                ..Part::new(form, muscle)
            });
        }
        let tonsil = self.dice.uniform(3.0, 7.5);
        let mucosa = self.of.mucosa;
        self.put(
            ball([side * 15.0, -17.0, -10.0], [tonsil * 0.7, tonsil, tonsil * 1.5]),
            mucosa,
        );
    }

    pub(super) fn glands(&mut self, side: f32) {
        let Palette {
            parotid,
            submandibular,
            ..
        } = self.of;
        let Gland {
            shift: [dx, dy, dz],
            size,
        } = self.glands[usize::from(side < 0.0)];
        let place = |&(z, x, y, rx, ry, turn): &Row| Section {
            z: z + dz,
            x: side * (x + dx),
            y: y + dy,
            rx: rx * size,
            ry: ry * size,
            turn: side * turn,
        };
        let superficial: [Row; 6] = [
            (-36.0, 52.0, 9.0, 2.0, 4.0, 0.3),
            (-28.0, 54.0, 6.0, 5.0, 9.0, 0.3),
            (-14.0, 56.5, -2.0, 7.0, 16.0, 0.2),
            (0.0, 57.5, -6.0, 7.5, 19.0, 0.15),
            (12.0, 58.5, -6.0, 6.5, 17.0, 0.1),
            (25.0, 60.0, -2.0, 2.5, 7.0, 0.0),
        ];
        let deep: [Row; 4] = [
            (-23.0, 48.0, 3.0, 2.0, 3.0, 0.0),
            (-12.0, 46.5, 1.0, 6.5, 6.5, 0.0),
            (2.0, 46.0, -1.0, 7.5, 6.5, 0.0),
            (17.0, 48.0, 0.0, 3.0, 4.0, 0.0),
        ];
        let form = Form::Melted {
            first: Box::new(Form::Column(superficial.iter().map(place).collect())),
            second: Box::new(Form::Column(deep.iter().map(place).collect())),
            blend: 5.0,
        };
        self.parts.push(Part {
            bumps: [1.6, 6.0],
            ..Part::new(form, parotid)
        });
        let r: Point = [
            self.dice.uniform(7.0, 9.5),
            self.dice.uniform(12.0, 16.0),
            self.dice.uniform(10.0, 14.0),
        ];
        let centre = [
            side * self.dice.uniform(31.0, 35.0),
            self.dice.uniform(-28.0, -20.0),
            self.dice.uniform(-38.0, -33.0),
        ];
        self.parts.push(Part {
            bumps: [1.2, 6.0],
            ..Part::new(ball(centre, r), submandibular)
        });
    }
}
