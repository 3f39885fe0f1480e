//! Every kernel of this processor against the definitions, bit by bit.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::convolution::{Floats, Integers};
use super::layout::{Layout, SLACK};
use super::product::Products;
use super::reference;
use super::tile::{FloatKernel, IntegerKernel, LANES};
use super::{
    FloatConvolution, MAX_DEPTH, Quantization, QuantizedConvolution, QuantizedProduct, Window, pointwise,
};

/// As many cases, or as many as `PROPTEST_CASES` asks for: emulated processors are slow.
fn cases(many: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(many),
    }
}

/// Where values come from: anywhere, or the ends only, which is where sums saturate.
#[derive(Debug, Clone, Copy)]
enum Values {
    Any,
    /// Weights of −127 to 127, as symmetric quantization makes them.
    Symmetric,
    Ends,
    SymmetricEnds,
}

fn case() -> impl Strategy<Value = (QuantizedConvolution, Vec<u8>, usize, usize)> {
    let window = (
        prop_oneof![Just([1, 1]), Just([3, 3]), Just([7, 7]), [1..4usize, 1..6usize]],
        prop_oneof![Just([1, 1]), Just([2, 2]), [1..4usize, 1..4usize]],
        // How far a pad may reach beyond half the window: one that lies beside the image altogether is defined, too.
        prop_oneof![Just(None), Just(Some(0)), Just(Some(3))],
    );
    let channels = prop_oneof![1..9usize, 9..70usize];
    let filters = prop_oneof![1..18usize, 18..100usize];
    let values = prop_oneof![
        Just(Values::Any),
        Just(Values::Symmetric),
        Just(Values::Ends),
        Just(Values::SymmetricEnds)
    ];
    (
        window,
        1..9usize,
        1..9usize,
        channels,
        filters,
        values,
        any::<u64>(),
        any::<u8>(),
        any::<u8>(),
    )
        .prop_map(
            |(
                (kernel, stride, padded),
                rows,
                columns,
                channels,
                filters,
                values,
                seed,
                zero_in,
                zero_out,
            )| {
                let mut draw = ChaCha8Rng::seed_from_u64(seed);
                let pads = std::array::from_fn(|side| {
                    padded.map_or(0, |beyond| draw.random_range(0..=kernel[side % 2] / 2 + beyond))
                });
                let rows = rows.max(kernel[0]);
                let columns = columns.max(kernel[1]);
                // Large enough for every path, small enough for an emulated processor.
                let channels = channels.min((512 / (kernel[0] * kernel[1])).max(1));
                let depth = channels * kernel[0] * kernel[1];
                let mut byte = || match values {
                    Values::Any | Values::Symmetric => draw.random::<u8>(),
                    Values::Ends | Values::SymmetricEnds => [0, 255][draw.random_range(0..2)],
                };
                let image = (0..channels * rows * columns).map(|_| byte()).collect();
                let weights = match values {
                    Values::Any => (0..filters * depth).map(|_| byte() as i8).collect(),
                    Values::Symmetric => (0..filters * depth).map(|_| (byte() as i8).max(-127)).collect(),
                    Values::Ends => (0..filters * depth)
                        .map(|_| if byte() == 0 { -128 } else { 127 })
                        .collect(),
                    Values::SymmetricEnds => (0..filters * depth)
                        .map(|_| if byte() == 0 { -127 } else { 127 })
                        .collect(),
                };
                let per_filter = draw.random::<bool>();
                // Steps of the output about as wide as sums spread, so that all of them occur.
                let spread = (depth as f32).sqrt() * 150.0 * 75.0 / 64.0;
                let one: f32 = draw.random_range(0.001..0.01);
                let weight_scales = (0..filters)
                    .map(|_| {
                        if per_filter {
                            one * draw.random_range(0.5..2.0)
                        } else {
                            one
                        }
                    })
                    .collect();
                let conv = QuantizedConvolution {
                    window: Window { kernel, stride, pads },
                    channels,
                    filters,
                    weights,
                    weight_scales,
                    bias: (0..filters).map(|_| draw.random_range(-20_000..20_000)).collect(),
                    input: Quantization {
                        scale: 0.02,
                        zero_point: zero_in,
                    },
                    output: Quantization {
                        scale: 0.02 * one * spread * draw.random_range(0.3..1.5),
                        zero_point: zero_out,
                    },
                };
                (conv, image, rows, columns)
            },
        )
}

