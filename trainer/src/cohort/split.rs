//! Who is trained on and who is looked at: Liu's split and five folds, by patient and stratified by diagnosis.

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Diagnosis, Patient, Split};
use crate::error::Error;

/// Folds of a cross-validation.
pub const FOLDS: u8 = 5;
/// Liu 2023, dataset distribution: training and test 4:1.
const TEST: f64 = 0.2;
/// Liu 2023, dataset distribution: of the training patients.
const VALIDATION: f64 = 0.2;

/// Draws split and fold of every patient. Patients of one real head stay together: see [`split_heads`].
pub(super) fn split(patients: &mut [Patient], seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut strata: BTreeMap<Diagnosis, Vec<usize>> = BTreeMap::new();
    for (i, patient) in patients.iter().enumerate().filter(|(_, p)| p.anatomy.is_none()) {
        strata.entry(patient.diagnosis).or_default().push(i);
    }
    // What rounding takes from one diagnosis the next one gets, so that rare ones do not add up.
    let (mut tests, mut validations) = (Quota::new(TEST), Quota::new(VALIDATION));
    let mut next_fold = 0;
    for indices in strata.values_mut() {
        indices.shuffle(&mut rng);
        let test = tests.of(indices.len());
        let validation = validations.of(indices.len() - test);
        for (rank, &i) in indices.iter().enumerate() {
            patients[i].split = match rank {
                _ if rank < test => Split::Test,
                _ if rank < test + validation => Split::Validation,
                _ => Split::Train,
            };
            patients[i].fold = next_fold;
            next_fold = (next_fold + 1) % FOLDS;
        }
    }
    split_heads(patients, &mut rng);
}

/// A share of several groups, rounded to whole patients within one of the share of each.
struct Quota {
    share: f64,
    due: f64,
}

impl Quota {
    fn new(share: f64) -> Self {
        Self { share, due: 0.0 }
    }

    fn of(&mut self, group: usize) -> usize {
        self.due += self.share * group as f64;
        let whole = self.due.round().clamp(0.0, group as f64);
        self.due -= whole;
        whole as usize
    }
}

/// Gives whole heads to the splits, the head with the most patients first, each to the split that lacks
/// the largest share of what Liu's proportions ask for; heads of equal size in a drawn order. With fewer
/// than three heads some split stays without any. Folds likewise, each head to the smallest fold.
fn split_heads(patients: &mut [Patient], rng: &mut ChaCha8Rng) {
    const WANTED: [(Split, f64); 3] = [
        (Split::Train, (1.0 - TEST) * (1.0 - VALIDATION)),
        (Split::Test, TEST),
        (Split::Validation, (1.0 - TEST) * VALIDATION),
    ];
    let mut heads: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, patient) in patients.iter().enumerate() {
        if let Some(anatomy) = &patient.anatomy {
            heads.entry(anatomy.clone()).or_default().push(i);
        }
    }
    let total: usize = heads.values().map(Vec::len).sum();
    let mut groups: Vec<Vec<usize>> = heads.into_values().collect();
    groups.shuffle(rng);
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    let mut given = [0usize; 3];
    let mut folds = [0usize; FOLDS as usize];
    for group in groups {
        let lack = |i: usize| 1.0 - given[i] as f64 / (WANTED[i].1 * total as f64);
        let place = (0..3).fold(0, |best, i| if lack(i) > lack(best) { i } else { best });
        let fold = (0..folds.len()).fold(0, |least, i| if folds[i] < folds[least] { i } else { least });
        given[place] += group.len();
        folds[fold] += group.len();
        for i in group {
            patients[i].split = WANTED[place].0;
            patients[i].fold = fold as u8;
        }
    }
}

