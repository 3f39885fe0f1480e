//! Every limit on size, count and time in this crate, each with its unit.
//!
//! What a hospital may need to change stands in `[limits]` and `[study]` of the settings file; the
//! constants named `DEFAULT_…` are what holds without it.

use std::time::Duration;

/// Longest P-DATA-TF PDU that we announce and accept, KiB after the 6-byte header.
pub const DEFAULT_PDU_KIB: u32 = 256;

/// What that may be set to, KiB.
pub const PDU_KIB: std::ops::RangeInclusive<u32> = 4..=4096;

/// Longest P-DATA-TF PDU that we announce where we call, bytes after the 6-byte header.
pub const MAX_PDU_BYTES: u32 = DEFAULT_PDU_KIB * 1024;

/// What any peer takes, whatever it announces, bytes after the 6-byte header.
pub const MIN_PDU_BYTES: u32 = 1024;

/// Longest A-ASSOCIATE-RQ, bytes after the 6-byte header. 128 contexts with 40 transfer syntaxes of
/// 64 characters each would need 350 KB; real peers stay below 100 KB.
pub const MAX_ASSOCIATE_BYTES: u32 = 512 * 1024;

/// Most presentation contexts in one association: odd identifiers from 1 to 255 (PS3.8 9.3.2.2).
pub const MAX_PRESENTATION_CONTEXTS: usize = 128;

/// Longest DIMSE command set, bytes. The longest of those known here need a few hundred.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;

/// Longest data set of a normalized service, bytes; it is held in memory. Some 100 for each instance
/// that it refers to.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Instances in one request to commit to storage.
pub const MAX_REFERENCES: usize = 20_000;

/// Storage commitment reports that wait for their turn in one association.
pub const MAX_REPORTS_WAITING: usize = 4;

/// Performed procedure steps that are remembered; a scanner makes some thirty a day.
pub const MAX_PERFORMED_STEPS: usize = 128;

/// Series in one performed procedure step.
pub const MAX_STEP_SERIES: usize = 256;

/// Longest UID, characters (PS3.5 9.1).
pub const MAX_UID_CHARS: usize = 64;

/// Longest AE title, characters (PS3.5 6.2, VR AE).
pub const MAX_AE_TITLE_CHARS: usize = 16;

/// Longest Error Comment (0000,0902), characters (VR LO).
pub const MAX_ERROR_COMMENT_CHARS: usize = 64;

/// Associations served at once.
pub const DEFAULT_MAX_ASSOCIATIONS: usize = 32;

/// Associations served at once that one address may have.
pub const DEFAULT_ASSOCIATIONS_PER_PEER: usize = 8;

/// Most associations that can be configured: each is a thread.
pub const MAX_ASSOCIATIONS: usize = 256;

/// Connections without an association.
pub const DEFAULT_WAITING: usize = 2048;

/// Bytes of its request for which a connection counts as one of the waiting ones; a longer request
/// counts as several.
pub const WAITING_SEAT_BYTES: usize = 16 * 1024;

/// File descriptors of one association: its socket, its file, the folder that is synced.
pub const DESCRIPTORS_PER_ASSOCIATION: usize = 3;

/// File descriptors for everything that is no connection.
pub const OTHER_DESCRIPTORS: usize = 128;

/// Refusals before an association that are told of one address within [`COMPLAINT_WINDOW`].
pub const COMPLAINTS_PER_WINDOW: usize = 16;

/// The while in which the refusals of an address are counted.
pub const COMPLAINT_WINDOW: Duration = Duration::from_secs(10);

/// Addresses whose refusals are counted at once; of more nothing is told.
pub const COMPLAINT_ADDRESSES: usize = 1024;

/// From the TCP connection to the end of the TLS handshake.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// Longest PEM file, bytes. All public authorities of the world together need about 250 KB.
pub const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// How often certificates are read again.
pub const CERTIFICATE_CHECK: Duration = Duration::from_secs(3600);

