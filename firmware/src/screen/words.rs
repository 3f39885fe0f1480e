//! The words and digits of the pages: from codes and numbers to what a reader reads.

use models::{
    findings::{ContrastUse, Fault, Reason, Side, Timing},
    mr::{Confidence, Contrast},
};

pub(super) const NO_TUMOUR: &str = "No tumour found in the parotid glands";
pub(super) const NO_TUMOUR_MEANING: &str = "The model searched both parotid glands on every slice and marked \
     nothing. A small or unusual tumour can escape it, and it looks at no other structure of the neck. \
     This is a research result: only the images, read by a radiologist, can exclude a tumour.";
pub(super) const CANNOT_ANSWER: &str = "Cannot answer";
pub(super) const CANNOT_ANSWER_MEANING: &str = "Nothing is known about a tumour here, neither that there is \
     one nor that there is none. No probability is shown.";

/// `Family, Given (ideographic)` from a DICOM person name (PS3.5 6.2.1.2), whose component groups stand
/// between `=` and whose components between `^`.
pub(super) fn patient_name(name: &str) -> String {
    let groups: Vec<String> = name
        .split('=')
        .take(2)
        .map(|group| {
            let mut parts = group.split('^').map(str::trim);
            let family = parts.next().unwrap_or_default();
            // Given and middle name; prefix and suffix are titles.
            let given: Vec<_> = parts.take(2).filter(|part| !part.is_empty()).collect();
            match (family, given.join(" ")) {
                (family, given) if given.is_empty() => family.to_owned(),
                ("", given) => given,
                // Ideographic names are written without a comma, family name first.
                (family, given) if family.chars().any(ideographic) => format!("{family}{given}"),
                (family, given) => format!("{family}, {given}"),
            }
        })
        .filter(|group| !group.is_empty())
        .collect();
    match groups.as_slice() {
        [] => "No patient name".to_owned(),
        [only] => only.clone(),
        [alphabetic, ideographic, ..] => format!("{alphabetic} ({ideographic})"),
    }
}

/// CJK ideographs and Hangul syllables.
fn ideographic(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}')
}

/// `2024-03-14` from `20240314`; anything else as it is.
pub(super) fn study_date(date: &str) -> String {
    let date = date.trim();
    if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) {
        format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..])
    } else {
        date.to_owned()
    }
}

/// A probability in whole per cent. Nothing is ever certain, so the ends read `< 1 %` and `> 99 %`.
pub(super) fn percent(probability: f64) -> String {
    format!("{} %", bounded_percent(probability, " "))
}

/// An interval in whole per cent, in brackets.
pub(super) fn range([low, high]: [f64; 2]) -> String {
    format!("({}–{})", bounded_percent(low, ""), bounded_percent(high, ""))
}

fn bounded_percent(p: f64, gap: &str) -> String {
    let percent = (p * 100.0).round();
    if percent < 1.0 {
        format!("<{gap}1")
    } else if percent > 99.0 {
        format!(">{gap}99")
    } else {
        format!("{percent:.0}")
    }
}

/// `DWI b1000`; the name alone where no b-value belongs or none is known.
pub(super) fn contrast(contrast: Contrast, b_value: Option<f64>) -> String {
    match (contrast, b_value) {
        (Contrast::Dwi, Some(b)) => format!("DWI b{b:.0}"),
        _ => contrast.name().to_owned(),
    }
}

/// Which series a contrast comes from, and why it was taken for it.
pub(super) fn source(used: &ContrastUse) -> String {
    let number = used.series_number.map(|number| format!("series {number}, "));
    let doubt = match used.confidence {
        Confidence::High => "",
        Confidence::Medium => " (fairly sure)",
        Confidence::Low => " (not sure)",
    };
    let aligned = if used.registered.is_some() {
        "; aligned by its content"
    } else {
        ""
    };
    format!("{}{}{doubt}{aligned}", number.unwrap_or_default(), used.reason)
}

pub(super) fn gland(side: Side) -> &'static str {
    match side {
        Side::Left => "Left parotid gland",
        Side::Right => "Right parotid gland",
    }
}

