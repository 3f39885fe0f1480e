//! Against streams that CharLS wrote, and the example of the recommendation.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const ROWS: usize = 12;
const COLUMNS: usize = 16;

/// 12 bits: slopes, noise, a saturated row, a flat corner.
#[rustfmt::skip]
const IMAGE: [u16; ROWS * COLUMNS] = [
    2090, 2214, 2344, 2441, 2502, 2499, 2457, 2379, 2291, 2176, 2027, 1884, 1785, 1747, 1702, 1695,
    2089, 2207, 2330, 2421, 2470, 2495, 2453, 2372, 2278, 2157, 1994, 1887, 1776, 1716, 1675, 1707,
    2062, 2190, 2298, 2395, 2438, 2445, 2429, 2339, 2260, 2128, 1963, 1866, 1747, 1692, 1664, 1655,
    4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095,
    1978, 2088, 2211, 2298, 2358, 2355, 2323, 2254, 2146, 2008, 1896, 1745, 1644, 1575, 1574, 1574,
    1882, 2011, 2146, 2218, 2268, 2300, 2243, 2179, 2077, 1945, 1817, 1710, 1585, 1507, 1472, 1508,
    1816, 1955, 2062, 2152, 2201, 2213, 2186, 2105, 2005, 1900, 1750, 1601, 1539, 1453, 1410, 1448,
    1746, 1870, 1986, 2071, 2135, 2157, 2106, 2040, 1951, 1788, 1673, 1542, 1431, 1362, 1346, 1368,
    77, 77, 77, 77, 77, 77, 2044, 1986, 1865, 1733, 1607, 1463, 1368, 1313, 1283, 1310,
    77, 77, 77, 77, 77, 77, 1975, 1879, 1789, 1661, 1554, 1401, 1305, 1236, 1207, 1217,
    77, 77, 77, 77, 77, 77, 1914, 1841, 1722, 1639, 1494, 1347, 1267, 1204, 1131, 1169,
    77, 77, 77, 77, 77, 77, 1912, 1805, 1694, 1611, 1434, 1315, 1220, 1156, 1135, 1143,
];

/// [`IMAGE`] by CharLS 2, lossless.
const LOSSLESS: &str = "ffd8fff7000b0c000c001001011100ffda0008010100000000000000001fa91dc815ef9c76d28164e62a09a606268414\
     1972e5d8e32275844851ed7eedff56a73325e4c08589b3845eb85551000000001fe1810408102f9cd3641986b91b5b7b\
     d1000000001f756739939c937aa9d74946ed2e5a69187833fe6ad7ea7f7020123e834c06a24232410e93bc9034762812\
     141e04e4e6a538911a870977a9b0392e09c4876140917f080000010eed6da9df76000000000fae3116169b88cd1c1eea\
     803e92440203b27313d123be1efcf0689cb095a3d147c7106454a82856565491ccffd9";
/// [`IMAGE`] by CharLS 2, each sample within 3.
const NEAR: &str = "ffd8fff7000b0c000c001001011100ffda0008010100030000000000000e112aca32f2cd103861ad721184c67784a9c8\
     8f2b19ae5a46d656211d8b45a000000000c8708842156552e77b23fbcc0000000061e20b213daa44c9136ea718376a5d\
     2e424188310818ad231b48660c31440cf7b704fd494dc53071c40e52760000000efe857fe00000000047c67882886665\
     08789b4b10a71457ac2351e64108d215544c82aa958a655cffd9";
/// The upper 8 of the 12 bits, by CharLS 2, lossless.
const EIGHT_BITS: &str = "ffd8fff7000b08000c001001011100ffda0008010100000000000001f91dbf3cc731c53913172c96c9934889fee9b16b\
     24a2800000fec924a528e0a95bda000003ee85656a5e49a49af4cc9f6b7a10c426627678e9364699909e2fcd4c98c643\
     12600000398b5fae000001f48962c9d07d7642f64eebf6e92e287889d2d49cffd9";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let number = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(number).collect()
}

/// T.87 annex H.3.
#[test]
fn the_example_of_the_recommendation() {
    let stream = bytes(
        "ffd8 fff7 000b 08 0004 0004 01 01 11 00 ffda 0008 01 01 00 00 00 00 \
         c000 006c 8020 8e01 c000 0057 4000 006e e600 0001 bc18 0000 05d8 0000 9160 ffd9",
    );
    let expected = [
        0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145,
    ];
    assert_eq!(decode(&stream, 4, 4).unwrap(), expected);
}

#[test]
fn what_charls_wrote_comes_back() {
    assert_eq!(decode(&bytes(LOSSLESS), ROWS, COLUMNS).unwrap(), IMAGE);
    let eight: Vec<u16> = IMAGE.iter().map(|v| v >> 4).collect();
    assert_eq!(decode(&bytes(EIGHT_BITS), ROWS, COLUMNS).unwrap(), eight);
}

/// Near-lossless: the very samples that CharLS decodes, which this sum stands for.
#[test]
fn near_lossless_is_as_near_as_it_says() {
    let near = decode(&bytes(NEAR), ROWS, COLUMNS).unwrap();
    assert!(near.iter().zip(IMAGE).all(|(a, b)| a.abs_diff(b) <= 3));
    let weighed: u64 = near.iter().zip(1..).map(|(v, n)| n * u64::from(*v)).sum();
    assert_eq!(weighed, 27_775_556);
}

#[test]
fn another_size_or_an_early_end_is_an_error() {
    let stream = bytes(LOSSLESS);
    assert_eq!(decode(&stream, ROWS, COLUMNS + 1), Err(Broken::OtherSize));
    assert_eq!(
        decode(&stream[..stream.len() / 2], ROWS, COLUMNS),
        Err(Broken::Malformed)
    );
    assert_eq!(decode(&[], ROWS, COLUMNS), Err(Broken::Malformed));
}

proptest! {
    #[test]
    fn a_damaged_stream_is_survived(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut stream = bytes(LOSSLESS);
        for (at, value) in edits {
            let at = at.index(stream.len());
            stream[at] = value;
        }
        let _ = decode(&stream, ROWS, COLUMNS);
    }

    #[test]
    fn any_entropy_coded_bytes_are_survived(tail in prop::collection::vec(any::<u8>(), 0..300), near in 0u8..8) {
        let mut stream = bytes("ffd8 fff7 000b 10 000c 0010 01 01 11 00 ffda 0008 01 01 00 00 00 00");
        let at = stream.len() - 3;
        stream[at] = near;
        stream.extend(tail);
        let _ = decode(&stream, ROWS, COLUMNS);
    }
}
