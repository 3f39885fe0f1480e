//! `sialoscope package`: model packages: what they are, whether they are right, and which is in use on this box.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use models::findings::Reason;
use models::package::{Key, Package};
use models::run::Model;

use super::print;
use crate::disk::RealDisk;
use crate::station::config::Config;
use crate::station::model_store::ModelStore;

/// `sialoscope package`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what a package is [default: the one in use].
    Show(Which),
    /// Check hashes, signature and golden vectors on this machine.
    Verify(Which),
    /// Check a package and take it into use from the next start on; the one before is kept.
    Install(Install),
    /// Take the package before the one in use into use again, from the next start on.
    Rollback(Settings),
}

/// A package, and the settings that say whom packages are taken from.
#[derive(Debug, Args)]
pub struct Which {
    /// Folder of the package.
    pub folder: Option<PathBuf>,
    /// Settings file [default: as `run`].
    #[command(flatten)]
    pub settings: Settings,
}

/// `sialoscope package install`.
#[derive(Debug, Args)]
pub struct Install {
    /// Folder of the package, for example on a USB stick.
    pub folder: PathBuf,
    /// Settings file [default: as `run`].
    #[command(flatten)]
    pub settings: Settings,
}

/// The settings file.
#[derive(Debug, Args)]
pub struct Settings {
    /// Settings file, which names the data folder and the keys [default: as `run`].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Command {
    /// The settings file that was named.
    pub fn config(&self) -> Option<&Path> {
        let settings = match self {
            Self::Show(which) | Self::Verify(which) => &which.settings,
            Self::Install(install) => &install.settings,
            Self::Rollback(settings) => settings,
        };
        settings.config.as_deref()
    }
}

/// Does it.
///
/// # Errors
/// What is wrong with the package, or with the disk.
pub fn package(what: &Command, config: &Config) -> Result<(), Reason> {
    let store = ModelStore::new(Arc::new(RealDisk), &config.models_dir());
    let keys = config.model_keys();
    let folder = |which: &Which| -> Result<PathBuf, Reason> {
        match &which.folder {
            Some(folder) => Ok(folder.clone()),
            None => Ok(store
                .packages()?
                .into_iter()
                .next()
                .unwrap_or_else(|| config.model.package.clone())),
        }
    };
    match what {
        Command::Show(which) => show(&Package::open(&folder(which)?)?),
        Command::Verify(which) => {
            let folder = folder(which)?;
            verify(&folder, &keys)?;
            print(&format!(
                "{}: every hash, the signature and every golden vector are right",
                folder.display()
            ));
        }
        Command::Install(install) => {
            let package = Package::open_signed(&install.folder, &keys)?;
            let folder = store.install(&package, |copy| verify(copy, &keys))?;
            print(&format!("{} is in use from the next start on", folder.display()));
        }
        Command::Rollback(_) => {
            let folder = store.rollback()?;
            print(&format!("{} is in use from the next start on", folder.display()));
        }
    }
    if keys.is_empty() {
        eprintln!("note: model.keys names nobody, so packages are taken from everybody");
    }
    Ok(())
}

fn verify(folder: &Path, keys: &[Key]) -> Result<(), Reason> {
    Package::open_signed(folder, keys)?;
    Model::load(folder, 1).map(drop)
}

fn show(package: &Package) {
    let manifest = &package.manifest;
    let names = |contrasts: Vec<models::mr::Contrast>| {
        let names: Vec<_> = contrasts.iter().map(|contrast| contrast.name()).collect();
        names.join(", ")
    };
    print(&format!("{} {}", manifest.name, manifest.version));
    print(&format!("  SHA-256     {}", package.sha256));
    print(&format!("  use         {}", manifest.intended_use));
    print(&format!("  trained on  {}", manifest.trained_on));
    print(&format!("  contrasts   {}", names(manifest.contrasts())));
    print(&format!(
        "  optional    {}",
        names(manifest.optional_contrasts.clone())
    ));
    for task in &manifest.tasks {
        let labels: Vec<_> = task.labels.iter().map(|label| label.name.as_str()).collect();
        print(&format!("  {:11} {}", task.name, labels.join(", ")));
    }
}
