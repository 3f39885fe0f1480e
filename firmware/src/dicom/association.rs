//! One association, from its request to its end.

use std::net::SocketAddr;

use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Abort, AbortRQSource, AssociationAC, PDataValue, PDataValueType, Pdu,
};
use models::findings::{Fault, Reason};

use super::Uid;
use super::dimse::{C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, RESPONSE, Status};
use super::negotiate::Context;
use super::scp::Provider;
use super::store::{self, Refused};
use super::wire::{Wire, WireError};
use crate::limits::MAX_COMMAND_BYTES;
use crate::spool::Incoming;
use crate::station::refusals::Refusal;
use crate::study::AssociationId;

/// How an association ends, or a connection before it is one.
pub(super) enum End {
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

/// Somebody who asked for an association and is given one.
pub(super) struct Guest {
    pub accept: AssociationAC,
    pub contexts: Vec<Context>,
    pub calling: String,
}

/// Serves an association to its end.
pub(super) fn serve(
    provider: &Provider,
    mut wire: Wire<'_>,
    guest: Guest,
    peer: SocketAddr,
    id: AssociationId,
) {
    let Guest {
        accept,
        contexts,
        calling,
    } = guest;
    if let Err(error) = wire.send(&Pdu::AssociationAC(accept)) {
        return report(provider, peer, Some(&calling), &error.into());
    }
    tracing::info!(%peer, calling, association = id, "association accepted");
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
        if let Some(abort) = end.abort() {
            // The peer may be gone.
            let _ = self.wire.send(&abort);
        }
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
        match self.wire.receive(within_message)? {
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
        match sink.and_then(|incoming| incoming.store().map_err(Refused::from)) {
            Ok(stored) => {
                if let Some(reason) = store::remark(&stored) {
                    self.provider
                        .intake
                        .refused(Refusal::now(self.peer, Some(&self.calling), reason));
                }
                self.provider.intake.stored(self.id, &stored);
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

impl End {
    /// What tells the peer, where it speaks DICOM, that the association is over.
    pub(super) fn abort(&self) -> Option<Pdu> {
        let reason = match self {
            Self::Released | Self::AbortedByPeer => return None,
            Self::Violation(_) => Abort::UnexpectedPdu,
            Self::Wire(error) => match error {
                WireError::Closed
                | WireError::Io(_)
                | WireError::NotReading(_)
                | WireError::OtherProtocol(_)
                | WireError::NoTls(_)
                | WireError::Tls(_)
                | WireError::NoAuthority => return None,
                WireError::UnknownType(_) => Abort::UnrecognizedPdu,
                WireError::Length { .. } | WireError::Malformed(_) => Abort::InvalidPduParameter,
                WireError::Silent(_)
                | WireError::Dripping(_)
                | WireError::Crawling(_)
                | WireError::NoMemory(_)
                | WireError::Stopping => Abort::ReasonNotSpecified,
            },
        };
        let source = AbortRQSource::ServiceProvider(reason);
        Some(Pdu::AbortRQ { source })
    }

    /// What people should know about it; none when it is nothing to know.
    pub(super) fn refusal(&self, peer: SocketAddr, calling: Option<&str>) -> Option<Refusal> {
        let (code, fault, text) = match self {
            Self::Released | Self::Wire(WireError::Stopping) => return None,
            // A connection without a word: a port scan, or a check whether we are there.
            Self::Wire(WireError::Closed) if calling.is_none() => return None,
            Self::AbortedByPeer => ("aborted_by_peer", Fault::Peer, "the peer broke off".to_owned()),
            Self::Violation(what) => ("protocol_violation", Fault::Peer, format!("the peer sent {what}")),
            Self::Wire(error) => (error.code(), error.fault(), error.to_string()),
        };
        Some(Refusal::now(peer, calling, Reason::new(code, fault, text)))
    }
}

/// Writes down an end that was no release.
fn report(provider: &Provider, peer: SocketAddr, calling: Option<&str>, end: &End) {
    if let Some(refusal) = end.refusal(peer, calling) {
        tracing::warn!(%peer, code = refusal.reason.code, "association dropped: {}", refusal.reason);
        provider.intake.refused(refusal);
    }
}
