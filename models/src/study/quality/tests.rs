//! A made head passes; what is wrong with it is said; what is none is refused.

use std::collections::BTreeMap;

use super::*;
use crate::findings::{ContrastUse, StudyIdentity};
use crate::limits::*;
use crate::mr::{Confidence, Grid, Volume};
use crate::study::made::{AIR, Dice, Shot, Tissue, axial, bottle, fruit, head, stack};
use crate::study::quality::coverage::Coverage;
use crate::study::quality::head::Looks;

fn study(volumes: Vec<Volume>) -> Study {
    let origins = volumes.iter().map(|v| origin(v.contrast, "20200102100000"));
    Study {
        identity: StudyIdentity::default(),
        origins: origins.collect(),
        sources: Vec::new(),
        anchor: None,
        volumes: volumes
            .into_iter()
            .map(|v| (v.contrast, v))
            .collect::<BTreeMap<_, _>>(),
        refused: Vec::new(),
        quality: Vec::new(),
    }
}

fn origin(contrast: Contrast, acquired: &str) -> ContrastUse {
    ContrastUse {
        contrast,
        b_value: None,
        series_instance_uid: "1.2.3".to_owned(),
        series_number: None,
        description: String::new(),
        reason: String::new(),
        confidence: Confidence::High,
        used_by_model: false,
        registered: None,
        computed: false,
        acquired: Some(acquired.to_owned()),
    }
}

fn shot(contrast: Contrast, grid: Grid) -> Volume {
    Shot::new(contrast, grid).of(head)
}

/// T1, T2, CE-T1 and b = 0 of a head.
fn whole() -> Vec<Volume> {
    [Contrast::T1, Contrast::T2, Contrast::CeT1, Contrast::DwiB0]
        .map(|c| shot(c, stack()))
        .into()
}

fn codes(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|r| r.code.as_str()).collect()
}

fn remarks(volumes: Vec<Volume>) -> Vec<String> {
    let inspection = study(volumes).inspect();
    assert_eq!(codes(&inspection.refusals), [""; 0], "{:?}", inspection.refusals);
    inspection.remarks.into_iter().map(|r| r.code).collect()
}

fn refusals(volumes: Vec<Volume>) -> Vec<String> {
    let inspection = study(volumes).inspect();
    inspection.refusals.into_iter().map(|r| r.code).collect()
}

#[test]
fn a_good_examination_has_no_remarks() {
    let inspection = study(whole()).inspect();
    assert_eq!(inspection, Inspection::default(), "{inspection:?}");
}

#[test]
fn every_contrast_alone_is_a_head() {
    for contrast in [Contrast::T1, Contrast::T2, Contrast::CeT1, Contrast::DwiB0] {
        assert_eq!(refusals(vec![shot(contrast, stack())]), [""; 0], "{contrast}");
    }
}

#[test]
fn a_bottle_and_a_fruit_are_no_heads() {
    for contrast in [Contrast::T1, Contrast::T2] {
        let of = |object: fn([f64; 3]) -> Tissue| {
            vec![Shot::new(contrast, axial(24, 3.85, [100, 100], 2.4, [0.0, 0.0])).of(object)]
        };
        assert_eq!(refusals(of(bottle)), ["not_a_head"], "bottle in {contrast}");
        assert_eq!(refusals(of(fruit)), ["not_a_head"], "fruit in {contrast}");
    }
}

/// Two thighs side by side mirror each other, but are wider than any head.
#[test]
fn two_legs_are_no_head() {
    let legs = |[x, y, z]: [f64; 3]| {
        let from_bone = ((x.abs() - 80.0).powi(2) + y * y).sqrt();
        match () {
            () if from_bone < 14.0 => head([0.0, 32.0, -80.0]),
            () if from_bone < 60.0 + 4.0 * (z / 20.0 + x / 15.0).sin() => head([30.0, 0.0, -90.0]),
            () if from_bone < 82.0 => head([0.0, -108.0, -8.0]),
            () => AIR,
        }
    };
    let grid = axial(24, 3.85, [100, 160], 2.4, [0.0, 0.0]);
    assert_eq!(
        refusals(vec![Shot::new(Contrast::T1, grid).of(legs)]),
        ["not_a_head"]
    );
}

