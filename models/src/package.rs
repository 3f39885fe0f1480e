//! The model package on disk: a folder that the appliance can trust or refuse as a whole.
//!
//! ```text
//! manifest.toml          everything below, with SHA-256 of each file
//! manifest.toml.minisig  minisign signature over the manifest
//! locator.onnx …         the networks
//! golden/*.safetensors   inputs and expected outputs of each network
//! card.md                the model card
//! ```
//! The manifest names every file by a plain file name and its hash, so the hash of the manifest
//! identifies the package, and its signature is one over all of it. A file whose hash differs is never read further.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use minisign_verify::{PublicKey, Signature};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::findings::{Fault, ModelIdentity, Reason};
use crate::limits::{MAX_GOLDEN_BYTES, MAX_MANIFEST_BYTES, MAX_NETWORK_BYTES};
use crate::mr::Contrast;
use crate::recipe::Recipe;

/// The version of the manifest's form.
pub const SCHEMA: u32 = 1;

/// File name of the manifest.
pub const MANIFEST: &str = "manifest.toml";

/// File name of the signature over the manifest.
pub const SIGNATURE: &str = "manifest.toml.minisig";

/// File name of the model card.
const CARD: &str = "card.md";

/// Whom a package is taken from: the public key of minisign, as its second line has it.
#[derive(Debug, Clone)]
pub struct Key(PublicKey);

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        PublicKey::from_base64(text)
            .map(Self)
            .map_err(|_| "it is no public key of minisign: 56 characters that begin with RW".to_owned())
    }
}

/// What `manifest.toml` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the package.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// What the package is for, and what it is not for.
    pub intended_use: String,
    /// Data behind it, in a few words for the screen, for example `simulated studies only`.
    pub trained_on: String,
    /// The classes of the reader's logits, in order.
    pub classes: Vec<String>,
    /// Contrasts that are shown when present but that no network reads.
    pub optional_contrasts: Vec<Contrast>,
    /// Questions answered by adding up classes.
    pub tasks: Vec<Task>,
    /// Calibration.
    pub calibration: Calibration,
    /// Where the model decides; chosen on validation patients.
    pub operating_points: OperatingPoints,
    /// Input outside these limits is not answered.
    pub validity: Validity,
    /// How the package was made.
    pub provenance: Provenance,
    /// Preprocessing.
    pub recipe: Recipe,
    /// The network files.
    pub networks: Networks,
    /// Inputs and expected outputs.
    pub golden: Vec<Golden>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// `malignancy` or `subtype`.
    pub name: String,
    /// Its answers.
    pub labels: Vec<Label>,
}

/// One answer: the sum over some classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// For example `benign`.
    pub name: String,
    /// Indices into [`Manifest::classes`].
    pub classes: Vec<usize>,
}

/// How logits become probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logits are divided by this (Guo et al., ICML 2017).
    pub temperature: f64,
}

/// Thresholds, chosen on validation patients only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoints {
    /// A voxel belongs to a lesion from this probability on.
    pub voxel_probability: f32,
    /// A lesion is reported from this score on ([`crate::run::Candidate::score`]).
    pub lesion_score: f32,
    /// A lesion has at least this many voxels of the locator's grid.
    pub lesion_voxels: usize,
    /// `malignant` is called from this probability on (Youden).
    pub malignant: f64,
}

/// Limits of validity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Smallest and largest b-value read as DWI, s/mm².
    pub b_value: [f64; 2],
    /// Smallest and largest distance between slices of the anchor, mm.
    pub slice_spacing_mm: [f64; 2],
    /// Smallest and largest number of slices of the anchor.
    pub slices: [usize; 2],
    /// Smallest and largest pixel of the anchor, mm; packages from before this field do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_mm: Option<[f64; 2]>,
}

/// How the package was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// SHA-256 of the cohort file, which holds the hash of every study and the split.
    pub cohort_sha256: String,
    /// Patients used for training, validation and testing.
    pub patients: [usize; 3],
    /// Seed of the training run.
    pub seed: u64,
    /// Commit of the trainer.
    pub commit: String,
    /// The commands that made it.
    pub commands: Vec<String>,
}

