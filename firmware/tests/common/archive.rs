//! A system that findings are sent to, and that does as it is told.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::association::{ClientAssociationOptions, ServerAssociation, ServerAssociationOptions};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use firmware::dicom::dimse::{C_STORE_RQ, Command, N_ACTION_RQ, RESPONSE, Status};

use super::WAIT;

const COMMITMENT: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;

/// What it does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// A status other than success, with an Error Comment.
    Refuses(u16, &'static str),
    /// Takes a connection and never answers what is sent.
    Hangs,
    /// Ends the connection within an object.
    Drops,
}

/// What it does when it is asked to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// It does not know the service.
    NotOffered,
    /// It reports on the association of the request.
    AtOnce,
    /// It reports when [`Archive::report`] says so.
    Later,
    /// It reports at once that it does not have the instances.
    Loses,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    promise: Promise,
    /// How often each instance was stored, and its bytes.
    stored: BTreeMap<String, (u32, Vec<u8>)>,
    /// Data sets of requests to commit.
    asked: Vec<InMemDicomObject>,
    associations: u32,
}

/// An archive on a port of its own.
pub struct Archive {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Archive {
    pub fn start(mood: Mood, promise: Promise) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::listen(listener, mood, promise)
    }

    pub fn listen(listener: TcpListener, mood: Mood, promise: Promise) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            mood,
            promise,
            stored: BTreeMap::new(),
            asked: Vec::new(),
            associations: 0,
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let state = Arc::clone(&shared);
                // Whatever breaks there is what the test wants, or shows in what was stored.
                std::thread::spawn(move || serve(socket.unwrap(), &state));
            }
        });
        Self { address, state }
    }

    pub fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub fn promise(&self, promise: Promise) {
        self.state.lock().unwrap().promise = promise;
    }

    /// A `[[destination]]` table; more lines may follow.
    pub fn table(&self, name: &str) -> String {
        let port = self.address.port();
        format!("[[destination]]\nae_title = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\n")
    }

    /// How often each instance came.
    pub fn stored(&self) -> BTreeMap<String, u32> {
        let state = self.state.lock().unwrap();
        state
            .stored
            .iter()
            .map(|(uid, (count, _))| (uid.clone(), *count))
            .collect()
    }

    pub fn bytes(&self, uid: &str) -> Vec<u8> {
        self.state.lock().unwrap().stored[uid].1.clone()
    }

    pub fn associations(&self) -> u32 {
        self.state.lock().unwrap().associations
    }

    /// Waits until it was asked to commit so often.
    pub fn until_asked(&self, times: usize) {
        let deadline = Instant::now() + WAIT;
        while self.state.lock().unwrap().asked.len() < times {
            assert!(Instant::now() < deadline, "nobody asked");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Reports on the last request by an association of its own; `roles` as standard says. Gives the status of
    /// the answer, if the presentation context was accepted.
    pub fn report(&self, station: SocketAddr, title: &str, roles: bool) -> Option<Status> {
        let asked = self.state.lock().unwrap().asked.last().cloned().unwrap();
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(title)
            .called_ae_title("SIALOSCOPE")
            .with_presentation_context(COMMITMENT, vec![IMPLICIT])
            .read_timeout(WAIT);
        if roles {
            options = options.with_role_selection(COMMITMENT, false, true);
        }
        let mut association = options.establish(station).ok()?;
        let command = Command::event_report(1, COMMITMENT, uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, 1);
        let send = |association: &mut dicom_ul::association::ClientAssociation<TcpStream>, kind, data| {
            association.send(&p_data(1, kind, data)).unwrap();
        };
        send(&mut association, PDataValueType::Command, command.encode());
        send(&mut association, PDataValueType::Data, report(&asked, true));
        let Pdu::PData { data } = association.receive().ok()? else {
            return None;
        };
        let response = Command::decode(&data[0].data).unwrap();
        assert_eq!(response.field, command.field | RESPONSE);
        association.release().unwrap();
        response.status.map(Status)
    }
}

fn p_data(context: u8, kind: PDataValueType, data: Vec<u8>) -> Pdu {
    let value = PDataValue {
        presentation_context_id: context,
        value_type: kind,
        is_last: true,
        data,
    };
    Pdu::PData { data: vec![value] }
}

/// The report about a request: all kept, or none.
fn report(asked: &InMemDicomObject, kept: bool) -> Vec<u8> {
    let items = asked
        .element(tags::REFERENCED_SOP_SEQUENCE)
        .unwrap()
        .items()
        .unwrap();
    let mut items = items.to_vec();
    let sequence = if kept {
        tags::REFERENCED_SOP_SEQUENCE
    } else {
        for item in &mut items {
            let reason = PrimitiveValue::from(0x0112_u16);
            item.put(DataElement::new(tags::FAILURE_REASON, VR::US, reason));
        }
        tags::FAILED_SOP_SEQUENCE
    };
    let set = InMemDicomObject::from_element_iter([
        asked.element(tags::TRANSACTION_UID).unwrap().clone(),
        DataElement::new(sequence, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)),
    ]);
    let syntax = firmware::dicom::dataset::storable(IMPLICIT).unwrap();
    let mut bytes = Vec::new();
    set.write_dataset_with_ts(&mut bytes, syntax).unwrap();
    bytes
}

