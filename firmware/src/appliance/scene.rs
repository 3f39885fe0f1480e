//! Which page is on the screen.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use board::{Display, Frame};
use embedded_graphics::prelude::Size;
use models::findings::{Findings, ModelIdentity, Reason, StudyIdentity};

use super::keeper::{Draw, Topic};
use crate::dicom::Uid;
use crate::limits::{RECENT_REFUSALS, RESULT_STAYS, STATUS_REDRAW, STATUS_STUDIES};
use crate::screen::{self, Progress, RefusalLine, StatusView, StudyLine};
use crate::station::config::Config;
use crate::station::refusals::Refusal;
use crate::study::Stage;

/// A study as the status page sees it.
pub(super) struct StudyView<'a> {
    pub study: &'a Uid,
    pub stage: &'a Stage,
    /// What has not come, in words; none while it comes.
    pub waits_for: Option<String>,
    /// Where its findings still have to go; none where everything is there.
    pub delivery: Option<DeliveryView>,
    pub identity: Option<&'a StudyIdentity>,
    pub images: u64,
    pub since: Duration,
}

/// A delivery that is not done.
pub(super) struct DeliveryView {
    /// Where it has to go, and what holds it up.
    pub words: String,
    /// Something holds it up.
    pub blocked: bool,
}

/// The screen: the last result until there is news, then the status.
pub(super) struct Scene {
    display: Box<dyn Display + Send>,
    size: Size,
    show_patient: bool,
    /// Everything that stays the same.
    template: StatusView,
    notices: BTreeMap<Topic, Vec<String>>,
    refusals: VecDeque<(Duration, String)>,
    /// What is shown stays at least until then.
    stays_until: Duration,
    /// There is news that the page on the screen does not show.
    touched: bool,
    /// The page on the screen warns of the disk.
    short_of_space: bool,
    /// Free space below which images are refused, MiB.
    refused_below_mib: u64,
}

impl Scene {
    pub(super) fn new(
        config: &Config,
        address: String,
        model: Result<ModelIdentity, Reason>,
        display: Box<dyn Display + Send>,
    ) -> Self {
        let model = model.ok();
        let template = StatusView {
            station: "Sialoscope".to_owned(),
            ae_title: config.station.ae_title.clone(),
            address: Some(address),
            may_send: config.may_send(),
            notices: Vec::new(),
            model: model
                .as_ref()
                .map(|model| format!("{} {}", model.name, model.version)),
            trained_on: model.map(|model| model.trained_on).unwrap_or_default(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            warnings: Vec::new(),
            studies: Vec::new(),
            refusals: Vec::new(),
        };
        Self {
            display,
            size: Size::new(config.screen.width, config.screen.height),
            show_patient: config.privacy.patient_on_screen,
            template,
            notices: BTreeMap::new(),
            refusals: VecDeque::with_capacity(RECENT_REFUSALS),
            stays_until: Duration::ZERO,
            touched: true,
            short_of_space: false,
            refused_below_mib: config.limits.free_mib,
        }
    }

    /// Something that the status page shows has changed.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// What somebody has to see to before long.
    pub(super) fn notices(&mut self, topic: Topic, notices: Vec<String>) {
        if self.notices.get(&topic).is_none_or(|before| *before != notices) {
            self.notices.insert(topic, notices);
            self.template.notices = self.notices.values().flatten().cloned().collect();
            self.touched = true;
        }
    }

    /// Something was turned away.
    pub(super) fn refused(&mut self, refusal: &Refusal, now: Duration) {
        if self.refusals.len() == RECENT_REFUSALS {
            self.refusals.pop_back();
        }
        let peer = refusal.ae_title.as_ref().unwrap_or(&refusal.peer);
        self.refusals
            .push_front((now, format!("{peer}: {}", refusal.reason)));
        self.touched = true;
    }

    /// How the page about a result is drawn.
    pub(super) fn drawing(&self) -> Draw {
        let (size, show_patient) = (self.size, self.show_patient);
        Box::new(move |findings, views| {
            if show_patient {
                return drawn(|| screen::result_page(findings, views, size));
            }
            let identity = StudyIdentity {
                study_instance_uid: findings.study.study_instance_uid.clone(),
                ..StudyIdentity::default()
            };
            let hidden = Findings {
                study: identity,
                ..findings.clone()
            };
            drawn(|| screen::result_page(&hidden, views, size))
        })
    }

    /// Shows the page about a result until there is news.
    pub(super) fn show(&mut self, page: &Frame, now: Duration) {
        self.present(page);
        self.stays_until = now + RESULT_STAYS;
        self.touched = false;
    }

    /// Draws the status page when it is its turn. Gives how long until it wants to be asked again.
    pub(super) fn refresh<'a>(
        &mut self,
        now: Duration,
        studies: impl Iterator<Item = StudyView<'a>>,
        short_of_space: Option<u64>,
    ) -> Duration {
        if self.short_of_space != short_of_space.is_some() {
            self.short_of_space = short_of_space.is_some();
            self.touched = true;
        }
        if !self.touched {
            return Duration::MAX;
        }
        if now < self.stays_until {
            return self.stays_until - now;
        }
        let status = StatusView {
            warnings: short_of_space
                .map(|free| self.disk_warning(free))
                .into_iter()
                .collect(),
            ..self.status(now, studies)
        };
        if let Some(frame) = drawn(|| screen::status_page(&status, self.size)) {
            self.present(&frame);
        }
        self.touched = false;
        self.stays_until = now + STATUS_REDRAW;
        Duration::MAX
    }

