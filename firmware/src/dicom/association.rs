//! One association, from its request to its end.

use std::net::{SocketAddr, TcpStream};

use dicom_ul::pdu::{AbortRQServiceProviderReason as Abort, AbortRQSource, PDataValue, PDataValueType, Pdu};
use models::findings::{Fault, Reason};

use super::Uid;
use super::dimse::{C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, RESPONSE, Status};
use super::negotiate::{self, Context, Rejection, answer};
use super::scp::Provider;
use super::store::{self, Refused};
use super::wire::{Wire, WireError};
use crate::limits::{ARTIM, MAX_COMMAND_BYTES};
use crate::spool::{Incoming, StoreError};
use crate::station::refusals::Refusal;
use crate::study::AssociationId;

/// How an association ends.
enum End {
    Released,
    AbortedByPeer,
    Wire(WireError),
    Violation(&'static str),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// Serves one connection to its end. `busy` when it can only be told that there is no room.
pub(super) fn serve(provider: &Provider, socket: TcpStream, peer: SocketAddr, id: AssociationId, busy: bool) {
    let mut wire = match Wire::new(socket, &provider.stopping) {
        Ok(wire) => wire,
        Err(error) => return tracing::warn!(%peer, %error, "cannot serve a connection"),
    };
    match establish(provider, &mut wire, peer, busy) {
        Ok(Some((calling, contexts))) => {
            tracing::info!(%peer, calling, association = id, "association accepted");
            provider.intake.accepted(id, peer, &calling);
            Association {
                provider,
                wire,
                contexts,
                peer,
                calling,
                id,
                command: None,
                data_set: None,
            }
            .run();
        }
        Ok(None) => wire.close(),
        Err(end) => {
            abort(&mut wire, &end);
            report(provider, peer, None, &end);
            wire.close();
        }
    }
}

/// The request and its answer. None when the association was rejected.
fn establish(
    provider: &Provider,
    wire: &mut Wire<'_>,
    peer: SocketAddr,
    busy: bool,
) -> Result<Option<(String, Vec<Context>)>, End> {
    let request = match wire.receive(ARTIM, false)? {
        Pdu::AssociationRQ(request) => request,
        Pdu::AbortRQ { .. } => return Err(End::AbortedByPeer),
        _ => return Err(End::Violation("something else than an association request first")),
    };
    let judged = if busy {
        Err(negotiate::busy())
    } else {
        answer(&request, peer.ip(), &provider.admission)
    };
    match judged {
        Ok((accept, contexts)) => {
            if request.called_ae_title != provider.admission.ae_title {
                tracing::warn!(%peer, calling = request.calling_ae_title, "the peer calls us by another AE title");
            }
            wire.send(&Pdu::AssociationAC(accept))?;
            Ok(Some((request.calling_ae_title, contexts)))
        }
        Err(Rejection { code, text, pdu }) => {
            wire.send(&Pdu::AssociationRJ(pdu))?;
            let title = negotiate::is_ae_title(&request.calling_ae_title)
                .then_some(request.calling_ae_title.as_str());
            let reason = Reason::new(code, Fault::Peer, format!("association rejected: {text}"));
            provider.intake.refused(Refusal::now(peer, title, reason));
            Ok(None)
        }
    }
}

/// An association that was accepted.
struct Association<'p> {
    provider: &'p Provider,
    wire: Wire<'p>,
    contexts: Vec<Context>,
    peer: SocketAddr,
    calling: String,
    id: AssociationId,
    /// The command set under way: its presentation context and what has come of it.
    command: Option<(u8, Vec<u8>)>,
    /// The data set under way.
    data_set: Option<DataSet<'p>>,
}

/// A data set under way, to the disk or to nowhere.
struct DataSet<'p> {
    context: u8,
    request: Command,
    sink: Result<Incoming<'p>, Refused>,
}

