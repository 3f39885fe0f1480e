//! The appliance: everything wired together, from start to stop.
//!
//! ```text
//! scanner ─► dicom::scp ─► spool ─┐ (a thread per association)
//!                                 ├─► keeper (one thread) ─► analyst (a process) ─► records, screen
//!                    restart ─────┘
//! ```
//!
//! The keeper is the only one who decides about studies. It owns all their state, so there is
//! nothing to lock; associations and the analyst talk to it through one bounded inbox.

mod audited;
mod descriptors;
mod entrance;
mod event;
mod intake;
mod keeper;
mod scene;

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use models::findings::{Fault, ModelIdentity, Reason};
use models::mr::Contrast;
use rustix::fs::FlockOperation;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use crate::analysis::{Answer, Whose, Worker};
use crate::dicom::door::Patience;
use crate::dicom::scp::Provider;
use crate::disk::{Disk, RealDisk};
use crate::limits::{EVENT_BACKLOG, HEART_KEEPER, INBOX_MESSAGES};
use crate::outbox::{Couriers, Tell};
use crate::screen::Screen;
use crate::screen::situation::{Phase, Start};
use crate::spool::Spool;
use crate::station::audit::syslog::{Sending, Syslog};
use crate::station::audit::{Audit, AuditEvent};
use crate::station::config::Config;
use crate::station::device::{self, Transactions};
use crate::station::heart::Heart;
use crate::station::notice::Notice;
use crate::station::refusals::Refusals;
use crate::study::open::OpenStudies;
use crate::study::record::Records;

use audited::Audited;
use entrance::Addresses;
pub use event::Event;
use intake::Inbox;
use keeper::{Keeper, Message, Rules, Topic};
use scene::Scene;

/// A future that may be sent to another thread.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever answers about studies.
pub trait Analyst: Send + Sync + 'static {
    /// Answers about the study whose files are in a folder. An error is no statement about the
    /// study; the analysis may be tried again.
    /// Each step that begins is told, by its name in [`models::findings::Timing::step`].
    fn analyze<'a>(
        &'a self,
        folder: &'a Path,
        told: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Answering<'a, Result<Answer, Reason>>;

    /// The study in the folder on every slice, right after it was answered about: the JSON of
    /// [`models::pictures::Pictures`]. None where only the pictures of the answer are to be had.
    fn pictures<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Vec<u8>>> {
        let _ = folder;
        Box::pin(std::future::ready(None))
    }

    /// The contrasts that the model knows and the images in the folder lack; none when nothing can be
    /// said about that. Without that evidence a study becomes complete by its counts or by quiet time.
    fn missing_contrasts<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Vec<Contrast>>> {
        let _ = folder;
        Box::pin(std::future::ready(None))
    }

    /// Whose study lies in the folder, where that can be said; asked after an analysis that failed.
    fn identify<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Whose>> {
        let _ = folder;
        Box::pin(std::future::ready(None))
    }
}

impl Analyst for Worker {
    fn analyze<'a>(
        &'a self,
        folder: &'a Path,
        told: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Answering<'a, Result<Answer, Reason>> {
        Box::pin(Worker::analyze(self, folder, told))
    }

    fn pictures<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let asked = Worker::pictures(self, folder).await;
            asked
                .inspect_err(|reason| tracing::warn!(code = reason.code, "{reason}"))
                .ok()
                .flatten()
        })
    }

    fn missing_contrasts<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Vec<Contrast>>> {
        Box::pin(async move {
            let asked = Worker::missing_contrasts(self, folder).await;
            asked
                .inspect_err(|reason| tracing::warn!(code = reason.code, "{reason}"))
                .ok()
                .flatten()
        })
    }

    fn identify<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Whose>> {
        Box::pin(async move {
            let asked = Worker::identify(self, folder).await;
            asked
                .inspect_err(|reason| tracing::warn!(code = reason.code, "{reason}"))
                .ok()
        })
    }
}

/// Nobody: the worker process could not even be started. Images are taken all the same, and the
/// screen says why there is no answer about them.
pub struct Absent(pub Reason);

impl Analyst for Absent {
    fn analyze<'a>(
        &'a self,
        _: &'a Path,
        _: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Answering<'a, Result<Answer, Reason>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }
}

/// What the appliance is made of besides its settings.
pub struct Parts {
    /// Who answers.
    pub analyst: Arc<dyn Analyst>,
    /// The model that answers, or why there is none.
    pub model: Result<ModelIdentity, Reason>,
    /// Where the pages are shown. It may be kept beside the appliance, to show why that did not start.
    pub screen: Arc<Screen>,
    /// What the start has already met with.
    pub notices: Vec<Notice>,
    /// Who wants to know what happens; subscribe before the start to miss nothing.
    pub events: broadcast::Sender<Event>,
    /// How long it waits for peers; what the settings say about it goes first.
    pub patience: Patience,
}

