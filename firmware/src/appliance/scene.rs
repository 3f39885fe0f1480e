//! What the screen and the lamps are told.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use board::leds::{Light, Signals};
use models::findings::{ModelIdentity, Reason};
use time::OffsetDateTime;
use time::macros::format_description;

use super::entrance::Addresses;
use super::keeper::{Draw, Topic};
use crate::dicom::Uid;
use crate::disk::{Disk as _, RealDisk};
use crate::limits::{
    COOL_CELSIUS, EARLIEST_YEAR, HOT_CELSIUS, LISTED_SENDERS, LISTED_STUDIES, RECENT_REFUSALS, RESULT_LIGHT,
    SITUATION_EVERY, SITUATION_IDLE, SYSTEM_EVERY,
};
use crate::screen::maintenance::Maintenance;
use crate::screen::situation::{
    Alarm, Certificate, Clock, Delivery, Destination, Disk, Model, Phase, Refused, SelfTest, Sender,
    Situation, State, Station, Study, Verdict,
};
use crate::screen::{self, Screen, Settings};
use crate::station::config::{Config, MaySend};
use crate::station::notice::Notice;
use crate::station::refusals::Refusal;
use crate::station::self_test::{self, Check, Health, Outcome, health_file};
use crate::station::system::System;
use crate::station::temperature;
use crate::study::Stage as Progress;
use crate::study::evidence::Missing;

/// Where what the screen shows is written down when somebody asks for it, in the data folder.
const SITUATION_FILE: &str = "situation.json";

/// A study as the keeper knows it.
pub(super) struct StudyView<'a> {
    pub study: &'a Uid,
    pub stage: &'a Progress,
    pub missing: Missing,
    /// The step of a running analysis.
    pub step: Option<&'a str>,
    pub delivery: Delivery,
    pub patient_name: &'a str,
    pub verdict: Option<Verdict>,
    /// Raised with every answer.
    pub answers: u32,
    /// Raised whenever there is more or less to see of it.
    pub pictures: u32,
    pub images: u64,
    /// None where that was before the start.
    pub since: Option<Duration>,
}

/// What the screen is told that the keeper does not know.
pub(super) struct Scene {
    screen: Arc<Screen>,
    signals: Option<Signals>,
    settings: Settings,
    /// What stays the same, or changes only now and then.
    template: Station,
    addresses: Addresses,
    /// The certificates that we show where we call.
    calling: Vec<Certificate>,
    notices: BTreeMap<Topic, Vec<Notice>>,
    /// Who may call, by the settings, and who has called: from where and when.
    senders: Vec<(String, Option<String>, Option<Duration>)>,
    refusals: VecDeque<(Duration, String, Reason)>,
    refused_below_mib: u64,
    data_dir: PathBuf,
    /// What is under the appliance.
    system: System,
    /// What it offers and does, and when it was last asked.
    maintenance: (Maintenance, Duration),
    /// What was last written down about it.
    health: Option<Health>,
    /// What was last told, and when.
    last: Option<Arc<Situation>>,
    told: Option<Duration>,
    /// There is news since.
    touched: bool,
    phase: Phase,
    /// The box is too hot, until it has cooled down.
    hot: bool,
    /// There is a result that the buzzer has not told yet.
    announces: bool,
    /// Until then the lamps say that there is a result.
    result_until: Duration,
}

impl Scene {
    pub(super) fn new(
        config: &Config,
        addresses: Addresses,
        serial_number: &str,
        model: Result<ModelIdentity, Reason>,
        calling: Vec<Certificate>,
        screen: Arc<Screen>,
    ) -> Self {
        let template = Station {
            name: config.station.name.clone(),
            ae_title: config.station.ae_title.clone(),
            may_send: config.may_send(),
            model: model.ok().map(|model| Model {
                name: format!("{} {}", model.name, model.version),
                trained_on: model.trained_on,
            }),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            serial_number: serial_number.to_owned(),
            certificates: calling.clone(),
            ..Station::default()
        };
        Self {
            screen,
            signals: config.signals(),
            settings: Settings {
                size: screen::DEFAULT_SIZE,
                ..config.screen_settings()
            },
            template,
            addresses,
            calling,
            notices: BTreeMap::new(),
            senders: config
                .peer
                .iter()
                .map(|peer| {
                    let address = peer.address.map(|network| network.to_string());
                    (peer.ae_title.clone(), address, None)
                })
                .collect(),
            refusals: VecDeque::with_capacity(RECENT_REFUSALS),
            refused_below_mib: config.limits.free_mib,
            data_dir: config.station.data_dir.clone(),
            system: System::default(),
            maintenance: (Maintenance::default(), Duration::ZERO),
            health: None,
            last: None,
            told: None,
            touched: true,
            phase: Phase::Running,
            hot: false,
            announces: false,
            result_until: Duration::ZERO,
        }
    }

    /// Something that the screen shows has changed.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// What somebody has to see to before long.
    pub(super) fn notices(&mut self, topic: Topic, notices: Vec<Notice>) {
        if self.notices.get(&topic).is_none_or(|before| *before != notices) {
            self.notices.insert(topic, notices);
            self.touched = true;
        }
    }

