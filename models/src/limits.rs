//! Every limit on size, count, angle and quality in this crate.

/// An attribute of patient or study that is longer is not repeated in objects about it, bytes: a name has at
/// most three groups of 64 characters (PS3.5 6.2) of at most eight bytes with their escapes.
pub const MAX_ATTRIBUTE_BYTES: usize = 2048;

/// Slices tilted further than this from axial are not read as axial, degrees.
pub const MAX_AXIAL_TILT_DEGREES: f64 = 30.0;

/// Among several diffusion series the one nearest this b-value is read (Liu 2023), s/mm².
pub const PREFERRED_HIGH_B_S_PER_MM2: f64 = 1000.0;

/// A registration is used from this gain in normalised mutual information on.
pub const MIN_REGISTRATION_GAIN: f64 = 0.06;

/// Two independent runs of a registration may end this far apart, mm.
pub const MAX_REGISTRATION_DISAGREEMENT_MM: f64 = 3.0;

/// A head is not believed to be turned further than this between two series, degrees.
pub const MAX_REGISTRATION_DEGREES: f64 = 40.0;

/// Images that share a smaller part of the tissue are not compared.
pub const MIN_REGISTRATION_OVERLAP: f64 = 0.4;

/// A head, ears included, is this wide, mm: from a one-year-old to the largest adults (ANSUR II: head
/// breadth up to 17 cm, ears stand out by up to 2 cm each), with room for a turned head.
pub const HEAD_WIDTH_MM: [f64; 2] = [90.0, 230.0];

/// A head or neck with chin is this deep from front to back, mm (ANSUR II: head length up to 22 cm, and
/// the nose).
pub const HEAD_DEPTH_MM: [f64; 2] = [110.0, 280.0];

/// Images of a smaller field do not tell whether they show a head, mm from foot to head, from front to
/// back and from right to left.
pub const MIN_HEAD_FIELD_MM: [f64; 3] = [30.0, 110.0, 90.0];

/// A head is not flatter than this from front to back; two knees, a chest and a belly are.
pub const MIN_HEAD_DEPTH_TO_WIDTH: f64 = 0.85;

/// The inside of a head varies by at least this, standard deviation over mean within 2 cm.
pub const MIN_HEAD_TEXTURE: f64 = 0.08;

/// The right of a head mirrors its left with at least this correlation.
pub const MIN_HEAD_MIRROR: f64 = 0.45;

/// A head that is not this much longer than wide is round, as in a low slice, and then
pub const MIN_LONG_DEPTH_TO_WIDTH: f64 = 1.06;

/// its right mirrors its left better than its front its back, by this difference in correlation.
pub const MIN_HEAD_MIRROR_LEAD: f64 = 0.05;

/// The parotid glands begin this far below the top of the head, mm: at the ear canal (ANSUR II,
/// tragion to top of head, mean 131 mm) with room for small heads.
pub const PAROTID_TOP_BELOW_VERTEX_MM: f64 = 115.0;

/// And their tails end this far below it, mm: at the angle of the jaw, below the ear canal by the
/// length of the gland.
pub const PAROTID_BOTTOM_BELOW_VERTEX_MM: f64 = 185.0;

/// A stack lower than a parotid gland is long cannot hold it, mm (about 58 mm, Gray's Anatomy).
pub const MIN_STACK_MM: f64 = 60.0;

/// The share of slices whose side may lie on the edge of the field of view.
pub const MAX_CUT_SLICES: f64 = 0.25;

/// A contrast covers at least this share of what the anchor shows.
pub const MIN_SHARED_TISSUE: f64 = 0.85;

/// Bright tissue over noise in one voxel of an anatomical contrast.
pub const MIN_SNR: f64 = 6.0;

/// Bright tissue over noise in one voxel of a diffusion-weighted contrast, whose voxels are averaged
/// later. Noise alone measures about 2.5, since magnitudes are not negative.
pub const MIN_DIFFUSION_SNR: f64 = 3.0;

/// Ghosts in the air beside the head are at most this share of the tissue's signal. The limit of the
/// American College of Radiology for a still phantom is 0.025.
pub const MAX_GHOSTING: f64 = 0.04;

/// What gained most from T1 to CE-T1 has in a fat-suppressed T2 at least this logarithm of its signal
/// over that of what gained least; below it the two are swapped.
pub const MIN_UPTAKE_T2: f64 = -0.2;

/// The brightest tissue gains at least this factor over the rest by contrast agent.
pub const MIN_ENHANCEMENT: f64 = 1.2;

/// Pictures of all contrasts of one study together, bytes: 32 slices of 256 × 256 in six contrasts.
pub const MAX_PICTURE_BYTES: usize = 12 * 1024 * 1024;

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
