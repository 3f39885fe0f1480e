//! The closed list of diagnoses, and what tables call them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::nets::CLASSES;

/// What a lesion is by histology. Ordered from harmless to grave: the diagnosis of a patient with several lesions is
/// the last of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Diagnosis {
    /// No tumour.
    #[serde(rename = "none")]
    None,
    /// Haemangioma, lipoma, lymph node and whatever else is benign.
    #[serde(rename = "other benign")]
    OtherBenign,
    /// Warthin tumour.
    #[serde(rename = "Warthin tumour")]
    Warthin,
    /// Basal cell adenoma.
    #[serde(rename = "basal cell adenoma")]
    BasalCellAdenoma,
    /// Pleomorphic adenoma.
    #[serde(rename = "pleomorphic adenoma")]
    PleomorphicAdenoma,
    /// Malignant; the table does not say which kind.
    #[serde(rename = "malignant")]
    Malignant,
    /// Mucoepidermoid carcinoma of any grade.
    #[serde(rename = "mucoepidermoid carcinoma")]
    Mucoepidermoid,
    /// Any other malignant tumour, metastases and lymphoma included.
    #[serde(rename = "other malignant")]
    OtherMalignant,
}

/// The five classes of Kaba 2025.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KabaClass {
    /// Mucoepidermoid carcinoma.
    Mucoepidermoid,
    /// Every benign tumour but the next two, basal cell adenoma included.
    OtherBenign,
    /// Every malignant tumour but mucoepidermoid carcinoma.
    OtherMalignant,
    /// Pleomorphic adenoma.
    PleomorphicAdenoma,
    /// Warthin tumour.
    Warthin,
}

impl Diagnosis {
    /// All of them, in order.
    pub const ALL: [Diagnosis; 8] = [
        Diagnosis::None,
        Diagnosis::OtherBenign,
        Diagnosis::Warthin,
        Diagnosis::BasalCellAdenoma,
        Diagnosis::PleomorphicAdenoma,
        Diagnosis::Malignant,
        Diagnosis::Mucoepidermoid,
        Diagnosis::OtherMalignant,
    ];

