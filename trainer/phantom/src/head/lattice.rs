//! Even lattices along the axes, and what is done to fields on them: sampling, blurring, distances,
//! connected regions.

use crate::space::Point;

/// Where the nodes of a field are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lattice {
    /// Place of the first node, mm.
    pub min: Point,
    /// Between neighbours, mm.
    pub step: f32,
    /// Nodes along x, y, z; x runs fastest.
    pub shape: [usize; 3],
}

impl Lattice {
    /// The lattice of a step that covers a box.
    pub fn over(min: Point, max: Point, step: f32) -> Self {
        let shape = std::array::from_fn(|a| ((max[a] - min[a]) / step).ceil().max(0.0) as usize + 1);
        Lattice { min, step, shape }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Indices along x, y, z of a node.
    pub fn node(&self, at: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape;
        [at % nx, at / nx % ny, at / (nx * ny)]
    }

    /// Place of a node, mm.
    pub fn place(&self, at: usize) -> Point {
        let node = self.node(at);
        std::array::from_fn(|a| self.min[a] + self.step * node[a] as f32)
    }

    /// The nearest node, if the point lies on the lattice.
    pub fn nearest(&self, p: Point) -> Option<usize> {
        let mut node = [0; 3];
        for a in 0..3 {
            let u = (p[a] - self.min[a]) / self.step + 0.5;
            if !(u >= 0.0 && u < self.shape[a] as f32) {
                return None;
            }
            node[a] = u as usize;
        }
        Some((node[2] * self.shape[1] + node[1]) * self.shape[0] + node[0])
    }

    /// The lower corner of the cell around a point and the shares along the axes.
    pub fn cell(&self, p: Point) -> Option<(usize, Point)> {
        let mut corner = [0; 3];
        let mut share = [0.0; 3];
        for a in 0..3 {
            let u = (p[a] - self.min[a]) / self.step;
            if !(u >= 0.0 && u < (self.shape[a] - 1) as f32) {
                return None;
            }
            corner[a] = u as usize;
            share[a] = u - corner[a] as f32;
        }
        let at = (corner[2] * self.shape[1] + corner[1]) * self.shape[0] + corner[0];
        Some((at, share))
    }

    /// From a cell's lower corner to its eight corners, with their weights.
    pub fn corners(&self, at: usize, share: Point) -> [(usize, f32); 8] {
        let [nx, ny, _] = self.shape;
        std::array::from_fn(|i| {
            let [x, y, z] = [i & 1, i >> 1 & 1, i >> 2];
            let along = |bit: usize, t: f32| if bit == 1 { t } else { 1.0 - t };
            let weight = along(x, share[0]) * along(y, share[1]) * along(z, share[2]);
            (at + x + nx * (y + ny * z), weight)
        })
    }

    /// Calls `each` with the six neighbours of a node.
    fn neighbours(&self, at: usize, mut each: impl FnMut(usize)) {
        let node = self.node(at);
        let stride = [1, self.shape[0], self.shape[0] * self.shape[1]];
        for a in 0..3 {
            if node[a] > 0 {
                each(at - stride[a]);
            }
            if node[a] + 1 < self.shape[a] {
                each(at + stride[a]);
            }
        }
    }

    /// Runs `work` over every line of nodes along an axis.
    fn lines(&self, axis: usize, values: &mut [f32], mut work: impl FnMut(&mut [f32])) {
        let stride = [1, self.shape[0], self.shape[0] * self.shape[1]][axis];
        let n = self.shape[axis];
        let mut line = vec![0.0; n];
        for start in (0..self.len()).filter(|&at| self.node(at)[axis] == 0) {
            for (i, v) in line.iter_mut().enumerate() {
                *v = values[start + i * stride];
            }
            work(&mut line);
            for (i, v) in line.iter().enumerate() {
                values[start + i * stride] = *v;
            }
        }
    }

    /// Smooths by about a Gaussian of standard deviation `sigma` mm: three running means per axis.
    pub fn blur(&self, values: &mut [f32], sigma: f32) {
        // Three boxes of half width h have the variance h·(h+1).
        let half = (((0.25 + (sigma / self.step).powi(2)).sqrt() - 0.5).round() as usize).max(1);
        for axis in 0..3 {
            let mut sums = Vec::new();
            self.lines(axis, values, |line| {
                for _ in 0..3 {
                    running_mean(line, half, &mut sums);
                }
            });
        }
    }

    /// Distance of every node to the nearest node of a set, mm; infinite when the set is empty.
    /// Felzenszwalb and Huttenlocher, Theory of Computing 2012;8:415.
    pub fn distance_to(&self, set: &[bool]) -> Vec<f32> {
        let mut values: Vec<f32> = set
            .iter()
            .map(|&inside| if inside { 0.0 } else { f32::INFINITY })
            .collect();
        for axis in 0..3 {
            let mut envelope = Envelope::default();
            self.lines(axis, &mut values, |line| envelope.transform(line));
        }
        for v in &mut values {
            *v = v.sqrt() * self.step;
        }
        values
    }

    /// The nodes of a set that are connected to one of the seeds.
    pub fn connected(&self, set: &[bool], seeds: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut reached = vec![false; set.len()];
        let mut open: Vec<usize> = Vec::new();
        for seed in seeds {
            if set[seed] && !reached[seed] {
                reached[seed] = true;
                open.push(seed);
            }
        }
        while let Some(at) = open.pop() {
            self.neighbours(at, |next| {
                if set[next] && !reached[next] {
                    reached[next] = true;
                    open.push(next);
                }
            });
        }
        reached
    }

    /// The largest connected region of a set; empty for an empty set.
    pub fn largest(&self, set: &[bool]) -> Vec<bool> {
        let mut left = set.to_vec();
        let mut best = Vec::new();
        for start in 0..set.len() {
            if !left[start] {
                continue;
            }
            left[start] = false;
            let mut region = vec![start];
            let mut done = 0;
            while done < region.len() {
                let at = region[done];
                done += 1;
                self.neighbours(at, |next| {
                    if left[next] {
                        left[next] = false;
                        region.push(next);
                    }
                });
            }
            if region.len() > best.len() {
                best = region;
            }
        }
        let mut largest = vec![false; set.len()];
        for at in best {
            largest[at] = true;
        }
        largest
    }

    /// Fills what no slice across z lets out to its edge.
    pub fn fill_slices(&self, set: &mut [bool]) {
        let [nx, ny, nz] = self.shape;
        let flat = Lattice {
            shape: [nx, ny, 1],
            ..*self
        };
        for z in 0..nz {
            let slice = &mut set[z * nx * ny..(z + 1) * nx * ny];
            let open: Vec<bool> = slice.iter().map(|s| !s).collect();
            let edge = (0..nx * ny).filter(|at| {
                let [x, y, _] = flat.node(*at);
                x == 0 || y == 0 || x + 1 == nx || y + 1 == ny
            });
            let outside = flat.connected(&open, edge);
            for (s, out) in slice.iter_mut().zip(outside) {
                *s = !out;
            }
        }
    }
}

fn running_mean(line: &mut [f32], half: usize, sums: &mut Vec<f32>) {
    sums.clear();
    sums.push(0.0);
    let mut total = 0.0;
    for v in line.iter() {
        total += v;
        sums.push(total);
    }
    let n = line.len();
    for (i, v) in line.iter_mut().enumerate() {
        let (low, high) = (i.saturating_sub(half), (i + half + 1).min(n));
        *v = (sums[high] - sums[low]) / (high - low) as f32;
    }
}

/// The lower envelope of parabolas along one line.
#[derive(Default)]
struct Envelope {
    at: Vec<usize>,
    from: Vec<f32>,
    old: Vec<f32>,
}

impl Envelope {
    /// Squared distances along a line, in steps.
    fn transform(&mut self, line: &mut [f32]) {
        self.old.clear();
        self.old.extend_from_slice(line);
        self.at.clear();
        self.from.clear();
        for (i, &v) in self.old.iter().enumerate() {
            if v.is_infinite() {
                continue;
            }
            let meets = |j: usize| {
                let (a, b) = (i as f32, j as f32);
                ((v + a * a) - (self.old[j] + b * b)) / (2.0 * (a - b))
            };
            let mut start = f32::NEG_INFINITY;
            while let Some(&last) = self.at.last() {
                start = meets(last);
                if self.from.last().is_some_and(|&f| start <= f) {
                    self.at.pop();
                    self.from.pop();
                    start = f32::NEG_INFINITY;
                } else {
                    break;
                }
            }
            self.at.push(i);
            self.from.push(start);
        }
        if self.at.is_empty() {
            return;
        }
        let mut k = 0;
        for (i, v) in line.iter_mut().enumerate() {
            while k + 1 < self.at.len() && self.from[k + 1] < i as f32 {
                k += 1;
            }
            let d = i as f32 - self.at[k] as f32;
            *v = d * d + self.old[self.at[k]];
        }
    }
}

/// Values on a lattice.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub lattice: Lattice,
    pub values: Vec<f32>,
}

