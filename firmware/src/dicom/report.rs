//! Event reports of storage commitment on their way to whoever asked: on the association of the request
//! while it lasts, after that on one of our own to where the settings say.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use dicom_dictionary_std::uids;
use models::findings::{Fault, Reason};

use super::commitment::Report;
use super::dimse::Status;
use super::negotiate::Context;
use super::scp::Provider;
use super::user::{Call, Node, User, peer};
use crate::limits::MAX_REPORTS_WAITING;

/// The reports that one association still owes.
#[derive(Default)]
pub(super) struct Reports {
    /// Each with the presentation context of its request.
    waiting: VecDeque<(Context, Report)>,
    /// Message ID of the first one, once it is sent and until it is answered.
    sent: Option<u16>,
    message_id: u16,
}

impl Reports {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_REPORTS_WAITING
    }

    pub(super) fn push(&mut self, context: &Context, report: Report) {
        self.waiting.push_back((context.clone(), report));
    }

    /// The next one to send, with its message ID. One at a time, as was negotiated.
    pub(super) fn next(&mut self) -> Option<(u16, &Context, &Report)> {
        if self.sent.is_some() {
            return None;
        }
        let (context, report) = self.waiting.front()?;
        self.message_id = self.message_id.wrapping_add(1).max(1);
        self.sent = Some(self.message_id);
        Some((self.message_id, context, report))
    }

    /// Takes the answer to the one that was sent. False when it answers something else.
    pub(super) fn answered(&mut self, message_id: Option<u16>) -> bool {
        let expected = self.sent.is_some() && self.sent == message_id;
        if expected {
            self.sent = None;
            self.waiting.pop_front();
        }
        expected
    }

    /// Delivers what the association left over. A report that cannot be delivered is lost; the peer, who
    /// has no answer to its request, must ask again. Then the reason is told.
    pub(super) fn deliver_elsewhere(self, provider: &Provider, calling: &str) -> Result<(), Reason> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let lost = |fault, why: String| {
            let text = format!("a storage commitment report could not be delivered: {why}");
            Err(Reason::new("report_undelivered", fault, text))
        };
        let known = &provider.services.report_to;
        let Some(to) = known.iter().find(|node| node.ae_title == calling) else {
            let why = "the association was over and the settings give the peer no report_to";
            return lost(Fault::Configuration, why.to_owned());
        };
        if provider.stopping.load(Ordering::Relaxed) {
            return lost(Fault::Us, "the appliance is stopping".to_owned());
        }
        for (_, report) in &self.waiting {
            match deliver(to, &provider.admission.ae_title, report) {
                Ok(status) => {
                    tracing::info!(%status, "storage commitment reported on an association of ours")
                }
                Err(reason) => return lost(reason.fault, reason.text),
            }
        }
        Ok(())
    }
}

/// N-EVENT-REPORT on an association of ours, as provider (PS3.4 J.3.3).
fn deliver(to: &Node, from: &str, report: &Report) -> Result<Status, Reason> {
    const CLASS: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
    const SYNTAX: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;
    let mut user = User::connect_as_provider(&Call::plain(to, from), CLASS, SYNTAX)?;
    let context = user
        .accepted(|context| context.abstract_syntax == CLASS)
        .ok_or_else(|| {
            peer(
                "not_accepted",
                "the peer does not take storage commitment reports",
            )
        })?;
    let request = report.command(user.next_message());
    user.command(context, &request)?;
    user.data(context, &mut &report.data_set(SYNTAX)?[..])?;
    let response = user.response(&request)?;
    user.release();
    Ok(response.status)
}
