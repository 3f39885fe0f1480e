//! Random changes of training images: place, and what scanners and coils change.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// How far images are changed. Each value is drawn evenly between −x and +x (or 1 − x and 1 + x).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Mirrors left and right with this chance: the glands are a pair.
    pub flip: f64,
    /// In the axial plane.
    pub rotation_degrees: f64,
    /// Relative size.
    pub scale: f64,
    /// Share of the image's width.
    pub shift: f64,
    /// Share of each box's width by which every edge moves.
    pub box_jitter: f64,
    /// Relative brightness per contrast.
    pub gain: f64,
    /// Added per contrast, in normalised units.
    pub offset: f64,
    /// Exponent per contrast.
    pub gamma: f64,
    /// Standard deviation of added Gaussian noise, at most, in normalised units.
    pub noise: f64,
}

/// Where pixels move; coordinates in units of the image's width, 0 in its middle.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// Output to input, as rows of an affine matrix.
    theta: [f64; 6],
    mirrored: bool,
    scale: f64,
    shift: [f64; 2],
}

impl Placement {
    /// Changes nothing.
    pub const IDENTITY: Placement = Placement {
        theta: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        mirrored: false,
        scale: 1.0,
        shift: [0.0; 2],
    };

    /// Where a box (edges x0, y0, x1, y1 in pixels of an image of `size`) comes to lie, when the image
    /// was turned about `centre` as [`Augmentation::placement`] was told. Its size changes by the scale
    /// only: a tumour is round enough for ten degrees.
    pub fn move_box(&self, edges: [f32; 4], centre: [f64; 2], size: f64) -> [f32; 4] {
        let sign = if self.mirrored { -1.0 } else { 1.0 };
        let moved = |edge: f32, axis: usize, sign: f64| {
            let from_centre = f64::from(edge) / size - 0.5 - centre[axis];
            let at = sign * (centre[axis] + from_centre * self.scale) + self.shift[axis];
            ((at + 0.5) * size) as f32
        };
        let (a, b) = (moved(edges[0], 0, sign), moved(edges[2], 0, sign));
        [
            a.min(b),
            moved(edges[1], 1, 1.0),
            a.max(b),
            moved(edges[3], 1, 1.0),
        ]
    }
}

impl Augmentation {
    /// Changes nothing.
    pub const NONE: Augmentation = Augmentation {
        flip: 0.0,
        rotation_degrees: 0.0,
        scale: 0.0,
        shift: 0.0,
        box_jitter: 0.0,
        gain: 0.0,
        offset: 0.0,
        gamma: 0.0,
        noise: 0.0,
    };

    /// Draws where an image moves when it is turned and scaled about `centre`.
    pub fn placement(&self, centre: [f64; 2], rng: &mut impl Rng) -> Placement {
        let mirrored = rng.random_bool(self.flip);
        let angle = symmetric(self.rotation_degrees, rng).to_radians();
        let scale = 1.0 + symmetric(self.scale, rng);
        let shift = [symmetric(self.shift, rng), symmetric(self.shift, rng)];
        let sign = if mirrored { -1.0 } else { 1.0 };
        // input = centre + R/scale · (mirror(output − shift) − centre)
        let (sin, cos) = (angle.sin() / scale, angle.cos() / scale);
        let offset = [-sign * shift[0] - centre[0], -shift[1] - centre[1]];
        let theta = [
            cos * sign,
            -sin,
            // affine_grid counts from −1 to 1, twice our unit.
            2.0 * (cos * offset[0] - sin * offset[1] + centre[0]),
            sin * sign,
            cos,
            2.0 * (sin * offset[0] + cos * offset[1] + centre[1]),
        ];
        Placement {
            theta,
            mirrored,
            scale,
            shift,
        }
    }

    /// Moves every edge of a box by up to `box_jitter` of its width or height.
    pub fn jitter_box(&self, edges: [f32; 4], rng: &mut impl Rng) -> [f32; 4] {
        let (width, height) = (edges[2] - edges[0], edges[3] - edges[1]);
        let mut by = |length: f32| symmetric(self.box_jitter, rng) as f32 * length;
        [
            edges[0] + by(width),
            edges[1] + by(height),
            edges[2] + by(width),
            edges[3] + by(height),
        ]
    }

    /// Changes brightness and noise of images (N, channels, H, W). Channels repeat every `contrasts`; all
    /// channels of one contrast change alike.
    pub fn intensities(&self, images: &Tensor, contrasts: i64, rng: &mut impl Rng) -> Tensor {
        let size = images.size();
        let (n, repeats) = (size[0], size[1] / contrasts);
        let mut draw = |centre: f64, reach: f64| {
            let values: Vec<f32> = (0..n * contrasts)
                .map(|_| (centre + symmetric(reach, rng)) as f32)
                .collect();
            Tensor::from_slice(&values)
                .view([n, 1, contrasts, 1, 1])
                .to_device(images.device())
        };
        let (gain, offset, gamma) = (
            draw(1.0, self.gain),
            draw(0.0, self.offset),
            draw(1.0, self.gamma),
        );
        let noise = draw(0.0, self.noise);
        let x = images.view([n, repeats, contrasts, size[2], size[3]]);
        // Normalised images run from 0 to 2; the exponent keeps 1 where it is.
        let x = x.clamp_min(1e-4).pow(&gamma) * gain + offset;
        let x = &x + x.randn_like() * noise;
        x.clamp(0.0, 2.0).view(size.as_slice())
    }

