//! Writes a cohort: `cargo run --release -p phantom --example cohort -- PATIENTS SEED DIR`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "cohort PATIENTS SEED DIR";
    let mut words = std::env::args().skip(1);
    let patients = words.next().ok_or(usage)?.parse()?;
    let seed = words.next().ok_or(usage)?.parse()?;
    let dir: PathBuf = words.next().ok_or(usage)?.into();
    phantom::write_cohort(patients, seed, &dir, |p| {
        println!("{} of {}: {}", p.done, p.total, p.diagnosis);
    })?;
    Ok(())
}
