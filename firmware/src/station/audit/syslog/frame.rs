//! A record as a syslog message (RFC 5424), framed for TLS (RFC 5425 4.3). What stands in it is said by
//! PS3.15 A.6.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::station::audit::trail::Record;

/// Facility 10 (security and authorization), severity 5 (normal but significant).
const PRIORITY: u8 = 10 * 8 + 5;
const MESSAGE_ID: &str = "DICOM+RFC3881";
const APPLICATION: &str = "sialoscope";
/// For what is not known.
const NIL: &str = "-";
/// In front of UTF-8 text (RFC 5424 6.4).
const BYTE_ORDER_MARK: char = '\u{FEFF}';
/// Longest HOSTNAME, characters (RFC 5424 6).
const MAX_HOST_CHARS: usize = 255;

/// The bytes of a record: their count, a space, the message. The process is not named: the message may be
/// of an earlier one, and says so itself.
pub(super) fn frame(record: &Record, host: &str) -> Vec<u8> {
    let message = format!(
        "<{PRIORITY}>1 {} {} {APPLICATION} {NIL} {MESSAGE_ID} {NIL} {BYTE_ORDER_MARK}{}",
        timestamp(&record.at),
        host_name(host),
        record.message
    );
    format!("{} {message}", message.len()).into_bytes()
}

/// RFC 5424 6.2.3 takes no more than six digits behind the second; the trail keeps nine.
fn timestamp(at: &str) -> String {
    let time = OffsetDateTime::parse(at, &Rfc3339).ok().and_then(|time| {
        let whole = time.replace_nanosecond(time.microsecond() * 1000).ok()?;
        whole.format(&Rfc3339).ok()
    });
    time.unwrap_or_else(|| NIL.to_owned())
}

fn host_name(host: &str) -> &str {
    let printable = host.bytes().all(|byte| byte.is_ascii_graphic());
    if printable && (1..=MAX_HOST_CHARS).contains(&host.len()) {
        host
    } else {
        NIL
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn framed(at: &str, host: &str) -> String {
        let record = Record {
            number: 1,
            at: at.to_owned(),
            message: "<AuditMessage name=\"Müller\"/>".to_owned(),
            seal: String::new(),
        };
        String::from_utf8(frame(&record, host)).unwrap()
    }

    #[test]
    fn a_message_has_header_mark_and_count_of_octets() {
        let text = framed("2026-11-22T10:00:00.123456789Z", "box");
        let (count, message) = text.split_once(' ').unwrap();
        assert_eq!(count.parse::<usize>().unwrap(), message.len());
        assert_eq!(
            message,
            "<85>1 2026-11-22T10:00:00.123456Z box sialoscope - DICOM+RFC3881 - \
             \u{FEFF}<AuditMessage name=\"Müller\"/>"
        );
    }

    #[test]
    fn what_does_not_fit_the_header_is_left_out() {
        for host in ["", "a b", "bücherei", &"x".repeat(256)] {
            assert!(
                framed("2026-11-22T10:00:00Z", host).contains(" <85>1 2026-11-22T10:00:00Z - sialoscope"),
                "{host}"
            );
        }
        for at in ["", "yesterday"] {
            assert!(framed(at, "box").contains(" <85>1 - box "), "{at}");
        }
    }
}