/// How long before its end a certificate is named on the screen.
pub const CERTIFICATE_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);

/// Silence after which a connection is probed, and time between probes (TCP keepalive).
pub const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Probes without an answer after which a connection is dead.
pub const KEEPALIVE_PROBES: u32 = 3;

/// From the TCP connection, or the end of the TLS handshake, to the last byte of A-ASSOCIATE-RQ (the
/// ARTIM timer of PS3.8 9.1.5).
pub const ARTIM: Duration = Duration::from_secs(15);

/// Silence within a message after which its association is aborted.
pub const DIMSE_TIMEOUT: Duration = Duration::from_secs(60);

/// What must come of a message in each [`DIMSE_TIMEOUT`] of waiting for it, bytes; ends messages that
/// drip in small message units.
pub const MIN_MESSAGE_PROGRESS_BYTES: u64 = 64 * 1024;

/// From the first to the last byte of one PDU; ends connections that drip.
pub const PDU_DEADLINE: Duration = Duration::from_secs(30);

/// Waiting for the peer to take what we write.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Silence between two messages of an association after which it is aborted, seconds.
pub const DEFAULT_IDLE_SECONDS: u64 = 60;

/// How often a waiting association looks whether the appliance is stopping.
pub const STOP_POLL: Duration = Duration::from_millis(200);

/// How long a stop waits for messages under way.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// Largest object that is stored, MiB. The largest enhanced MR objects have about 1 GiB.
pub const DEFAULT_MAX_OBJECT_MIB: u64 = 2048;

/// Free space on the data partition below which nothing more is accepted, MiB.
pub const DEFAULT_MIN_FREE_MIB: u64 = 512;

/// After an error of the disk, how long until it is checked again.
pub const DISK_CHECK_EVERY: Duration = Duration::from_secs(10);

/// What a check of the disk writes and reads back, bytes.
pub const DISK_CHECK_BYTES: usize = 64 * 1024;

/// Deepest nesting of sequences in a data set, levels.
pub const MAX_SEQUENCE_DEPTH: usize = 64;

/// Different contents that are kept apart under one SOP Instance UID.
pub const MAX_CONFLICTS: usize = 16;

/// Quiet time after the last image that makes a study complete when nothing else does, seconds.
pub const DEFAULT_QUIET_SECONDS: f64 = 30.0;

/// Patience after the last image while something says that more will come, seconds.
pub const DEFAULT_PATIENCE_SECONDS: f64 = 300.0;

/// Series of one study whose announced sizes are remembered.
pub const MAX_ANNOUNCED_SERIES: usize = 256;

/// Studies of which a procedure step told before any image came; the oldest is forgotten.
pub const MAX_ANNOUNCED_STUDIES: usize = 64;

/// How long finished studies are kept, days.
pub const DEFAULT_RETENTION_DAYS: f64 = 30.0;

/// Free space below which the oldest finished studies go earlier, MiB.
pub const DEFAULT_KEEP_FREE_MIB: u64 = 4096;

/// Free space below which the status page warns, MiB.
pub const DEFAULT_WARN_FREE_MIB: u64 = 2048;

/// However short the space, a result stays this long after it was reported.
pub const LEAST_KEPT: Duration = Duration::from_secs(3600);

/// How often housekeeping looks at the free space.
pub const HOUSEKEEPING_LOOK: Duration = Duration::from_secs(10);

/// Pause between two steps of housekeeping, so that it never holds up what comes in.
pub const HOUSEKEEPING_PAUSE: Duration = Duration::from_millis(100);

/// Studies that housekeeping looks at in one step.
pub const HOUSEKEEPING_STUDIES: usize = 16;

/// From the end of one walk over all studies to the next.
pub const HOUSEKEEPING_WALK: Duration = Duration::from_secs(600);

/// The same while space is short and the last walk found nothing more to remove.
pub const HOUSEKEEPING_HURRY: Duration = Duration::from_secs(60);

