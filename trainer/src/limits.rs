//! Every limit on size and count of what the trainer reads besides images; those of images are in
//! [`models::limits`].

/// A mask file larger than this is not read, bytes.
pub const MAX_MASK_BYTES: u64 = 256 * 1024 * 1024;

/// A compressed mask or data set inflates to at most this, bytes: as many voxels as [`MAX_MASK_VOXELS`],
/// written as eight bytes each.
pub const MAX_INFLATED_MASK_BYTES: u64 = 8 * MAX_MASK_VOXELS as u64;

/// Voxels of one mask.
pub const MAX_MASK_VOXELS: usize = models::limits::MAX_VOLUME_VOXELS;

/// Corners of all contours of one structure set.
pub const MAX_CONTOUR_POINTS: usize = 2_000_000;

/// A contour's corners lie this near to one slice, as a share of the distance between slices.
pub const MAX_OFF_SLICE: f64 = 0.25;

/// Edge of a box, mm. The largest tumour of the parotid in print is smaller; beyond it the corners are in
/// another unit.
pub const MAX_BOX_MM: f64 = 300.0;

/// A table of labels larger than this is not read, bytes.
pub const MAX_LABELS_BYTES: u64 = 16 * 1024 * 1024;

/// Rows of a table of labels.
pub const MAX_LABELS: usize = 100_000;

/// A cohort file larger than this is not read, bytes.
pub const MAX_COHORT_BYTES: u64 = 512 * 1024 * 1024;

/// A truth file larger than this is not read, bytes.
pub const MAX_TRUTH_BYTES: u64 = 1024 * 1024;

/// Files of one cohort folder; one study holds at most [`models::limits::MAX_FILES`].
pub const MAX_COHORT_FILES: usize = 10_000_000;

/// A mask is of an examination when at least this share of its lesions' voxels lie within the examination's anatomy:
/// less, and more of the tumour is outside of the images than in them.
pub const MIN_MASK_WITHIN: f64 = 0.5;
