#![allow(clippy::unwrap_used)]
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use proptest::prelude::*;

use super::*;

/// Values as they came, put together.
type Values = Vec<(Value, Vec<u8>)>;

/// What a peer sends, cut into writes at the given places, and how the wire takes it.
fn received(bytes: &[u8], cuts: &[usize]) -> (Values, Result<Received, WireError>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    peer.set_nodelay(true).unwrap();
    let (stopping, patience) = (AtomicBool::new(false), Patience::default());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut cuts: Vec<_> = cuts.iter().map(|at| at % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            for cut in cuts.windows(2) {
                // The wire may have had enough.
                let _ = peer.write_all(&bytes[cut[0]..cut[1]]);
            }
        });
        let mut wire = Wire::new(Stream::new(socket, None).unwrap(), &stopping, 1 << 20, &patience);
        let mut values = Values::new();
        let mut is_part = false;
        loop {
            match wire.receive(false) {
                Ok(Received::Value(value)) => {
                    match values.last_mut().filter(|_| is_part) {
                        Some((last, so_far)) => {
                            so_far.extend_from_slice(wire.bytes());
                            last.is_last = value.is_last;
                        }
                        None => values.push((value, wire.bytes().to_vec())),
                    }
                    is_part = wire.pdu.value.is_some();
                }
                end => return (values, end),
            }
        }
    })
}

/// A value: context, message control header, data.
fn value(most: usize) -> impl Strategy<Value = (u8, u8, Vec<u8>)> {
    (any::<u8>(), 0..4_u8, prop::collection::vec(any::<u8>(), 0..most))
}

fn data_pdu(values: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (context, control, bytes) in values {
        body.extend((bytes.len() as u32 + 2).to_be_bytes());
        body.extend([*context, *control]);
        body.extend(bytes);
    }
    [&[4, 0], &(body.len() as u32).to_be_bytes()[..], &body].concat()
}

const RELEASE: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However values stand in PDUs, and PDUs in segments.
    #[test]
    fn every_value_arrives_whole(
        pdus in prop::collection::vec(
            prop_oneof![
                8 => prop::collection::vec(value(300), 1..8),
                1 => prop::collection::vec(value(2 * READ_BUFFER_BYTES), 1..3),
            ],
            0..6
        ),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut bytes: Vec<u8> = pdus.iter().flat_map(|values| data_pdu(values)).collect();
        bytes.extend(RELEASE);
        let (got, end) = received(&bytes, &cuts);
        prop_assert!(matches!(end, Ok(Received::Release)));
        let got: Vec<_> = got
            .into_iter()
            .map(|(value, bytes)| {
                let control = u8::from(value.is_command) + 2 * u8::from(value.is_last);
                (value.context, control, bytes)
            })
            .collect();
        prop_assert_eq!(got, pdus.concat());
    }

    /// Bytes of which nothing is known end in an error, and never in a panic.
    #[test]
    fn foreign_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 1..200), length in 1..99_u8) {
        let (_, end) = received(&bytes, &[]);
        prop_assert!(matches!(end, Err(_) | Ok(Received::OutOfPlace(_) | Received::Abort | Received::Release)));
        bytes.splice(..0, [4, 0, 0, 0, 0, length]);
        let (_, end) = received(&bytes, &[]);
        prop_assert!(!matches!(end, Ok(Received::Value(_))));
    }
}

#[test]
fn values_that_exceed_their_pdu_are_malformed() {
    for pdu in [
        &[4, 0, 0, 0, 0, 5, 0, 0, 0, 2, 1][..],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3],
        &[4, 0, 0, 0, 0, 7, 0, 0, 0, 4, 1, 3, 0],
        &[4, 0, 0, 0, 0, 9, 0, 0, 0, 3, 1, 3, 0, 0, 0],
        &[5, 0, 0, 0, 0, 2, 0, 0],
    ] {
        let (_, end) = received(pdu, &[]);
        assert!(matches!(end, Err(WireError::Malformed(_))), "{pdu:?}");
    }
}

/// Between messages a stop is seen at once, also where the peer has sent ahead: it could do so for ever.
#[test]
fn a_stop_goes_before_what_was_sent_ahead() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let (stopping, patience) = (AtomicBool::new(false), Patience::default());
    let mut wire = Wire::new(Stream::new(socket, None).unwrap(), &stopping, 1 << 20, &patience);
    let message = data_pdu(&[(1, 3, vec![7; 4])]);
    peer.write_all(&[&message[..], &message, &message].concat())
        .unwrap();
    // The first brings the others along.
    assert!(matches!(wire.receive(false), Ok(Received::Value(_))));
    while wire.unread.len() < 2 * message.len() {
        wire.read_some().unwrap();
    }
    stopping.store(true, Ordering::Relaxed);
    assert!(
        matches!(wire.receive(true), Ok(Received::Value(_))),
        "a message under way comes to its end"
    );
    assert!(matches!(wire.receive(false), Err(WireError::Stopping)));
}

/// Nothing can be unplugged here; the kernel does the rest.
#[test]
fn half_open_connections_are_probed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    prepare(&socket).unwrap();
    let socket = SockRef::from(&socket);
    assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE.0);
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE.1);
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
}

#[test]
fn other_protocols_on_the_tls_port_are_named() {
    assert!(expect_tls(0x16).is_ok());
    for (first, name) in [
        (0x01, "DICOM without TLS"),
        (b'G', "HTTP"),
        (b'S', "something else"),
    ] {
        assert!(expect_tls(first).unwrap_err().to_string().contains(name));
    }
}