impl Association<'_> {
    fn run(mut self) {
        let end = loop {
            if let Err(end) = self.step() {
                break end;
            }
        };
        // An unfinished data set was never acknowledged: nothing of it may stay.
        let unfinished = self.data_set.take().is_some();
        abort(&mut self.wire, &end);
        // Some systems hang up without a release: bad manners, but nothing was turned away.
        let nothing_lost = matches!(
            end,
            End::Released | End::AbortedByPeer | End::Wire(WireError::Closed)
        );
        if unfinished || !nothing_lost {
            report(self.provider, self.peer, Some(&self.calling), &end);
        }
        let released = matches!(end, End::Released);
        tracing::info!(peer = %self.peer, association = self.id, released, "association over");
        self.provider.intake.ended(self.id, released);
        self.wire.close();
    }

    fn step(&mut self) -> Result<(), End> {
        let within_message = self.command.is_some() || self.data_set.is_some();
        match self.wire.receive(self.provider.idle, within_message)? {
            Pdu::PData { data } if !data.is_empty() => {
                data.into_iter().try_for_each(|value| self.value(value))
            }
            Pdu::ReleaseRQ if !within_message => {
                self.wire.send(&Pdu::ReleaseRP)?;
                Err(End::Released)
            }
            Pdu::ReleaseRQ => Err(End::Violation("a release within a message")),
            Pdu::AbortRQ { .. } => Err(End::AbortedByPeer),
            Pdu::AssociationRQ(_) => Err(End::Violation("a second association request")),
            _ => Err(End::Violation("a message unit out of place")),
        }
    }

    fn value(&mut self, value: PDataValue) -> Result<(), End> {
        let id = value.presentation_context_id;
        match value.value_type {
            PDataValueType::Command if self.data_set.is_some() => {
                Err(End::Violation("a command within a data set"))
            }
            PDataValueType::Command => {
                let (context, bytes) = self.command.get_or_insert_with(|| (id, Vec::new()));
                if *context != id {
                    return Err(End::Violation("a command in two presentation contexts"));
                }
                if bytes.len() + value.data.len() > MAX_COMMAND_BYTES {
                    return Err(End::Violation("a command set beyond the limit"));
                }
                bytes.extend_from_slice(&value.data);
                if !value.is_last {
                    return Ok(());
                }
                let request = Command::decode(bytes).map_err(|_| End::Violation("a malformed command set"));
                self.command = None;
                self.request(id, request?)
            }
            PDataValueType::Data => {
                let Some(data_set) = self.data_set.as_mut().filter(|data_set| data_set.context == id) else {
                    return Err(End::Violation("a data set that no command announced"));
                };
                if let Ok(incoming) = &mut data_set.sink
                    && let Err(error) = incoming.write(&value.data)
                {
                    data_set.sink = Err(error.into());
                }
                if value.is_last {
                    self.end_of_data_set()
                } else {
                    Ok(())
                }
            }
        }
    }

    fn request(&mut self, id: u8, request: Command) -> Result<(), End> {
        let Some(context) = self.contexts.iter().find(|context| context.id == id) else {
            return Err(End::Violation("a presentation context that was not accepted"));
        };
        if request.field == C_CANCEL_RQ {
            return Ok(());
        }
        if request.field & RESPONSE != 0 || request.message_id.is_none() {
            return Err(End::Violation("a command that is no request"));
        }
        let sink = match request.field {
            C_STORE_RQ => store::begin(&self.provider.spool, &request, context, &self.calling),
            C_ECHO_RQ => store::verify(&request, context),
            _ => Err(Refused::unknown_operation()),
        };
        match sink {
            sink if request.data_set_follows => {
                let sink = sink.and_then(|incoming| incoming.ok_or_else(Refused::unexpected_data_set));
                self.data_set = Some(DataSet {
                    context: id,
                    request,
                    sink,
                });
                Ok(())
            }
            Ok(None) => self.respond(id, &request, Status::SUCCESS, None),
            Ok(Some(_)) => self.refuse(id, &request, Refused::no_data_set()),
            Err(refused) => self.refuse(id, &request, refused),
        }
    }

    fn end_of_data_set(&mut self) -> Result<(), End> {
        let Some(DataSet {
            context,
            request,
            sink,
        }) = self.data_set.take()
        else {
            return Ok(());
        };
        let taken = sink.and_then(|incoming| {
            let stored = incoming.store()?;
            self.provider
                .intake
                .stored(self.id, &stored)
                .map_err(StoreError::Io)?;
            Ok(stored)
        });
        match taken {
            Ok(stored) => {
                if let Some(reason) = store::remark(&stored) {
                    self.provider
                        .intake
                        .refused(Refusal::now(self.peer, Some(&self.calling), reason));
                }
                self.respond(context, &request, Status::SUCCESS, None)
            }
            Err(refused) => self.refuse(context, &request, refused),
        }
    }

    fn refuse(&mut self, context: u8, request: &Command, refused: Refused) -> Result<(), End> {
        let Refused { status, reason } = refused;
        tracing::warn!(association = self.id, %status, code = reason.code, "refused: {reason}");
        let comment = reason.text.clone();
        self.provider
            .intake
            .refused(Refusal::now(self.peer, Some(&self.calling), reason));
        self.respond(context, request, status, Some(&comment))
    }

    fn respond(
        &mut self,
        context: u8,
        request: &Command,
        status: Status,
        comment: Option<&str>,
    ) -> Result<(), End> {
        // What is no UID is not repeated.
        let uid = |uid: &Option<String>| {
            uid.as_deref()
                .filter(|uid| Uid::parse(uid).is_ok())
                .map(str::to_owned)
        };
        let response = Command {
            affected_sop_class_uid: uid(&request.affected_sop_class_uid),
            affected_sop_instance_uid: uid(&request.affected_sop_instance_uid),
            ..request.response(status, comment)
        };
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: response.encode(),
        };
        Ok(self.wire.send(&Pdu::PData { data: vec![value] })?)
    }
}