    /// Crops (N, contrasts, H, W) with their boxes, each changed by itself: images and boxes (N, 4).
    pub fn apart(&self, crops: &Tensor, edges: &[[f32; 4]], rng: &mut impl Rng) -> (Tensor, Tensor) {
        let size = crops.size()[2] as f64;
        let mut placements = Vec::with_capacity(edges.len());
        let mut moved = Vec::with_capacity(edges.len());
        for at in edges {
            let middle = |a: f32, b: f32| f64::from(a + b) / 2.0 / size - 0.5;
            let centre = [middle(at[0], at[2]), middle(at[1], at[3])];
            let placement = self.placement(centre, rng);
            moved.push(self.jitter_box(placement.move_box(*at, centre, size), rng));
            placements.push(placement);
        }
        let placed = place(&crops.to_kind(Kind::Float), &placements);
        let contrasts = placed.size()[1];
        (
            self.intensities(&placed, contrasts, rng),
            boxes(&moved, crops.device()),
        )
    }

    /// All slices of a lesion (slices, contrasts, H, W) with their boxes, moved and changed alike, as one scan would
    /// be: images and boxes (slices, 4).
    pub fn together(&self, crops: &Tensor, edges: &[[f32; 4]], rng: &mut impl Rng) -> (Tensor, Tensor) {
        let size = crops.size();
        // They turn about one point, the middle of the crop.
        let centre = [0.0; 2];
        let placement = self.placement(centre, rng);
        let moved: Vec<[f32; 4]> = edges
            .iter()
            .map(|at| self.jitter_box(placement.move_box(*at, centre, size[2] as f64), rng))
            .collect();
        let placements = vec![placement; edges.len()];
        let placed = place(&crops.to_kind(Kind::Float), &placements);
        // The slices as channels of one image change their intensities alike.
        let as_channels = placed.flatten(0, 1).unsqueeze(0);
        let images = self.intensities(&as_channels, size[1], rng);
        (images.view(size.as_slice()), boxes(&moved, crops.device()))
    }
}

/// Images (N, C, H, W) at their new places; zero comes in from outside.
pub fn place(images: &Tensor, placements: &[Placement]) -> Tensor {
    let theta: Vec<f32> = placements
        .iter()
        .flat_map(|p| p.theta)
        .map(|v| v as f32)
        .collect();
    let theta = Tensor::from_slice(&theta)
        .view([-1, 2, 3])
        .to_device(images.device());
    let size = images.size();
    let grid = Tensor::affine_grid_generator(&theta, size.as_slice(), false);
    // 0, 0: bilinear, zeros outside.
    images.grid_sampler(&grid, 0, 0, false)
}

/// Boxes as a tensor (N, 4).
pub fn boxes(edges: &[[f32; 4]], device: Device) -> Tensor {
    Tensor::from_slice(edges.as_flattened())
        .view([-1, 4])
        .to_kind(Kind::Float)
        .to_device(device)
}

fn symmetric(reach: f64, rng: &mut impl Rng) -> f64 {
    (rng.random::<f64>() * 2.0 - 1.0) * reach
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A bright rectangle and its box must stay together through flips, turns, scaling and shifts.
    #[test]
    fn a_box_follows_its_tumour() {
        let augment = Augmentation {
            flip: 0.5,
            rotation_degrees: 10.0,
            scale: 0.15,
            shift: 0.08,
            box_jitter: 0.0,
            gain: 0.0,
            offset: 0.0,
            gamma: 0.0,
            noise: 0.0,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let edges = [70.0f32, 40.0, 100.0, 66.0];
        let centre = [85.0 / 128.0 - 0.5, 53.0 / 128.0 - 0.5];
        let image = Tensor::zeros([1, 1, 128, 128], (Kind::Float, Device::Cpu));
        let _ = image.narrow(2, 40, 26).narrow(3, 70, 30).fill_(1.0);
        for _ in 0..20 {
            let placement = augment.placement(centre, &mut rng);
            let moved = place(&image, &[placement]).squeeze();
            let [x0, y0, x1, y1] = placement.move_box(edges, centre, 128.0);
            let mass = moved.sum(Kind::Double).double_value(&[]);
            let along = |dim: i64| {
                let ramp = Tensor::arange(128, (Kind::Double, Device::Cpu)) + 0.5;
                let profile = moved.sum_dim_intlist([1 - dim].as_slice(), false, Kind::Double);
                (profile * ramp).sum(Kind::Double).double_value(&[]) / mass
            };
            let (x, y) = (along(1), along(0));
            assert!((x - f64::from(x0 + x1) / 2.0).abs() < 0.2, "{x} in {x0}..{x1}");
            assert!((y - f64::from(y0 + y1) / 2.0).abs() < 0.2, "{y} in {y0}..{y1}");
            let area = f64::from((x1 - x0) * (y1 - y0));
            assert!((mass / area - 1.0).abs() < 0.03, "{mass} against {area}");
        }
    }
}