/// Runs a prepared convolution on an image as ONNX has it, all memory around filled with `noise`.
fn run(
    conv: &QuantizedConvolution,
    image: &[u8],
    rows: usize,
    columns: usize,
    kernel: &'static IntegerKernel,
    noise: u8,
) -> Vec<u8> {
    let [out_rows, out_columns] = conv.window.output(rows, columns).unwrap();
    let border = conv.window.pads.into_iter().max().unwrap();
    let from = Layout {
        rows,
        columns,
        channels: conv.channels,
        border,
    };
    let to = Layout {
        rows: out_rows,
        columns: out_columns,
        channels: conv.filters,
        border: 1,
    };
    let mut inside = vec![noise; from.elements() + SLACK];
    from.fill_border(&mut inside, conv.input.zero_point);
    for (n, value) in image.iter().enumerate() {
        let (channel, row, column) = (n / (rows * columns), n / columns % rows, n % columns);
        inside[from.at(row, column) + channel] = *value;
    }
    let mut outside = vec![noise; to.elements() + SLACK];
    Integers::new(conv, from, to, kernel)
        .unwrap()
        .run(&inside, &mut outside);
    let mut out = vec![0; conv.filters * out_rows * out_columns];
    let mut written = 0;
    for (n, value) in out.iter_mut().enumerate() {
        let (filter, row, column) = (
            n / (out_rows * out_columns),
            n / out_columns % out_rows,
            n % out_columns,
        );
        *value = std::mem::replace(&mut outside[to.at(row, column) + filter], noise);
        written += 1;
    }
    assert_eq!(written, out.len());
    assert!(
        outside.iter().all(|byte| *byte == noise),
        "{} wrote outside",
        kernel.name
    );
    out
}

/// A product and rows for it, of the same kinds of values.
fn product() -> impl Strategy<Value = (QuantizedProduct, Vec<u8>)> {
    let values = prop_oneof![
        Just(Values::Any),
        Just(Values::Symmetric),
        Just(Values::Ends),
        Just(Values::SymmetricEnds)
    ];
    (
        1..140usize,
        1..100usize,
        0..40usize,
        values,
        any::<u8>(),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(depth, columns, rows, values, zero_point, relu, seed)| {
            let mut draw = ChaCha8Rng::seed_from_u64(seed);
            let mut byte = || match values {
                Values::Any | Values::Symmetric => draw.random::<u8>(),
                Values::Ends | Values::SymmetricEnds => [0, 255][draw.random_range(0..2)],
            };
            let steps = (0..rows * depth).map(|_| byte()).collect();
            let least = if matches!(values, Values::Any | Values::Ends) {
                -128
            } else {
                -127
            };
            let weights = (0..depth * columns)
                .map(|_| match (values, byte()) {
                    (Values::Ends | Values::SymmetricEnds, 0) => least,
                    (Values::Ends | Values::SymmetricEnds, _) => 127,
                    (_, byte) => (byte as i8).max(least),
                })
                .collect();
            let mut numbers = |most: f32| (0..columns).map(|_| draw.random_range(-most..most)).collect();
            let product = QuantizedProduct {
                depth,
                columns,
                weights,
                zero_point,
                factor: numbers(0.01),
                bias: numbers(30.0),
                relu,
            };
            (product, steps)
        })
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn every_product_is_bit_equal_to_the_definition((product, steps) in product(), noise: u8) {
        let expected = reference::multiply(&product, &steps).unwrap();
        let mut rows = steps.clone();
        rows.resize(steps.len() + SLACK, noise);
        for kernel in IntegerKernel::available() {
            let beyond = f32::from_bits(0x7fc0_1234);
            let mut out = vec![beyond; expected.len() + 2 * LANES];
            let (inside, behind) = out.split_at_mut(expected.len());
            Products::new(&product, kernel).unwrap().run(&rows, inside);
            prop_assert_eq!(&*inside, &expected[..], "{}", kernel.name);
            prop_assert!(
                behind.iter().all(|value| value.to_bits() == beyond.to_bits()),
                "{} wrote outside",
                kernel.name
            );
        }
    }
}

