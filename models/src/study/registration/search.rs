//! Powell's method: line searches along a set of directions that learns from its own progress.
//!
//! Powell, Computer Journal 1964;7:155, with the rule for replacing directions of Press et al.,
//! Numerical Recipes, section 10.7. It needs no derivatives, which a histogram does not give
//! exactly, and draws no random numbers, so that the same images always give the same answer.

use super::motion::Parameters;

/// Rounds over all directions at most; a round costs about sixty evaluations.
const MAX_ROUNDS: usize = 6;

/// The largest value near `start`, and where. `step_mm` is the first step of a line search,
/// `tolerance_mm` the length at which it stops.
pub(super) fn climb(
    start: Parameters,
    step_mm: f64,
    tolerance_mm: f64,
    mut value: impl FnMut(&Parameters) -> f64,
) -> (Parameters, f64) {
    let mut directions: [Parameters; 6] =
        std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }));
    let mut here = start;
    let mut best = value(&here);
    for _ in 0..MAX_ROUNDS {
        let (first, before) = (here, best);
        let (mut widest, mut gain) = (0, 0.0);
        for (i, direction) in directions.iter().enumerate() {
            let reached = line(here, best, direction, step_mm, tolerance_mm, &mut value);
            if reached.1 - best > gain {
                (widest, gain) = (i, reached.1 - best);
            }
            (here, best) = reached;
        }
        let moved: Parameters = std::array::from_fn(|a| here[a] - first[a]);
        let length = moved.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length < tolerance_mm {
            break;
        }
        // The whole round's way becomes a direction unless it would make the set flat.
        let beyond: Parameters = std::array::from_fn(|a| here[a] + moved[a]);
        let ahead = value(&beyond);
        if ahead > before {
            let bend = 2.0 * (2.0 * best - before - ahead) * (best - before - gain).powi(2);
            if bend < gain * (ahead - before).powi(2) {
                let direction = moved.map(|v| v / length);
                (here, best) = line(here, best, &direction, step_mm, tolerance_mm, &mut value);
                directions[widest] = directions[5];
                directions[5] = direction;
            }
        }
    }
    (here, best)
}

/// The largest value along one line: steps uphill until it goes down again, then parabolas.
fn line(
    from: Parameters,
    at_start: f64,
    direction: &Parameters,
    step: f64,
    tolerance: f64,
    value: &mut impl FnMut(&Parameters) -> f64,
) -> (Parameters, f64) {
    /// Steps uphill at most.
    const MAX_STEPS: usize = 6;
    /// Parabolas at most.
    const MAX_PARABOLAS: usize = 5;
    let along = |t: f64| -> Parameters { std::array::from_fn(|a| from[a] + t * direction[a]) };
    let mut low = (-step, value(&along(-step)));
    let mut middle = (0.0, at_start);
    let mut high = (step, value(&along(step)));
    for _ in 0..MAX_STEPS {
        if middle.1 >= low.1 && middle.1 >= high.1 {
            break;
        }
        let outward = if high.1 > low.1 { 1.0 } else { -1.0 };
        let end = if outward > 0.0 { high } else { low };
        let next = end.0 + outward * step;
        let next = (next, value(&along(next)));
        (low, middle, high) = if outward > 0.0 {
            (middle, end, next)
        } else {
            (next, end, middle)
        };
    }
    let mut best = [low, middle, high]
        .into_iter()
        .fold(middle, |best, point| if point.1 > best.1 { point } else { best });
    for _ in 0..MAX_PARABOLAS {
        if high.0 - low.0 < tolerance {
            break;
        }
        let t = vertex(low, middle, high).unwrap_or(if high.0 - middle.0 > middle.0 - low.0 {
            (middle.0 + high.0) / 2.0
        } else {
            (low.0 + middle.0) / 2.0
        });
        if (t - middle.0).abs() < tolerance / 4.0 {
            break;
        }
        let point = (t, value(&along(t)));
        if point.1 > best.1 {
            best = point;
        }
        (low, middle, high) = match (t > middle.0, point.1 > middle.1) {
            (true, true) => (middle, point, high),
            (true, false) => (low, middle, point),
            (false, true) => (low, point, middle),
            (false, false) => (point, middle, high),
        };
    }
    (along(best.0), best.1)
}

/// Where the parabola through three points is highest; none when it is not inside them.
fn vertex(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> Option<f64> {
    let (left, right) = ((b.0 - a.0) * (b.1 - c.1), (b.0 - c.0) * (b.1 - a.1));
    let t = b.0 - ((b.0 - a.0) * left - (b.0 - c.0) * right) / (2.0 * (left - right));
    (t.is_finite() && t > a.0 && t < c.0).then_some(t)
}