    /// Our certificates for callers.
    pub(super) fn certificates(&mut self, certificates: Vec<Certificate>) {
        let all = certificates.into_iter().chain(self.calling.iter().cloned());
        self.template.certificates = all.collect();
        self.touched = true;
    }

    /// A system was let in.
    pub(super) fn called(&mut self, ae_title: String, address: IpAddr, now: Duration) {
        // The self-test calls us under our own name.
        if address.is_loopback() && ae_title == self.template.ae_title {
            return;
        }
        let (address, now) = (Some(address.to_string()), Some(now));
        let has_room = self.senders.len() < LISTED_SENDERS;
        match self.senders.iter_mut().find(|(known, ..)| *known == ae_title) {
            Some(sender) => (sender.1, sender.2) = (address, now),
            None if has_room => self.senders.push((ae_title, address, now)),
            None => {}
        }
        self.touched = true;
    }

    /// Something was turned away.
    pub(super) fn refused(&mut self, refusal: &Refusal, now: Duration) {
        if self.refusals.len() == RECENT_REFUSALS {
            self.refusals.pop_back();
        }
        let peer = refusal.ae_title.as_ref().unwrap_or(&refusal.peer);
        self.refusals
            .push_front((now, peer.clone(), refusal.reason.clone()));
        self.touched = true;
    }

    /// How the page about a result is drawn for the PACS.
    pub(super) fn drawing(&self) -> Draw {
        let settings = self.settings.clone();
        Box::new(move |findings, pictures| {
            let page = catch_unwind(AssertUnwindSafe(|| {
                screen::capture(findings, pictures, &settings)
            }));
            page.inspect_err(|_| tracing::error!("a page could not be drawn"))
                .ok()
        })
    }

    /// A study has a result.
    pub(super) fn answered(&mut self, now: Duration) {
        self.result_until = now + RESULT_LIGHT;
        self.announces = true;
        self.touched = true;
    }

    /// The box ends what is under way, or is done with it.
    pub(super) fn stops(&mut self, phase: Phase) {
        self.phase = phase.clone();
        if let Some(signals) = &self.signals {
            signals.set(Light::Working);
        }
        self.screen.tell(Arc::new(Situation {
            phase,
            station: self.template.clone(),
            ..Situation::default()
        }));
    }

    /// Where the box is reached.
    fn renew_addresses(&mut self) {
        let (address, tls_address, notice) = self.addresses.shown();
        let station = &mut self.template;
        self.touched |= (&station.address, &station.tls_address) != (&address, &tls_address);
        (station.address, station.tls_address) = (address, tls_address);
        self.notices(Topic::Network, Vec::from_iter(notice));
    }

    /// What the self-test asks a running appliance for.
    fn report_health(&mut self, situation: &Situation) {
        let station = &situation.station;
        let health = Health {
            display: self.screen.is_seen(),
            model: station.model.is_some(),
            network: station.address.is_some() || station.tls_address.is_some(),
        };
        if self.health == Some(health) {
            return;
        }
        let written = serde_json::to_vec(&health)
            .map_err(std::io::Error::other)
            .and_then(|json| RealDisk.replace(&health_file(&self.data_dir), &json));
        match written {
            Ok(()) => self.health = Some(health),
            // It is tried again with the next situation.
            Err(error) => tracing::warn!(%error, "how the box is cannot be written down"),
        }
    }

    /// What the last self-test found, where there was one.
    fn self_test(&self) -> SelfTest {
        let json = std::fs::read(self_test::file(&self.data_dir)).ok();
        let checks: Option<Vec<Check>> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let Some(checks) = checks else {
            return SelfTest::NotRun;
        };
        let failed = checks.into_iter().filter_map(|check| match check.outcome {
            Outcome::Failed(reason) => Some(Notice::new(check.part, reason)),
            Outcome::Passed(_) | Outcome::Untested(_) => None,
        });
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() {
            SelfTest::Passed
        } else {
            SelfTest::Failed(failed)
        }
    }

    /// Writes down what the screen shows, for `sialoscope screen --state`: a support engineer draws every page from it.
    /// Patient data, so it stays in the data folder.
    pub(super) fn record(&self) {
        let Some(situation) = &self.last else { return };
        let file = self.data_dir.join(SITUATION_FILE);
        let written = serde_json::to_vec_pretty(&**situation)
            .map_err(std::io::Error::other)
            .and_then(|json| RealDisk.replace(&file, &json));
        match written {
            Ok(()) => tracing::info!("what the screen shows is in {}", file.display()),
            Err(error) => tracing::error!(%error, "what the screen shows cannot be written down"),
        }
    }

