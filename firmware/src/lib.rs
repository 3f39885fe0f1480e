//! The appliance beside the MR scanner.
//!
//! | module | owns |
//! |---|---|
//! | [`dicom`] | associations, C-ECHO and C-STORE as provider and as user, who may call |
//! | [`certificate`] | certificates and keys in PEM files: what they are, when they end |
//! | [`tls`] | TLS, whichever side we are |
//! | [`disk`] | the operations that decide what survives a power cut |
//! | [`spool`] | durable storage of instances: what is acknowledged is on disk |
//! | [`study`] | which instances make a study, when it is complete, its durable state |
//! | [`analysis`] | the warm worker process that runs the models |
//! | [`report`] | findings as DICOM objects: structured report, segmentation, secondary capture |
//! | [`outbox`] | findings on their way to the PACS, until it has them |
//! | [`screen`] | findings and status as pages |
//! | [`station`] | configuration, what was turned away at the door, the audit trail |
//! | [`appliance`] | all of it wired together, from start to stop |
//! | [`command`] | what each word of the command line does |
//! | [`limits`] | every limit on size, count and time in this crate |

pub mod analysis;
pub mod appliance;
pub mod certificate;
pub mod command;
pub mod dicom;
pub mod disk;
pub mod limits;
pub mod outbox;
pub mod report;
pub mod screen;
pub mod spool;
pub mod station;
pub mod study;
pub mod tls;