    fn status<'a>(&self, now: Duration, studies: impl Iterator<Item = StudyView<'a>>) -> StatusView {
        let mut studies: Vec<_> = studies.collect();
        studies.sort_by_key(|study| std::cmp::Reverse(study.since));
        studies.truncate(STATUS_STUDIES);
        let age = |since: Duration| now.saturating_sub(since).as_secs();
        StatusView {
            studies: studies
                .into_iter()
                .map(|study| {
                    let (progress, state) = words(&study);
                    let images = usize::try_from(study.images).unwrap_or(usize::MAX);
                    StudyLine {
                        label: self.label(&study),
                        progress,
                        state,
                        images,
                        age_s: age(study.since),
                    }
                })
                .collect(),
            refusals: self
                .refusals
                .iter()
                .map(|(since, text)| RefusalLine {
                    text: text.clone(),
                    age_s: age(*since),
                })
                .collect(),
            ..self.template.clone()
        }
    }

    fn disk_warning(&self, free_bytes: u64) -> String {
        format!(
            "The disk is filling: {} MiB are left, below {} MiB images are refused",
            free_bytes >> 20,
            self.refused_below_mib
        )
    }

    fn label(&self, study: &StudyView<'_>) -> String {
        match study.identity {
            Some(identity) if self.show_patient && !identity.patient_name.is_empty() => {
                identity.patient_name.clone()
            }
            _ => format!("Study {}", study.study.tag()),
        }
    }

    fn present(&mut self, frame: &Frame) {
        if let Err(error) = self.display.present(frame) {
            tracing::error!(%error, "the screen cannot be written");
        }
    }
}

/// A page, or none when drawing it failed by an error of ours, which must not end the intake.
fn drawn(draw: impl FnOnce() -> Frame) -> Option<Frame> {
    let page = catch_unwind(AssertUnwindSafe(draw));
    page.inspect_err(|_| tracing::error!("a page could not be drawn"))
        .ok()
}

fn words(study: &StudyView<'_>) -> (Progress, String) {
    let (progress, state) = match study.stage {
        Stage::Receiving => match study.waits_for.as_deref() {
            Some(missing) if !missing.is_empty() => (Progress::Working, format!("waits: {missing}")),
            _ => (Progress::Working, "receiving".to_owned()),
        },
        Stage::Complete => (Progress::Working, "waiting for the analysis".to_owned()),
        Stage::Analyzing => (Progress::Working, "analyzing".to_owned()),
        Stage::Reported => (Progress::Done, "reported".to_owned()),
        Stage::Delivered => (Progress::Done, "reported and delivered".to_owned()),
        Stage::Failed(reason) => (Progress::Failed, format!("no answer: {reason}")),
    };
    match &study.delivery {
        Some(DeliveryView { words, blocked }) => {
            let progress = if *blocked {
                Progress::Failed
            } else {
                Progress::Working
            };
            (progress, format!("{state}, {words}"))
        }
        None => (progress, state),
    }
}
