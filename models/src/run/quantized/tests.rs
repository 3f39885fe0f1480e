//! Every kernel of this processor against the definitions, bit by bit.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::convolution::{Integers};
use super::layout::{Layout, SLACK};
use super::reference;
use super::tile::{IntegerKernel};
use super::{Quantization, QuantizedConvolution, Window};

/// Where values come from: anywhere, or the ends only, which is where sums saturate.
#[derive(Debug, Clone, Copy)]
enum Values {
    Any,
    Ends,
}

fn case() -> impl Strategy<Value = (QuantizedConvolution, Vec<u8>, usize, usize)> {
    let window = (
        prop_oneof![Just([1, 1]), Just([3, 3]), Just([7, 7]), [1..4usize, 1..6usize]],
        prop_oneof![Just([1, 1]), Just([2, 2]), [1..4usize, 1..4usize]],
        prop_oneof![Just(false), Just(true)],
    );
    let channels = prop_oneof![1..9usize, 9..70usize];
    let filters = prop_oneof![1..18usize, 18..100usize];
    let values = prop_oneof![3 => Just(Values::Any), 1 => Just(Values::Ends)];
    (window, 1..12usize, 1..12usize, channels, filters, values, any::<u64>(), any::<u8>(), any::<u8>()).prop_map(
        |((kernel, stride, padded), rows, columns, channels, filters, values, seed, zero_in, zero_out)| {
            let mut draw = ChaCha8Rng::seed_from_u64(seed);
            let pads = std::array::from_fn(|side| if padded { draw.random_range(0..=kernel[side % 2] / 2) } else { 0 });
            let rows = rows.max(kernel[0]);
            let columns = columns.max(kernel[1]);
            let depth = channels * kernel[0] * kernel[1];
            let mut byte = || match values {
                Values::Any => draw.random::<u8>(),
                Values::Ends => [0, 255][draw.random_range(0..2)],
            };
            let image = (0..channels * rows * columns).map(|_| byte()).collect();
            let weights = match values {
                Values::Any => (0..filters * depth).map(|_| byte() as i8).collect(),
                Values::Ends => (0..filters * depth).map(|_| if byte() == 0 { -128 } else { 127 }).collect(),
            };
            let per_filter = draw.random::<bool>();
            // Steps of the output about as wide as sums spread, so that all of them occur.
            let spread = (depth as f32).sqrt() * 150.0 * 75.0 / 64.0;
            let one: f32 = draw.random_range(0.001..0.01);
            let weight_scales = (0..filters)
                .map(|_| if per_filter { one * draw.random_range(0.5..2.0) } else { one })
                .collect();
            let conv = QuantizedConvolution {
                window: Window { kernel, stride, pads },
                channels,
                filters,
                weights,
                weight_scales,
                bias: (0..filters).map(|_| draw.random_range(-20_000..20_000)).collect(),
                input: Quantization { scale: 0.02, zero_point: zero_in },
                output: Quantization { scale: 0.02 * one * spread * draw.random_range(0.3..1.5), zero_point: zero_out },
            };
            (conv, image, rows, columns)
        },
    )
}

/// Runs a prepared convolution on an image as ONNX has it, all memory around filled with `noise`.
fn run(conv: &QuantizedConvolution, image: &[u8], rows: usize, columns: usize, kernel: &'static IntegerKernel, noise: u8) -> Vec<u8> {
    let [out_rows, out_columns] = conv.window.output(rows, columns).unwrap();
    let border = conv.window.pads.into_iter().max().unwrap();
    let from = Layout { rows, columns, channels: conv.channels, border };
    let to = Layout { rows: out_rows, columns: out_columns, channels: conv.filters, border: 1 };
    let mut inside = vec![noise; from.len() + SLACK];
    from.fill_border(&mut inside, conv.input.zero_point);
    for (n, value) in image.iter().enumerate() {
        let (channel, row, column) = (n / (rows * columns), n / columns % rows, n % columns);
        inside[from.at(row, column) + channel] = *value;
    }
    let mut outside = vec![noise; to.len() + SLACK];
    Integers::new(conv, from, to, kernel).unwrap().run(&inside, &mut outside);
    let mut out = vec![0; conv.filters * out_rows * out_columns];
    let mut written = 0;
    for (n, value) in out.iter_mut().enumerate() {
        let (filter, row, column) = (n / (out_rows * out_columns), n / out_columns % out_rows, n % out_columns);
        *value = std::mem::replace(&mut outside[to.at(row, column) + filter], noise);
        written += 1;
    }
    assert_eq!(written, out.len());
    assert!(outside.iter().all(|byte| *byte == noise), "{} wrote outside", kernel.name);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_kernel_is_bit_equal_to_the_definition((conv, image, rows, columns) in case(), noise: u8) {
        let expected = reference::convolve(&conv, &image, rows, columns).unwrap();
        for kernel in IntegerKernel::available() {
            let got = run(&conv, &image, rows, columns, kernel, noise);
            prop_assert_eq!(&got, &expected, "{}", kernel.name);
        }
    }
}
