//! Inputs of every network from examinations, on the way that the appliance takes.

use models::package::OperatingPoints;
use models::run::candidates;
use ndarray::{ArrayD, Axis, s};

use super::ExportError;
use super::engine::Tensors;
use super::torch::tensor;
use super::weights::array;
use crate::cohort::Patient;
use crate::dataset::open_study;
use crate::error::Error;
use crate::nets::{Networks, padded};
use crate::run_folder::RunFolder;

/// Slices per examination that the locator is measured on, beside the one through the lesion.
const OTHER_SLICES: usize = 3;

/// Inputs of every network.
#[derive(Debug, Default)]
pub struct Samples {
    /// Of the locator.
    pub locator: Vec<Tensors>,
    /// Of each encoder, in the order of the contrasts; one per slice of each lesion.
    pub encoders: Vec<Vec<Tensors>>,
    /// Of the reader, with features from the trained encoders; one per lesion.
    pub reader: Vec<Tensors>,
    /// Where the slices of each lesion stand in `encoders`.
    pub lesions: Vec<std::ops::Range<usize>>,
}

impl Samples {
    /// Reads the examinations and locates their most suspicious lesion with the trained networks.
    ///
    /// # Errors
    /// An examination that cannot be read.
    pub fn read(
        run: &RunFolder,
        networks: &Networks,
        points: &OperatingPoints,
        patients: &[&Patient],
    ) -> Result<Self, ExportError> {
        let encoders = vec![Vec::new(); networks.encoders.net.each.len()];
        let mut samples = Self {
            encoders,
            ..Self::default()
        };
        for patient in patients {
            samples.add(run, networks, points, patient)?;
        }
        Ok(samples)
    }

    fn add(
        &mut self,
        run: &RunFolder,
        networks: &Networks,
        points: &OperatingPoints,
        patient: &Patient,
    ) -> Result<(), ExportError> {
        let of_patient = |reason| Error::Patient {
            patient: patient.folder.clone(),
            reason,
        };
        let recipe = &run.experiment.recipe;
        let study = open_study(&run.cohort, patient)?;
        let prepared = recipe.prepare(&study, 1).map_err(of_patient)?;
        let input = prepared.locator_input().map_err(of_patient)?;
        let lesion = candidates(&networks.locate(&input), points).into_iter().next();

        let slices = input.images.dim().0;
        let spread = (1..=OTHER_SLICES).map(|n| n * slices / (OTHER_SLICES + 1));
        for slice in spread.chain(lesion.as_ref().map(|lesion| lesion.largest_slice())) {
            let image = input.stack(slice).insert_axis(Axis(0)).into_dyn();
            self.locator.push(Tensors::from([("image".to_owned(), image)]));
        }

        let Some(lesion) = lesion else { return Ok(()) };
        let crop = prepared.reader_input(&lesion.slice_boxes()).map_err(of_patient)?;
        let first = self.encoders.first().map_or(0, Vec::len);
        for (contrast, samples) in self.encoders.iter_mut().enumerate() {
            for slice in 0..crop.images.dim().0 {
                let image = crop.images.slice(s![slice..=slice, contrast..=contrast, .., ..]);
                let corners = crop.boxes.slice(s![slice..=slice, ..]);
                samples.push(Tensors::from([
                    ("image".to_owned(), image.to_owned().into_dyn()),
                    ("box".to_owned(), corners.to_owned().into_dyn()),
                ]));
            }
        }
        self.lesions.push(first..first + crop.images.dim().0);
        let (images, corners) = (tensor(&crop.images.into_dyn()), tensor(&crop.boxes.into_dyn()));
        let features = tch::no_grad(|| networks.encoders.net.spliced(&images, &corners));
        let (features, mask) = padded(&[features], recipe.reader.max_slices);
        let row = |tensor: &tch::Tensor| array(&tensor.squeeze_dim(0)).map_err(Error::from);
        self.reader.push(reader_input(row(&features)?, row(&mask)?));
        Ok(())
    }
}

/// The reader's inputs by name.
pub fn reader_input(features: ArrayD<f32>, mask: ArrayD<f32>) -> Tensors {
    Tensors::from([("features".to_owned(), features), ("mask".to_owned(), mask)])
}
