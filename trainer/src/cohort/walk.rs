//! A folder in any layout → persons, their studies and what else lies there.
//!
//! Every file goes through [`models::mr::scan`] by itself: it says whose it is. The studies are put together from
//! that, wherever their files lie.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use models::findings::{RefusedInput, StudyIdentity};
use models::limits::MAX_FOLDER_DEPTH;
use models::mr::Scan;
use models::package::hex_sha256;

use super::share;
use crate::error::Error;
use crate::limits::MAX_COHORT_FILES;

/// All that lies below a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By what makes a person one: Patient ID (0010,0020), or the study where there is none.
    pub persons: BTreeMap<String, Person>,
    /// DICOM segmentations and structure sets.
    pub masks: Vec<PathBuf>,
    /// Folders with a `truth.json` beside `dicom/`.
    pub truths: BTreeSet<PathBuf>,
    /// DICOM files that cannot be read, with their place below the folder.
    pub refused: Vec<RefusedInput>,
}

/// One person.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// (0010,0020); empty where the images have none.
    pub id: String,
    /// SHA-256 of name and date of birth; none where one of them is missing.
    pub name_sha256: Option<String>,
    /// By Study Instance UID.
    pub studies: BTreeMap<String, Files>,
}

/// One study's files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// (0008,0020).
    pub date: String,
    /// In order.
    pub images: Vec<PathBuf>,
}

/// What a file is.
enum Fact {
    Image { identity: StudyIdentity, birth: String },
    Mask,
    Refused(RefusedInput),
    Other,
}

/// Walks `root`; `each` hears of each file.
pub(super) fn walk(root: &Path, threads: usize, each: impl Fn() + Sync) -> Result<Found, Error> {
    let mut found = Found::default();
    let files = files(root, &mut found.truths)?;
    let facts = share(&files, threads, |path| {
        let fact = fact(path);
        each();
        Ok(fact)
    })?;
    for (path, fact) in files.into_iter().zip(facts) {
        match fact {
            Fact::Image { identity, birth } => found.add(path, identity, &birth),
            Fact::Mask => found.masks.push(path),
            Fact::Refused(refused) => found.refused.push(RefusedInput {
                input: below(root, &path),
                ..refused
            }),
            Fact::Other => {}
        }
    }
    Ok(found)
}

/// A path as seen from the cohort's folder.
pub(super) fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

/// All regular files below a folder in the order of their names; links inside it may lead anywhere and are left.
fn files(root: &Path, truths: &mut BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut open = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(Error::file(&folder))?;
        let mut inside = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::file(&folder))?;
            inside.push((entry.path(), entry.file_type().map_err(Error::file(&folder))?));
        }
        inside.sort_by(|a, b| b.0.cmp(&a.0));
        if folder.join("truth.json").is_file() && folder.join("dicom").is_dir() {
            truths.insert(folder);
        }
        for (path, kind) in inside {
            if kind.is_dir() && depth < MAX_FOLDER_DEPTH {
                open.push((path, depth + 1));
            } else if kind.is_file() {
                files.push(path);
            }
        }
        if files.len() > MAX_COHORT_FILES {
            return Err(Error::Cohort(format!("more than {MAX_COHORT_FILES} files")));
        }
    }
    files.sort();
    Ok(files)
}

/// All regular files below a folder.
pub(super) fn every_file(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    files(folder, &mut BTreeSet::new())
}

fn fact(path: &Path) -> Fact {
    let scan = models::mr::scan(&[path.to_owned()]);
    if let Some(refused) = scan.refused.into_iter().next() {
        // A note, a picture or a table is no damaged image.
        return if refused.reason.code == "not_dicom" {
            Fact::Other
        } else {
            Fact::Refused(refused)
        };
    }
    let (Some(identity), Some(series)) = (scan.studies.first(), scan.series.first()) else {
        return Fact::Other;
    };
    match series.modality.as_str() {
        "MR" => {
            let birth = (
                tags::PATIENT_BIRTH_DATE.group(),
                tags::PATIENT_BIRTH_DATE.element(),
            );
            let birth = scan.attributes.iter().find(|a| a.tag == birth);
            Fact::Image {
                identity: identity.clone(),
                birth: birth.map_or_else(String::new, |a| String::from_utf8_lossy(&a.value).into_owned()),
            }
        }
        "SEG" | "RTSTRUCT" => Fact::Mask,
        _ => Fact::Other,
    }
}

