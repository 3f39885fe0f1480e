//! Every limit on size, count and angle in this crate.

/// Slices tilted further than this from axial are not read as axial, degrees.
pub const MAX_AXIAL_TILT_DEGREES: f64 = 30.0;

/// Among several diffusion series the one nearest this b-value is read (Liu 2023), s/mm².
pub const PREFERRED_HIGH_B_S_PER_MM2: f64 = 1000.0;

/// Lesions reported per study.
pub const MAX_LESIONS: usize = 6;

/// A manifest larger than this is not read, bytes.
pub const MAX_MANIFEST_BYTES: u64 = 256 * 1024;

/// A network file larger than this is not read, bytes.
pub const MAX_NETWORK_BYTES: u64 = 64 * 1024 * 1024;

/// A golden vector larger than this is not read, bytes.
pub const MAX_GOLDEN_BYTES: u64 = 4 * 1024 * 1024;

/// Files named by one call of `mr::scan`; what comes after is refused.
pub const MAX_FILES: usize = 20_000;

/// Folders inside folders that `mr::scan` walks into.
pub const MAX_FOLDER_DEPTH: usize = 16;

/// A DICOM file larger than this is not read, bytes.
pub const MAX_DICOM_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// A deflated data set inflates to at most this, bytes.
pub const MAX_INFLATED_BYTES: u64 = 128 * 1024 * 1024;

/// Everything in front of the pixel data of one DICOM file, bytes.
pub const MAX_HEADER_BYTES: usize = 16 * 1024 * 1024;

/// Data elements in front of the pixel data, those inside sequences included.
pub const MAX_HEADER_ELEMENTS: usize = 200_000;

/// Sequences inside sequences.
pub const MAX_SEQUENCE_DEPTH: usize = 16;

/// Fragments of the compressed pixel data of one file.
pub const MAX_FRAGMENTS: usize = 4 * MAX_FRAMES;

/// Rows or columns of one image.
pub const MAX_IMAGE_SIDE: usize = 4096;

/// Frames of one enhanced image.
pub const MAX_FRAMES: usize = 16_384;

/// Slices of one mosaic.
pub const MAX_TILES: usize = 1024;

/// Voxels of one volume (256 MiB as `f32`).
pub const MAX_VOLUME_VOXELS: usize = 64 * 1024 * 1024;

/// Diffusion directions that are averaged into one trace-weighted volume.
pub const MAX_DIRECTIONS: usize = 256;

/// No scanner reaches a higher b-value; a larger number is a misread tag, s/mm².
pub const MAX_B_VALUE_S_PER_MM2: f64 = 50_000.0;

/// Below this b-value an image counts as b = 0, s/mm².
pub const MAX_B0_S_PER_MM2: f64 = 10.0;

/// b-values of one series that differ by less than this part of themselves are one b-value.
pub const MAX_B_DEVIATION: f64 = 0.01;

/// Pixel spacings and slice distances are at most this, mm.
pub const MAX_STEP_MM: f64 = 100.0;

/// Patient coordinates are at most this far from the scanner's isocentre, mm.
pub const MAX_POSITION_MM: f64 = 10_000.0;

/// Direction cosines of one volume agree to this.
pub const MAX_COSINE_DEVIATION: f64 = 1e-3;

/// Slice distances of one volume agree to this part of their median.
pub const MAX_SPACING_DEVIATION: f64 = 0.05;

/// Two slices nearer than this are at the same place, mm.
pub const MIN_SLICE_DISTANCE_MM: f64 = 0.01;

/// Sine of the angle between the slice step and the slice normal; more is a tilted gantry.
pub const MAX_TILT_SINE: f64 = 0.01;