/// Tells the peer, where it speaks DICOM, that the association is over.
fn abort(wire: &mut Wire<'_>, end: &End) {
    let reason = match end {
        End::Released | End::AbortedByPeer => return,
        End::Wire(WireError::Closed | WireError::Io(_) | WireError::OtherProtocol(_)) => return,
        End::Wire(WireError::UnknownType(_)) => Abort::UnrecognizedPdu,
        End::Wire(WireError::Length { .. } | WireError::Malformed(_)) => Abort::InvalidPduParameter,
        End::Wire(WireError::Silent(_) | WireError::Dripping | WireError::Stopping) => {
            Abort::ReasonNotSpecified
        }
        End::Violation(_) => Abort::UnexpectedPdu,
    };
    // The peer may be gone.
    let _ = wire.send(&Pdu::AbortRQ {
        source: AbortRQSource::ServiceProvider(reason),
    });
}

/// Writes down an end that was no release.
fn report(provider: &Provider, peer: SocketAddr, calling: Option<&str>, end: &End) {
    let (code, text) = match end {
        End::Released => return,
        // A connection without a word: a port scan, or a check whether we are there.
        End::Wire(WireError::Closed) if calling.is_none() => {
            return tracing::debug!(%peer, "connection without a request");
        }
        End::Wire(WireError::Stopping) => return,
        End::AbortedByPeer => ("aborted_by_peer", "the peer broke off".to_owned()),
        End::Violation(what) => ("protocol_violation", format!("the peer sent {what}")),
        End::Wire(error) => (error.code(), error.to_string()),
    };
    tracing::warn!(%peer, code, "association dropped: {text}");
    provider
        .intake
        .refused(Refusal::now(peer, calling, Reason::new(code, Fault::Peer, text)));
}
