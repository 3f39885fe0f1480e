//! A real T1 head as anatomy: which tissues its voxels hold, and where its parotids lie.
//!
//! | module | owns |
//! |---|---|
//! | `scan` | the volume as it came, resampled; the head apart from the air |
//! | `pose` | where the drawn head lies in it |
//! | `shading` | the coil's shading, and how bright each tissue is |
//! | `tissues` | intensities → shares of tissues |
//! | `glands` | the parotids |
//! | `ground` | all this as what a scene's parts stand in |
//! | `lattice` | lattices, distances, regions |
//!
//! Measured from the image: outline, shares of fat, water and void in each voxel, brain against fluid,
//! place and texture. Guessed: which watery tissue a voxel holds (by place), the border of the glands
//! where they touch muscle (by the drawn gland's shape), vessels.

mod glands;
mod ground;
pub(crate) mod lattice;
mod pose;
mod scan;
mod shading;
mod tissues;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::glands::Gland;
pub(crate) use self::ground::MeasuredGround;
use self::pose::Pose;
pub use self::scan::HeadScan;
use self::tissues::Maps;
pub(crate) use self::tissues::{TISSUES, Tissue};
use crate::Side;
use crate::anatomy::Template;
use crate::space::Point;

/// Why a volume cannot be the anatomy: always the data's fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// Steps that span no space, values that are no numbers, or a size out of all proportion.
    #[error("the volume is damaged: {0}")]
    Damaged(&'static str),
    /// The field of view is too narrow for both parotids.
    #[error(
        "the field of view measures {0:.0} × {1:.0} × {2:.0} mm along x, y, z; both parotids need {least}",
        least = least_extent()
    )]
    FieldOfView(f32, f32, f32),
    /// Voxels too large to tell tissues apart.
    #[error("its voxels measure up to {0:.1} mm; more than {MAX_VOXEL_MM:.0} mm tells no tissues apart")]
    Coarse(f32),
    /// Nothing stands out from the background.
    #[error("there is no head in it: nothing stands out from the background")]
    Empty,
    /// Something is there, but the drawn head explains it badly.
    #[error(
        "no head between skull base and neck was found in it: the drawn head explains {0:.2} of the variance and {1:.2} of the outline, at least {MIN_FIT:.2} and {MIN_OUTLINE:.2} are asked for"
    )]
    NoHead(f32, f32),
    /// Fat and muscle are equally bright. Otherwise the contrast is believed as the scan's reader names it.
    #[error("it does not look T1-weighted: {0}")]
    NotT1(String),
    /// A parotid is not in the field of view, or nothing there looks like one.
    #[error("the {} parotid was not found: {why}", word(.side))]
    NoGland {
        /// Of the patient.
        side: Side,
        /// What is missing.
        why: String,
    },
}

impl Unfit {
    /// A stable name for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Unfit::Damaged(_) => "damaged",
            Unfit::FieldOfView(..) => "field_of_view",
            Unfit::Coarse(_) => "coarse",
            Unfit::Empty => "empty",
            Unfit::NoHead(..) => "no_head",
            Unfit::NotT1(_) => "not_t1",
            Unfit::NoGland { .. } => "no_parotid",
        }
    }
}

fn word(side: &Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

fn least_extent() -> String {
    let [x, y, z] = MIN_EXTENT_MM;
    format!("{x:.0} × {y:.0} × {z:.0} mm")
}

/// Least extent along x, y, z, mm: from ear to ear, from the cheek to the nape, all of both glands.
const MIN_EXTENT_MM: [f32; 3] = [125.0, 110.0, 75.0];
/// Largest edge of a voxel, mm.
const MAX_VOXEL_MM: f32 = 6.0;
/// Least correlation ratio of the drawn head. Real heads reach 0.08 to 0.19, drawn ones 0.4 to 0.5: it only
/// refuses what has nothing of a head, the outline and the glands refuse the rest.
const MIN_FIT: f32 = 0.04;
/// Least share of the places that are head and air where the drawn head has them; real heads reach 0.91 to 0.94.
const MIN_OUTLINE: f32 = 0.85;

/// One parotid as found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundGland {
    /// Of the patient.
    pub side: Side,
    /// Patient millimetres (LPS) of the scan.
    pub centre_mm: [f64; 3],
    /// Millilitres.
    pub volume_ml: f64,
    /// Correlation ratio of the drawn surroundings, 0 to 1.
    pub fit: f64,
    /// Mean share of fat, as far as the intensities tell.
    pub fat: f64,
}