/// Oldest finished studies that housekeeping remembers from one walk.
pub const HOUSEKEEPING_OLDEST: usize = 256;

/// How often the running time of the appliance is written down. What a power cut forgets of it each time, by
/// that studies stay too long; a box whose power goes more often never grows older.
pub const RUNNING_TIME_KEPT: Duration = Duration::from_secs(60);

/// Analyses of one study that may end without an answer before it is given up.
pub const MAX_ATTEMPTS: u32 = 3;

/// Longest analysis, after which it counts as stopped.
pub const ANALYSIS_DEADLINE: Duration = Duration::from_secs(600);

/// Messages between associations and the study keeper before associations wait.
pub const INBOX_MESSAGES: usize = 256;

/// Events that a slow listener may fall behind before it loses the oldest.
pub const EVENT_BACKLOG: usize = 4096;

/// Refusals shown on the screen.
pub const RECENT_REFUSALS: usize = 16;

/// Size of the refusal journal at which it is turned over; one older journal is kept. Bytes.
pub const REFUSAL_JOURNAL_BYTES: u64 = 1024 * 1024;

/// Longest settings file, bytes.
pub const MAX_SETTINGS_BYTES: u64 = 256 * 1024;

/// Longest state file of a study, bytes.
pub const MAX_STATE_BYTES: u64 = 64 * 1024;

/// Buffer of one association between network and disk, bytes.
pub const READ_BUFFER_BYTES: usize = 128 * 1024;

/// Buffer of one object on its way to the disk, bytes: small values are written together.
pub const WRITE_BUFFER_BYTES: usize = 32 * 1024;

/// Waiting for a peer that we call to take the connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Waiting for the response of a peer that we sent to.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time in which a peer that we call answers all that we have for it.
pub const VISIT_DEADLINE: Duration = Duration::from_secs(600);

/// Between an attempt to reach a destination that failed and the next: at first, and at most. It doubles from
/// one to the next, and ends never.
pub const DELIVERY_RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// The same for a study of which a destination did not take something.
pub const REFUSAL_RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// The same for a study whose storage commitment was asked for and not reported.
pub const COMMITMENT_RETRY: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(3600));

/// Waiting for the report of a storage commitment on the association that asked for it, before it is expected
/// on another one.
pub const COMMITMENT_MOMENT: Duration = Duration::from_secs(1);

/// Longest answer of a web service that is read, bytes.
pub const MAX_WEB_ANSWER_BYTES: u64 = 1024 * 1024;

/// What a stop waits for the couriers to come back; what they did not tell is done again.
pub const COURIER_FAREWELL: Duration = Duration::from_secs(2);

/// From the start of the worker process to its greeting: load, optimise and check the networks.
pub const WORKER_START: Duration = Duration::from_secs(60);

/// Address space of the worker process, bytes. Its resident memory stays far below.
pub const WORKER_MEMORY_BYTES: u64 = 1536 * 1024 * 1024;

/// Longest line from the worker process, and longest file of pictures, bytes: the pictures of a study in base64
/// ([`models::limits::MAX_PICTURE_BYTES`]), with outlines and heat.
pub const MAX_ANSWER_BYTES: u64 = 24 * 1024 * 1024;

/// How often a screen is asked whether it is still there, where nothing on it changes.
pub const DISPLAY_CHECK: Duration = Duration::from_secs(5);

/// Wrong PINs after which each further one costs [`PIN_PAUSE`].
pub const PIN_TRIES: u32 = 5;

/// See [`PIN_TRIES`].
pub const PIN_PAUSE: Duration = Duration::from_secs(30);

/// Longest findings file that is read for the screen, bytes.
pub const MAX_FINDINGS_BYTES: u64 = 64 * 1024 * 1024;

/// Least time between two accounts of the situation for the screen.
pub const SITUATION_EVERY: Duration = Duration::from_millis(500);

/// The same where nothing happened: ages and temperatures change.
pub const SITUATION_IDLE: Duration = Duration::from_secs(20);

