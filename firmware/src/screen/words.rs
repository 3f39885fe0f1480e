//! Names, dates and numbers as a reader reads them, in any language.

use super::situation::PatientOnScreen;

/// `Family, Given (ideographic)` from a DICOM person name (PS3.5 6.2.1.2), whose component groups stand
/// between `=` and whose components between `^`; empty where there is no name.
pub(super) fn patient_name(name: &str) -> String {
    let groups: Vec<String> = groups(name)
        .map(|(family, given)| match (family, given.join(" ")) {
            (family, given) if given.is_empty() => family.to_owned(),
            ("", given) => given,
            // Ideographic names are written without a comma, family name first.
            (family, given) if family.chars().any(is_ideographic) => format!("{family}{given}"),
            (family, given) => format!("{family}, {given}"),
        })
        .filter(|group| !group.is_empty())
        .collect();
    match groups.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [alphabetic, ideographic, ..] => format!("{alphabetic} ({ideographic})"),
    }
}

/// The first letters of the name's components: `Y. A.`; of an ideographic name the first character.
pub(super) fn initials(name: &str) -> String {
    let initial = |part: &str| {
        let first = part.chars().next()?;
        Some(if is_ideographic(first) {
            first.to_string()
        } else {
            format!("{first}.")
        })
    };
    let Some((family, given)) = groups(name).find(|(family, given)| !family.is_empty() || !given.is_empty())
    else {
        return String::new();
    };
    if family.chars().any(is_ideographic) {
        return initial(family)
            .map(|first| format!("{first}○"))
            .unwrap_or_default();
    }
    let all: Vec<_> = [family].into_iter().chain(given).filter_map(initial).collect();
    all.join(" ")
}

/// A patient's name as the settings allow it; empty where nothing may be shown or nothing is known.
pub(super) fn patient(name: &str, shown: PatientOnScreen) -> String {
    match shown {
        PatientOnScreen::Full => patient_name(name),
        PatientOnScreen::Initials => initials(name),
        PatientOnScreen::Hidden => String::new(),
    }
}

/// Family name, and given and middle name, of the alphabetic and the ideographic group. Prefix and suffix are
/// titles.
fn groups(name: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    name.split('=').take(2).map(|group| {
        let mut parts = group.split('^').map(str::trim);
        let family = parts.next().unwrap_or_default();
        (family, parts.take(2).filter(|part| !part.is_empty()).collect())
    })
}

/// CJK ideographs and Hangul syllables.
fn is_ideographic(c: char) -> bool {
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

/// The first letter in upper case.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// GB of 10⁹ bytes, as disks are sold, from MiB.
pub(super) fn gigabytes(mib: u64) -> String {
    format!("{:.1}", mib as f64 * 1_048_576.0 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_names_read_as_written() {
        for (dicom, shown, short) in [
            ("Yılmaz^Ayşe", "Yılmaz, Ayşe", "Y. A."),
            (
                "Adams^John Robert Quincy^^Rev.^B.A.",
                "Adams, John Robert Quincy",
                "A. J.",
            ),
            ("Wang^XiaoDong=王^小东", "Wang, XiaoDong (王小东)", "W. X."),
            ("=김^철수", "김철수", "김○"),
            ("Петрова", "Петрова", "П."),
            ("^Given", "Given", "G."),
            ("", "", ""),
            ("^^=", "", ""),
        ] {
            assert_eq!(patient_name(dicom), shown, "{dicom}");
            assert_eq!(initials(dicom), short, "{dicom}");
        }
        assert_eq!(patient("Yılmaz^Ayşe", PatientOnScreen::Hidden), "");
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
}
