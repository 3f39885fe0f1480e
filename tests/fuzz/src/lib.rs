//! The receiver as fuzz targets meet it: one connection after the other on one thread.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firmware::dicom::admission::Callers;
use firmware::dicom::dimse::{C_STORE_RQ, Command, RESPONSE};
use firmware::dicom::door::{Capacity, Door, Patience};
use firmware::dicom::scp::{Intake, Provider};
use firmware::dicom::{Admission, Commitment, Services};
use firmware::disk::RealDisk;
use firmware::spool::{Spool, SpoolLimits, Stored};
use firmware::station::refusals::Refusal;
use firmware::study::AssociationId;
use tokio::runtime::Runtime;

/// Conversations after which the receiver begins anew, in an empty folder.
const CONVERSATIONS: usize = 2000;
/// Longest conversation, bytes: it must fit into the buffers of a socket, since nobody reads meanwhile.
const LONGEST: usize = 64 << 10;
/// Largest object, bytes: inflation of deflated ones ends here.
const OBJECT_BYTES: u64 = 1 << 20;

/// Counts what was stored.
struct Counter(Arc<AtomicUsize>);

impl Intake for Counter {
    fn stored(&self, _: AssociationId, _: &Stored) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn ended(&self, _: AssociationId, _: bool) {}

    fn refused(&self, _: Refusal) {}
}

/// A receiver with a folder of its own.
pub struct Receiver {
    provider: Arc<Provider>,
    runtime: Runtime,
    listener: TcpListener,
    stored: Arc<AtomicUsize>,
    conversations: usize,
    _folder: tempfile::TempDir,
}

impl Receiver {
    /// In memory, where that is possible.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(memory)
            .or_else(|_| tempfile::tempdir())
            .expect("a folder");
        let limits = SpoolLimits {
            object_bytes: OBJECT_BYTES,
            free_bytes: 0,
        };
        let spool = Spool::open(Arc::new(RealDisk), folder.path(), limits).expect("a spool");
        let stored = Arc::new(AtomicUsize::new(0));
        let counter = Box::new(Counter(Arc::clone(&stored)));
        Self {
            provider: Arc::new(Provider::new(door(), services(), Arc::new(spool), counter)),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
            stored,
            conversations: 0,
            _folder: folder,
        }
    }

    /// Says all of this to the receiver and then no more; checks its answers.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.conversations == CONVERSATIONS {
            *self = Self::new();
        }
        self.conversations += 1;
        let address = self.listener.local_addr().expect("an address");
        let mut peer = TcpStream::connect(address).expect("a connection");
        let (socket, from) = self.listener.accept().expect("a connection");
        peer.write_all(&bytes[..bytes.len().min(LONGEST)])
            .expect("room in the buffers");
        peer.shutdown(Shutdown::Write).expect("an open connection");
        let before = self.stored.load(Ordering::Relaxed);
        socket.set_nonblocking(true).expect("a socket");
        self.runtime.block_on(async {
            let socket = tokio::net::TcpStream::from_std(socket).expect("a socket");
            self.provider.attend(socket, from).await;
        });
        let mut answers = Vec::new();
        // A reset is an answer too.
        let _ = peer.read_to_end(&mut answers);
        let stored = self.stored.load(Ordering::Relaxed) - before;
        assert!(acknowledged(&answers) <= stored, "0000 for what was not stored");
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// Open to everybody, so that all that is behind it is reached.
fn door() -> Door {
    Door {
        admission: Admission {
            ae_title: "SIALOSCOPE".into(),
            require_called_ae_title: false,
            callers: Callers::Everybody,
        },
        tls: None,
        capacity: Capacity {
            associations: 1,
            associations_per_peer: 1,
            waiting: 64,
        },
        patience: Patience::default(),
    }
}

/// All that can be offered.
fn services() -> Services {
    Services {
        commitment: Commitment::WhileKept,
        asks_for_commitment: true,
        ..Services::default()
    }
}

/// How many C-STORE requests were answered with 0000.
fn acknowledged(mut answers: &[u8]) -> usize {
    let mut count = 0;
    while let Some((header, rest)) = answers.split_first_chunk::<6>() {
        let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
        let (body, rest) = rest.split_at_checked(length).expect("whole answers");
        if header[0] == 4 {
            let response = Command::decode(&body[6..]).expect("a response");
            count += usize::from(response.field == C_STORE_RQ | RESPONSE && response.status == Some(0));
        }
        answers = rest;
    }
    assert!(answers.is_empty(), "half an answer");
    count
}

/// A PDU with a true length.
pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind, 0][..], &length, body].concat()
}

/// A P-DATA-TF with one presentation data value.
pub fn data(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32 + 2).to_be_bytes();
    pdu(4, &[&length[..], &[context, control], bytes].concat())
}

/// A request for MR images in four transfer syntaxes (contexts 1 to 7), verification (9), storage
/// commitment (11) and performed procedure steps (13).
pub fn associate() -> Vec<u8> {
    use dicom_dictionary_std::uids;
    let item = |kind: u8, value: &[u8]| {
        let length = (value.len() as u16).to_be_bytes();
        [&[kind, 0][..], &length, value].concat()
    };
    let contexts = [
        (uids::MR_IMAGE_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN),
        (uids::MR_IMAGE_STORAGE, uids::IMPLICIT_VR_LITTLE_ENDIAN),
        (uids::MR_IMAGE_STORAGE, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN),
        (uids::MR_IMAGE_STORAGE, "1.2.840.10008.1.2.2"),
        (uids::VERIFICATION, uids::IMPLICIT_VR_LITTLE_ENDIAN),
        (
            uids::STORAGE_COMMITMENT_PUSH_MODEL,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
        ),
        (
            uids::MODALITY_PERFORMED_PROCEDURE_STEP,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
        ),
    ];
    let mut body = [&[0, 1, 0, 0][..], b"SIALOSCOPE      FUZZ            ", &[0; 32]].concat();
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (number, (class, syntax)) in contexts.iter().enumerate() {
        let id = 2 * number as u8 + 1;
        let parts = [
            vec![id, 0, 0, 0],
            item(0x30, class.as_bytes()),
            item(0x40, syntax.as_bytes()),
        ];
        body.extend(item(0x20, &parts.concat()));
    }
    let user = [item(0x51, &[0, 1, 0, 0]), item(0x52, b"1.2.3")].concat();
    body.extend(item(0x50, &user));
    pdu(1, &body)
}
