//! Colours of the screen as DICOM has them.

/// sRGB (IEC 61966-2-1) as scaled CIELab under D50 (PS3.3 C.10.7.1.1).
pub(super) fn cie_lab(rgb: [u8; 3]) -> [u16; 3] {
    let [r, g, b] = rgb.map(|value| linear(f64::from(value) / 255.0));
    // To XYZ under D50, over its white (Bradford adaptation of the sRGB primaries).
    let x = (0.436_075 * r + 0.385_065 * g + 0.143_080 * b) / 0.964_22;
    let y = 0.222_505 * r + 0.716_879 * g + 0.060_617 * b;
    let z = (0.013_932 * r + 0.097_105 * g + 0.714_173 * b) / 0.825_21;
    let [fx, fy, fz] = [x, y, z].map(cube_root);
    let lightness = (116.0 * fy - 16.0) / 100.0;
    let of_axis = |value: f64| (value + 128.0) / 255.0;
    let scaled = |share: f64| (share * 65_535.0).round().clamp(0.0, 65_535.0) as u16;
    [
        scaled(lightness),
        scaled(of_axis(500.0 * (fx - fy))),
        scaled(of_axis(200.0 * (fy - fz))),
    ]
}

fn linear(value: f64) -> f64 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// With the straight line that CIE 15 has near black.
fn cube_root(value: f64) -> f64 {
    if value > 216.0 / 24_389.0 {
        value.cbrt()
    } else {
        (24_389.0 / 27.0 * value + 16.0) / 116.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours() {
        // L* 0, 100, 54.3, 88.1; from the ICC profile of sRGB under D50.
        let near = |rgb, lab: [f64; 3]| {
            let [l, a, b] = cie_lab(rgb).map(f64::from);
            let found = [l / 655.35, a / 257.0 - 128.0, b / 257.0 - 128.0];
            let off = (0..3).map(|i| (found[i] - lab[i]).abs()).fold(0.0, f64::max);
            assert!(off < 0.1, "{rgb:?}: {found:?}");
        };
        near([0, 0, 0], [0.0, 0.0, 0.0]);
        near([255, 255, 255], [100.0, 0.0, 0.0]);
        near([255, 0, 0], [54.29, 80.81, 69.89]);
        near([0, 255, 0], [87.82, -79.27, 80.99]);
        near([0, 0, 255], [29.57, 68.29, -112.03]);
    }
}
