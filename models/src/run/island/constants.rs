//! Initializers of an ONNX graph, read with suspicion.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, TensorProto};

/// By name.
pub(super) struct Constants<'a>(HashMap<&'a str, &'a TensorProto>);

impl<'a> Constants<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        Self(
            graph
                .initializer
                .iter()
                .map(|tensor| (tensor.name.as_str(), tensor))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a TensorProto> {
        self.0.get(name).copied()
    }

    /// Lengths along each axis.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.get(name)?
            .dims
            .iter()
            .map(|length| usize::try_from(*length).ok())
            .collect()
    }

    pub(super) fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.typed(name, DataType::Float)?;
        let stored = |tensor: &TensorProto| tensor.float_data.clone();
        self.values(tensor, f32::from_le_bytes, stored)
    }

    pub(super) fn i32s(&self, name: &str) -> Option<Vec<i32>> {
        let tensor = self.typed(name, DataType::Int32)?;
        self.values(tensor, i32::from_le_bytes, |tensor| tensor.int32_data.clone())
    }

    pub(super) fn i8s(&self, name: &str) -> Option<Vec<i8>> {
        let tensor = self.typed(name, DataType::Int8)?;
        let stored = |tensor: &TensorProto| tensor.int32_data.iter().map(|value| *value as i8).collect();
        self.values(tensor, i8::from_le_bytes, stored)
    }

    pub(super) fn u8s(&self, name: &str) -> Option<Vec<u8>> {
        let tensor = self.typed(name, DataType::Uint8)?;
        let stored = |tensor: &TensorProto| tensor.int32_data.iter().map(|value| *value as u8).collect();
        self.values(tensor, u8::from_le_bytes, stored)
    }

    fn typed(&self, name: &str, data_type: DataType) -> Option<&'a TensorProto> {
        let own = |tensor: &&TensorProto| {
            tensor.data_type == data_type as i32 && tensor.data_location.unwrap_or(0) == 0
        };
        self.get(name).filter(own)
    }

    /// The elements, as many as the shape says.
    fn values<T, const BYTES: usize>(
        &self,
        tensor: &TensorProto,
        read: impl Fn([u8; BYTES]) -> T,
        stored: impl Fn(&TensorProto) -> Vec<T>,
    ) -> Option<Vec<T>> {
        let values: Vec<T> = if tensor.raw_data.is_empty() {
            stored(tensor)
        } else {
            let (numbers, rest) = tensor.raw_data.as_chunks::<BYTES>();
            rest.is_empty()
                .then(|| numbers.iter().map(|bytes| read(*bytes)).collect())?
        };
        let product = |product: usize, length: &i64| product.checked_mul(usize::try_from(*length).ok()?);
        let len = tensor.dims.iter().try_fold(1, product)?;
        (len == values.len()).then_some(values)
    }
}

/// The only element.
pub(super) fn only<T: Copy>(values: Vec<T>) -> Option<T> {
    match values[..] {
        [value] => Some(value),
        _ => None,
    }
}
