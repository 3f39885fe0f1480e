//! The conversation about maintenance: what is asked, what is answered, and what was seen already.

use super::language::Words;
use super::maintenance::{Installation, Maintenance, SupportReport, Wish};
use super::sheets::question::{Answer, Question, question};

/// Where the conversation is.
#[derive(Debug)]
pub(super) struct Asking {
    maintenance: Maintenance,
    /// What people have read and closed; it is not said again.
    seen: Maintenance,
    /// The question is on the screen.
    open: bool,
    /// The answer that the keys have reached.
    chosen: Answer,
    /// What was wished last is not under way yet.
    asked: bool,
    wish: Option<Wish>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            maintenance: Maintenance::default(),
            seen: Maintenance::default(),
            open: false,
            chosen: Answer::Close,
            asked: false,
            wish: None,
        }
    }
}

impl Asking {
    /// There is news. Says whether it is worth being shown by itself.
    pub(super) fn tell(&mut self, news: &Maintenance) -> bool {
        let (before, now) = (self.maintenance.without_progress(), news.without_progress());
        self.maintenance = news.clone();
        if before == now {
            return false;
        }
        self.asked = false;
        self.chosen = Answer::Close;
        if !now.stick {
            // The same stick again is news again.
            self.seen.support = None;
        }
        let offered = now.offer.is_some() && now.offer != before.offer;
        offered || now.installation != before.installation || now.support != before.support
    }

    /// What there is to ask or to say.
    pub(super) fn question(&self, version: &str, words: &Words) -> Option<Question> {
        let mut unseen = self.maintenance.clone();
        if unseen.support == self.seen.support {
            unseen.support = None;
        }
        if unseen.installation == self.seen.installation {
            unseen.installation = None;
        }
        question(&unseen, self.asked, version, words)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn chosen(&self) -> Answer {
        self.chosen
    }

    /// Puts it on the screen. Keys begin at the answer that changes nothing.
    pub(super) fn open(&mut self) {
        self.open = true;
        self.chosen = Answer::Close;
    }

    /// Takes it off the screen; what was said to its end is not said again.
    pub(super) fn close(&mut self) {
        (self.open, self.asked) = (false, false);
        if matches!(
            self.maintenance.support,
            Some(SupportReport::Done(_) | SupportReport::Failed(_))
        ) {
            self.seen.support.clone_from(&self.maintenance.support);
        }
        if matches!(self.maintenance.installation, Some(Installation::Failed(_))) {
            self.seen.installation.clone_from(&self.maintenance.installation);
        }
    }

    /// To another answer of the question.
    pub(super) fn step(&mut self, by: isize, question: &Question) {
        let answers = &question.answers;
        let at = answers
            .iter()
            .position(|(answer, _)| *answer == self.chosen)
            .unwrap_or(0);
        let to = at.saturating_add_signed(by).min(answers.len().saturating_sub(1));
        self.chosen = answers.get(to).map_or(Answer::Close, |(answer, _)| *answer);
    }

    /// Somebody answers the question.
    pub(super) fn answer(&mut self, answer: Answer, question: &Question) {
        // A finger may come down while the question changes under it.
        if !question.answers.iter().any(|(offered, _)| *offered == answer) {
            return;
        }
        let wish = match (answer, &self.maintenance.offer) {
            (Answer::Install, Some(offer)) => Wish::Install(offer.bundle.clone()),
            (Answer::Restart, _) => Wish::Restart,
            (Answer::Support, _) => Wish::Support,
            (Answer::Close | Answer::Install, _) => return self.close(),
        };
        (self.wish, self.asked) = (Some(wish), true);
        self.chosen = Answer::Close;
        // The same outcome a second time is news.
        self.seen = Maintenance::default();
    }

    /// What is wished, once.
    pub(super) fn take_wish(&mut self) -> Option<Wish> {
        self.wish.take()
    }
}