/// Patients on one real head in two splits or folds would let a network recognise the head.
pub(super) fn refuse_torn_heads(patients: &[Patient]) -> Result<(), Error> {
    let mut seen: HashMap<&str, &Patient> = HashMap::new();
    for patient in patients {
        let Some(anatomy) = &patient.anatomy else { continue };
        let other = *seen.entry(anatomy).or_insert(patient);
        if (other.split, other.fold) != (patient.split, patient.fold) {
            let text = format!(
                "{} and {} have one real head as their anatomy and are in two splits or folds",
                other.folder, patient.folder
            );
            return Err(Error::Cohort(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::cohort::leaks::refuse_leaks;
    use crate::cohort::patients;

    proptest! {
        /// Nobody is lost or moved, and every diagnosis keeps Liu's proportions within one patient, the cohort
        /// as a whole too.
        #[test]
        fn splits_are_disjoint_and_stratified(kinds in prop::collection::vec(0usize..8, 1..200), seed: u64) {
            let mut cohort = patients(&kinds);
            split(&mut cohort, seed);
            let again = { let mut p = patients(&kinds); split(&mut p, seed); p };
            prop_assert_eq!(&cohort, &again);
            let proportions = |of: &[&Patient]| {
                let count = |s: Split| of.iter().filter(|p| p.split == s).count() as f64;
                let n = of.len() as f64;
                let all = count(Split::Test) + count(Split::Validation) + count(Split::Train);
                ((count(Split::Test) - 0.2 * n).abs(), (count(Split::Validation) - 0.16 * n).abs(), all == n)
            };
            for diagnosis in Diagnosis::ALL {
                let of: Vec<&Patient> = cohort.iter().filter(|p| p.diagnosis == diagnosis).collect();
                let (test, validation, whole) = proportions(&of);
                prop_assert!(test <= 1.0 && validation <= 1.2 && whole, "{diagnosis}: {test} {validation}");
            }
            let (test, validation, _) = proportions(&cohort.iter().collect::<Vec<_>>());
            prop_assert!(test <= 0.5 + 1e-9 && validation <= 0.6 + 1e-9, "{test} {validation}");
            refuse_leaks(&cohort).unwrap();
        }

        /// The five folds hold everybody once, differ by at most one patient, and so does each diagnosis in them.
        #[test]
        fn folds_are_disjoint_and_stratified(kinds in prop::collection::vec(0usize..8, 1..200), seed: u64) {
            let mut cohort = patients(&kinds);
            split(&mut cohort, seed);
            let even = |of: &dyn Fn(&Patient) -> bool| {
                let count = |f: u8| cohort.iter().filter(|p| p.fold == f && of(p)).count();
                let counts: Vec<usize> = (0..FOLDS).map(count).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                let all = cohort.iter().filter(|p| of(p)).count();
                most - least <= 1 && counts.iter().sum::<usize>() == all
            };
            prop_assert!(even(&|_| true));
            for diagnosis in Diagnosis::ALL {
                prop_assert!(even(&|p| p.diagnosis == diagnosis), "{diagnosis}");
            }
        }

        /// However many patients share a real head, no head is in two splits or folds, nobody is lost, and drawn
        /// patients stay where they would be without the real heads.
        #[test]
        fn one_head_is_in_one_split_and_fold(
            kinds in prop::collection::vec((0usize..8, prop::option::of(0usize..12)), 1..200),
            seed: u64,
        ) {
            let labels: Vec<usize> = kinds.iter().map(|(c, _)| *c).collect();
            let mut cohort = patients(&labels);
            for (patient, (_, head)) in cohort.iter_mut().zip(&kinds) {
                patient.anatomy = head.map(|h| format!("head {h}"));
            }
            let drawn: Vec<Patient> = cohort.iter().filter(|p| p.anatomy.is_none()).cloned().collect();
            let again = { let mut p = cohort.clone(); split(&mut p, seed); p };
            split(&mut cohort, seed);
            prop_assert_eq!(&cohort, &again);
            refuse_torn_heads(&cohort).unwrap();
            let alone = { let mut p = drawn; split(&mut p, seed); p };
            prop_assert_eq!(cohort.iter().filter(|p| p.anatomy.is_none()).cloned().collect::<Vec<_>>(), alone);
            let with = || cohort.iter().filter(|p| p.anatomy.is_some());
            let heads: BTreeSet<_> = with().filter_map(|p| p.anatomy.clone()).collect();
            let splits: BTreeSet<_> = with().map(|p| p.split).collect();
            let folds: BTreeSet<_> = with().map(|p| p.fold).collect();
            prop_assert_eq!(splits.len(), heads.len().min(3), "every split has a head once there are three");
            prop_assert_eq!(folds.len(), heads.len().min(5), "every fold has a head once there are five");
        }

        /// A cohort file that tears a head apart is refused, whichever patient was moved.
        #[test]
        fn a_torn_head_is_refused(n in 2usize..30, moved: prop::sample::Index, fold: bool) {
            let mut cohort = patients(&vec![0; n]);
            for patient in &mut cohort {
                patient.anatomy = Some("one head".to_owned());
            }
            prop_assert!(refuse_torn_heads(&cohort).is_ok());
            if fold {
                cohort[moved.index(n)].fold = 3;
            } else {
                cohort[moved.index(n)].split = Split::Test;
            }
            prop_assert!(refuse_torn_heads(&cohort).is_err());
        }
    }

    #[test]
    fn another_seed_is_another_split() {
        let drawn = |seed| {
            let mut cohort = patients(&[2; 100]);
            split(&mut cohort, seed);
            cohort.iter().map(|p| (p.split, p.fold)).collect::<Vec<_>>()
        };
        assert_ne!(drawn(1), drawn(2));
    }
}
