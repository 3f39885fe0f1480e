//! Points, rotations and smooth noise in millimetres.

use crate::dice::Dice;

/// A point or a direction: x to the patient's left, y to the back, z to the head (DICOM's LPS).
pub(crate) type Point = [f32; 3];

pub(crate) fn add(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: Point, k: f32) -> Point {
    [a[0] * k, a[1] * k, a[2] * k]
}

pub(crate) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

/// A rotation; the columns are the images of the axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation([Point; 3]);

impl Rotation {
    /// About x, then y, then z; radians.
    pub fn about_axes(x: f32, y: f32, z: f32) -> Self {
        let (sx, cx) = x.sin_cos();
        let (sy, cy) = y.sin_cos();
        let (sz, cz) = z.sin_cos();
        Rotation([
            [cz * cy, sz * cy, -sy],
            [cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx],
            [cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx],
        ])
    }

    pub fn apply(&self, p: Point) -> Point {
        let [a, b, c] = self.0;
        add(add(scale(a, p[0]), scale(b, p[1])), scale(c, p[2]))
    }

    pub fn undo(&self, p: Point) -> Point {
        [dot(self.0[0], p), dot(self.0[1], p), dot(self.0[2], p)]
    }
}

/// Edge of the noise lattice, in cells; a power of two.
const CELLS: usize = 32;

/// Periodic value noise: random values on a lattice of unit cells, blended by a cubic step.
pub(crate) struct Noise {
    values: Box<[f32; CELLS.pow(3)]>,
}

impl Noise {
    pub fn draw(dice: &mut Dice) -> Self {
        let mut values = Box::new([0.0; CELLS.pow(3)]);
        values.fill_with(|| dice.uniform(-1.0, 1.0));
        Noise { values }
    }

    /// Between -1 and 1, changing over a distance of about 1.
    pub fn at(&self, p: Point) -> f32 {
        // The shift makes every coordinate positive, so that truncation is the floor.
        const SHIFT: f32 = 2048.0;
        let mask = CELLS - 1;
        let mut low = [0usize; 3];
        let mut high = [0usize; 3];
        let mut t = [0f32; 3];
        for a in 0..3 {
            let x = p[a] + SHIFT;
            let cell = x as i32;
            let f = x - cell as f32;
            t[a] = f * f * (3.0 - 2.0 * f);
            low[a] = cell as usize & mask;
            high[a] = (low[a] + 1) & mask;
        }
        let v = |z: usize, y: usize, x: usize| self.values[(z * CELLS + y) * CELLS + x];
        let along_x = |z, y| {
            let a = v(z, y, low[0]);
            a + t[0] * (v(z, y, high[0]) - a)
        };
        let along_y = |z| {
            let a = along_x(z, low[1]);
            a + t[1] * (along_x(z, high[1]) - a)
        };
        let a = along_y(low[2]);
        a + t[2] * (along_y(high[2]) - a)
    }

    /// Two octaves of noise whose features measure about `size` mm.
    pub fn texture(&self, p: Point, size: f32) -> f32 {
        let q = scale(p, 1.0 / size);
        let finer = add(scale(q, 2.13), [7.3, 1.7, 4.1]);
        0.68 * self.at(q) + 0.32 * self.at(finer)
    }
}