/// One good contrast is enough: a failed series must not silence the others.
#[test]
fn one_head_among_bottles_is_a_head() {
    let mut volumes = vec![Shot::new(Contrast::T2, stack()).of(bottle)];
    volumes.push(shot(Contrast::CeT1, stack()));
    assert!(!refusals(volumes).contains(&"not_a_head".to_owned()));
}

#[test]
fn an_empty_image_is_no_head() {
    let mut nothing = shot(Contrast::T2, stack());
    nothing.voxels.fill(0.0);
    assert_eq!(refusals(vec![nothing]), ["not_a_head"]);
}

/// Each limit of what a head looks like, from either side.
#[test]
fn each_limit_of_a_head_is_reached() {
    let good = Looks {
        width_mm: HEAD_WIDTH_MM[1],
        depth_mm: HEAD_WIDTH_MM[1] * MIN_HEAD_DEPTH_TO_WIDTH + 1e-6,
        depth_cut: false,
        width_cut: false,
        texture: MIN_HEAD_TEXTURE,
        mirror: MIN_HEAD_MIRROR,
        mirror_front_back: MIN_HEAD_MIRROR - MIN_HEAD_MIRROR_LEAD - 1e-9,
    };
    assert_eq!(good.against(), None);
    let small = Looks {
        width_mm: HEAD_WIDTH_MM[0] - 1.0,
        ..good
    };
    for (bad, word) in [
        (
            Looks {
                width_mm: HEAD_WIDTH_MM[1] + 1.0,
                ..good
            },
            "wide",
        ),
        (small, "wide"),
        (
            Looks {
                depth_mm: HEAD_DEPTH_MM[1] + 1.0,
                ..good
            },
            "deep",
        ),
        (
            Looks {
                depth_mm: HEAD_DEPTH_MM[0] - 1.0,
                ..good
            },
            "deep",
        ),
        (
            Looks {
                depth_mm: good.depth_mm - 1.0,
                ..good
            },
            "only",
        ),
        (
            Looks {
                texture: MIN_HEAD_TEXTURE - 1e-6,
                ..good
            },
            "even",
        ),
        (
            Looks {
                mirror: MIN_HEAD_MIRROR - 1e-6,
                ..good
            },
            "mirror",
        ),
        (
            Looks {
                mirror_front_back: MIN_HEAD_MIRROR,
                ..good
            },
            "round",
        ),
    ] {
        let why = bad.against().unwrap();
        assert!(why.contains(word), "{why}");
    }
    // A long head may be as even from front to back as it likes: the brain alone is.
    let long = Looks {
        width_mm: 150.0,
        depth_mm: 150.0 * MIN_LONG_DEPTH_TO_WIDTH,
        mirror_front_back: 1.0,
        ..good
    };
    assert_eq!(long.against(), None);
    assert!(
        Looks {
            depth_mm: long.depth_mm - 1.0,
            ..long
        }
        .against()
        .is_some()
    );
    // What the field of view cuts is not too small.
    assert_eq!(
        Looks {
            width_cut: true,
            ..small
        }
        .against(),
        None
    );
}

#[test]
fn a_narrow_field_of_view_cuts_a_side_off() {
    // 128 mm wide, shifted to the patient's left: the right cheek is missing.
    let grid = axial(24, 3.85, [100, 53], 2.4, [30.0, -30.0]);
    let said = remarks(vec![shot(Contrast::T2, grid)]);
    assert_eq!(said, ["side_cut_off"]);
}

#[test]
fn a_stack_that_begins_at_the_crown_must_reach_the_jaw() {
    // The crown of the made head is at 122 mm.
    let down_to = |bottom: f64| {
        let slices = ((140.0 - bottom) / 4.0) as usize;
        let grid = axial(slices, 4.0, [100, 100], 2.4, [0.0, (140.0 + bottom) / 2.0]);
        vec![shot(Contrast::T2, grid)]
    };
    assert_eq!(refusals(down_to(10.0)), ["parotids_not_covered"]);
    assert_eq!(remarks(down_to(-20.0)), ["parotids_partly_covered"]);
    assert_eq!(remarks(down_to(-90.0)), [""; 0]);
}

