//! A visit by C-STORE (PS3.4 Annex B), then N-ACTION of storage commitment (Annex J).

use models::findings::Reason;

use super::{Answer, Errand, Item, Visit};
use crate::dicom::commitment;
use crate::dicom::dimse::Status;
use crate::dicom::send::{Offer, proposed};
use crate::dicom::user::{Call, Response, User, peer};
use crate::limits::COMMITMENT_MOMENT;

/// Out of resources, and what else is about the destination and not about the object (PS3.4 Table B.2-1).
const OUT_OF_RESOURCES: std::ops::RangeInclusive<u16> = 0xA700..=0xA7FF;

/// Sends, then asks. An error is about the destination as a whole.
pub(super) fn visit(
    call: &Call<'_>,
    items: &[Item],
    errand: &Errand,
    visit: &mut Visit,
) -> Result<(), Reason> {
    let offers = items.iter().map(|item| Offer::open(&item.path));
    let offers: Vec<Offer> = offers.collect::<Result<_, _>>()?;
    let mut contexts = proposed(&offers)?;
    if errand.ask.is_some() {
        contexts.push(commitment::proposed());
    }
    if contexts.is_empty() {
        return Ok(());
    }
    let mut user = User::connect(call, contexts)?;
    for (item, offer) in items.iter().zip(&offers) {
        let outcome = offer.send(&mut user)?.and_then(judge);
        let instance = item.reference.instance.clone();
        if let Err(reason) = &outcome
            && reason.code == NO_ROOM
        {
            // The others would only be refused, too.
            visit.sent.push((instance, outcome.clone()));
            user.release();
            return Err(reason.clone());
        }
        visit.sent.push((instance, outcome));
    }
    let all_stored = visit.sent.iter().all(|(_, outcome)| outcome.is_ok());
    if let Some(transaction) = errand.ask.as_ref().filter(|_| all_stored) {
        visit.commitment = Some(match commitment::context(&user) {
            None => Answer::NotOffered,
            Some(context) => {
                match commitment::ask(&mut user, context, transaction, &errand.about, COMMITMENT_MOMENT)? {
                    Ok(None) => Answer::Later,
                    Ok(Some(committed)) => Answer::Now(committed),
                    Err(reason) => Answer::Refused(reason),
                }
            }
        });
    }
    user.release();
    Ok(())
}

const NO_ROOM: &str = "out_of_resources";

fn judge(Response { status, comment }: Response) -> Result<(), Reason> {
    if status.is_stored() {
        return Ok(());
    }
    let comment = comment.map(|comment| format!(": {comment}")).unwrap_or_default();
    let code = if OUT_OF_RESOURCES.contains(&status.0) {
        NO_ROOM
    } else {
        "not_stored"
    };
    Err(peer(
        code,
        format!("status {status}, {}{comment}", meaning(status)),
    ))
}

/// PS3.4 Table B.2-1 and PS3.7 Annex C.
fn meaning(status: Status) -> &'static str {
    match status.0 {
        0xA700..=0xA7FF => "out of resources",
        0xA900..=0xA9FF => "the data set does not match the SOP class",
        0xC000..=0xCFFF => "it cannot understand the object",
        0x0122 => "SOP class not supported",
        0x0124 => "not authorized",
        0x0110 => "processing failure",
        0x0111 => "duplicate SOP instance",
        _ => "refused",
    }
}