/// The heading over a task's bars.
pub(super) fn task_title(task: &str) -> String {
    match task {
        "malignancy" => "Malignancy".to_owned(),
        "subtype" => "Tumour type".to_owned(),
        other => capitalized(other),
    }
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `2.1 s` for all steps together; none without timings.
pub(super) fn total_time(timings: &[Timing]) -> Option<String> {
    let total: f64 = timings.iter().map(|timing| timing.milliseconds).sum();
    (!timings.is_empty()).then(|| format!("{:.1} s", total / 1000.0))
}

/// `read 0.8 s, align 0.3 s, …`
pub(super) fn steps(timings: &[Timing]) -> String {
    let step = |timing: &Timing| format!("{} {:.1} s", timing.step, timing.milliseconds / 1000.0);
    timings.iter().map(step).collect::<Vec<_>>().join(", ")
}

/// Where the cause lies.
pub(super) fn at_fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Peer => "the sending system",
        Fault::Data => "the images as they were sent",
        Fault::Configuration => "the settings of this box",
        Fault::Hardware => "the hardware of this box",
        Fault::Us => "Sialoscope itself",
    }
}

/// What the reader can do about a reason: by its code where the code says enough, else by whose fault.
pub(super) fn hint(reason: &Reason) -> &'static str {
    match (reason.code.as_str(), reason.fault) {
        ("missing_contrast", _) => {
            "If the contrast was acquired, send that series too; the study is then read again."
        }
        ("no_known_contrast", _) => "Send the MR series of the neck as original images, not as screenshots.",
        ("several_studies", _) => "Send one study at a time.",
        ("not_axial", _) => "Send the axial series; other planes are not read.",
        ("not_a_head", _) => {
            "Send a study of the head and neck; phantoms and other regions are not answered."
        }
        ("parotids_not_covered", _) => {
            "Send the series of the face and neck; these slices end above the glands."
        }
        ("outside_validity", _) => "The model was not made for such images, so it stays silent.",
        (
            "truncated" | "not_dicom" | "unreadable" | "malformed" | "undecodable",
            Fault::Data | Fault::Peer,
        ) => "Send the study again; the copy that arrived is damaged.",
        ("golden_vectors" | "network_failed", _) => {
            "Call the field engineer: the installed model fails its own check."
        }
        (_, Fault::Data) => "Check the images at the scanner; send the series again once that is settled.",
        (_, Fault::Peer) => "Send the study again. If it happens again, check the sending system.",
        (_, Fault::Configuration) => "Call the field engineer: a setting needs to be corrected.",
        (_, Fault::Hardware) => "Call the field engineer. The images are kept safe.",
        (_, Fault::Us) => "Send the study again. If it happens again, report it; the log names the step.",
    }
}

/// `just now`, `4 min ago`, `3 h ago`, `2 d ago`.
pub(super) fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_names_read_as_written() {
        for (dicom, shown) in [
            ("Yılmaz^Ayşe", "Yılmaz, Ayşe"),
            ("Adams^John Robert Quincy^^Rev.^B.A.", "Adams, John Robert Quincy"),
            ("Wang^XiaoDong=王^小东", "Wang, XiaoDong (王小东)"),
            ("=김^철수", "김철수"),
            ("Петрова", "Петрова"),
            ("^Given", "Given"),
            ("", "No patient name"),
            ("^^=", "No patient name"),
        ] {
            assert_eq!(patient_name(dicom), shown, "{dicom}");
        }
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!(percent(0.0), "< 1 %");
        assert_eq!(percent(1.0), "> 99 %");
        assert_eq!(percent(0.994), "99 %");
        assert_eq!(percent(0.624), "62 %");
        assert_eq!(range([0.481, 0.739]), "(48–74)");
        assert_eq!(range([0.0, 1.0]), "(<1–>99)");
    }

    #[test]
    fn dates_are_iso_or_left_alone() {
        assert_eq!(study_date("20240314"), "2024-03-14");
        assert_eq!(study_date("2024.03.14"), "2024.03.14");
        assert_eq!(study_date("２０２４"), "２０２４");
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(
            [0, 59, 60, 3599, 3600, 86_399, 86_400].map(ago),
            [
                "just now",
                "just now",
                "1 min ago",
                "59 min ago",
                "1 h ago",
                "23 h ago",
                "1 d ago",
            ]
        );
    }
}
