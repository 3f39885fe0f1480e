//! Whether a study lies within what a model was made for: the limits of its manifest.

use crate::findings::{Fault, Reason};
use crate::mr::Contrast;
use crate::package::Manifest;
use crate::study::{Study, missing_contrast};

/// Why the model may not answer on this study; empty when it may.
pub(super) fn objections(manifest: &Manifest, study: &Study) -> Vec<Reason> {
    let recipe = &manifest.recipe;
    let mut reasons: Vec<Reason> = recipe
        .required()
        .into_iter()
        .filter(|c| study.volume(*c).is_none())
        .map(missing_contrast)
        .collect();
    let outside = |text: String| Reason::new("outside_validity", Fault::Data, text);
    if let Some(b) = study.volume(Contrast::Dwi).and_then(|v| v.b_value) {
        let [low, high] = manifest.validity.b_value;
        if !(low..=high).contains(&b) {
            reasons.push(outside(format!(
                "the DWI has b = {b} s/mm², the model was made for {low} to {high}"
            )));
        }
    }
    if let Some(anchor) = study.volume(recipe.anchor) {
        let [spacing, rows, columns] = anchor.grid.spacing();
        let [low, high] = manifest.validity.slice_spacing_mm;
        if !(low..=high).contains(&spacing) {
            let text = format!(
                "the {} slices are {spacing:.1} mm apart, the model was made for {low} to {high} mm",
                recipe.anchor
            );
            reasons.push(outside(text));
        }
        if let Some([low, high]) = manifest.validity.pixel_mm
            && ![rows, columns].iter().all(|mm| (low..=high).contains(mm))
        {
            let text = format!(
                "the {} has pixels of {:.2} mm, the model was made for {low} to {high} mm",
                recipe.anchor,
                rows.max(columns)
            );
            reasons.push(outside(text));
        }
        let [fewest, most] = manifest.validity.slices;
        let slices = anchor.grid.shape[0];
        if !(fewest..=most).contains(&slices) {
            let text = format!(
                "the {} has {slices} slices, the model was made for {fewest} to {most}",
                recipe.anchor
            );
            reasons.push(outside(text));
        }
    }
    reasons
}

/// Contrasts beside the anchor may lie in slices of their own, which are interpolated; where those are
/// outside of what the model was made for, the reader should know.
pub(super) fn spacing_remarks(manifest: &Manifest, study: &Study) -> Vec<Reason> {
    let recipe = &manifest.recipe;
    let [low, high] = manifest.validity.slice_spacing_mm;
    let others = recipe.required().into_iter().filter(|c| *c != recipe.anchor);
    others
        .filter_map(|contrast| {
            let [spacing, _, _] = study.volume(contrast)?.grid.spacing();
            (!(low..=high).contains(&spacing)).then(|| {
                let text = format!(
                    "The {contrast} slices are {spacing:.1} mm apart, the model was made for {low} to {high} mm."
                );
                Reason::new("spacing_outside_validity", Fault::Data, text)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ndarray::Array3;

    use super::*;
    use crate::mr::{Grid, Volume};
    use crate::package::Package;

    fn manifest() -> Manifest {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid");
        Package::open(&folder).unwrap().manifest
    }

    /// 24 slices `spacing` mm apart with pixels of `pixel` mm, in all that the model reads.
    fn study(spacing: f64, pixel: f64) -> Study {
        let volume = |contrast: Contrast| Volume {
            contrast,
            b_value: (contrast == Contrast::Dwi).then_some(1000.0),
            grid: Grid {
                origin: [0.0; 3],
                slice_step: [0.0, 0.0, spacing],
                row_step: [0.0, pixel, 0.0],
                column_step: [pixel, 0.0, 0.0],
                shape: [24, 2, 2],
            },
            voxels: Array3::zeros([24, 2, 2]),
        };
        let contrasts = [Contrast::T2, Contrast::CeT1, Contrast::Dwi];
        Study {
            identity: Default::default(),
            volumes: contrasts.map(|c| (c, volume(c))).into(),
            origins: Vec::new(),
            sources: Vec::new(),
            anchor: None,
            refused: Vec::new(),
            quality: Vec::new(),
        }
    }

    fn codes(reasons: &[Reason]) -> Vec<&str> {
        reasons.iter().map(|r| r.code.as_str()).collect()
    }

    #[test]
    fn slices_outside_of_validity_are_not_answered() {
        let manifest = manifest();
        let [low, high] = manifest.validity.slice_spacing_mm;
        for (spacing, expected) in [
            (low, vec![]),
            (high, vec![]),
            (low - 0.01, vec!["outside_validity"]),
            (high + 0.01, vec!["outside_validity"]),
        ] {
            assert_eq!(
                codes(&objections(&manifest, &study(spacing, 0.8))),
                expected,
                "{spacing}"
            );
        }
    }

    #[test]
    fn pixels_outside_of_validity_are_not_answered() {
        let mut manifest = manifest();
        // Packages from before the field say nothing about pixels.
        manifest.validity.pixel_mm = None;
        assert_eq!(codes(&objections(&manifest, &study(4.0, 3.0))), [""; 0]);
        manifest.validity.pixel_mm = Some([0.3, 1.5]);
        assert_eq!(codes(&objections(&manifest, &study(4.0, 1.5))), [""; 0]);
        assert_eq!(
            codes(&objections(&manifest, &study(4.0, 1.51))),
            ["outside_validity"]
        );
        assert_eq!(
            codes(&objections(&manifest, &study(4.0, 0.29))),
            ["outside_validity"]
        );
    }

    /// The anchor is as it should be; the diffusion series beside it is coarser.
    #[test]
    fn coarse_slices_beside_the_anchor_are_remarked() {
        let manifest = manifest();
        let mut study = study(4.0, 0.8);
        assert_eq!(codes(&spacing_remarks(&manifest, &study)), [""; 0]);
        let high = manifest.validity.slice_spacing_mm[1];
        if let Some(dwi) = study.volumes.get_mut(&Contrast::Dwi) {
            dwi.grid.slice_step = [0.0, 0.0, high + 0.1];
        }
        assert_eq!(codes(&objections(&manifest, &study)), [""; 0]);
        assert_eq!(
            codes(&spacing_remarks(&manifest, &study)),
            ["spacing_outside_validity"]
        );
    }

    /// A manifest without the pixel limit reads, and writes nothing about it.
    #[test]
    fn manifests_from_before_the_pixel_limit_still_read() {
        let old: crate::package::Validity =
            toml::from_str("b_value = [800.0, 1200.0]\nslice_spacing_mm = [2.5, 6.5]\nslices = [12, 48]")
                .unwrap();
        assert_eq!(old.pixel_mm, None);
        assert!(!toml::to_string(&old).unwrap().contains("pixel_mm"));
    }
}