#[test]
fn a_short_stack_is_remarked() {
    let grid = axial(12, 3.85, [100, 100], 2.4, [0.0, -30.0]);
    assert_eq!(remarks(vec![shot(Contrast::T2, grid)]), ["short_stack"]);
}

/// Each limit of coverage, from either side.
#[test]
fn each_limit_of_coverage_is_reached() {
    let good = Coverage {
        right_cut: MAX_CUT_SLICES,
        left_cut: MAX_CUT_SLICES,
        below_vertex_mm: Some(PAROTID_BOTTOM_BELOW_VERTEX_MM),
        height_mm: MIN_STACK_MM,
    };
    let said = |c: Coverage| codes(&c.remarks(Contrast::T2)).join(" ");
    assert_eq!(said(good), "");
    assert_eq!(
        said(Coverage {
            left_cut: MAX_CUT_SLICES + 0.01,
            ..good
        }),
        "side_cut_off"
    );
    assert_eq!(
        said(Coverage {
            right_cut: MAX_CUT_SLICES + 0.01,
            ..good
        }),
        "side_cut_off"
    );
    let below = |mm: f64| Coverage {
        below_vertex_mm: Some(mm),
        ..good
    };
    assert_eq!(
        said(below(PAROTID_BOTTOM_BELOW_VERTEX_MM - 1.0)),
        "parotids_partly_covered"
    );
    assert_eq!(below(PAROTID_TOP_BELOW_VERTEX_MM).refusal(Contrast::T2), None);
    let refused = below(PAROTID_TOP_BELOW_VERTEX_MM - 1.0)
        .refusal(Contrast::T2)
        .unwrap();
    assert_eq!(refused.code, "parotids_not_covered");
    let unseen = Coverage {
        below_vertex_mm: None,
        ..good
    };
    assert_eq!(said(unseen), "");
    assert_eq!(
        said(Coverage {
            height_mm: MIN_STACK_MM - 1.0,
            ..unseen
        }),
        "short_stack"
    );
}

#[test]
fn a_contrast_that_leaves_much_out_is_remarked() {
    let mut volumes = vec![shot(Contrast::T2, stack())];
    let half = axial(12, 3.85, [100, 100], 2.4, [0.0, 0.0]);
    volumes.push(shot(Contrast::CeT1, half));
    assert_eq!(remarks(volumes), ["contrast_partly_covers"]);
}

fn noisy(contrast: Contrast, noise: f32) -> Volume {
    let mut shot = Shot::new(contrast, stack());
    shot.noise = noise;
    shot.of(head)
}

#[test]
fn noise_is_remarked() {
    assert_eq!(remarks(vec![noisy(Contrast::T2, 15.0)]), [""; 0]);
    assert_eq!(remarks(vec![noisy(Contrast::T2, 110.0)]), ["low_signal_to_noise"]);
    // Diffusion is noisier by nature, but not at will. The T2 tells that it is a head.
    let with = |noise: f32| vec![noisy(Contrast::T2, 15.0), noisy(Contrast::DwiB0, noise)];
    assert_eq!(remarks(with(80.0)), [""; 0]);
    assert_eq!(remarks(with(400.0)), ["low_signal_to_noise"]);
}

/// What is measured follows what was added.
#[test]
fn the_measured_noise_is_that_which_was_added() {
    let (one, two) = (noisy(Contrast::T2, 30.0), noisy(Contrast::T2, 60.0));
    let [one, two] = [one, two].map(|v| noise::snr(&v, &Reduced::of(&v, EDGE_MM)).unwrap());
    let ratio = one / two;
    assert!((1.5..2.3).contains(&ratio), "{ratio}");
}

/// Adds a copy of each slice, shifted by a third of the field along an axis.
fn ghosted(mut volume: Volume, axis: usize, share: f32) -> Volume {
    let source = volume.voxels.clone();
    let [_, rows, columns] = volume.grid.shape;
    for ((s, r, c), v) in volume.voxels.indexed_iter_mut() {
        let from = if axis == 1 {
            [s, (r + rows / 3) % rows, c]
        } else {
            [s, r, (c + columns / 3) % columns]
        };
        *v += share * source[from];
    }
    volume
}

