//! Events as audit messages: the XML of PS3.15 A.5.1, one message per event of A.5.3.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::{Alert, AuditEvent, Deleted, Export, Transfer};

/// A coded concept of PS3.16.
struct Code {
    value: &'static str,
    system: &'static str,
    meaning: &'static str,
}

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code {
        value,
        system: "DCM",
        meaning,
    }
}

const APPLICATION_ACTIVITY: Code = dcm("110100", "Application Activity");
const BEGIN_TRANSFERRING: Code = dcm("110102", "Begin Transferring DICOM Instances");
const INSTANCES_TRANSFERRED: Code = dcm("110104", "DICOM Instances Transferred");
const STUDY_DELETED: Code = dcm("110105", "DICOM Study Deleted");
const SECURITY_ALERT: Code = dcm("110113", "Security Alert");
const APPLICATION_START: Code = dcm("110120", "Application Start");
const APPLICATION_STOP: Code = dcm("110121", "Application Stop");
const NODE_AUTHENTICATION: Code = dcm("110126", "Node Authentication");
const APPLICATION: Code = dcm("110150", "Application");
const DESTINATION: Code = dcm("110152", "Destination Role ID");
const SOURCE: Code = dcm("110153", "Source Role ID");
const STUDY_UID: Code = dcm("110180", "Study Instance UID");
const PATIENT_NUMBER: Code = Code {
    value: "2",
    system: "RFC-3881",
    meaning: "Patient Number",
};
const NODE_ID: Code = dcm("110182", "Node ID");
/// AuditSourceTypeCode: application server process (A.5.1).
const APPLICATION_SERVER: &str = "4";

/// EventOutcomeIndicator (A.5.2.1).
#[derive(Clone, Copy)]
enum Outcome {
    Success,
    MinorFailure,
    SeriousFailure,
}

impl Outcome {
    fn indicator(self) -> &'static str {
        match self {
            Outcome::Success => "0",
            Outcome::MinorFailure => "4",
            Outcome::SeriousFailure => "8",
        }
    }
}

/// The message of an event, as one line.
pub(super) fn xml(event: &AuditEvent, ae_title: &str, host: &str, now: &str) -> String {
    let mut out = Writer::new(Vec::new());
    // A writer into memory does not fail.
    let written = Message {
        out: &mut out,
        ae_title,
        host,
        now,
    }
    .write(event);
    debug_assert!(written.is_ok());
    String::from_utf8_lossy(&out.into_inner()).into_owned()
}

struct Message<'m> {
    out: &'m mut Writer<Vec<u8>>,
    ae_title: &'m str,
    host: &'m str,
    now: &'m str,
}