impl Parts {
    /// Parts with a channel of events of their own.
    pub fn new(
        analyst: Arc<dyn Analyst>,
        model: Result<ModelIdentity, Reason>,
        screen: impl Into<Arc<Screen>>,
    ) -> Self {
        Self {
            analyst,
            model,
            screen: screen.into(),
            notices: Vec::new(),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            patience: Patience::default(),
        }
    }
}

/// A running appliance.
pub struct Appliance {
    addresses: Addresses,
    provider: Arc<Provider>,
    watching: JoinHandle<()>,
    serving: JoinHandle<()>,
    keeping: std::thread::JoinHandle<()>,
    inbox: SyncSender<Message>,
    /// Closed when the keeper ends.
    keeper_alive: oneshot::Receiver<()>,
    audit: Arc<Audit>,
    /// Where the audit trail is sent somewhere.
    sending: Option<Sending>,
    hearts: Vec<Arc<Heart>>,
    /// Held while the data folder is ours.
    _lock: File,
}

impl Appliance {
    /// Takes the data folder, goes on with the studies in it, and listens.
    ///
    /// # Errors
    /// `data_dir` when the data folder cannot be used, `data_dir_in_use` when another appliance has
    /// it, `listen` when the address cannot be listened on, `tls` when a file of TLS cannot be used, be it
    /// for callers, for a destination or for the syslog server.
    pub async fn start(config: &Config, parts: Parts) -> Result<Self, Reason> {
        let data_dir = &config.station.data_dir;
        let unusable = |error: io::Error| {
            Reason::new(
                "data_dir",
                Fault::Hardware,
                format!("the data folder {}: {error}", data_dir.display()),
            )
        };
        let Parts {
            analyst,
            model,
            screen,
            notices,
            events,
            patience,
        } = parts;
        let begin = |start| screen.tell_phase(Phase::Starting(start));
        begin(Start::Storage);
        std::fs::create_dir_all(data_dir).map_err(unusable)?;
        let lock = take(data_dir)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let spool = Spool::open(Arc::clone(&disk), data_dir, config.spool_limits()).map_err(unusable)?;
        let spool = Arc::new(spool);
        let records = Records::open(Arc::clone(&disk), data_dir).map_err(unusable)?;
        begin(Start::Studies);
        let open = OpenStudies::open(Arc::new(records), &spool).map_err(unusable)?;
        let open = Arc::new(open);
        let refusals = Refusals::open(data_dir).map_err(unusable)?;
        let device = device::open(&*disk, data_dir, &config.station.ae_title).map_err(unusable)?;
        let audit = Arc::new(Audit::open(data_dir, &config.station.ae_title).map_err(unusable)?);
        let (inbox, messages) = sync_channel(INBOX_MESSAGES);
        begin(Start::Network);
        let door = entrance::door(config, patience)?;
        let syslog = syslog(config, &audit, inbox.clone())?;
        let (listeners, addresses) = entrance::listen(config).await?;
        let intake = Audited::new(
            Inbox::new(inbox.clone(), Arc::clone(&open)),
            Arc::clone(&spool),
            Arc::clone(&audit),
        );
        let provider = Provider::new(door, config.services(), Arc::clone(&spool), Box::new(intake));
        let provider = Arc::new(provider);
        let couriers = couriers(config, patience.answer, open.records(), inbox.clone())?;
        let calling = entrance::calling(config, SystemTime::now());
        let (keeper_heart, screen_heart) = (Heart::new("keeper", HEART_KEEPER), screen.heart());
        let mut scene = Scene::new(config, addresses, &device.serial_number, model, calling, screen);
        scene.notices(Topic::Start, notices);
        let keeper = Keeper {
            spool,
            open,
            rules: Rules {
                waits: config.waits(),
                retention: config.retention(),
                destinations: config.destinations().into_iter().map(|one| one.terms).collect(),
            },
            refusals,
            audit: Arc::clone(&audit),
            analyst,
            events: events.clone(),
            scene,
            heart: Arc::clone(&keeper_heart),
            couriers,
            transactions: Transactions::draw().map_err(unusable)?,
            device,
            inbox: inbox.clone(),
            runtime: Handle::current(),
        };
        let hearts = vec![keeper_heart, provider.heart(), screen_heart];
        let (alive, keeper_alive) = oneshot::channel();
        let keeping = std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || {
                let _until_the_end = alive;
                keeper.run(&messages);
            })
            .map_err(|error| Reason::new("thread", Fault::Hardware, error.to_string()))?;