impl Field {
    /// Linear between nodes; none outside.
    pub fn at(&self, p: Point) -> Option<f32> {
        let (at, share) = self.lattice.cell(p)?;
        let corners = self.lattice.corners(at, share);
        Some(corners.iter().map(|&(i, w)| w * self.values[i]).sum())
    }
}

/// The value below which a share of the list lies; 0 for an empty list. Reorders the list.
pub(crate) fn quantile(list: &mut [f32], share: f32) -> f32 {
    if list.is_empty() {
        return 0.0;
    }
    let rank = ((list.len() - 1) as f32 * share).round() as usize;
    *list.select_nth_unstable_by(rank, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Lattice {
        Lattice {
            min: [0.0; 3],
            step: 2.0,
            shape: [9, 8, 7],
        }
    }

    #[test]
    fn distances_are_exact() {
        let lattice = small();
        let set: Vec<bool> = (0..lattice.len()).map(|i| i % 97 == 5).collect();
        let distances = lattice.distance_to(&set);
        for (at, d) in distances.iter().enumerate() {
            let p = lattice.place(at);
            let nearest = (0..set.len())
                .filter(|i| set[*i])
                .map(|i| crate::space::length(crate::space::sub(p, lattice.place(i))))
                .fold(f32::INFINITY, f32::min);
            assert!((d - nearest).abs() < 1e-3, "{d} instead of {nearest}");
        }
        assert!(lattice.distance_to(&vec![false; set.len()])[0].is_infinite());
    }

    #[test]
    fn a_field_is_linear_between_nodes() {
        let lattice = small();
        let of = |p: Point| 3.0 + p[0] - 2.0 * p[1] + 0.5 * p[2];
        let field = Field {
            lattice,
            values: (0..lattice.len()).map(|i| of(lattice.place(i))).collect(),
        };
        for p in [[0.0, 0.0, 0.0], [1.3, 7.9, 4.4], [15.9, 13.9, 11.9]] {
            assert!((field.at(p).unwrap_or(f32::NAN) - of(p)).abs() < 1e-3);
        }
        assert_eq!(field.at([16.1, 0.0, 0.0]), None);
        assert_eq!(field.at([f32::NAN, 0.0, 0.0]), None);
        assert_eq!(lattice.nearest([-0.9, 1.1, 0.0]), Some(9));
    }

    #[test]
    fn the_largest_region_wins_and_holes_are_filled() {
        let lattice = Lattice {
            min: [0.0; 3],
            step: 1.0,
            shape: [9, 5, 1],
        };
        // A ring of eight and a bar of three.
        let ring = |x: usize, y: usize| (1..4).contains(&x) && (1..4).contains(&y) && (x, y) != (2, 2);
        let set: Vec<bool> = (0..45)
            .map(|i| ring(i % 9, i / 9) || i % 9 == 6 && i / 9 < 3)
            .collect();
        let mut largest = lattice.largest(&set);
        assert_eq!(largest.iter().filter(|s| **s).count(), 8);
        lattice.fill_slices(&mut largest);
        assert_eq!(largest.iter().filter(|s| **s).count(), 9);
    }

    #[test]
    fn blurring_keeps_the_sum_and_spreads_by_sigma() {
        let lattice = Lattice {
            min: [0.0; 3],
            step: 1.0,
            shape: [41, 41, 41],
        };
        let mut values = vec![0.0; lattice.len()];
        let middle = (20 * 41 + 20) * 41 + 20;
        values[middle] = 1.0;
        lattice.blur(&mut values, 2.5);
        let sum: f32 = values.iter().sum();
        let variance: f32 = (0..lattice.len())
            .map(|i| values[i] * (lattice.place(i)[0] - 20.0).powi(2))
            .sum();
        assert!((sum - 1.0).abs() < 1e-3);
        assert!((variance.sqrt() - 2.5).abs() < 0.3, "{}", variance.sqrt());
    }
}
