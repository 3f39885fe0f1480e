//! The model packages of this box: the one in use, the one before it, and the way from a stick to there.
//!
//! ```text
//! models/
//!   .incoming/               a package that is being copied; of no worth after a start
//!   NAME-VERSION-HASH/       packages that were found right on this box
//!   in_use.json              which of them is in use, and which was before
//! ```
//! `in_use.json` is replaced as a whole and last, so whenever the power goes a complete package is in use.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use models::findings::{Fault, Reason};
use models::package::Package;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::limits::MAX_STATE_BYTES;

#[cfg(test)]
mod tests;

const IN_USE: &str = "in_use.json";
const INCOMING: &str = ".incoming";

/// Packages, by the names of their folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InUse {
    current: String,
    previous: Option<String>,
}

/// The packages.
pub struct ModelStore {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl ModelStore {
    /// The packages in a folder.
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self {
            disk,
            root: root.to_owned(),
        }
    }

    /// The folders of the packages: the one in use, then the one before it; none where none was installed.
    ///
    /// # Errors
    /// `models`, by the hardware, where the disk failed; `package_missing` where the list names no package.
    pub fn packages(&self) -> Result<Vec<PathBuf>, Reason> {
        let names = self.in_use()?.into_iter();
        names
            .flat_map(|in_use| std::iter::once(in_use.current).chain(in_use.previous))
            .map(|name| self.folder(&name))
            .collect()
    }

    /// Copies a package, checks the copy, and takes it into use from the next start on. What was in use stays for
    /// [`ModelStore::rollback`]; older ones are deleted. Gives the folder of the package.
    ///
    /// # Errors
    /// What is wrong with the package, or `models`, by the hardware; what was in use stays so.
    pub fn install(
        &self,
        package: &Package,
        check: impl FnOnce(&Path) -> Result<(), Reason>,
    ) -> Result<PathBuf, Reason> {
        let incoming = self.root.join(INCOMING);
        self.disk.remove_tree(&incoming).map_err(failed)?;
        let files = package.contents()?;
        self.copy(&incoming, &files).map_err(failed)?;
        if let Err(reason) = check(&incoming) {
            // A package that is refused takes no room.
            self.disk.remove_tree(&incoming).map_err(failed)?;
            return Err(reason);
        }
        let before = self.in_use()?;
        let name = folder_name(package);
        let folder = self.folder(&name)?;
        if before.as_ref().is_some_and(|before| before.current == name) {
            self.disk.remove_tree(&incoming).map_err(failed)?;
            return Ok(folder);
        }
        self.disk.remove_tree(&folder).map_err(failed)?;
        self.disk.move_file(&incoming, &folder).map_err(failed)?;
        let in_use = InUse {
            current: name,
            previous: before.map(|before| before.current),
        };
        self.write(&in_use)?;
        self.remove_others(&in_use).map_err(failed)?;
        Ok(folder)
    }

    /// Takes the package before the one in use into use again, from the next start on. Gives its folder.
    ///
    /// # Errors
    /// `no_previous_package`, by the configuration; `models`, by the hardware.
    pub fn rollback(&self) -> Result<PathBuf, Reason> {
        let in_use = self.in_use()?;
        let Some((current, previous)) = in_use.and_then(|one| Some((one.current, one.previous?))) else {
            let text = "there is no package before the one in use";
            return Err(Reason::new("no_previous_package", Fault::Configuration, text));
        };
        let folder = self.folder(&previous)?;
        self.write(&InUse {
            current: previous,
            previous: Some(current),
        })?;
        Ok(folder)
    }

    fn in_use(&self) -> Result<Option<InUse>, Reason> {
        match self.disk.read_at_most(&self.root.join(IN_USE), MAX_STATE_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, in_use: &InUse) -> Result<(), Reason> {
        let json = serde_json::to_vec(in_use).map_err(|error| failed(error.into()))?;
        self.disk.replace(&self.root.join(IN_USE), &json).map_err(failed)
    }

    /// The folder of a name that was read from a file.
    fn folder(&self, name: &str) -> Result<PathBuf, Reason> {
        let is_name = !name.is_empty()
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if is_name {
            Ok(self.root.join(name))
        } else {
            let text = format!("“{name}” is no name of a package");
            Err(Reason::new("package_missing", Fault::Hardware, text))
        }
    }

    fn copy(&self, folder: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
        self.disk.make_folder(&self.root)?;
        self.disk.create_folder(folder)?;
        let mut folders = vec![folder.to_owned()];
        for (name, bytes) in files {
            let path = folder.join(name);
            if let Some(parent) = path.parent()
                && !folders.iter().any(|known| known == parent)
            {
                self.disk.create_folder(parent)?;
                folders.push(parent.to_owned());
            }
            let mut file = self.disk.create(&path)?;
            file.write_all(bytes)?;
            file.sync()?;
        }
        folders
            .iter()
            .try_for_each(|folder| self.disk.sync_folder(folder))
    }

    fn remove_others(&self, in_use: &InUse) -> io::Result<()> {
        let kept = [
            Some(in_use.current.as_str()),
            in_use.previous.as_deref(),
            Some(IN_USE),
        ];
        for name in self.disk.list(&self.root)? {
            if !kept.contains(&name.to_str()) {
                self.disk.remove_tree(&self.root.join(name))?;
            }
        }
        Ok(())
    }
}

/// `liu-phantom-0.1.0-3f9c2a71`: two packages of the same name and version are two packages.
fn folder_name(package: &Package) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .take(64)
            .collect()
    };
    let (name, version) = (plain(&package.manifest.name), plain(&package.manifest.version));
    let hash: String = package.sha256.chars().take(8).collect();
    format!("p-{name}-{version}-{hash}")
}

fn failed(error: io::Error) -> Reason {
    Reason::new("models", Fault::Hardware, format!("the model packages: {error}"))
}