/// The network files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Networks {
    /// `image` (1, channels, size, size) → `tumour` (1, 1, size, size), probability.
    pub locator: FileHash,
    /// One per contrast of the reader, in its order:
    /// `image` (1, 1, size, size), `box` (1, 4) → `feature` (1, n).
    pub encoders: Vec<FileHash>,
    /// `features` (slices, contrasts · n), `mask` (slices) → `logits` (members, classes).
    pub reader: FileHash,
}

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHash {
    /// Path below the package folder, `/` between parts.
    pub file: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// A network's answer that must come out again on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// [`FileHash::file`] of the network.
    pub network: String,
    /// Safetensors with the network's inputs and outputs under their names.
    pub vectors: FileHash,
    /// Largest absolute difference allowed in any output value.
    pub tolerance: f32,
}

/// A package whose manifest was read and whose files all have their hashes.
#[derive(Debug, Clone)]
pub struct Package {
    dir: PathBuf,
    /// What the manifest says.
    pub manifest: Manifest,
    /// SHA-256 of the manifest file.
    pub sha256: String,
}

impl Manifest {
    /// Every contrast that a network reads or the page shows, each once.
    pub fn contrasts(&self) -> Vec<Contrast> {
        let mut all = self.recipe.required();
        all.extend(&self.optional_contrasts);
        all.sort();
        all.dedup();
        all
    }
}

impl Package {
    /// Reads the manifest and checks the hash of every file. Whoever signed it does not matter: for those who make
    /// packages, and where the settings name no key.
    ///
    /// # Errors
    /// Codes `package_missing`, `package_manifest`, `package_schema`, `package_file`, `package_hash`.
    pub fn open(dir: &Path) -> Result<Package, Reason> {
        Self::open_signed(dir, &[])
    }

    /// The same for a package that one of these keys must have signed; by anybody or nobody where there are none.
    ///
    /// # Errors
    /// As [`Package::open`], and `package_signature`.
    pub fn open_signed(dir: &Path, keys: &[Key]) -> Result<Package, Reason> {
        let bytes = read_limited(&dir.join(MANIFEST), MAX_MANIFEST_BYTES)
            .map_err(|e| refuse("package_missing", format!("no model package: {MANIFEST}: {e}")))?;
        if !keys.is_empty() {
            check_signature(dir, &bytes, keys)?;
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse("package_manifest", format!("{MANIFEST} is not UTF-8")))?;
        let manifest: Manifest =
            toml::from_str(&text).map_err(|e| refuse("package_manifest", format!("{MANIFEST}: {e}")))?;
        if manifest.schema != SCHEMA {
            let text = format!(
                "{MANIFEST} has schema {}, this software reads {SCHEMA}",
                manifest.schema
            );
            return Err(refuse("package_schema", text));
        }
        let package = Package {
            dir: dir.to_owned(),
            manifest,
            sha256: hex_sha256(text.as_bytes()),
        };
        package.check_consistency()?;
        for file in package.manifest.networks.files() {
            package.read(file, MAX_NETWORK_BYTES)?;
        }
        for golden in &package.manifest.golden {
            package.read(&golden.vectors, MAX_GOLDEN_BYTES)?;
        }
        Ok(package)
    }