#[test]
fn ghosts_are_remarked_in_either_phase_direction() {
    // Air on all sides, since ghosts are measured there.
    let grid = || axial(24, 3.85, [120, 120], 2.4, [0.0, -30.0]);
    for axis in [1, 2] {
        let weak = ghosted(shot(Contrast::T2, grid()), axis, 0.03);
        assert_eq!(remarks(vec![weak]), [""; 0], "axis {axis}");
        let strong = ghosted(shot(Contrast::T2, grid()), axis, 0.10);
        assert_eq!(remarks(vec![strong]), ["motion_ghosts"], "axis {axis}");
    }
}

#[test]
fn masked_air_says_nothing_about_ghosts() {
    let mut volume = shot(Contrast::T2, stack());
    volume.voxels.mapv_inplace(|v| if v < 60.0 { 0.0 } else { v });
    let reduced = Reduced::of(&volume, EDGE_MM);
    assert!(ghost::remark(&volume, &reduced).is_none());
}

#[test]
fn swapped_labels_are_noticed() {
    let swapped = |volume: &Volume, contrast: Contrast| Volume {
        contrast,
        ..volume.clone()
    };
    let mut volumes = whole();
    let (before, after) = (
        swapped(&volumes[0], Contrast::CeT1),
        swapped(&volumes[2], Contrast::T1),
    );
    (volumes[0], volumes[2]) = (after, before);
    assert_eq!(remarks(volumes), ["contrast_swapped"]);
}

#[test]
fn a_missing_injection_is_noticed() {
    let mut volumes = whole();
    let mut again = shot(Contrast::T1, stack());
    let mut dice = Dice(5);
    again.voxels.mapv_inplace(|v| 1.3 * v + 10.0 * dice.gauss());
    volumes[2] = Volume {
        contrast: Contrast::CeT1,
        ..again
    };
    assert_eq!(remarks(volumes), ["no_enhancement"]);
}

/// Where the T2 shows fat as bright as the rest, it cannot tell uptake from fat.
#[test]
fn without_fat_suppression_nothing_is_said_about_labels() {
    let bright_fat = |p: [f64; 3]| {
        let mut tissue = head(p);
        // Fat is what a T1 shows brightest.
        if tissue[0] > 0.9 {
            tissue[1] = 0.9;
        }
        tissue
    };
    let t2 = Shot::new(Contrast::T2, stack()).of(bright_fat);
    let outline = Outline::of(&t2).unwrap();
    let (t1, ce) = (shot(Contrast::T1, stack()), shot(Contrast::CeT1, stack()));
    assert_eq!(agent::uptake(&outline, &t1, &ce).unwrap().with_t2, None);
}

/// The limits of both measures, from either side.
#[test]
fn each_limit_of_uptake_is_reached() {
    let good = agent::Uptake {
        enhancement: MIN_ENHANCEMENT,
        with_t2: Some(MIN_UPTAKE_T2),
    };
    let code = |u: agent::Uptake| u.remark().map(|r| r.code);
    assert_eq!(code(good), None);
    let less = agent::Uptake {
        enhancement: MIN_ENHANCEMENT - 1e-6,
        ..good
    };
    assert_eq!(code(less).as_deref(), Some("no_enhancement"));
    let swapped = agent::Uptake {
        with_t2: Some(MIN_UPTAKE_T2 - 1e-6),
        ..good
    };
    assert_eq!(code(swapped).as_deref(), Some("contrast_swapped"));
}

#[test]
fn the_clock_tells_the_order() {
    let order = |before: &str, after: &str| {
        let origins = [origin(Contrast::T1, before), origin(Contrast::CeT1, after)];
        agent::order(&origins).map(|r| r.code)
    };
    assert_eq!(order("20200102100000", "20200102101500"), None);
    assert_eq!(order("20200102100000", "20200102100000"), None);
    assert_eq!(
        order("20200102101500", "20200102100000").as_deref(),
        Some("contrast_order")
    );
    // Over midnight.
    assert_eq!(order("20200102235900", "20200103000500"), None);
}