/// A head whose tissues and glands are known. Cheap to clone.
#[derive(Clone)]
pub struct RealHead {
    anatomy: String,
    maps: Arc<Maps>,
    glands: [Gland; 2],
    fit: f32,
    suppressed: bool,
    pose: Pose,
}

impl RealHead {
    /// Finds head, tissues and parotids in a T1 volume. Takes about 20 s on one core.
    ///
    /// # Errors
    /// [`Unfit`]: no head, no contrast of a T1, or a parotid that is not there; the data's fault.
    pub fn find(scan: &HeadScan) -> Result<RealHead, Unfit> {
        let outline = scan::Outline::of(scan)?;
        let template = Template::new();
        let (pose, fit) = pose::find(&template, &outline.evened, &outline.mask);
        if fit.tissues < MIN_FIT || fit.outline < MIN_OUTLINE {
            return Err(Unfit::NoHead(fit.tissues, fit.outline));
        }
        let places = glands::places(&template, &outline, &pose)?;
        let image = scan::Upright::of(scan, &outline, &pose);
        let labels = tissues::Labels::of(&template, &pose);
        let shading = shading::Shading::estimate(&image, &labels)?;
        let (maps, glands) = tissues::measure(&image, &labels, &shading, &template, &pose, places)?;
        Ok(RealHead {
            anatomy: scan.anatomy.clone(),
            maps: Arc::new(maps),
            glands,
            fit: fit.tissues,
            suppressed: shading.suppressed,
            pose,
        })
    }

    /// The name that was given with the scan.
    pub fn anatomy(&self) -> &str {
        &self.anatomy
    }

    /// Correlation ratio of the drawn head, 0 to 1.
    pub fn fit(&self) -> f64 {
        self.fit.into()
    }

    /// Whether fat is suppressed in the scan, so that fat and bone are told apart by place only.
    pub fn fat_suppressed(&self) -> bool {
        self.suppressed
    }

    /// The parotids, left and right.
    pub fn glands(&self) -> [FoundGland; 2] {
        let place = self.pose.place();
        [(Side::Left, 0), (Side::Right, 1)].map(|(side, i)| {
            let gland = &self.glands[i];
            FoundGland {
                side,
                centre_mm: place(gland.centre).map(f64::from),
                volume_ml: gland.volume_ml.into(),
                fit: gland.fit.into(),
                fat: gland.fat.into(),
            }
        })
    }

    /// Whether a point of the scan (patient millimetres, LPS) lies in a parotid.
    pub fn in_gland(&self, position_mm: [f64; 3]) -> bool {
        let head = self.pose.back()(position_mm.map(|x| x as f32));
        self.maps.shares_at(head)[tissues::IN_GLAND] > 0.5
    }

    /// Where the glands of the left and the right side lie, mm, once the head is mirrored or not.
    pub(crate) fn gland_centres(&self, mirrored: bool) -> [Point; 2] {
        let [left, right] = self.glands.map(|g| g.centre);
        if mirrored {
            [right, left].map(|[x, y, z]| [-x, y, z])
        } else {
            [left, right]
        }
    }

    /// Mean share of fat in both glands.
    pub(crate) fn gland_fat(&self) -> f32 {
        0.5 * (self.glands[0].fat + self.glands[1].fat)
    }
}