    /// Every file of the package by its name, with its bytes, the manifest last.
    ///
    /// # Errors
    /// As [`Package::open`].
    pub fn contents(&self) -> Result<Vec<(String, Vec<u8>)>, Reason> {
        let mut files = Vec::new();
        for file in self.manifest.networks.files() {
            files.push((file.file.clone(), self.network(file)?));
        }
        for golden in &self.manifest.golden {
            files.push((golden.vectors.file.clone(), self.vectors(golden)?));
        }
        for name in [CARD, SIGNATURE, MANIFEST] {
            match read_limited(&self.dir.join(name), MAX_MANIFEST_BYTES) {
                Ok(bytes) => files.push((name.to_owned(), bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && name != MANIFEST => {}
                Err(error) => return Err(refuse("package_file", format!("{name}: {error}"))),
            }
        }
        Ok(files)
    }

    /// The bytes of a network.
    ///
    /// # Errors
    /// Unreadable, too large, or another hash than the manifest's.
    pub fn network(&self, file: &FileHash) -> Result<Vec<u8>, Reason> {
        self.read(file, MAX_NETWORK_BYTES)
    }

    /// The bytes of a golden vector.
    ///
    /// # Errors
    /// Unreadable, too large, or another hash than the manifest's.
    pub fn vectors(&self, golden: &Golden) -> Result<Vec<u8>, Reason> {
        self.read(&golden.vectors, MAX_GOLDEN_BYTES)
    }

    /// How the package is named in findings.
    pub fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: self.manifest.name.clone(),
            version: self.manifest.version.clone(),
            sha256: self.sha256.clone(),
            trained_on: self.manifest.trained_on.clone(),
        }
    }

    fn read(&self, file: &FileHash, limit: u64) -> Result<Vec<u8>, Reason> {
        let plain = file.file.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        });
        if !plain {
            return Err(refuse(
                "package_file",
                format!("“{}” is no plain file name", file.file),
            ));
        }
        let bytes = read_limited(&self.dir.join(&file.file), limit)
            .map_err(|e| refuse("package_file", format!("{}: {e}", file.file)))?;
        if hex_sha256(&bytes) != file.sha256 {
            return Err(refuse(
                "package_hash",
                format!("{} is not the file that was signed for", file.file),
            ));
        }
        Ok(bytes)
    }

    fn check_consistency(&self) -> Result<(), Reason> {
        let manifest = &self.manifest;
        let complain = |text: String| Err(refuse("package_manifest", text));
        if manifest.networks.encoders.len() != manifest.recipe.reader.contrasts.len() {
            return complain("there must be one encoder per contrast of the reader".into());
        }
        for task in &manifest.tasks {
            let mut seen: Vec<usize> = task.labels.iter().flat_map(|l| l.classes.clone()).collect();
            seen.sort_unstable();
            if seen != (0..manifest.classes.len()).collect::<Vec<_>>() {
                return complain(format!("task “{}” does not cover each class once", task.name));
            }
        }
        if !(manifest.calibration.temperature.is_finite() && manifest.calibration.temperature > 0.0) {
            return complain("the temperature must be a positive number".into());
        }
        for network in manifest.networks.files() {
            if !manifest.golden.iter().any(|g| g.network == network.file) {
                return complain(format!("{} has no golden vectors", network.file));
            }
        }
        Ok(())
    }
}

impl Networks {
    /// All of them: locator, encoders, reader.
    pub fn files(&self) -> impl Iterator<Item = &FileHash> {
        std::iter::once(&self.locator)
            .chain(&self.encoders)
            .chain(std::iter::once(&self.reader))
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Two lower-case hexadecimal digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_signature(dir: &Path, manifest: &[u8], keys: &[Key]) -> Result<(), Reason> {
    let foreign = |text: String| refuse("package_signature", text);
    let text = read_limited(&dir.join(SIGNATURE), MAX_MANIFEST_BYTES)
        .map_err(|e| foreign(format!("the package is not signed: {SIGNATURE}: {e}")))?;
    let text = String::from_utf8(text).map_err(|_| foreign(format!("{SIGNATURE} is not UTF-8")))?;
    let signature =
        Signature::decode(&text).map_err(|e| foreign(format!("{SIGNATURE} is no signature: {e}")))?;
    // Only signatures over a hash of the file: the older form is not made any more.
    let holds = |key: &Key| key.0.verify(manifest, &signature, false).is_ok();
    if keys.iter().any(holds) {
        Ok(())
    } else {
        Err(foreign(
            "the package was signed by nobody whom the settings name".into(),
        ))
    }
}

fn refuse(code: &str, text: String) -> Reason {
    Reason::new(code, Fault::Configuration, text)
}

fn read_limited(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}
