//! `sialoscope selftest`.

use std::sync::Arc;

use clap::Args;
use models::findings::{Fault, Reason};

use super::{io_failure, print};
use crate::disk::{Disk as _, RealDisk};
use crate::station::config::Config;
use crate::station::model_store::ModelStore;
use crate::station::self_test::{self, Outcome};

/// `sialoscope selftest`.
#[derive(Debug, Args)]
pub struct Selftest {
    /// Settings file [default: as `run`].
    #[arg(long, value_name = "FILE")]
    pub config: Option<std::path::PathBuf>,
    /// Test this part only; may be given several times.
    #[arg(long, value_name = "PART", value_parser = clap::builder::PossibleValuesParser::new(self_test::parts()))]
    pub only: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Tests, prints, and leaves what was found where the screen shows it.
///
/// # Errors
/// `self_test` where a part failed.
pub fn selftest(what: &Selftest, config: &Config) -> Result<(), Reason> {
    let store = ModelStore::new(Arc::new(RealDisk), &config.models_dir());
    let mut packages = store.packages()?;
    packages.push(config.model.package.clone());
    let checks = self_test::run(config, &packages, &what.only);
    let json = serde_json::to_string_pretty(&checks)
        .map_err(|error| Reason::new("json", Fault::Us, error.to_string()))?;
    if what.json {
        print(&json);
    } else {
        for check in &checks {
            let (word, text) = match &check.outcome {
                Outcome::Passed(text) => ("passed", text.as_str()),
                Outcome::Failed(reason) => ("FAILED", reason.text.as_str()),
                Outcome::Untested(text) => ("-", text.as_str()),
            };
            print(&format!("{:15} {word:7} {text}", check.part));
        }
    }
    // A look at some parts says nothing about the others.
    if what.only.is_empty() {
        let file = self_test::file(&config.station.data_dir);
        RealDisk
            .replace(&file, json.as_bytes())
            .map_err(|error| io_failure(&file.display().to_string(), &error))?;
    }
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| matches!(check.outcome, Outcome::Failed(_)))
        .map(|check| check.part.as_str())
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        let text = format!("these parts failed: {}", failed.join(", "));
        Err(Reason::new("self_test", Fault::Hardware, text))
    }
}