        addresses.write(&*disk, data_dir).map_err(unusable)?;
        tracing::info!("listening on {addresses}");
        if let Some(note) = config.may_send().note() {
            tracing::warn!("{note}");
        }
        audit.record(&AuditEvent::Started);
        let sending = syslog
            .map(Syslog::start)
            .transpose()
            .map_err(|error| Reason::new("thread", Fault::Hardware, error.to_string()))?;
        let _ = events.send(Event::Listening(addresses.first));
        let watching = tokio::spawn(entrance::watch(Arc::clone(&provider), inbox.clone()));
        let serving = tokio::spawn(Arc::clone(&provider).serve(listeners));
        Ok(Self {
            addresses,
            provider,
            watching,
            serving,
            keeping,
            inbox,
            keeper_alive,
            audit,
            sending,
            hearts,
            _lock: lock,
        })
    }

    /// Where it listens: without TLS, unless that is switched off.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first
    }

    /// Where it listens with TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.addresses.tls
    }

    /// Waits until the appliance cannot go on, by an error of ours. What is acknowledged is on disk; a
    /// new start goes on with it.
    pub async fn broken(&mut self) -> Reason {
        let _ = (&mut self.keeper_alive).await;
        Reason::new(
            "internal",
            Fault::Us,
            "the keeper of the studies ended by an error of ours",
        )
    }

    /// Whether its parts make progress.
    pub fn hearts(&self) -> Vec<Arc<Heart>> {
        self.hearts.clone()
    }

    /// Writes down what the screen shows, in the data folder.
    pub fn record_situation(&self) {
        // A keeper that is busy is asked again.
        let _ = self.inbox.try_send(Message::Record);
    }

    /// Stops: takes nothing more, lets messages under way end, keeps the state. A running analysis is
    /// given up; it is done again after the next start.
    pub async fn stop(self) {
        tracing::info!("stopping");
        // Only the screen needs to know; where the inbox is full, it learns it a little later.
        let _ = self.inbox.try_send(Message::Stopping);
        self.provider.stop();
        self.watching.abort();
        let _ = self.serving.await;
        self.audit.record(&AuditEvent::Stopped);
        let Self {
            inbox,
            keeping,
            sending,
            ..
        } = self;
        let kept = tokio::task::spawn_blocking(move || {
            let _ = inbox.send(Message::Stop);
            let kept = keeping.join();
            // The keeper may have removed a study just now.
            if let Some(sending) = sending {
                sending.stop();
            }
            kept
        });
        if !matches!(kept.await, Ok(Ok(()))) {
            tracing::error!("the keeper of the studies ended by an error of ours");
        }
        tracing::info!("stopped");
    }
}

/// The way of the audit trail to a syslog server, where the settings name one.
fn syslog(config: &Config, audit: &Arc<Audit>, inbox: SyncSender<Message>) -> Result<Option<Syslog>, Reason> {
    let tell = move |notices| {
        // A keeper that is gone shows nothing.
        let _ = inbox.send(Message::Notices(Topic::AuditTrail, notices));
    };
    let open = |server| {
        Syslog::open(
            server,
            &config.station.data_dir,
            Arc::clone(audit),
            Box::new(tell),
        )
    };
    config.syslog().map(open).transpose()
}

/// Who brings findings to their destinations.
fn couriers(
    config: &Config,
    patience: Duration,
    records: &Arc<Records>,
    inbox: SyncSender<Message>,
) -> Result<Couriers, Reason> {
    let destinations = config.destinations();
    for files in destinations.iter().filter_map(|one| one.tls.as_ref()) {
        files.check()?;
    }
    let tell: Tell = Arc::new(move |visit| {
        // A keeper that is gone reads from the disk what is to be done again.
        let _ = inbox.send(Message::Visited(Box::new(visit)));
    });
    let couriers = Couriers::start(&destinations, &config.station.ae_title, patience, records, &tell);
    couriers.map_err(|error| Reason::new("thread", Fault::Hardware, error.to_string()))
}

/// Makes sure that no other appliance works in the data folder. The kernel lets go with the process.
fn take(data_dir: &Path) -> Result<File, Reason> {
    let path = data_dir.join("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let lock = lock.map_err(|error| {
        Reason::new(
            "data_dir",
            Fault::Hardware,
            format!("{}: {error}", path.display()),
        )
    })?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        let text = format!("another appliance works in {}", data_dir.display());
        Reason::new("data_dir_in_use", Fault::Configuration, text)
    })?;
    Ok(lock)
}
