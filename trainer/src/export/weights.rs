//! Trained weights by name, with batch normalisation folded into the convolutions before it.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayD, Axis, IxDyn, stack};
use tch::{Kind, Tensor};

use super::ExportError;

/// Added to the variance by every batch and layer normalisation of the project (torch's default).
pub const EPSILON: f32 = 1e-5;

/// Weights by name.
#[derive(Debug, Clone, Default)]
pub struct Weights(BTreeMap<String, ArrayD<f32>>);

impl FromIterator<(String, ArrayD<f32>)> for Weights {
    fn from_iter<I: IntoIterator<Item = (String, ArrayD<f32>)>>(weights: I) -> Self {
        Self(weights.into_iter().collect())
    }
}

impl Weights {
    /// Reads a safetensors file as the trainer saves it.
    ///
    /// # Errors
    /// The file is missing or not safetensors, or a weight is not finite.
    pub fn read(path: &Path) -> Result<Self, ExportError> {
        let unreadable = |source| ExportError::Unreadable {
            path: path.to_owned(),
            source,
        };
        Tensor::read_safetensors(path)
            .map_err(unreadable)?
            .into_iter()
            .map(|(name, tensor)| {
                let weight = array(&tensor).map_err(unreadable)?;
                if weight.iter().all(|value| value.is_finite()) {
                    Ok((name, weight))
                } else {
                    Err(ExportError::NotFinite { name })
                }
            })
            .collect()
    }

    /// The weight `name` of the given shape.
    ///
    /// # Errors
    /// It is missing or has another shape: the run was trained with another architecture.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&ArrayD<f32>, ExportError> {
        let weight = self.0.get(name).ok_or_else(|| ExportError::MissingWeight {
            name: name.to_owned(),
        })?;
        if weight.shape() == shape {
            Ok(weight)
        } else {
            Err(ExportError::WrongShape {
                name: name.to_owned(),
                found: weight.shape().to_vec(),
                wanted: shape.to_vec(),
            })
        }
    }

    /// A weight to change, for tests that damage one.
    #[cfg(test)]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut ArrayD<f32>> {
        self.0.get_mut(name)
    }

    /// A vector.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, ExportError> {
        Ok(self.get(name, &[length])?.iter().copied().collect())
    }

    /// Weight and bias of a convolution without bias followed by a batch normalisation in its
    /// running statistics: `w' = w·γ/√(σ² + ε)`, `b' = β − μ·γ/√(σ² + ε)`.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn folded(
        &self,
        conv: &str,
        norm: &str,
        shape: [usize; 4],
    ) -> Result<(ArrayD<f32>, Vec<f32>), ExportError> {
        let mut weight = self.get(&format!("{conv}.weight"), &shape)?.clone();
        let norm = |part: &str| self.vector(&format!("{norm}.{part}"), shape[0]);
        let (gamma, beta) = (norm("weight")?, norm("bias")?);
        let (mean, variance) = (norm("running_mean")?, norm("running_var")?);
        let mut bias = Vec::with_capacity(shape[0]);
        for (channel, mut kernel) in weight.axis_iter_mut(Axis(0)).enumerate() {
            let gain = gamma[channel] / (variance[channel] + EPSILON).sqrt();
            kernel *= gain;
            bias.push(beta[channel] - mean[channel] * gain);
        }
        Ok((weight, bias))
    }

    /// Weights and biases of the same fully connected layer in every member of an ensemble:
    /// [members, in, out] and [members, 1, out]. `name` makes the layer's name from the member.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn linear(
        &self,
        members: usize,
        name: impl Fn(usize) -> String,
        input: usize,
        output: usize,
    ) -> Result<(ArrayD<f32>, ArrayD<f32>), ExportError> {
        let weight = stacked(members, |member| {
            // torch keeps the transpose
            Ok(self
                .get(&format!("{}.weight", name(member)), &[output, input])?
                .t()
                .into_owned()
                .into_dyn())
        })?;
        Ok((
            weight,
            self.per_member(members, |member| format!("{}.bias", name(member)), output)?,
        ))
    }

    /// The same vector of every member of an ensemble: [members, 1, length].
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn per_member(
        &self,
        members: usize,
        name: impl Fn(usize) -> String,
        length: usize,
    ) -> Result<ArrayD<f32>, ExportError> {
        stacked(members, |member| {
            Ok(self.get(&name(member), &[length])?.clone().insert_axis(Axis(0)))
        })
    }
}

fn stacked(
    members: usize,
    part: impl Fn(usize) -> Result<ArrayD<f32>, ExportError>,
) -> Result<ArrayD<f32>, ExportError> {
    let parts = (0..members).map(part).collect::<Result<Vec<_>, _>>()?;
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    // Row-major, so that the bytes of the file are the elements in order.
    Ok(stack(Axis(0), &views)
        .map_err(|_| ExportError::NoMembers)?
        .as_standard_layout()
        .into_owned())
}

/// Copies a tensor out of libtorch.
///
/// # Errors
/// libtorch cannot convert it to f32.
pub fn array(tensor: &Tensor) -> Result<ArrayD<f32>, tch::TchError> {
    let shape: Vec<usize> = tensor.size().iter().map(|&length| length as usize).collect();
    let tensor = tensor.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    ArrayD::from_shape_vec(IxDyn(&shape), values)
        .map_err(|error| tch::TchError::Convert(format!("tensor of shape {shape:?}: {error}")))
}
