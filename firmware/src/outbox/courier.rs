//! The couriers: one thread for each destination, so that none waits for another.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use models::findings::{Fault, Reason};

use super::destination::{Destination, Way};
use super::{Errand, Item, Visit, dicom, stow};
use crate::dicom::user::{Call, Encryption};
use crate::limits::COURIER_FAREWELL;
use crate::study::record::Records;

/// Whom a courier tells of its visits.
pub type Tell = Arc<dyn Fn(Visit) + Send + Sync>;

/// All couriers.
pub struct Couriers {
    errands: BTreeMap<String, Sender<Errand>>,
    /// Closed when the last one ends.
    alive: Receiver<()>,
}

/// One courier.
struct Courier {
    destination: Destination,
    /// Our AE title.
    from: String,
    /// How long it waits for each answer.
    patience: Duration,
    records: Arc<Records>,
}

impl Couriers {
    /// A thread for each destination.
    ///
    /// # Errors
    /// There is no thread for one.
    pub fn start(
        destinations: &[Destination],
        from: &str,
        patience: Duration,
        records: &Arc<Records>,
        tell: &Tell,
    ) -> io::Result<Self> {
        let (until_the_end, alive) = channel();
        let mut errands = BTreeMap::new();
        for destination in destinations {
            let (sender, receiver) = channel();
            let courier = Courier {
                destination: destination.clone(),
                from: from.to_owned(),
                patience,
                records: Arc::clone(records),
            };
            let (tell, until_the_end) = (Arc::clone(tell), until_the_end.clone());
            thread::Builder::new().name("courier".to_owned()).spawn(move || {
                let _until_the_end = until_the_end;
                courier.run(&receiver, &tell);
            })?;
            errands.insert(destination.terms.name.clone(), sender);
        }
        Ok(Self { errands, alive })
    }

    /// Sends the courier of a destination out.
    pub fn send(&self, errand: Errand) {
        if let Some(courier) = self.errands.get(&errand.destination) {
            // A courier ends with us only.
            let _ = courier.send(errand);
        }
    }

    /// Sends nobody any more, and waits a moment for those who are out.
    pub fn stop(self) {
        drop(self.errands);
        if self.alive.recv_timeout(COURIER_FAREWELL) == Err(RecvTimeoutError::Timeout) {
            tracing::info!("a delivery under way is done again after the next start");
        }
    }
}

impl Courier {
    fn run(self, errands: &Receiver<Errand>, tell: &Tell) {
        for errand in errands {
            let empty = Visit::of(&errand);
            // Whatever goes wrong in there ends this visit, not the delivery.
            let visit = catch_unwind(AssertUnwindSafe(|| self.visit(errand)));
            tell(visit.unwrap_or_else(|_| {
                let text = "the delivery ended by an error of ours";
                Visit {
                    trouble: Some(Reason::new("internal", Fault::Us, text)),
                    ..empty
                }
            }));
        }
    }

    fn visit(&self, errand: Errand) -> Visit {
        let began = Instant::now();
        let mut visit = Visit::of(&errand);
        if let Err(reason) = self.deliver(&errand, &mut visit) {
            visit.trouble.get_or_insert(reason);
        }
        let stored = visit.sent.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        let (study, destination) = (errand.study.tag(), &errand.destination);
        let took_ms = began.elapsed().as_millis();
        match &visit.trouble {
            None => tracing::info!(study, destination, stored, took_ms, "visited a destination"),
            Some(reason) => {
                tracing::warn!(
                    study,
                    destination,
                    stored,
                    code = reason.code,
                    "not delivered: {reason}"
                );
            }
        }
        for reason in visit
            .sent
            .iter()
            .filter_map(|(_, outcome)| outcome.as_ref().err())
        {
            tracing::warn!(study, destination, code = reason.code, "not taken: {reason}");
        }
        visit
    }

    fn deliver(&self, errand: &Errand, visit: &mut Visit) -> Result<(), Reason> {
        let items = self.items(errand)?;
        if items.len() < errand.send.len() {
            // Superseded meanwhile: nobody wants it any more.
            return Ok(());
        }
        let credentials = self.destination.credentials()?;
        if let Some(credentials) = &credentials {
            visit.warnings = credentials.warnings(&errand.destination, SystemTime::now());
        }
        match &self.destination.way {
            Way::Dicom(node) => {
                let config = credentials.map(|credentials| credentials.config()).transpose()?;
                let call = Call {
                    to: node,
                    encryption: config.map(|config| Encryption {
                        config,
                        name: self.destination.terms.host.clone(),
                    }),
                    from: &self.from,
                    patience: self.patience,
                };
                dicom::visit(&call, &items, errand, visit)
            }
            Way::Stow { url, authorization } => {
                stow::visit(url, authorization.as_deref(), credentials.as_ref(), &items, visit)
            }
        }
    }

    /// The files to send. They may have been superseded since the errand was given.
    fn items(&self, errand: &Errand) -> Result<Vec<Item>, Reason> {
        let unreadable = |error: io::Error| {
            let text = format!("the objects of a study cannot be read: {error}");
            Reason::new("disk", Fault::Hardware, text)
        };
        let listed = self.records.objects(&errand.study).map_err(unreadable)?;
        let wanted = |kind| {
            let object = listed.iter().find(|object| object.kind == kind)?;
            let path: PathBuf = self.records.folder(&errand.study).join(kind.file_name());
            let mut all = errand.about.iter();
            let reference = all
                .find(|reference| reference.instance == object.sop_instance)?
                .clone();
            Some(Item { reference, path })
        };
        Ok(errand.send.iter().filter_map(|kind| wanted(*kind)).collect())
    }
}

impl Visit {
    /// What came of an errand that nobody has gone yet.
    pub(crate) fn of(errand: &Errand) -> Self {
        Self {
            study: errand.study.clone(),
            destination: errand.destination.clone(),
            about: errand.about.clone(),
            sent: Vec::new(),
            commitment: None,
            trouble: None,
            warnings: Vec::new(),
        }
    }
}