fn serve(socket: TcpStream, state: &Mutex<State>) -> Option<()> {
    let (mood, promise) = {
        let mut state = state.lock().unwrap();
        state.associations += 1;
        (state.mood, state.promise)
    };
    let mut options = ServerAssociationOptions::new().accept_any().read_timeout(WAIT);
    for class in [
        uids::COMPREHENSIVE3_DSR_STORAGE,
        uids::SEGMENTATION_STORAGE,
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        if promise == Promise::NotOffered {
            uids::VERIFICATION
        } else {
            COMMITMENT
        },
    ] {
        options = options.with_abstract_syntax(class);
    }
    let mut association = options.establish(socket).ok()?;
    loop {
        let (context, command, data_set) = message(&mut association, mood)?;
        let mut response = command.response(Status::SUCCESS, None);
        match command.field {
            C_STORE_RQ => {
                if mood == Mood::Hangs {
                    std::thread::sleep(WAIT);
                    return None;
                }
                if let Mood::Refuses(status, comment) = mood {
                    response = command.response(Status(status), Some(comment));
                } else {
                    let uid = command.sop_instance()?.to_owned();
                    let mut state = state.lock().unwrap();
                    let entry = state.stored.entry(uid).or_default();
                    *entry = (entry.0 + 1, data_set);
                }
                association
                    .send(&p_data(context, PDataValueType::Command, response.encode()))
                    .ok()?;
            }
            N_ACTION_RQ => {
                association
                    .send(&p_data(context, PDataValueType::Command, response.encode()))
                    .ok()?;
                let syntax = firmware::dicom::dataset::storable(IMPLICIT).unwrap();
                let asked = InMemDicomObject::read_dataset_with_ts(&data_set[..], syntax).unwrap();
                state.lock().unwrap().asked.push(asked.clone());
                if promise == Promise::Later {
                    continue;
                }
                let instance = uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE;
                let kept = promise == Promise::AtOnce;
                let told = Command::event_report(1, COMMITMENT, instance, if kept { 1 } else { 2 });
                association
                    .send(&p_data(context, PDataValueType::Command, told.encode()))
                    .ok()?;
                let data = report(&asked, kept);
                association
                    .send(&p_data(context, PDataValueType::Data, data))
                    .ok()?;
                let (_, answer, _) = message(&mut association, mood)?;
                assert_eq!((answer.field, answer.status), (told.field | RESPONSE, Some(0)));
            }
            _ => return None,
        }
    }
}

/// The next message; none at the end.
fn message(association: &mut ServerAssociation<TcpStream>, mood: Mood) -> Option<(u8, Command, Vec<u8>)> {
    let (mut command, mut data_set) = (None::<Command>, Vec::new());
    loop {
        let values = match association.receive().ok()? {
            Pdu::PData { data } => data,
            Pdu::ReleaseRQ => {
                association.send(&Pdu::ReleaseRP).ok()?;
                return None;
            }
            _ => return None,
        };
        for value in values {
            match value.value_type {
                PDataValueType::Command => command = Some(Command::decode(&value.data).ok()?),
                PDataValueType::Data if mood == Mood::Drops => return None,
                PDataValueType::Data => data_set.extend(value.data),
            }
            if value.is_last
                && let Some(whole) = command
                    .take_if(|command| !command.data_set_follows || value.value_type == PDataValueType::Data)
            {
                return Some((value.presentation_context_id, whole, data_set));
            }
        }
    }
}
