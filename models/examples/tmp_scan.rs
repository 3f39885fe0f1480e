//! tmp
#![allow(clippy::unwrap_used)]
use models::mr::*;
fn main() {
    for arg in std::env::args().skip(1) {
        let t = std::time::Instant::now();
        let scan = scan(&[arg.clone().into()]);
        println!("== {arg} {:?} {} studies", t.elapsed(), scan.studies.len());
        let mut codes = std::collections::BTreeMap::<String, usize>::new();
        for r in &scan.refused {
            *codes
                .entry(format!("{} {}", r.reason.code, r.reason.text))
                .or_default() += 1;
        }
        println!("  refused files {codes:?}");
        for s in &scan.series {
            println!(
                "  series {:?} '{}' {} files {}",
                s.number, s.description, s.files, s.modality
            );
            for r in &s.refused {
                println!("    refused {}: {} | {}", r.input, r.reason.code, r.reason.text);
            }
            for v in &s.volumes {
                println!(
                    "    {:?} b={:?} {:?} {:?} sp={:.3?} n={:.3?} dirs={} {:?}",
                    v.contrast,
                    v.b_value,
                    v.confidence,
                    v.grid.shape,
                    v.grid.spacing(),
                    v.grid.normal(),
                    v.further_directions.len(),
                    v.reason
                );
                let t = std::time::Instant::now();
                match v.voxels() {
                    Ok(x) => println!(
                        "      mean {:.3} max {:.3} {:?}",
                        x.mean().unwrap(),
                        x.iter().copied().fold(0.0f32, f32::max),
                        t.elapsed()
                    ),
                    Err(e) => println!("      {e:?}"),
                }
            }
        }
    }
}
