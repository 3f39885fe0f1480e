//! Air and bone: what stands in front of everything and gives way to no tumour.

use std::f32::consts::FRAC_PI_6;

use super::{Builder, Palette};
use crate::scene::Part;
use crate::shape::{Form, ball};
use crate::space::{Point, Rotation};

impl Builder<'_> {
    pub(super) fn air_and_bone(&mut self) {
        let Palette {
            air,
            cortex,
            nasal,
            mastoid,
            mucosa,
            teeth,
            ..
        } = self.of;
        let pharynx = [
            (-62.0, 0.0, -20.0, 7.0, 8.0, 0.0),
            (-44.0, 0.0, -19.0, 9.0, 6.0, 0.0),
            (-20.0, 0.0, -16.0, 8.0, 4.5, 0.0),
            (4.0, 0.0, -14.0, 9.0, 4.0, 0.0),
            (16.0, 0.0, -14.0, 10.0, 6.0, 0.0),
            (34.0, 0.0, -16.0, 12.0, 7.0, 0.0),
        ];
        let width = self.dice.uniform(0.7, 1.15);
        let lumen = self.column(
            0.0,
            &pharynx.map(|(z, x, y, rx, ry, t)| (z, x, y, rx * width, ry * width, t)),
        );
        self.put(lumen, air);
        let nose = self.column(
            0.0,
            &[
                (14.0, 0.0, -55.0, 10.0, 24.0, 0.0),
                (32.0, 0.0, -56.0, 14.0, 30.0, 0.0),
                (60.0, 0.0, -55.0, 12.0, 28.0, 0.0),
            ],
        );
        self.put(nose, nasal);
        for side in [1.0, -1.0] {
            let r: Point = [
                self.dice.uniform(11.0, 14.0),
                self.dice.uniform(14.0, 18.0),
                self.dice.uniform(13.0, 17.0),
            ];
            let lining = self.dice.uniform(0.4, 2.2);
            let centre = [side * 29.0, -54.0, 33.0];
            self.put(ball(centre, r), air);
            self.put(ball(centre, r.map(|x| x + lining)), mucosa);
            self.put(ball(centre, r.map(|x| x + lining + 1.3)), cortex);
            // Ear canal and mastoid.
            self.put(ball([side * 60.0, 9.0, 23.0], [14.0, 2.6, 2.6]), air);
            let cells = self.column(
                side,
                &[
                    (4.0, 53.0, 24.0, 4.0, 5.0, 0.0),
                    (14.0, 53.0, 25.0, 8.0, 11.0, 0.0),
                    (48.0, 52.0, 26.0, 9.0, 14.0, 0.0),
                ],
            );
            self.parts.push(Part {
                inset: 2.0,
                ..Part::new(cells.clone(), mastoid)
            });
            self.put(cells, cortex);
            let ramus = self.column(
                side,
                &[
                    (-27.0, 43.0, -30.0, 4.2, 13.0, 0.12),
                    (-10.0, 46.0, -25.0, 4.3, 14.0, 0.08),
                    (8.0, 48.0, -22.0, 4.0, 13.0, 0.0),
                    (20.0, 49.5, -14.0, 3.8, 7.0, 0.0),
                    (24.0, 50.0, -9.0, 7.5, 4.5, 0.0),
                    (31.0, 50.0, -8.0, 6.0, 4.0, 0.0),
                ],
            );
            self.bone(ramus, 1.7);
            let coronoid = self.column(
                side,
                &[
                    (6.0, 47.0, -32.0, 3.0, 5.0, 0.0),
                    (24.0, 47.0, -35.0, 2.2, 3.0, 0.0),
                ],
            );
            self.bone(coronoid, 1.2);
            let zygoma = self.column(
                side,
                &[
                    (19.0, 58.0, -38.0, 2.4, 18.0, -0.35),
                    (27.0, 58.0, -38.0, 2.6, 22.0, -0.35),
                ],
            );
            self.bone(zygoma, 1.1);
            let cheekbone = self.column(
                side,
                &[
                    (16.0, 44.0, -58.0, 6.0, 7.0, 0.6),
                    (34.0, 46.0, -58.0, 9.0, 8.0, 0.6),
                ],
            );
            self.bone(cheekbone, 1.6);
            let petrous = Form::Ellipsoid {
                centre: [side * 33.0, 16.0, 42.0],
                radii: [24.0, 8.5, 10.0],
                axes: Rotation::about_axes(0.0, 0.0, side * -FRAC_PI_6),
            };
            self.put(petrous, cortex);
            self.put(ball([side * 41.0, 7.0, 8.0], [1.6, 1.6, 14.0]), cortex);
            // Lateral mass of the atlas and transverse processes below.
            let lateral = self.column(
                side,
                &[
                    (6.0, 19.0, 13.0, 7.5, 8.0, 0.0),
                    (19.0, 19.0, 15.0, 8.5, 9.0, 0.0),
                ],
            );
            self.bone(lateral, 1.4);
            let facets = self.column(
                side,
                &[
                    (-62.0, 19.0, 22.0, 6.5, 7.0, 0.0),
                    (5.0, 17.0, 20.0, 6.5, 6.5, 0.0),
                ],
            );
            self.bone(facets, 1.5);
        }
        let jaw = |z: [f32; 2], rx: f32, half: f32, end: f32| Form::Horseshoe {
            centre_y: -26.0,
            rx,
            ry: 53.0,
            half_thickness: half,
            z,
            end,
        };
        let chin = -16.0 + self.dice.uniform(-4.0, 4.0);
        self.put(jaw([-10.0, 9.0], 27.0, 3.6, -34.0), teeth);
        self.bone(jaw([-30.0, chin + 7.0], 43.5, 5.2, -26.0), 1.8);
        self.bone(jaw([9.0, 15.0], 27.0, 5.0, -32.0), 1.5);
        self.put(ball([0.0, -52.0, 15.0], [22.0, 26.0, 2.2]), cortex);
        let body = self.column(
            0.0,
            &[
                (-62.0, 0.0, 9.0, 10.0, 8.0, 0.0),
                (-8.0, 0.0, 9.0, 9.5, 8.0, 0.0),
                (4.0, 0.0, 8.0, 7.0, 6.5, 0.0),
                (16.0, 0.0, 6.0, 5.0, 5.5, 0.0),
                (19.0, 0.0, 6.0, 3.0, 3.0, 0.0),
            ],
        );
        self.bone(body, 1.3);
        let clivus = self.column(
            0.0,
            &[
                (22.0, 0.0, 4.0, 8.0, 4.0, 0.0),
                (34.0, 0.0, 0.0, 11.0, 6.0, 0.0),
                (62.0, 0.0, -6.0, 14.0, 9.0, 0.0),
            ],
        );
        self.bone(clivus, 1.4);
        let hyoid = Form::Horseshoe {
            centre_y: -24.0,
            rx: 18.0,
            ry: 19.0,
            half_thickness: 2.2,
            z: [-47.0, -41.0],
            end: -18.0,
        };
        self.put(hyoid, cortex);
    }
}
