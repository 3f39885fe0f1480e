//! A caller that writes each PDU itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed, UserVariableItem, read_pdu,
    write_pdu,
};
use firmware::dicom::dimse::{Command, RESPONSE};

use super::WAIT;

/// A caller that writes each PDU itself.
pub struct Caller {
    pub socket: TcpStream,
}

impl Caller {
    /// Proposes the abstract syntaxes as contexts 1, 3, 5 … and whatever user information.
    pub fn ask(address: SocketAddr, classes: &[&str], items: Vec<UserVariableItem>) -> (Self, Pdu) {
        let context = |(number, class): (usize, &&str)| PresentationContextProposed {
            id: 2 * number as u8 + 1,
            abstract_syntax: (*class).into(),
            transfer_syntaxes: vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.into()],
        };
        let request = Pdu::AssociationRQ(AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CALLER".into(),
            called_ae_title: "SIALOSCOPE".into(),
            application_context_name: "1.2.840.10008.3.1.1.1".into(),
            presentation_contexts: classes.iter().enumerate().map(context).collect(),
            user_variables: items,
        });
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let mut caller = Self { socket };
        caller.send(&request);
        let answer = caller.receive();
        (caller, answer)
    }

    pub fn associate(address: SocketAddr, classes: &[&str]) -> Self {
        let (caller, answer) = Self::ask(address, classes, vec![]);
        assert!(matches!(answer, Pdu::AssociationAC(_)), "{answer:?}");
        caller
    }

    pub fn send(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).unwrap();
        self.socket.write_all(&bytes).unwrap();
    }

    pub fn receive(&mut self) -> Pdu {
        let mut header = [0; 6];
        self.socket.read_exact(&mut header).unwrap();
        let length = u32::from_be_bytes(header[2..].try_into().unwrap());
        let mut bytes = header.to_vec();
        bytes.resize(6 + length as usize, 0);
        self.socket.read_exact(&mut bytes[6..]).unwrap();
        read_pdu(&bytes[..], 1 << 20, true).unwrap().unwrap()
    }

    pub fn value(&mut self, kind: PDataValueType, is_last: bool, data: Vec<u8>) {
        let value = PDataValue {
            presentation_context_id: 1,
            value_type: kind,
            is_last,
            data,
        };
        self.send(&Pdu::PData { data: vec![value] });
    }

    /// A request with its data set, if any.
    pub fn request(&mut self, command: &Command, data_set: Option<&[u8]>) {
        self.value(PDataValueType::Command, true, command.encode());
        if let Some(data_set) = data_set {
            for chunk in data_set.chunks(16_000) {
                self.value(PDataValueType::Data, false, chunk.to_vec());
            }
            self.value(PDataValueType::Data, true, vec![]);
        }
    }

    /// The next command set, its data set if any, and the longest PDU of both.
    pub fn message(&mut self) -> (Command, Vec<u8>, usize) {
        let mut command = None;
        let (mut bytes, mut longest) = (Vec::new(), 0);
        loop {
            let Pdu::PData { data } = self.receive() else {
                panic!("no message");
            };
            longest = longest.max(data.iter().map(|value| value.data.len() + 6).sum());
            for value in data {
                match value.value_type {
                    PDataValueType::Command => {
                        let decoded = Command::decode(&value.data).unwrap();
                        if !decoded.data_set_follows {
                            return (decoded, bytes, longest);
                        }
                        command = Some(decoded);
                    }
                    PDataValueType::Data => {
                        bytes.extend_from_slice(&value.data);
                        if value.is_last {
                            return (command.unwrap(), bytes, longest);
                        }
                    }
                }
            }
        }
    }

    pub fn response(&mut self) -> Command {
        let (command, data_set, _) = self.message();
        assert_ne!(command.field & RESPONSE, 0, "{command:?}");
        assert!(data_set.is_empty());
        command
    }

    pub fn release(mut self) {
        self.send(&Pdu::ReleaseRQ);
        assert_eq!(self.receive(), Pdu::ReleaseRP);
    }
}

/// Runs what blocks on a thread of its own.
pub async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.unwrap()
}
