//! The programs that run an ONNX file: ONNX Runtime, everybody's reference, and tract, the
//! appliance's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use models::run::Plan;
use ndarray::{ArrayD, IxDyn};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use tract_onnx::prelude::*;

use super::ExportError;

/// Tensors by name.
pub type Tensors = BTreeMap<String, ArrayD<f32>>;

/// A network that was loaded and can be run.
pub trait Engine {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Runs the network; all outputs by name.
    ///
    /// # Errors
    /// An input is missing or has another shape, or an operator fails.
    fn run(&mut self, inputs: &Tensors) -> Result<Tensors, ExportError>;
}

/// The ONNX Runtime library. It allows one environment per process, so that one is kept for good.
#[derive(Debug, Clone, Copy)]
pub struct OnnxRuntime(&'static Environment);

static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

impl OnnxRuntime {
    /// Loads the shared library that `ORT_DYLIB_PATH` names.
    ///
    /// # Errors
    /// The variable is not set, or names no ONNX Runtime of a version that fits.
    pub fn from_environment() -> Result<Self, ExportError> {
        let path = PathBuf::from(std::env::var_os("ORT_DYLIB_PATH").ok_or(ExportError::NoOnnxRuntime)?);
        let load = || {
            let builder = ort::init_from(&path).map_err(|error| error.to_string())?;
            builder.build().map_err(|error| error.to_string())
        };
        match ENVIRONMENT.get_or_init(load) {
            Ok(environment) => Ok(Self(environment)),
            Err(reason) => Err(ExportError::OnnxRuntimeUnusable {
                path,
                reason: reason.clone(),
            }),
        }
    }

    /// Loads a network. One thread and fixed arithmetic, so that a run can be repeated.
    ///
    /// # Errors
    /// ONNX Runtime refuses the file.
    pub fn load(&self, onnx: &[u8]) -> Result<OnnxSession, ExportError> {
        let session = Session::builder(self.0)
            .map_err(onnx_runtime)?
            .with_intra_threads(1)
            .map_err(|error| onnx_runtime(error.into()))?
            .commit_from_memory(onnx)
            .map_err(onnx_runtime)?;
        Ok(OnnxSession(session))
    }
}

/// A network in ONNX Runtime.
pub struct OnnxSession(Session);

impl Engine for OnnxSession {
    fn name(&self) -> &'static str {
        "ONNX Runtime"
    }

    fn run(&mut self, inputs: &Tensors) -> Result<Tensors, ExportError> {
        let inputs: Vec<_> = inputs
            .iter()
            .map(|(name, values)| Ok((name.as_str(), TensorRef::from_array_view(values.view())?)))
            .collect::<Result<_, ort::Error>>()
            .map_err(onnx_runtime)?;
        let outputs = self.0.run(inputs).map_err(onnx_runtime)?;
        outputs
            .iter()
            .map(|(name, value)| {
                let values = value.try_extract_array::<f32>().map_err(onnx_runtime)?;
                Ok((name.to_owned(), values.to_owned()))
            })
            .collect()
    }
}

/// A network in tract, loaded as the appliance loads it.
pub struct TractSession(Plan);

impl TractSession {
    /// Loads and optimises a network.
    ///
    /// # Errors
    /// tract refuses the file.
    pub fn load(onnx: &[u8]) -> Result<Self, ExportError> {
        Plan::load("export", onnx).map(Self).map_err(tract)
    }
}

impl Engine for TractSession {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn run(&mut self, inputs: &Tensors) -> Result<Tensors, ExportError> {
        let inputs = self
            .0
            .inputs
            .iter()
            .map(|name| {
                let values = inputs.get(name).ok_or_else(|| ExportError::Engine {
                    engine: "tract",
                    reason: format!("input {name} is missing"),
                })?;
                let elements: Vec<f32> = values.iter().copied().collect();
                Ok(Tensor::from_shape(values.shape(), &elements)
                    .map_err(tract)?
                    .into_tvalue())
            })
            .collect::<Result<TVec<_>, ExportError>>()?;
        let outputs = self.0.runnable.run(inputs).map_err(tract)?;
        self.0
            .outputs
            .iter()
            .zip(outputs)
            .map(|(name, values)| {
                let view = values.to_plain_array_view::<f32>().map_err(tract)?;
                let elements = view.iter().copied().collect();
                let array = ArrayD::from_shape_vec(IxDyn(view.shape()), elements).map_err(|error| {
                    ExportError::Engine {
                        engine: "tract",
                        reason: error.to_string(),
                    }
                })?;
                Ok((name.clone(), array))
            })
            .collect()
    }
}

fn onnx_runtime(error: ort::Error) -> ExportError {
    ExportError::Engine {
        engine: "ONNX Runtime",
        reason: error.to_string(),
    }
}

fn tract(error: TractError) -> ExportError {
    ExportError::Engine {
        engine: "tract",
        reason: format!("{error:#}"),
    }
}
