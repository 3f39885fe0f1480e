//! One association, from its request to its end.

use std::net::SocketAddr;
use std::sync::PoisonError;

use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Abort, AbortRQSource, AssociationAC, PDataValue, PDataValueType, Pdu,
};
use models::findings::{Fault, Reason};

use super::Uid;
use super::commitment::Committed;
use super::dimse::{
    C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, N_ACTION_RQ, N_CREATE_RQ, N_EVENT_REPORT_RQ, N_SET_RQ,
    RESPONSE, Status,
};
use super::negotiate::{Agreed, Context};
use super::refused::Refused;
use super::report::Reports;
use super::scp::Provider;
use super::services::Service;
use super::wire::{Received, Value, Wire, WireError};
use super::{commitment, mpps, normalized, store};
use crate::limits::{MAX_COMMAND_BYTES, MAX_PDU_BYTES};
use crate::spool::{Incoming, StoreError};
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
    pub agreed: Agreed,
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
        agreed,
        calling,
    } = guest;
    if let Err(error) = wire.send(&Pdu::AssociationAC(accept)) {
        return report(provider, peer, Some(&calling), &error.into());
    }
    tracing::info!(%peer, calling, association = id, "association accepted");
    provider.intake.accepted(id, peer, &calling);
    Association {
        provider,
        wire,
        agreed,
        peer,
        calling,
        id,
        command: None,
        data_set: None,
        reports: Reports::default(),
    }
    .run();
}

/// An association that was accepted.
struct Association<'p> {
    provider: &'p Provider,
    wire: Wire<'p>,
    agreed: Agreed,
    peer: SocketAddr,
    calling: String,
    id: AssociationId,
    /// The command set under way: its presentation context and what has come of it.
    command: Option<(u8, Vec<u8>)>,
    /// The data set under way.
    data_set: Option<DataSet<'p>>,
    /// What this peer has still to be told about its requests to commit to storage.
    reports: Reports,
}

/// A data set under way; nowhere when its request is refused already.
struct DataSet<'p> {
    context: Context,
    request: Command,
    sink: Result<Sink<'p>, Refused>,
}

/// Where a data set goes.
enum Sink<'p> {
    /// An instance, to the disk.
    Disk(Incoming<'p>),
    /// That of a normalized service, to memory.
    Memory(Vec<u8>),
}

impl Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Disk(incoming) => Ok(incoming.write(bytes)?),
            Self::Memory(collected) => normalized::append(collected, bytes),
        }
    }
}

