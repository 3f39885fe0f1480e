//! One person, examination or set of files twice would leak between splits or count double.

use std::collections::HashMap;

use super::Patient;
use crate::error::Error;

/// Two patients' fingerprints differ in more than this share of their bits: half-way between the farthest copy of an
/// examination (0.10) and the nearest two patients (0.19) that were measured, see [`super::picture`].
pub const MIN_DISTANCE: f64 = 0.15;

/// Refuses a cohort in which two patients are one.
///
/// # Errors
/// Both patients and what they share.
pub(super) fn refuse_leaks(patients: &[Patient]) -> Result<(), Error> {
    type Key = fn(&Patient) -> Option<&String>;
    let kinds: [(&str, Key); 4] = [
        ("person", |p| Some(&p.person_sha256)),
        ("name and date of birth", |p| p.name_sha256.as_ref()),
        ("examination", |p| Some(&p.study_sha256)),
        ("set of files", |p| Some(&p.sha256)),
    ];
    for (what, key) in kinds {
        let mut seen: HashMap<&String, &str> = HashMap::new();
        for patient in patients {
            let Some(key) = key(patient) else { continue };
            if let Some(other) = seen.insert(key, &patient.folder) {
                let text = format!("{other} and {} hold the same {what}", patient.folder);
                return Err(Error::Cohort(text));
            }
        }
    }
    match alike(patients) {
        None => Ok(()),
        Some((one, other, distance)) => Err(Error::Cohort(format!(
            "{} and {} hold nearly the same images: their fingerprints differ in {:.1} % of their bits, two \
             patients' in more than {:.0} %",
            one.folder,
            other.folder,
            100.0 * distance,
            100.0 * MIN_DISTANCE
        ))),
    }
}

/// The first two patients whose images are nearly the same. Patients of one real head are meant to be alike, and are
/// kept together by the split.
fn alike(patients: &[Patient]) -> Option<(&Patient, &Patient, f64)> {
    for (n, one) in patients.iter().enumerate() {
        let Some(print) = &one.fingerprint else { continue };
        for other in &patients[n + 1..] {
            if one.anatomy.is_some() && one.anatomy == other.anatomy {
                continue;
            }
            let distance = other.fingerprint.as_ref().and_then(|p| print.distance(p));
            if let Some(distance) = distance.filter(|d| *d <= MIN_DISTANCE) {
                return Some((one, other, distance));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cohort::patients;

    proptest! {
        /// Whichever patient comes in twice, by whatever it is told, the cohort is refused and both are named.
        #[test]
        fn a_leak_is_refused(n in 2usize..40, a: prop::sample::Index, b: prop::sample::Index, kind in 0..4) {
            let mut cohort = patients(&vec![0; n]);
            let (a, b) = (a.index(n), b.index(n));
            prop_assume!(a != b);
            prop_assert!(refuse_leaks(&cohort).is_ok());
            cohort[a].name_sha256 = Some("name".to_owned());
            prop_assert!(refuse_leaks(&cohort).is_ok());
            let twin = cohort[a].clone();
            match kind {
                0 => cohort[b].person_sha256 = twin.person_sha256,
                1 => cohort[b].study_sha256 = twin.study_sha256,
                2 => cohort[b].name_sha256 = twin.name_sha256,
                _ => cohort[b].sha256 = twin.sha256,
            }
            let said = refuse_leaks(&cohort).unwrap_err().to_string();
            prop_assert!(said.contains(&cohort[a].folder) && said.contains(&cohort[b].folder), "{}", said);
        }
    }
}
