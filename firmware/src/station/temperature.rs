//! How warm the box is.

use std::fs;
use std::path::Path;

/// Where the kernel tells temperatures.
const ZONES: &str = "/sys/class/thermal";

/// The warmest zone, °C; none where nothing measures it.
pub fn celsius() -> Option<f32> {
    warmest(Path::new(ZONES))
}

fn warmest(zones: &Path) -> Option<f32> {
    let zones = fs::read_dir(zones).ok()?;
    let measured = zones.filter_map(|zone| {
        let zone = zone.ok()?;
        let is_zone = zone.file_name().to_str()?.starts_with("thermal_zone");
        let text = is_zone.then(|| fs::read_to_string(zone.path().join("temp")).ok())??;
        let thousandths: f32 = text.trim().parse().ok()?;
        // Sensors that are switched off tell nonsense.
        Some(thousandths / 1000.0).filter(|celsius| (-40.0..=150.0).contains(celsius))
    });
    measured.reduce(f32::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_warmest_zone_counts_and_nonsense_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(warmest(folder.path()), None);
        for (zone, text) in [
            ("thermal_zone0", "48500\n"),
            ("thermal_zone1", "61250"),
            ("thermal_zone2", "-273000"),
            ("thermal_zone3", "hot"),
            ("cooling_device0", "99000"),
        ] {
            fs::create_dir(folder.path().join(zone)).unwrap();
            fs::write(folder.path().join(zone).join("temp"), text).unwrap();
        }
        assert_eq!(warmest(folder.path()), Some(61.25));
        assert_eq!(warmest(&folder.path().join("none")), None);
    }
}