impl<'p> Association<'p> {
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
        if let Err(reason) = self.reports.deliver_elsewhere(self.provider, &self.calling) {
            tracing::warn!(association = self.id, code = reason.code, "{reason}");
            let refusal = Refusal::now(self.peer, Some(&self.calling), reason);
            self.provider.intake.refused(refusal);
        }
    }

    fn step(&mut self) -> Result<(), End> {
        let within_message = self.command.is_some() || self.data_set.is_some();
        match self.wire.receive(within_message)? {
            Received::Value(value) if value.is_command => self.command(value),
            Received::Value(value) => self.data_set(value),
            Received::Release if !within_message => {
                self.wire.send(&Pdu::ReleaseRP)?;
                Err(End::Released)
            }
            Received::Release => Err(End::Violation("a release within a message")),
            Received::Abort => Err(End::AbortedByPeer),
            Received::OutOfPlace(what) => Err(End::Violation(what)),
        }
    }

    fn command(&mut self, value: Value) -> Result<(), End> {
        if self.data_set.is_some() {
            return Err(End::Violation("a command within a data set"));
        }
        let id = value.context;
        let (context, collected) = self.command.get_or_insert_with(|| (id, Vec::new()));
        if *context != id {
            return Err(End::Violation("a command in two presentation contexts"));
        }
        let bytes = self.wire.bytes();
        if collected.len() + bytes.len() > MAX_COMMAND_BYTES {
            return Err(End::Violation("a command set beyond the limit"));
        }
        collected.extend_from_slice(bytes);
        if !value.is_last {
            return Ok(());
        }
        let request = Command::decode(collected).map_err(|_| End::Violation("a malformed command set"));
        self.command = None;
        self.request(id, request?)
    }

    fn data_set(&mut self, value: Value) -> Result<(), End> {
        let Some(data_set) = self
            .data_set
            .as_mut()
            .filter(|data_set| data_set.context.id == value.context)
        else {
            return Err(End::Violation("a data set that no command announced"));
        };
        if let Ok(sink) = &mut data_set.sink
            && let Err(refused) = sink.write(self.wire.bytes())
        {
            data_set.sink = Err(refused);
        }
        match self.data_set.take_if(|_| value.is_last) {
            Some(DataSet {
                context,
                request,
                sink,
            }) => self.end_of_data_set(context, request, sink),
            None => Ok(()),
        }
    }

    fn request(&mut self, id: u8, request: Command) -> Result<(), End> {
        let Some(context) = self.agreed.contexts.iter().find(|context| context.id == id) else {
            return Err(End::Violation("a presentation context that was not accepted"));
        };
        let context = context.clone();
        if request.field == C_CANCEL_RQ {
            return Ok(());
        }
        if request.field == N_EVENT_REPORT_RQ | RESPONSE {
            return self.report_answered(&request);
        }
        if request.field & RESPONSE != 0 || request.message_id.is_none() {
            return Err(End::Violation("a command that is no request"));
        }
        let sink = self.begin(&context, &request);
        if request.data_set_follows {
            let sink = sink.and_then(|sink| sink.ok_or_else(Refused::unexpected_data_set));
            self.data_set = Some(DataSet {
                context,
                request,
                sink,
            });
            return Ok(());
        }
        match sink {
            Ok(None) => self.respond(id, &request, Status::SUCCESS, None),
            Ok(Some(sink)) => self.end_of_data_set(context, request, Ok(sink)),
            Err(refused) => self.refuse(id, &request, refused),
        }
    }

    /// Where the data set of a request goes; None when it has none.
    fn begin(&self, context: &Context, request: &Command) -> Result<Option<Sink<'p>>, Refused> {
        let memory = |()| Some(Sink::Memory(Vec::new()));
        match (request.field, context.service) {
            (N_EVENT_REPORT_RQ, _) if context.we_use => commitment::to_the_instance(request).map(memory),
            _ if !context.we_provide => Err(Refused::unknown_operation()),
            (C_ECHO_RQ, _) => store::verify(request, context).map(|()| None),
            (C_STORE_RQ, _) if !request.data_set_follows => Err(Refused::no_data_set()),
            (C_STORE_RQ, _) => {
                let provider: &'p Provider = self.provider;
                let incoming = store::begin(&provider.spool, request, context, &self.calling)?;
                Ok(Some(Sink::Disk(incoming)))
            }
            (N_ACTION_RQ, Service::Commitment) if self.reports.is_full() => {
                Err(normalized::too_much("requests before their reports are answered"))
            }
            (N_ACTION_RQ, Service::Commitment) => commitment::begin(request).map(memory),
            (N_CREATE_RQ | N_SET_RQ, Service::PerformedStep) => mpps::begin(request).map(memory),
            _ => Err(Refused::unknown_operation()),
        }
    }

    fn end_of_data_set(
        &mut self,
        context: Context,
        request: Command,
        sink: Result<Sink<'p>, Refused>,
    ) -> Result<(), End> {
        let done = sink.and_then(|sink| match sink {
            Sink::Disk(incoming) => self.store(incoming),
            Sink::Memory(data_set) if request.field == N_ACTION_RQ => self.commit(&context, &data_set),
            Sink::Memory(data_set) if request.field == N_EVENT_REPORT_RQ => {
                self.committed(&context, &data_set)
            }
            Sink::Memory(data_set) => self.performed(&context, &request, &data_set),
        });
        match done {
            Ok(()) => self.respond(context.id, &request, Status::SUCCESS, None)?,
            Err(refused) => self.refuse(context.id, &request, refused)?,
        }
        self.report_next()
    }

    fn store(&mut self, incoming: Incoming<'_>) -> Result<(), Refused> {
        let stored = incoming.store()?;
        if let Some(reason) = store::remark(&stored) {
            let refusal = Refusal::now(self.peer, Some(&self.calling), reason);
            self.provider.intake.refused(refusal);
        }
        let kept = self.provider.intake.stored(self.id, &stored);
        kept.map_err(StoreError::Io)?;
        Ok(())
    }

    fn performed(&mut self, context: &Context, request: &Command, data_set: &[u8]) -> Result<(), Refused> {
        // A thread that panicked in there left each step as it was.
        let steps = self.provider.performed_steps.lock();
        let mut steps = steps.unwrap_or_else(PoisonError::into_inner);
        if let Some(announced) = steps.take(request, data_set, &context.transfer_syntax)? {
            // Under the lock, so that a later announcement is told later.
            self.provider.intake.announced(announced);
        }
        Ok(())
    }

    fn commit(&mut self, context: &Context, data_set: &[u8]) -> Result<(), Refused> {
        let asked = commitment::Request::read(data_set, &context.transfer_syntax)?;
        let report = asked.judge(&self.provider.spool, &self.provider.services);
        let (committed, of) = report.counts();
        tracing::info!(association = self.id, committed, of, "asked to commit to storage");
        self.reports.push(context, report);
        Ok(())
    }

    fn committed(&mut self, context: &Context, data_set: &[u8]) -> Result<(), Refused> {
        let committed = Committed::read(data_set, &context.transfer_syntax)?;
        let (kept, failed) = (committed.kept.len(), committed.failed.len());
        tracing::info!(
            association = self.id,
            kept,
            failed,
            "told what is kept of what we sent"
        );
        self.provider.intake.committed(committed);
        Ok(())
    }

    fn report_next(&mut self) -> Result<(), End> {
        let Some((message_id, context, report)) = self.reports.next() else {
            return Ok(());
        };
        let data_set = match report.data_set(&context.transfer_syntax) {
            Ok(data_set) => data_set,
            // It stays unanswered, and is tried on an association of ours.
            Err(reason) => {
                tracing::error!(code = reason.code, "{reason}");
                return Ok(());
            }
        };
        let (id, command) = (context.id, report.command(message_id).encode());
        self.wire
            .send(&p_data(id, PDataValueType::Command, true, command))?;
        // PDU header of the value: its length, its context, its control byte (PS3.8 9.3.5.1).
        let fitting = self.agreed.peer_pdu_bytes.min(MAX_PDU_BYTES) as usize - 6;
        let mut chunks = data_set.chunks(fitting).peekable();
        while let Some(chunk) = chunks.next() {
            let is_last = chunks.peek().is_none();
            self.wire
                .send(&p_data(id, PDataValueType::Data, is_last, chunk.to_vec()))?;
        }
        Ok(())
    }

    fn report_answered(&mut self, response: &Command) -> Result<(), End> {
        if response.data_set_follows || !self.reports.answered(response.message_id_responded_to) {
            return Err(End::Violation("a response that nothing asked for"));
        }
        let status = Status(response.status.unwrap_or(Status::PROCESSING_FAILURE.0));
        tracing::info!(association = self.id, %status, "storage commitment reported");
        self.report_next()
    }

    fn refuse(&mut self, context: u8, request: &Command, refused: Refused) -> Result<(), End> {
        let Refused {
            status,
            error_id,
            reason,
        } = refused;
        tracing::warn!(association = self.id, %status, code = reason.code, "refused: {reason}");
        let comment = reason.text.clone();
        self.provider
            .intake
            .refused(Refusal::now(self.peer, Some(&self.calling), reason));
        self.respond(context, request, status, Some((&comment, error_id)))
    }

    fn respond(
        &mut self,
        context: u8,
        request: &Command,
        status: Status,
        comment: Option<(&str, Option<u16>)>,
    ) -> Result<(), End> {
        // What is no UID is not repeated. What was requested is what was affected.
        let repeated = |uid: Option<&str>| uid.filter(|uid| Uid::parse(uid).is_ok()).map(str::to_owned);
        let response = Command {
            affected_sop_class_uid: repeated(request.sop_class()),
            affected_sop_instance_uid: repeated(request.sop_instance()),
            error_id: comment.and_then(|(_, error_id)| error_id),
            ..request.response(status, comment.map(|(text, _)| text))
        };
        let pdu = p_data(context, PDataValueType::Command, true, response.encode());
        Ok(self.wire.send(&pdu)?)
    }
}

fn p_data(context: u8, kind: PDataValueType, is_last: bool, data: Vec<u8>) -> Pdu {
    let value = PDataValue {
        presentation_context_id: context,
        value_type: kind,
        is_last,
        data,
    };
    Pdu::PData { data: vec![value] }
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
