//! The model card (Mitchell et al., FAT* 2019): what the model is for, what it was made from, what it
//! can do and where that ends.

use std::fmt::Write;

use models::package::Manifest;

use super::package::Exported;
use super::parity::Agreement;
use crate::evaluate::Evaluation;
use crate::run_folder::Metrics;
use crate::statistics::{Auc, Share};

/// The card as Markdown.
pub fn write(manifest: &Manifest, metrics: &Metrics, networks: &[Exported], whole: &Agreement) -> String {
    let mut card = String::new();
    // Writing to a String cannot fail.
    let _ = fill(&mut card, manifest, metrics, networks, whole);
    card
}

fn fill(
    card: &mut String,
    manifest: &Manifest,
    metrics: &Metrics,
    networks: &[Exported],
    whole: &Agreement,
) -> std::fmt::Result {
    let [training, validation, test] = metrics.patients;
    writeln!(
        card,
        "# {} {}\n\n{}\n",
        manifest.name, manifest.version, manifest.intended_use
    )?;
    writeln!(
        card,
        "**Trained on {}. Not a medical device and not for clinical use.** How it does on real patients \
         is unknown unless the cohort below was made of them.\n",
        manifest.trained_on
    )?;

    writeln!(card, "## Data\n")?;
    writeln!(card, "| | |\n|---|---|")?;
    writeln!(
        card,
        "| patients for training, validation, testing | {training}, {validation}, {test} |"
    )?;
    writeln!(
        card,
        "| cohort, SHA-256 | `{}` |",
        manifest.provenance.cohort_sha256
    )?;
    writeln!(card, "| classes | {} |", manifest.classes.join(", "))?;
    let contrasts: Vec<&str> = manifest.recipe.required().into_iter().map(|c| c.name()).collect();
    writeln!(card, "| contrasts required | {} |", contrasts.join(", "))?;
    let [low, high] = manifest.validity.b_value;
    writeln!(card, "| b-value of the DWI | {low} to {high} s/mm² |")?;
    let [low, high] = manifest.validity.slice_spacing_mm;
    writeln!(card, "| distance between slices | {low} to {high} mm |\n")?;

    writeln!(card, "## How it was made\n\n```")?;
    manifest
        .provenance
        .commands
        .iter()
        .try_for_each(|command| writeln!(card, "{command}"))?;
    writeln!(card, "```\n")?;
    writeln!(
        card,
        "Seed {}, trainer at commit {}, {:.0} minutes. Operating points and temperature were chosen on the \
         validation patients.\n",
        manifest.provenance.seed, manifest.provenance.commit, metrics.minutes
    )?;

    writeln!(card, "## Results on the test patients\n")?;
    writeln!(
        card,
        "The trained networks in f32, through the whole path; 95 % intervals.\n"
    )?;
    figures(card, &metrics.test)?;

    writeln!(card, "## Files\n")?;
    writeln!(
        card,
        "| network | int8 | f32 would be | against torch on held-out patients | "
    )?;
    writeln!(card, "|---|---|---|---|")?;
    for network in networks {
        let verified = &network.verified;
        let kb = |bytes: usize| bytes as f64 / 1000.0;
        let last = verified
            .comparisons
            .last()
            .map(ToString::to_string)
            .unwrap_or_default();
        let (int8, float) = (kb(verified.int8.len()), kb(verified.f32_bytes));
        writeln!(
            card,
            "| {} | {int8:.0} kB | {float:.0} kB | {last} |",
            network.name
        )?;
    }
    writeln!(
        card,
        "\nEncoders and reader together, int8 in tract against torch: probabilities of the classes differ by \
         at most {:.3}, with a correlation of {:.4}; the most probable class is the same in {:.1} % of the \
         held-out lesions.\n",
        whole.difference,
        whole.correlation,
        100.0 * whole.same_choice
    )?;

    writeln!(card, "## Limits\n")?;
    writeln!(
        card,
        "- Benign and malignant tumours overlap in every contrast; a probability is no histology.\n\
         - Lesions outside the parotid glands, after surgery or in children were never seen.\n\
         - The interval shown with a probability tells how far members of the ensemble disagree, and \
         nothing beyond that."
    )
}

fn figures(card: &mut String, test: &Evaluation) -> std::fmt::Result {
    writeln!(card, "| | value | 95 % interval | of |\n|---|---|---|---|")?;
    share(card, "tumour located", &test.located)?;
    share(card, "no finding where there is no tumour", &test.no_finding)?;
    area(card, "malignant against benign, AUC", test.malignant_auc.as_ref())?;
    share(card, "malignant, sensitivity", &test.malignant_sensitivity)?;
    share(card, "malignant, specificity", &test.malignant_specificity)?;
    share(card, "most probable class is right", &test.accuracy)?;
    for class in &test.classes {
        area(card, &format!("{}, AUC", class.class), class.auc.as_ref())?;
        share(card, &format!("{}, sensitivity", class.class), &class.sensitivity)?;
    }
    writeln!(card, "| Dice of located tumours | {:.2} | | |\n", test.dice)
}

fn share(card: &mut String, what: &str, share: &Share) -> std::fmt::Result {
    let Share {
        hits,
        of,
        interval: [low, high],
        ..
    } = share;
    match share.value {
        Some(value) => writeln!(
            card,
            "| {what} | {value:.2} | {low:.2} to {high:.2} | {hits} of {of} |"
        ),
        None => writeln!(card, "| {what} | unknown | | no patients |"),
    }
}

fn area(card: &mut String, what: &str, area: Option<&Auc>) -> std::fmt::Result {
    match area {
        Some(Auc {
            value,
            interval: [low, high],
            of: [m, n],
        }) => {
            writeln!(
                card,
                "| {what} | {value:.2} | {low:.2} to {high:.2} | {m} against {n} |"
            )
        }
        None => writeln!(card, "| {what} | unknown | | one side is empty |"),
    }
}
