//! A head that was moved by a known motion must be found again; what does not fit must be refused.

use super::*;
use crate::mr::{Contrast, Volume};
use crate::study::made::{Dice, Shot, bottle, head, stack};

/// A motion by its six numbers in mm and degrees, about the middle of the stack.
fn motion(shift: [f64; 3], degrees: [f64; 3]) -> Motion {
    let [a, b, c] = degrees.map(|d| d.to_radians() * LEVER_MM);
    Motion::new(&[shift[0], shift[1], shift[2], a, b, c], [0.0, 0.0, -30.0])
}

fn seen(contrast: Contrast, moved: Motion) -> Volume {
    let mut shot = Shot::new(contrast, stack());
    shot.moved = moved;
    shot.of(head)
}

fn still(contrast: Contrast) -> Volume {
    seen(contrast, motion([0.0; 3], [0.0; 3]))
}

/// Where the search went wrong, mm within 80 mm of the middle; 1.4 mm there is one degree.
fn error_mm(found: &Found, truth: &Motion) -> f64 {
    found.motion.disagreement_mm(&truth.inverse(), [0.0, 0.0, -30.0])
}

#[test]
fn known_motions_are_found_again_in_other_contrasts() {
    let fixed = still(Contrast::T2);
    for (contrast, shift, degrees) in [
        (Contrast::CeT1, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        (Contrast::CeT1, [6.0, -4.0, 5.0], [3.0, -2.0, 4.0]),
        (Contrast::T1, [-9.0, 12.0, -7.0], [-6.0, 3.0, 5.0]),
        (Contrast::DwiB0, [4.0, 15.0, 10.0], [8.0, 0.0, -6.0]),
    ] {
        let truth = motion(shift, degrees);
        let found = register(&fixed, &seen(contrast, truth)).unwrap();
        let error = error_mm(&found, &truth);
        assert!(
            error < 1.0,
            "{contrast} {shift:?} {degrees:?}: off by {error:.2} mm, {found:?}"
        );
        let marked = found
            .accepted()
            .unwrap_or_else(|e| panic!("{contrast}: {e}, {found:?}"));
        assert!((marked.rotation_degrees - truth.degrees()).abs() < 1.0);
    }
}

#[test]
fn inverted_signals_do_not_matter() {
    let truth = motion([5.0, 3.0, -6.0], [4.0, 2.0, -3.0]);
    let mut moving = seen(Contrast::T1, truth);
    moving
        .voxels
        .mapv_inplace(|v| if v > 60.0 { 1100.0 - v } else { v });
    let found = register(&still(Contrast::T2), &moving).unwrap();
    assert!(error_mm(&found, &truth) < 1.0, "{found:?}");
    found.accepted().unwrap();
}

/// The patient left the table and came back elsewhere.
#[test]
fn a_far_frame_of_reference_is_found() {
    let truth = motion([80.0, -60.0, 300.0], [2.0, -3.0, 1.0]);
    let mut moving = still(Contrast::CeT1);
    moving.grid = truth.carry(&moving.grid);
    let found = register(&still(Contrast::T2), &moving).unwrap();
    assert!(error_mm(&found, &truth) < 1.0, "{found:?}");
    found.accepted().unwrap();
}

#[test]
fn the_same_images_always_give_the_same_answer() {
    let (fixed, moving) = (
        still(Contrast::T2),
        seen(Contrast::CeT1, motion([3.0; 3], [2.0; 3])),
    );
    assert_eq!(register(&fixed, &moving), register(&fixed, &moving));
}

#[test]
fn noise_is_refused() {
    let mut moving = still(Contrast::CeT1);
    let mut dice = Dice(77);
    moving.voxels.mapv_inplace(|_| 200.0 + 60.0 * dice.gauss());
    let refused = register(&still(Contrast::T2), &moving).is_none_or(|found| found.accepted().is_err());
    assert!(refused);
}

#[test]
fn a_bottle_is_refused() {
    let moving = Shot::new(Contrast::CeT1, stack()).of(bottle);
    let refused = register(&still(Contrast::T2), &moving).is_none_or(|found| found.accepted().is_err());
    assert!(refused);
}

/// The crown against the neck: hardly anything is shared.
#[test]
fn another_part_of_the_head_is_refused() {
    let mut shot = Shot::new(Contrast::CeT1, stack());
    shot.grid.origin[2] += 130.0;
    let mut moving = shot.of(head);
    // As if it lay where the neck is.
    moving.grid.origin[2] -= 130.0;
    let refused = register(&still(Contrast::T2), &moving).is_none_or(|found| found.accepted().is_err());
    assert!(refused);
}

#[test]
fn an_empty_volume_is_no_partner() {
    let mut moving = still(Contrast::CeT1);
    moving.voxels.fill(0.0);
    assert_eq!(register(&still(Contrast::T2), &moving), None);
}

/// Each limit alone refuses.
#[test]
fn each_limit_is_reached() {
    let good = Found {
        motion: motion([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        gain: MIN_REGISTRATION_GAIN,
        disagreement_mm: MAX_REGISTRATION_DISAGREEMENT_MM,
        overlap: 1.0,
        shift_mm: 1.0,
    };
    good.accepted().unwrap();
    let turned = motion([0.0; 3], [MAX_REGISTRATION_DEGREES + 0.1, 0.0, 0.0]);
    for (bad, words) in [
        (
            Found {
                gain: MIN_REGISTRATION_GAIN - 1e-6,
                ..good
            },
            "does not fit",
        ),
        (
            Found {
                disagreement_mm: MAX_REGISTRATION_DISAGREEMENT_MM + 0.1,
                ..good
            },
            "two alignments differ",
        ),
        (
            Found {
                motion: turned,
                ..good
            },
            "would be turned",
        ),
    ] {
        let reason = bad.accepted().unwrap_err();
        assert_eq!(reason.code, "not_registered");
        assert!(reason.text.contains(words), "{}", reason.text);
    }
}

/// Below the least overlap the measure is no similarity but a slope that leads back.
#[test]
fn too_little_overlap_is_no_similarity() {
    let (fixed, moving) = (still(Contrast::T2), still(Contrast::CeT1));
    let (fixed, moving) = (Pyramid::of(&fixed).unwrap(), Pyramid::of(&moving).unwrap());
    let region = Region::around(&fixed.levels[0], &fixed.tissue);
    let mut comparison = Comparison::new(
        &fixed.levels[0],
        &region,
        &moving.levels[0],
        fixed.middle,
        4000,
        0,
    );
    let at = |z: f64, comparison: &mut Comparison| comparison.at(&[0.0, 0.0, z, 0.0, 0.0, 0.0]);
    // The stack is 92 mm high.
    assert!(at(30.0, &mut comparison) > 1.0);
    assert!(at(70.0, &mut comparison) < 0.0);
    assert!(at(80.0, &mut comparison) < at(70.0, &mut comparison));
}