#[test]
fn products_that_do_not_fit_together_are_refused() {
    let sound = QuantizedProduct {
        depth: 2,
        columns: 3,
        weights: vec![1; 6],
        zero_point: 0,
        factor: vec![1.0; 3],
        bias: vec![0.0; 3],
        relu: false,
    };
    let refused = |change: fn(&mut QuantizedProduct)| {
        let mut product = sound.clone();
        change(&mut product);
        Products::new(&product, IntegerKernel::best()).is_none()
            && reference::multiply(&product, &[]).is_none()
    };
    assert!(!refused(|_| {}));
    assert!(refused(|product| product.depth = 0));
    assert!(refused(|product| product.columns = 0));
    assert!(refused(|product| product.depth = usize::MAX));
    assert!(refused(|product| product.weights.truncate(5)));
    assert!(refused(|product| product.factor.truncate(2)));
    assert!(refused(|product| product.bias[1] = f32::NAN));
    assert!(refused(|product| {
        // One more product of bytes than a sum of 32 bits can hold.
        product.depth = MAX_DEPTH + 1;
        product.columns = 1;
        product.weights = vec![1; MAX_DEPTH + 1];
        (product.factor, product.bias) = (vec![1.0], vec![0.0]);
    }));
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn every_kernel_is_bit_equal_to_the_definition((conv, image, rows, columns) in case(), noise: u8) {
        let expected = reference::convolve(&conv, &image, rows, columns).unwrap();
        for kernel in IntegerKernel::available() {
            let got = run(&conv, &image, rows, columns, kernel, noise);
            prop_assert_eq!(&got, &expected, "{}", kernel.name);
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn every_kernel_for_reals_is_near_the_definition((conv, image, rows, columns) in case(), relu: bool) {
        let weights: Vec<f32> = conv.weights.iter().map(|w| f32::from(*w) / 128.0).collect();
        let image: Vec<f32> = image.iter().map(|v| (f32::from(*v) - 100.0) / 64.0).collect();
        let float = FloatConvolution {
            window: conv.window,
            channels: conv.channels,
            filters: conv.filters,
            weights,
            bias: conv.bias.iter().map(|b| *b as f32 / 1000.0).collect(),
            relu,
        };
        let expected = reference::convolve_floats(&float, &image, rows, columns).unwrap();
        let [out_rows, out_columns] = conv.window.output(rows, columns).unwrap();
        let border = conv.window.pads.into_iter().max().unwrap();
        let from = Layout { rows, columns, channels: conv.channels, border };
        let to = Layout { rows: out_rows, columns: out_columns, channels: conv.filters, border: 1 };
        let mut inside = vec![f32::NAN; from.elements() + SLACK];
        from.fill_border(&mut inside, 0.0);
        pointwise::interleave(&image, &mut inside, from);
        for kernel in FloatKernel::available() {
            let mut outside = vec![0f32; to.elements() + SLACK];
            Floats::new(&float, from, to, kernel).unwrap().run(&inside, &mut outside);
            let mut got = vec![0f32; expected.len()];
            pointwise::separate(&outside, to, &mut got);
            for (got, expected) in got.iter().zip(&expected) {
                let allowed = 1e-4 * expected.abs().max(10.0);
                prop_assert!((got - expected).abs() <= allowed, "{}: {got} instead of {expected}", kernel.name);
            }
        }
    }

    #[test]
    fn steps_and_values_change_into_each_other_as_defined(
        values in prop::collection::vec(prop_oneof![-300f32..300.0, any::<f32>()], 1..200),
        scale in 0.001f32..10.0, zero_point: u8,
    ) {
        // Between two steps a product with the reciprocal goes another way than the division.
        let halves = (-260..260).map(|step| (step as f32 + 0.5) * scale);
        let values: Vec<f32> = values.into_iter().chain(halves).collect();
        let to = Quantization { scale, zero_point };
        let mut steps = vec![0; values.len()];
        pointwise::quantize(&values, &mut steps, to);
        for (value, step) in values.iter().zip(&steps) {
            prop_assert_eq!(*step, reference::quantize(*value, to), "{}", value);
        }
        let mut back = vec![0.0; values.len()];
        pointwise::dequantize(&steps, &mut back, to);
        for (step, value) in steps.iter().zip(&back) {
            prop_assert_eq!(value.to_bits(), reference::dequantize(*step, to).to_bits());
            prop_assert_eq!(reference::quantize(*value, to), *step);
        }
    }

    #[test]
    fn pooling_is_as_defined(
        kernel in [1..4usize, 1..4usize], stride in [1..4usize, 1..4usize], seed: u64,
        channels in 1..40usize, rows in 4..20usize, columns in 4..20usize, border in 0..3usize,
    ) {
        let mut draw = ChaCha8Rng::seed_from_u64(seed);
        let pads = std::array::from_fn(|side| draw.random_range(0..kernel[side % 2]));
        let window = Window { kernel, stride, pads };
        let image: Vec<u8> = (0..channels * rows * columns).map(|_| draw.random()).collect();
        let expected = reference::max_pool(window, &image, channels, rows, columns).unwrap();
        let [out_rows, out_columns] = window.output(rows, columns).unwrap();
        let from = Layout { rows, columns, channels, border };
        let to = Layout { rows: out_rows, columns: out_columns, channels, border: 1 };
        // What lies outside would win if it were looked at.
        let mut inside = vec![255; from.elements() + SLACK];
        pointwise::interleave(&image, &mut inside, from);
        let mut outside = vec![0; to.elements() + SLACK];
        pointwise::max_pool(window, &inside, from, &mut outside, to, &mut vec![0; from.width()]);
        let mut got = vec![0; expected.len()];
        pointwise::separate(&outside, to, &mut got);
        prop_assert_eq!(got, expected);
    }
}

/// By hand: 2 · (10 − 3) − 3 · (20 − 3) + 4 = −33; times 0.5 · 0.25 / 0.125 = 1 is −33; 40 − 33 = 7.
#[test]
fn a_convolution_by_hand() {
    let conv = QuantizedConvolution {
        window: Window {
            kernel: [1, 2],
            stride: [1, 1],
            pads: [0; 4],
        },
        channels: 1,
        filters: 1,
        weights: vec![2, -3],
        weight_scales: vec![0.25],
        bias: vec![4],
        input: Quantization {
            scale: 0.5,
            zero_point: 3,
        },
        output: Quantization {
            scale: 0.125,
            zero_point: 40,
        },
    };
    assert_eq!(reference::convolve(&conv, &[10, 20], 1, 2), Some(vec![7]));
    // Ties go to the even step, before the zero point is added: 2.5 is 2, and 3.5 is 4.
    assert_eq!(
        [5, 7, -5].map(|sum| reference::requantize(sum, 0.5, 1)),
        [3, 5, 0]
    );
    assert_eq!(
        [10_000, -10_000].map(|sum| reference::requantize(sum, 1.0, 100)),
        [255, 0]
    );
}

/// What a file may say and no image can bear.
#[test]
fn shapes_that_do_not_agree_are_refused() {
    let conv = |window: Window, channels: usize, filters: usize, weights: usize| QuantizedConvolution {
        window,
        channels,
        filters,
        weights: vec![1; weights],
        weight_scales: vec![1.0; filters],
        bias: vec![0; filters],
        input: Quantization {
            scale: 1.0,
            zero_point: 0,
        },
        output: Quantization {
            scale: 1.0,
            zero_point: 0,
        },
    };
    let window = Window {
        kernel: [3, 3],
        stride: [1, 1],
        pads: [1; 4],
    };
    let layout = |rows, columns, channels, border| Layout {
        rows,
        columns,
        channels,
        border,
    };
    let kernel = IntegerKernel::best();
    let new = |conv: &QuantizedConvolution, from, to| Integers::new(conv, from, to, kernel).is_some();
    let good = conv(window, 2, 3, 54);
    assert!(new(&good, layout(4, 4, 2, 1), layout(4, 4, 3, 0)));
    assert!(
        !new(&good, layout(4, 4, 2, 0), layout(4, 4, 3, 0)),
        "a border narrower than the padding"
    );
    assert!(
        !new(&good, layout(4, 4, 3, 1), layout(4, 4, 3, 0)),
        "other channels"
    );
    assert!(
        !new(&good, layout(4, 4, 2, 1), layout(4, 5, 3, 0)),
        "another output"
    );
    assert!(
        !new(&good, layout(usize::MAX, 4, 2, 1), layout(4, 4, 3, 0)),
        "a size beyond memory"
    );
    assert!(
        !new(
            &good,
            layout(1 << 20, 1 << 20, 2, 1),
            layout(1 << 20, 1 << 20, 3, 0)
        ),
        "a size beyond reason"
    );
    assert!(!conv(window, 2, 3, 53).is_sound(), "a weight is missing");
    assert!(
        !conv(window, usize::MAX, 3, 54).is_sound(),
        "a product beyond 64 bits"
    );
    let huge = Window {
        kernel: [1, 1],
        ..window
    };
    assert!(
        !conv(huge, MAX_DEPTH + 1, 1, MAX_DEPTH + 1).is_sound(),
        "sums beyond 32 bits"
    );
    let no_stride = Window {
        stride: [0, 1],
        ..window
    };
    assert!(no_stride.output(4, 4).is_none() && window.output(usize::MAX, 4).is_none());
    let mut nan = good.clone();
    nan.weight_scales[1] = f32::NAN;
    assert!(!nan.is_sound());
}

/// A weight that is no number makes no convolution; a value that is none comes out as none on every processor.
#[test]
fn what_is_no_number_stays_to_be_seen() {
    let window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        pads: [0; 4],
    };
    let conv = |weight: f32, relu: bool| FloatConvolution {
        window,
        channels: 1,
        filters: 1,
        weights: vec![weight],
        bias: vec![0.0],
        relu,
    };
    assert!(!conv(f32::NAN, false).is_sound() && !conv(f32::INFINITY, false).is_sound());
    let layout = Layout {
        rows: 2,
        columns: 2,
        channels: 1,
        border: 0,
    };
    for kernel in FloatKernel::available() {
        for relu in [false, true] {
            let floats = Floats::new(&conv(1.0, relu), layout, layout, kernel).unwrap();
            let mut image = vec![0.0; layout.elements() + SLACK];
            (image[0], image[1]) = (f32::NAN, -2.0);
            let mut out = vec![5.0; layout.elements()];
            floats.run(&image, &mut out);
            assert!(out[0].is_nan(), "{relu}: {out:?}");
            assert_eq!(out[1], if relu { 0.0 } else { -2.0 });
        }
    }
    let mut values = [f32::NAN, -1.0, 1.0];
    pointwise::relu(&mut values);
    assert!(values[0].is_nan() && values[1..] == [0.0, 1.0]);
}