/// How long the lamps say that there is a new result.
pub const RESULT_LIGHT: Duration = Duration::from_secs(120);

/// Time between two looks at what the system under the appliance says: a stick was plugged in.
pub const SYSTEM_EVERY: Duration = Duration::from_secs(1);

/// Longest file in which the system says something to the appliance.
pub const MAX_SYSTEM_FILE_BYTES: u64 = 16 * 1024;

/// The self-test writes so much. MiB.
pub const SELF_TEST_STORAGE_MIB: usize = 16;

/// How long a self-test lets the locator run, again and again.
pub const SELF_TEST_INFERENCE: Duration = Duration::from_secs(2);

/// Storage that writes slower than this cannot take a study as fast as a scanner sends it. MiB/s.
pub const LEAST_STORAGE_MIB_S: f64 = 4.0;

/// What an analysis needs, and some room. MiB.
pub const LEAST_MEMORY_MIB: u64 = 200;

/// A part that did not make progress for so long hangs, and the watchdog is fed no more. A slow card may hold up the
/// keeper for a while, a display driver the screen.
pub const HEART_INTAKE: Duration = Duration::from_secs(60);
/// As [`HEART_INTAKE`].
pub const HEART_KEEPER: Duration = Duration::from_secs(180);
/// As [`HEART_INTAKE`].
pub const HEART_SCREEN: Duration = Duration::from_secs(60);

/// How often a part that has nothing to do beats all the same.
pub const HEART_IDLE: Duration = Duration::from_secs(5);

/// How long a box that could not start shows why, before it ends and is started again.
pub const FAILED_START: Duration = Duration::from_secs(60);

/// Systems on the screen that have sent images, with those in the settings.
pub const LISTED_SENDERS: usize = 16;

/// Finished studies in the list on the screen.
pub const LISTED_STUDIES: usize = 24;

/// Temperature inside the box from which on it is an alarm, °C: below the 85 °C at which the processors of the
/// supported boards slow down.
pub const HOT_CELSIUS: f32 = 80.0;

/// Temperature at which that alarm is over, °C.
pub const COOL_CELSIUS: f32 = 74.0;

/// No clock that is right shows an earlier year.
pub const EARLIEST_YEAR: i32 = 2026;

/// Size of a file of the audit trail at which the next one is begun, bytes.
pub const AUDIT_FILE_BYTES: u64 = 1024 * 1024;

/// Files of the audit trail that are kept.
pub const AUDIT_FILES: usize = 64;

/// Longest line of the audit trail, bytes.
pub const MAX_AUDIT_LINE_BYTES: u64 = 2 * 1024 * 1024;

/// Security alerts about one address that are written in one [`AUDIT_ALERT_PERIOD`]; more are counted.
pub const AUDIT_ALERTS: u32 = 10;

/// See [`AUDIT_ALERTS`].
pub const AUDIT_ALERT_PERIOD: Duration = Duration::from_secs(60);

/// Addresses whose security alerts are counted apart; more share one count.
pub const AUDIT_ALERT_PEERS: usize = 256;

/// Records of the audit trail in one connection to the syslog server.
pub const SYSLOG_RECORDS: u64 = 1000;

/// Quiet after the last record of a connection to the syslog server, before it is ended.
pub const SYSLOG_SETTLE: Duration = Duration::from_secs(1);

/// Waiting for the syslog server to take bytes, or to answer the end of a connection.
pub const SYSLOG_ANSWER: Duration = Duration::from_secs(10);

/// Between an attempt to reach the syslog server that failed and the next: at first, and at most. It
/// doubles from one to the next.
pub const SYSLOG_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What a stop waits for the syslog server to take the last records.
pub const SYSLOG_FAREWELL: Duration = Duration::from_secs(5);

/// A file that `sialoscope report` reads, bytes.
pub const MAX_REPORT_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Levels of a report that are shown.
pub const MAX_CONTENT_DEPTH: usize = 32;