type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Message<'_> {
    fn write(mut self, event: &AuditEvent) -> io::Result<()> {
        self.open("AuditMessage", &[])?;
        match event {
            AuditEvent::Started => self.activity(&APPLICATION_START)?,
            AuditEvent::Stopped => self.activity(&APPLICATION_STOP)?,
            AuditEvent::TransferBegins(transfer) => self.transfer(&BEGIN_TRANSFERRING, "E", transfer)?,
            AuditEvent::Transferred(transfer) => self.transfer(&INSTANCES_TRANSFERRED, "C", transfer)?,
            AuditEvent::Exported(export) => self.export(export)?,
            AuditEvent::StudyDeleted(deleted) => self.deletion(deleted)?,
            AuditEvent::Alert(alert) => self.alert(alert)?,
        }
        self.close("AuditMessage")
    }

    fn activity(&mut self, kind: &Code) -> io::Result<()> {
        self.identification(&APPLICATION_ACTIVITY, "E", Outcome::Success, Some(kind), None)?;
        self.ourselves(false, &APPLICATION)?;
        self.audit_source()
    }

    fn transfer(&mut self, id: &Code, action: &str, transfer: &Transfer) -> io::Result<()> {
        let (outcome, text) = if transfer.released {
            (Outcome::Success, None)
        } else {
            let text = "the association was not released; the sender may send again";
            (Outcome::MinorFailure, Some(text))
        };
        self.identification(id, action, outcome, None, text)?;
        let from = &transfer.from;
        let address = from.address.to_string();
        self.participant(&from.ae_title, &from.ae_title, true, &address, &SOURCE)?;
        self.ourselves(false, &DESTINATION)?;
        self.audit_source()?;
        self.study(transfer.study.as_str(), &transfer.instances)?;
        self.patient(&transfer.patient_id)
    }

    fn export(&mut self, export: &Export) -> io::Result<()> {
        let (outcome, text) = if export.complete {
            (Outcome::Success, None)
        } else {
            let text = "the visit broke off; what was not acknowledged is sent again";
            (Outcome::MinorFailure, Some(text))
        };
        self.identification(&INSTANCES_TRANSFERRED, "R", outcome, None, text)?;
        self.ourselves(true, &SOURCE)?;
        // A name (1) or an address (2).
        let kind = if export.host.parse::<IpAddr>().is_ok() {
            "2"
        } else {
            "1"
        };
        let (to, point) = (&export.to, (export.host.as_str(), kind));
        self.participant_as(to, to, false, point, &DESTINATION)?;
        self.audit_source()?;
        self.study(export.study.as_str(), &export.instances)?;
        self.patient(&export.patient_id)
    }

    fn deletion(&mut self, deleted: &Deleted) -> io::Result<()> {
        self.identification(&STUDY_DELETED, "D", Outcome::Success, None, None)?;
        // Nobody asked for it but the rules that we were given.
        self.ourselves(true, &APPLICATION)?;
        self.audit_source()?;
        self.study(deleted.study.as_str(), &BTreeMap::new())?;
        // The patient must be there (A.5.3.8); an ID that is not known is empty, as in the images.
        self.patient(deleted.patient_id.as_deref().unwrap_or_default())
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        let before = match alert.unwritten {
            0 => String::new(),
            count => format!("; {count} more alerts before were counted only"),
        };
        let text = format!("{}: {}{before}", alert.code, alert.text);
        self.identification(
            &SECURITY_ALERT,
            "E",
            Outcome::SeriousFailure,
            Some(&NODE_AUTHENTICATION),
            Some(&text),
        )?;
        self.ourselves(true, &APPLICATION)?;
        let title = alert.ae_title.as_deref().unwrap_or(&alert.address);
        self.participant(title, title, false, &alert.address, &SOURCE)?;
        self.audit_source()?;
        // The node in question (A.5.3.11).
        self.object(&alert.address, "4", "13", &NODE_ID, &BTreeMap::new())
    }

    fn identification(
        &mut self,
        id: &Code,
        action: &str,
        outcome: Outcome,
        kind: Option<&Code>,
        text: Option<&str>,
    ) -> io::Result<()> {
        let now = self.now;
        self.open(
            "EventIdentification",
            &[
                ("EventActionCode", action),
                ("EventDateTime", now),
                ("EventOutcomeIndicator", outcome.indicator()),
            ],
        )?;
        self.code("EventID", id)?;
        if let Some(kind) = kind {
            self.code("EventTypeCode", kind)?;
        }
        if let Some(text) = text {
            self.out
                .create_element("EventOutcomeDescription")
                .write_text_content(BytesText::new(text))?;
        }
        self.close("EventIdentification")
    }

    fn ourselves(&mut self, requestor: bool, role: &Code) -> io::Result<()> {
        let process = std::process::id().to_string();
        self.participant_as(&process, self.ae_title, requestor, (self.host, "1"), role)
    }

    fn participant(
        &mut self,
        user: &str,
        ae_title: &str,
        requestor: bool,
        address: &str,
        role: &Code,
    ) -> io::Result<()> {
        self.participant_as(user, ae_title, requestor, (address, "2"), role)
    }

    /// The access point is a name (type 1) or an address (type 2).
    fn participant_as(
        &mut self,
        user: &str,
        ae_title: &str,
        requestor: bool,
        (point, point_type): (&str, &str),
        role: &Code,
    ) -> io::Result<()> {
        let titles = format!("AETITLES={ae_title}");
        self.open(
            "ActiveParticipant",
            &[
                ("UserID", user),
                ("AlternativeUserID", &titles),
                ("UserIsRequestor", if requestor { "true" } else { "false" }),
                ("NetworkAccessPointID", point),
                ("NetworkAccessPointTypeCode", point_type),
            ],
        )?;
        self.code("RoleIDCode", role)?;
        self.close("ActiveParticipant")
    }

    fn audit_source(&mut self) -> io::Result<()> {
        let id = format!("{}@{}", self.ae_title, self.host);
        self.open("AuditSourceIdentification", &[("AuditSourceID", &id)])?;
        self.empty("AuditSourceTypeCode", &[("csd-code", APPLICATION_SERVER)])?;
        self.close("AuditSourceIdentification")
    }

    /// Instances of each SOP class.
    fn study(&mut self, uid: &str, instances: &BTreeMap<String, u64>) -> io::Result<()> {
        // A system object (2) that is a report (3): how A.5 names studies.
        self.object(uid, "2", "3", &STUDY_UID, instances)
    }

    fn patient(&mut self, id: &str) -> io::Result<()> {
        self.object(id, "1", "1", &PATIENT_NUMBER, &BTreeMap::new())
    }

    fn object(
        &mut self,
        id: &str,
        kind: &str,
        role: &str,
        id_type: &Code,
        instances: &BTreeMap<String, u64>,
    ) -> io::Result<()> {
        self.open(
            "ParticipantObjectIdentification",
            &[
                ("ParticipantObjectID", id),
                ("ParticipantObjectTypeCode", kind),
                ("ParticipantObjectTypeCodeRole", role),
            ],
        )?;
        self.code("ParticipantObjectIDTypeCode", id_type)?;
        // A name or a query must be there (A.5.1). We give no names of patients, and studies have none.
        self.out
            .create_element("ParticipantObjectName")
            .write_text_content(BytesText::new(id))?;
        if !instances.is_empty() {
            self.open("ParticipantObjectDescription", &[])?;
            for (class, count) in instances {
                let count = count.to_string();
                self.empty("SOPClass", &[("UID", class), ("NumberOfInstances", &count)])?;
            }
            self.close("ParticipantObjectDescription")?;
        }
        self.close("ParticipantObjectIdentification")
    }

    fn code(&mut self, element: &str, code: &Code) -> io::Result<()> {
        self.empty(
            element,
            &[
                ("csd-code", code.value),
                ("codeSystemName", code.system),
                ("originalText", code.meaning),
            ],
        )
    }

    fn open(&mut self, name: &str, attributes: Attributes) -> io::Result<()> {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.out.write_event(Event::Start(start))
    }

    fn close(&mut self, name: &str) -> io::Result<()> {
        self.out.write_event(Event::End(BytesEnd::new(name)))
    }

    fn empty(&mut self, name: &str, attributes: Attributes) -> io::Result<()> {
        let element = self.out.create_element(name);
        element
            .with_attributes(attributes.iter().copied())
            .write_empty()?;
        Ok(())
    }
}