    /// Tells the screen when it is time for that. Gives how long until it wants to be asked again.
    pub(super) fn refresh<'a>(
        &mut self,
        now: Duration,
        studies: impl Iterator<Item = StudyView<'a>>,
        destinations: impl Iterator<Item = Destination>,
        short_of_space: bool,
    ) -> Duration {
        if now >= self.maintenance.1 + SYSTEM_EVERY || self.told.is_none() {
            let maintenance = self.system.maintenance();
            self.touched |= maintenance != self.maintenance.0;
            self.maintenance = (maintenance, now);
            self.renew_addresses();
        }
        let pause = if self.touched {
            SITUATION_EVERY
        } else {
            SITUATION_IDLE
        };
        let due = self.told.map_or(Duration::ZERO, |told| told + pause);
        if now < due {
            return (due - now).min(SYSTEM_EVERY);
        }
        let disk = rustix::fs::statvfs(&self.data_dir).ok().map(|space| Disk {
            free_mib: (space.f_bavail * space.f_frsize) >> 20,
            total_mib: (space.f_blocks * space.f_frsize) >> 20,
            refused_below_mib: self.refused_below_mib,
        });
        let age = |since: Duration| now.saturating_sub(since).as_secs();
        let senders = self.senders.iter().map(|(ae_title, address, heard)| Sender {
            ae_title: ae_title.clone(),
            address: address.clone(),
            heard_s: heard.map(age),
        });
        let station = Station {
            senders: senders.collect(),
            destinations: destinations.collect(),
            disk,
            temperature_c: temperature::celsius(),
            clock: Some(clock()),
            notices: self
                .system
                .refused_settings()
                .into_iter()
                .chain(self.notices.values().flatten().cloned())
                .collect(),
            update: self.system.last_update(),
            self_test: self.self_test(),
            ..self.template.clone()
        };
        // Once it was too hot, it has to cool down before that is over.
        let limit = if self.hot { COOL_CELSIUS } else { HOT_CELSIUS };
        self.hot = station.temperature_c.is_some_and(|celsius| celsius >= limit);
        let alarms = [
            (Alarm::Disk, short_of_space),
            (
                Alarm::Clock,
                station.clock.as_ref().is_some_and(|clock| !clock.plausible),
            ),
            (Alarm::Temperature, self.hot),
        ];
        let mut studies: Vec<_> = studies
            .map(|study| (study.since, row(&study, study.since.map(age))))
            .collect();
        // Those of before the start come last, in their order.
        studies.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
        studies.truncate(LISTED_STUDIES);
        let refusals = self.refusals.iter().map(|(since, peer, reason)| Refused {
            peer: peer.clone(),
            reason: reason.clone(),
            age_s: age(*since),
        });
        let situation = Situation {
            phase: self.phase.clone(),
            station,
            studies: studies.into_iter().map(|(_, study)| study).collect(),
            refusals: refusals.collect(),
            alarms: alarms
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(alarm, _)| alarm)
                .collect(),
            maintenance: self.maintenance.0.clone(),
        };
        self.report_health(&situation);
        if let Some(signals) = &self.signals {
            let light = light(&situation, now < self.result_until);
            if std::mem::take(&mut self.announces) {
                signals.announce(light);
            } else {
                signals.set(light);
            }
        }
        let situation = Arc::new(situation);
        self.last = Some(Arc::clone(&situation));
        self.screen.tell(situation);
        self.told = Some(now);
        self.touched = false;
        SYSTEM_EVERY
    }
}

/// What the lamps say.
fn light(situation: &Situation, new_result: bool) -> Light {
    let is_working = |study: &Study| {
        matches!(
            study.state,
            State::Receiving(_) | State::Waiting | State::Analyzing(_)
        )
    };
    let station = &situation.station;
    let is_deaf = station.address.is_none() && station.tls_address.is_none();
    if !situation.alarms.is_empty()
        || station.model.is_none()
        || is_deaf
        || station.may_send == MaySend::Nobody
    {
        Light::Fault
    } else if new_result {
        Light::Result
    } else if situation.studies.iter().any(is_working) {
        Light::Working
    } else {
        Light::Ready
    }
}

fn row(study: &StudyView<'_>, age_s: Option<u64>) -> Study {
    Study {
        uid: study.study.to_string(),
        tag: study.study.tag(),
        patient_name: study.patient_name.to_owned(),
        images: study.images,
        expected: study.missing.images.map(|(_, of)| of),
        series: study.missing.series,
        state: match study.stage {
            Progress::Receiving => State::Receiving(study.missing.contrasts.clone()),
            Progress::Complete => State::Waiting,
            Progress::Analyzing => State::Analyzing(study.step.map(str::to_owned)),
            Progress::Reported | Progress::Delivered => {
                State::Answered(study.verdict.unwrap_or(Verdict::Unread))
            }
            Progress::Failed(reason) => State::Failed(reason.clone()),
        },
        // Only what the record says was delivered is called so.
        delivery: match study.stage {
            Progress::Delivered => Delivery::Done,
            _ => study.delivery.clone(),
        },
        answers: study.answers,
        pictures: study.pictures,
        age_s,
    }
}

/// Date and time in UTC, and whether they can be right.
fn clock() -> Clock {
    let now = OffsetDateTime::now_utc();
    let written = now.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
    Clock {
        time: written.unwrap_or_default(),
        plausible: now.year() >= EARLIEST_YEAR,
    }
}
