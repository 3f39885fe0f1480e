//! Signed distance functions: negative inside, in millimetres, close to exact near the surface.
//! The ellipse and ellipsoid bounds follow the usual first-order form k·(k-1)/|∇k|.

use crate::space::{Point, Rotation, add, length, sub};

/// One cross-section of a [`Form::Column`]: an ellipse at height `z`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    pub z: f32,
    pub x: f32,
    pub y: f32,
    pub rx: f32,
    pub ry: f32,
    /// Radians about z.
    pub turn: f32,
}

/// A solid.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    Ellipsoid {
        centre: Point,
        radii: Point,
        axes: Rotation,
    },
    /// Ellipses blended along z; sections ascend in z.
    Column(Vec<Section>),
    /// The front of an elliptic ring, such as a jaw: `y` below `end`.
    Horseshoe {
        centre_y: f32,
        rx: f32,
        ry: f32,
        half_thickness: f32,
        z: [f32; 2],
        end: f32,
    },
    /// Two solids melted together over about `blend` mm.
    Melted {
        first: Box<Form>,
        second: Box<Form>,
        blend: f32,
    },
}

/// An axis-parallel box.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub min: Point,
    pub max: Point,
}

impl Bounds {
    pub fn grown(self, by: f32) -> Self {
        Bounds {
            min: sub(self.min, [by; 3]),
            max: add(self.max, [by; 3]),
        }
    }

    pub fn contains(&self, p: Point) -> bool {
        (0..3).all(|a| p[a] >= self.min[a] && p[a] <= self.max[a])
    }

    pub fn meets(&self, other: &Bounds) -> bool {
        (0..3).all(|a| self.min[a] <= other.max[a] && self.max[a] >= other.min[a])
    }

    pub fn around(self, other: Bounds) -> Self {
        Bounds {
            min: std::array::from_fn(|a| self.min[a].min(other.min[a])),
            max: std::array::from_fn(|a| self.max[a].max(other.max[a])),
        }
    }
}

/// Distance to an ellipse around the origin.
pub(crate) fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let (u, v) = (x / rx, y / ry);
    let k = (u * u + v * v).sqrt();
    if k < 1e-3 {
        return -rx.min(ry);
    }
    let (gu, gv) = (u / rx, v / ry);
    k * (k - 1.0) / (gu * gu + gv * gv).sqrt()
}

/// Distance to an ellipsoid around the origin.
pub(crate) fn ellipsoid(p: Point, radii: Point) -> f32 {
    let q = [p[0] / radii[0], p[1] / radii[1], p[2] / radii[2]];
    let k = length(q);
    if k < 1e-3 {
        return -radii[0].min(radii[1]).min(radii[2]);
    }
    let g = [q[0] / radii[0], q[1] / radii[1], q[2] / radii[2]];
    k * (k - 1.0) / length(g)
}

/// The smaller of two distances with the crease rounded over about `blend` mm.
pub(crate) fn melt(a: f32, b: f32, blend: f32) -> f32 {
    let h = (blend - (a - b).abs()).max(0.0) / blend;
    a.min(b) - 0.25 * h * h * blend
}

impl Form {
    pub fn distance(&self, p: Point) -> f32 {
        match self {
            Form::Ellipsoid { centre, radii, axes } => ellipsoid(axes.undo(sub(p, *centre)), *radii),
            Form::Column(sections) => column(sections, p),
            Form::Horseshoe {
                centre_y,
                rx,
                ry,
                half_thickness,
                z,
                end,
            } => {
                let ring = ellipse(p[0], p[1] - centre_y, *rx, *ry).abs() - half_thickness;
                ring.max(p[1] - end).max(z[0] - p[2]).max(p[2] - z[1])
            }
            Form::Melted { first, second, blend } => melt(first.distance(p), second.distance(p), *blend),
        }
    }

    pub fn bounds(&self) -> Bounds {
        match self {
            Form::Ellipsoid { centre, radii, axes } => {
                // Half extent of a rotated ellipsoid along an axis: |diag(radii)·Rᵀ·e|.
                let half: Point = std::array::from_fn(|a| {
                    let mut e = [0.0; 3];
                    e[a] = 1.0;
                    let r = axes.undo(e);
                    length([r[0] * radii[0], r[1] * radii[1], r[2] * radii[2]])
                });
                Bounds {
                    min: sub(*centre, half),
                    max: add(*centre, half),
                }
            }
            Form::Column(sections) => {
                let mut b = Bounds {
                    min: [f32::MAX; 3],
                    max: [f32::MIN; 3],
                };
                for s in sections {
                    let r = s.rx.max(s.ry);
                    b = b.around(Bounds {
                        min: [s.x - r, s.y - r, s.z],
                        max: [s.x + r, s.y + r, s.z],
                    });
                }
                b
            }
            Form::Horseshoe {
                centre_y,
                rx,
                ry,
                half_thickness,
                z,
                end,
            } => Bounds {
                min: [-rx - half_thickness, centre_y - ry - half_thickness, z[0]],
                max: [rx + half_thickness, *end, z[1]],
            },
            Form::Melted { first, second, blend } => {
                first.bounds().around(second.bounds()).grown(blend * 0.25)
            }
        }
    }
}

fn column(sections: &[Section], p: Point) -> f32 {
    let (first, last) = (sections[0], sections[sections.len() - 1]);
    let above = sections.iter().position(|s| s.z > p[2]);
    let (s, beyond) = match above {
        Some(0) => (first, first.z - p[2]),
        None => (last, p[2] - last.z),
        Some(i) => {
            let (a, b) = (sections[i - 1], sections[i]);
            let t = (p[2] - a.z) / (b.z - a.z);
            let mix = |u: f32, v: f32| u + t * (v - u);
            let s = Section {
                z: p[2],
                x: mix(a.x, b.x),
                y: mix(a.y, b.y),
                rx: mix(a.rx, b.rx),
                ry: mix(a.ry, b.ry),
                turn: mix(a.turn, b.turn),
            };
            (s, f32::MIN)
        }
    };
    let (mut x, mut y) = (p[0] - s.x, p[1] - s.y);
    if s.turn != 0.0 {
        let (sin, cos) = s.turn.sin_cos();
        (x, y) = (x * cos + y * sin, y * cos - x * sin);
    }
    let across = ellipse(x, y, s.rx, s.ry);
    let ends = beyond.max(first.z - p[2]).max(p[2] - last.z);
    across.max(ends)
}

/// A solid ellipsoid along the axes.
pub(crate) fn ball(centre: Point, radii: Point) -> Form {
    Form::Ellipsoid {
        centre,
        radii,
        axes: Rotation::about_axes(0.0, 0.0, 0.0),
    }
}