    /// The name in cohort files, tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Diagnosis::None => "none",
            Diagnosis::OtherBenign => "other benign",
            Diagnosis::Warthin => "Warthin tumour",
            Diagnosis::BasalCellAdenoma => "basal cell adenoma",
            Diagnosis::PleomorphicAdenoma => "pleomorphic adenoma",
            Diagnosis::Malignant => "malignant",
            Diagnosis::Mucoepidermoid => "mucoepidermoid carcinoma",
            Diagnosis::OtherMalignant => "other malignant",
        }
    }

    /// Reads a name or one of its synonyms, in capitals or not; none for anything else.
    pub fn parse(text: &str) -> Option<Diagnosis> {
        let text = plain(text);
        let known = |d: &Diagnosis| plain(d.name()) == text || synonyms(*d).contains(&text.as_str());
        Diagnosis::ALL.into_iter().find(known)
    }

    /// Whether there is a tumour.
    pub fn is_tumour(self) -> bool {
        self != Diagnosis::None
    }

    /// Whether the tumour is malignant.
    pub fn is_malignant(self) -> bool {
        self >= Diagnosis::Malignant
    }

    /// Index into [`CLASSES`], the four classes of the appliance; none without a tumour, and for a benign tumour
    /// that is none of the three.
    pub fn class(self) -> Option<usize> {
        let name = if self.is_malignant() {
            "malignant"
        } else {
            self.name()
        };
        CLASSES.iter().position(|c| *c == name)
    }

    /// The class of Kaba 2025; none without a tumour, and for a malignant tumour of unknown kind.
    pub fn kaba(self) -> Option<KabaClass> {
        match self {
            Diagnosis::None | Diagnosis::Malignant => None,
            Diagnosis::OtherBenign | Diagnosis::BasalCellAdenoma => Some(KabaClass::OtherBenign),
            Diagnosis::Warthin => Some(KabaClass::Warthin),
            Diagnosis::PleomorphicAdenoma => Some(KabaClass::PleomorphicAdenoma),
            Diagnosis::Mucoepidermoid => Some(KabaClass::Mucoepidermoid),
            Diagnosis::OtherMalignant => Some(KabaClass::OtherMalignant),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Small letters, one space between words, British spelling, no apostrophes or dots.
fn plain(text: &str) -> String {
    let text = text
        .to_lowercase()
        .replace(['-', '_', '/', ','], " ")
        .replace(['\'', '’', '.'], "");
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .join(" ")
        .replace("tumor", "tumour")
        .replace("hemangioma", "haemangioma")
}

/// Beside the name, as [`plain`] writes them: the names of the WHO classification (5th edition, 2022) and what
/// reports call them.
fn synonyms(of: Diagnosis) -> &'static [&'static str] {
    match of {
        Diagnosis::None => &[
            "no tumour",
            "no tumor",
            "healthy",
            "normal",
            "control",
            "no lesion",
        ],
        Diagnosis::OtherBenign => &[
            "benign",
            "other benign tumour",
            "haemangioma",
            "lymphangioma",
            "vascular malformation",
            "lipoma",
            "lymph node",
            "reactive lymph node",
            "intraparotid lymph node",
            "lymphadenitis",
            "oncocytoma",
            "myoepithelioma",
            "canalicular adenoma",
            "sebaceous adenoma",
            "lymphadenoma",
            "cystadenoma",
            "schwannoma",
            "neurinoma",
            "neurofibroma",
            "facial nerve schwannoma",
            "cyst",
            "lymphoepithelial cyst",
            "branchial cleft cyst",
            "epidermoid cyst",
            "retention cyst",
            "nodular oncocytic hyperplasia",
            "solitary fibrous tumour",
            "nodular fasciitis",
        ],
        Diagnosis::Warthin => &[
            "warthin",
            "warthins tumour",
            "warthins",
            "wt",
            "adenolymphoma",
            "cystadenolymphoma",
            "papillary cystadenoma lymphomatosum",
        ],
        Diagnosis::BasalCellAdenoma => &["bca", "basal cell"],
        Diagnosis::PleomorphicAdenoma => &[
            "pa",
            "pleomorphic",
            "benign mixed tumour",
            "mixed tumour",
            "mixed parotid tumour",
        ],
        Diagnosis::Malignant => &[
            "malignancy",
            "malignant tumour",
            "malignant unspecified",
            "malignant (unspecified)",
            "carcinoma",
            "cancer",
        ],
        Diagnosis::Mucoepidermoid => &[
            "mec",
            "mucoepidermoid",
            "mucoepidermoid cancer",
            "low grade mucoepidermoid carcinoma",
            "intermediate grade mucoepidermoid carcinoma",
            "high grade mucoepidermoid carcinoma",
        ],
        Diagnosis::OtherMalignant => &[
            "other malignant tumour",
            "adenoid cystic carcinoma",
            "adcc",
            "acinic cell carcinoma",
            "acicc",
            "salivary duct carcinoma",
            "sdc",
            "carcinoma ex pleomorphic adenoma",
            "secretory carcinoma",
            "mammary analogue secretory carcinoma",
            "basal cell adenocarcinoma",
            "epithelial myoepithelial carcinoma",
            "myoepithelial carcinoma",
            "polymorphous adenocarcinoma",
            "clear cell carcinoma",
            "hyalinizing clear cell carcinoma",
            "hyalinising clear cell carcinoma",
            "oncocytic carcinoma",
            "sebaceous adenocarcinoma",
            "lymphoepithelial carcinoma",
            "adenocarcinoma",
            "adenocarcinoma nos",
            "salivary carcinoma nos",
            "squamous cell carcinoma",
            "scc",
            "small cell carcinoma",
            "large cell carcinoma",
            "undifferentiated carcinoma",
            "carcinosarcoma",
            "metastasis",
            "metastases",
            "metastatic lymph node",
            "lymph node metastasis",
            "melanoma metastasis",
            "lymphoma",
            "malt lymphoma",
            "sarcoma",
            "melanoma",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_synonyms_are_read_however_they_are_written() {
        for (text, diagnosis) in [
            ("Pleomorphic Adenoma", Diagnosis::PleomorphicAdenoma),
            ("PA", Diagnosis::PleomorphicAdenoma),
            (" warthin's  Tumor ", Diagnosis::Warthin),
            ("basal-cell adenoma", Diagnosis::BasalCellAdenoma),
            ("Hemangioma", Diagnosis::OtherBenign),
            ("haemangioma", Diagnosis::OtherBenign),
            ("lymph_node", Diagnosis::OtherBenign),
            ("High-grade mucoepidermoid carcinoma", Diagnosis::Mucoepidermoid),
            ("Adenoid Cystic Carcinoma", Diagnosis::OtherMalignant),
            ("metastasis", Diagnosis::OtherMalignant),
            ("lymphoma", Diagnosis::OtherMalignant),
            ("malignant (unspecified)", Diagnosis::Malignant),
            ("NONE", Diagnosis::None),
        ] {
            assert_eq!(Diagnosis::parse(text), Some(diagnosis), "{text}");
        }
        for text in [
            "",
            "adenoma",
            "tumour",
            "pleomorphic adenoma?",
            "benign or malignant",
            "0",
        ] {
            assert_eq!(Diagnosis::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_word_means_two_diagnoses() {
        let mut seen = std::collections::BTreeMap::new();
        for diagnosis in Diagnosis::ALL {
            for word in synonyms(diagnosis)
                .iter()
                .map(|w| plain(w))
                .chain([plain(diagnosis.name())])
            {
                assert_eq!(
                    *seen.entry(word.clone()).or_insert(diagnosis),
                    diagnosis,
                    "{word}"
                );
                assert_eq!(Diagnosis::parse(&word), Some(diagnosis), "{word}");
            }
        }
    }

    #[test]
    fn classes_of_the_appliance_and_of_kaba() {
        let named = |d: Diagnosis| d.class().map(|c| CLASSES[c]);
        assert_eq!(named(Diagnosis::None), None);
        assert_eq!(named(Diagnosis::OtherBenign), None);
        assert_eq!(named(Diagnosis::Warthin), Some("Warthin tumour"));
        assert_eq!(named(Diagnosis::BasalCellAdenoma), Some("basal cell adenoma"));
        assert_eq!(named(Diagnosis::PleomorphicAdenoma), Some("pleomorphic adenoma"));
        for malignant in [
            Diagnosis::Malignant,
            Diagnosis::Mucoepidermoid,
            Diagnosis::OtherMalignant,
        ] {
            assert_eq!(named(malignant), Some("malignant"));
        }
        assert_eq!(Diagnosis::BasalCellAdenoma.kaba(), Some(KabaClass::OtherBenign));
        assert_eq!(Diagnosis::Malignant.kaba(), None);
        let classes: std::collections::BTreeSet<_> = Diagnosis::ALL.iter().filter_map(|d| d.kaba()).collect();
        assert_eq!(classes.len(), 5);
    }

    #[test]
    fn stored_names_are_the_names() {
        for diagnosis in Diagnosis::ALL {
            assert_eq!(serde_json::to_value(diagnosis).unwrap(), diagnosis.name());
        }
    }

    /// Every malignancy of the phantom is one of the list, not the unspecified one.
    #[test]
    fn every_truth_of_the_phantom_is_known() {
        for name in phantom::Diagnosis::ALL.map(|d| d.name()) {
            assert_eq!(Diagnosis::parse(name).map(Diagnosis::name), Some(name));
        }
        for name in [
            "high-grade mucoepidermoid carcinoma",
            "low-grade mucoepidermoid carcinoma",
            "adenoid cystic carcinoma",
            "acinic cell carcinoma",
            "salivary duct carcinoma",
        ] {
            assert!(
                Diagnosis::parse(name).is_some_and(|d| d > Diagnosis::Malignant),
                "{name}"
            );
        }
    }
}