impl Found {
    fn add(&mut self, path: PathBuf, identity: StudyIdentity, birth: &str) {
        let key = match identity.patient_id.as_str() {
            "" => format!("study {}", identity.study_instance_uid),
            id => format!("id {id}"),
        };
        let person = self.persons.entry(key).or_default();
        person.id.clone_from(&identity.patient_id);
        if person.name_sha256.is_none() {
            person.name_sha256 = name_sha256(&identity.patient_name, birth);
        }
        let study = person.studies.entry(identity.study_instance_uid).or_default();
        study.date = identity.study_date;
        study.images.push(path);
    }
}

/// The same for a name in capitals or not, with carets or spaces.
fn name_sha256(name: &str, birth: &str) -> Option<String> {
    let name = name.to_lowercase().replace(['^', '=', ',', '.'], " ");
    let words: Vec<&str> = name.split_whitespace().collect();
    let birth = birth.trim();
    // Names of removed identity are everybody's.
    let removed = [
        "anonymous",
        "anonymized",
        "anonymised",
        "anon",
        "unknown",
        "removed",
        "deidentified",
    ];
    if words.is_empty() || birth.is_empty() || words.iter().any(|w| removed.contains(w)) {
        return None;
    }
    Some(hex_sha256(format!("{} {birth}", words.join(" ")).as_bytes()))
}

/// The headers of one study.
pub(super) fn scan(files: &Files) -> Scan {
    models::mr::scan(&files.images)
}

/// The fewest paths that hold these files: whole folders where they hold one study, else files.
pub(super) fn named(root: &Path, images: &[PathBuf], shared: &HashSet<PathBuf>) -> Vec<PathBuf> {
    let mut named: BTreeSet<PathBuf> = BTreeSet::new();
    let around = around(root, images.iter());
    for image in images {
        let folders = image.ancestors().skip(1).take_while(|f| f.starts_with(&around));
        let whole = folders.take_while(|f| !shared.contains(*f)).last();
        let path = whole.unwrap_or(image);
        let path = path.strip_prefix(root).unwrap_or(path);
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        named.insert(path.to_owned());
    }
    named.into_iter().collect()
}

/// The deepest folder that holds all of these files.
pub(super) fn around<'a>(root: &Path, mut files: impl Iterator<Item = &'a PathBuf>) -> PathBuf {
    let Some(mut around) = files.next().and_then(|f| f.parent()) else {
        return root.to_owned();
    };
    for file in files {
        while !file.starts_with(around) {
            match around.parent() {
                Some(parent) => around = parent,
                None => return root.to_owned(),
            }
        }
    }
    around.to_owned()
}

/// Folders that hold files of more than one study, somewhere below them.
pub(super) fn shared<'a>(studies: impl Iterator<Item = &'a Files>) -> HashSet<PathBuf> {
    let mut owners: HashMap<&Path, usize> = HashMap::new();
    let mut shared = HashSet::new();
    for (number, study) in studies.enumerate() {
        for folder in study.images.iter().flat_map(|f| f.ancestors().skip(1)) {
            if *owners.entry(folder).or_insert(number) != number {
                shared.insert(folder.to_owned());
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn whole_folders_are_named_where_they_hold_one_study() {
        let root = Path::new("/c");
        let mine = paths(&["/c/a/t1/1.dcm", "/c/a/t2/1.dcm", "/c/flat/1.dcm", "/c/flat/2.dcm"]);
        let others = paths(&["/c/b/1.dcm", "/c/flat/3.dcm"]);
        let study = |images: &[PathBuf]| Files {
            images: images.to_vec(),
            ..Files::default()
        };
        let both = [study(&mine), study(&others)];
        assert_eq!(
            named(root, &mine, &shared(both.iter())),
            paths(&["a", "flat/1.dcm", "flat/2.dcm"])
        );
        assert_eq!(named(root, &mine, &shared(both[..1].iter())), paths(&["."]));
    }

    #[test]
    fn a_name_is_the_same_however_it_is_written_and_alone_says_nothing() {
        let one = name_sha256("Doe^Jane", "19600102");
        assert!(one.is_some());
        assert_eq!(one, name_sha256("DOE JANE", "19600102"));
        assert_ne!(one, name_sha256("DOE JANE", "19600103"));
        assert_eq!(name_sha256("Doe^Jane", ""), None);
        assert_eq!(name_sha256("", "19600102"), None);
        assert_eq!(name_sha256("Anonymous^7", "19600102"), None);
    }
}
