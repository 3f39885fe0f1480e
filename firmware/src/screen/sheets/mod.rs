//! The view model: what a page says, before anything is drawn.
//!
//! Everything that decides (which page, which words, which digits) happens here, so that it can be tested
//! without pixels. A number of a task exists only as a [`study::Bar`], which always has an interval, and the page
//! that gives no answer has no field that could hold one.

pub(super) mod list;
pub(super) mod question;
pub(super) mod station;
pub(super) mod study;

use super::icons::Icon;

/// Named values under a title.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) icon: Icon,
    pub(super) title: String,
    pub(super) mark: Mark,
    pub(super) entries: Vec<Entry>,
}

/// One value.
#[derive(Debug)]
pub(super) struct Entry {
    /// Empty for a whole sentence.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) mark: Mark,
}

/// How something stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mark {
    #[default]
    Plain,
    Good,
    Attention,
}

impl Entry {
    pub(super) fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            mark: Mark::Plain,
        }
    }

    pub(super) fn sentence(text: impl Into<String>) -> Self {
        Self::new("", text)
    }

    pub(super) fn marked(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }
}

impl Section {
    pub(super) fn new(icon: Icon, title: &str, entries: Vec<Entry>) -> Self {
        let needs_attention = entries.iter().any(|entry| entry.mark == Mark::Attention);
        let mark = if needs_attention {
            Mark::Attention
        } else {
            Mark::Plain
        };
        Self {
            icon,
            title: title.to_owned(),
            mark,
            entries,
        }
    }
}
