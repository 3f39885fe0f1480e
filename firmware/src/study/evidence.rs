//! What tells that a study is whole, and what tells that it is not.
//!
//! | evidence | where it comes from |
//! |---|---|
//! | Number of Study Related Series, Instances (0020,1206), (0020,1208) | an image, if it states them |
//! | Number of Series Related Instances (0020,1209) | an image, about its own series |
//! | the series and images of a procedure step, and whether it is finished | MPPS (PS3.4 F.7) |
//! | which contrasts are still missing | the headers of the images, read by the worker |
//!
//! Of several statements about one number the largest holds: to wait in vain costs minutes, to begin
//! early costs an answer about half a study.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use models::findings::{Fault, Reason};
use models::mr::Contrast;
use serde::{Deserialize, Serialize};

use crate::dicom::Uid;
use crate::dicom::dataset::Counts;
use crate::limits::MAX_ANNOUNCED_SERIES;

/// What a performed procedure step says about its study (PS3.4 Annex F): each announcement holds all
/// that the step has said so far and replaces the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The study that the step belongs to.
    pub study: Uid,
    /// Each series that was made, with the number of instances that the step refers to in it.
    pub series: Vec<(Uid, u32)>,
    /// Whether the step is completed or discontinued: no further series will be named.
    pub finished: bool,
}

/// How much a study should have, from all that was said about it. Kept with its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expected {
    /// Series in the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<u32>,
    /// Instances in the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Instances in single series.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub in_series: BTreeMap<Uid, u32>,
    /// Whether a procedure step is finished; none when none was heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
}

impl Expected {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// An image of `series` states these. Gives whether that is news.
    pub fn stated(&mut self, series: &Uid, counts: Counts) -> bool {
        let raised =
            raise(&mut self.series, counts.study_series) | raise(&mut self.instances, counts.study_instances);
        raised | self.expect(series, counts.series_instances)
    }

    /// A procedure step says this. Gives whether that is news.
    pub fn announced(&mut self, announced: &Announced) -> bool {
        let mut news = self.finished != Some(announced.finished);
        self.finished = Some(announced.finished);
        for (series, count) in &announced.series {
            news |= self.expect(series, Some(*count));
        }
        news
    }

    fn expect(&mut self, series: &Uid, count: Option<u32>) -> bool {
        let Some(count) = count.filter(|count| *count > 0) else {
            return false;
        };
        if let Some(known) = self.in_series.get_mut(series) {
            let news = count > *known;
            *known = count.max(*known);
            return news;
        }
        // Nobody acquires so many; what is beyond is not waited for.
        if self.in_series.len() >= MAX_ANNOUNCED_SERIES {
            return false;
        }
        self.in_series.insert(series.clone(), count);
        true
    }
}

/// Zero is what some systems write for "unknown".
fn raise(known: &mut Option<u32>, stated: Option<u32>) -> bool {
    let before = *known;
    *known = before.max(stated.filter(|count| *count > 0));
    *known != before
}

/// The instances of a study that are there, by series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    series: BTreeMap<Uid, BTreeSet<Uid>>,
    count: u64,
}

impl Present {
    /// Adds an instance. Gives whether it is new.
    pub fn add(&mut self, series: Uid, sop: Uid) -> bool {
        let new = self.series.entry(series).or_default().insert(sop);
        self.count += u64::from(new);
        new
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// As (series, SOP instance), ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&Uid, &Uid)> {
        self.series
            .iter()
            .flat_map(|(series, instances)| instances.iter().map(move |sop| (series, sop)))
    }

    /// What was promised and is not there.
    pub fn lacks(&self, expected: &Expected) -> Missing {
        let there = |series: &Uid| self.series.get(series).map_or(0, |all| all.len() as u64);
        let series = expected.series.map_or(0, u64::from).max(
            // A procedure step names its series; series of which an image spoke are there anyway.
            expected.in_series.len() as u64,
        );
        let short = expected
            .in_series
            .iter()
            .filter(|(series, count)| there(series) > 0 && there(series) < u64::from(**count));
        Missing {
            series: part(self.series.len() as u64, series),
            images: part(self.count, expected.instances.map_or(0, u64::from)),
            short_series: short.count() as u64,
            unfinished: expected.finished == Some(false),
            contrasts: Vec::new(),
        }
    }

    /// Whether everything that was promised is there, and enough was promised to know the whole.
    pub fn reaches(&self, expected: &Expected) -> bool {
        let each_series = || {
            let known = |series| expected.in_series.contains_key(series);
            expected.series.is_some() && self.series.keys().all(known)
        };
        let whole_is_known = expected.instances.is_some() || expected.finished == Some(true) || each_series();
        whole_is_known && self.count > 0 && self.lacks(expected).is_nothing()
    }
}

impl FromIterator<(Uid, Uid)> for Present {
    fn from_iter<I: IntoIterator<Item = (Uid, Uid)>>(instances: I) -> Self {
        let mut present = Self::default();
        for (series, sop) in instances {
            present.add(series, sop);
        }
        present
    }
}

fn part(there: u64, of: u64) -> Option<(u64, u64)> {
    (there < of).then_some((there, of))
}

/// What a study waits for. [`fmt::Display`] says it in plain words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// So many series of so many.
    pub series: Option<(u64, u64)>,
    /// So many images of so many.
    pub images: Option<(u64, u64)>,
    /// Series that are there in part.
    pub short_series: u64,
    /// The scanner has announced the study and has not said that it is over.
    pub unfinished: bool,
    /// Contrasts that the model knows.
    pub contrasts: Vec<Contrast>,
}

impl Missing {
    /// Nothing that was announced is missing. A contrast is not announced, only hoped for.
    pub fn is_nothing(&self) -> bool {
        self.series.is_none() && self.images.is_none() && self.short_series == 0 && !self.unfinished
    }

    /// For the findings of an analysis that began all the same.
    pub fn remark(&self) -> Option<Reason> {
        (!self.is_nothing()).then(|| {
            let announced = Self {
                contrasts: Vec::new(),
                ..self.clone()
            };
            let text = format!("the study was read before all of it had come: {announced}");
            Reason::new("incomplete_study", Fault::Peer, text)
        })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if let Some((there, of)) = self.series {
            words.push(format!("{there} of {of} series"));
        }
        if let Some((there, of)) = self.images {
            words.push(format!("{there} of {of} images"));
        }
        match self.short_series {
            0 => {}
            1 => words.push("1 series lacks images".to_owned()),
            more => words.push(format!("{more} series lack images")),
        }
        if let Some((last, others)) = self.contrasts.split_last() {
            let mut names: Vec<_> = others.iter().map(|contrast| contrast.name()).collect();
            names.push(last.name());
            words.push(format!("{} not yet there", names.join(", ")));
        }
        if self.unfinished {
            words.push("the scanner is not done".to_owned());
        }
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn present(instances: &[(&str, &str)]) -> Present {
        instances.iter().map(|(a, b)| (uid(a), uid(b))).collect()
    }

    fn counts(study_series: u32, study_instances: u32, series_instances: u32) -> Counts {
        let stated = |count| (count > 0).then_some(count);
        Counts {
            study_series: stated(study_series),
            study_instances: stated(study_instances),
            series_instances: stated(series_instances),
        }
    }

    fn told(statements: &[(&str, Counts)]) -> Expected {
        let mut expected = Expected::default();
        for (series, counts) in statements {
            expected.stated(&uid(series), *counts);
        }
        expected
    }

    #[test]
    fn nothing_said_is_no_evidence() {
        let one = present(&[("1.1", "1.1.1")]);
        assert!(!one.reaches(&Expected::default()));
        assert!(one.lacks(&Expected::default()).is_nothing());
    }

    #[test]
    fn the_instances_of_the_study_are_enough_to_know_the_whole() {
        let expected = told(&[("1.1", counts(0, 2, 0))]);
        assert!(!present(&[("1.1", "1.1.1")]).reaches(&expected));
        assert!(present(&[("1.1", "1.1.1"), ("1.2", "1.2.1")]).reaches(&expected));
    }

    #[test]
    fn one_whole_series_is_no_whole_study() {
        let whole = present(&[("1.1", "1.1.1")]);
        assert!(!whole.reaches(&told(&[("1.1", counts(0, 0, 1))])));
        assert!(whole.reaches(&told(&[("1.1", counts(1, 0, 1))])));
        let two = present(&[("1.1", "1.1.1"), ("1.2", "1.2.1")]);
        let expected = told(&[("1.1", counts(2, 0, 1))]);
        assert!(
            !two.reaches(&expected),
            "how much the other series has is not known"
        );
    }

    #[test]
    fn a_finished_step_names_everything() {
        let mut step = Announced {
            study: uid("1"),
            series: vec![(uid("1.1"), 1), (uid("1.2"), 2)],
            finished: false,
        };
        let mut expected = Expected::default();
        assert!(expected.announced(&step));
        assert!(!expected.announced(&step), "no news");
        let whole = present(&[("1.1", "1"), ("1.2", "2"), ("1.2", "3")]);
        assert!(!whole.reaches(&expected));
        step.finished = true;
        assert!(expected.announced(&step));
        assert!(whole.reaches(&expected));
        let part = present(&[("1.1", "1"), ("1.2", "2")]);
        assert!(!part.reaches(&expected));
        assert_eq!(part.lacks(&expected).to_string(), "1 series lacks images");
    }

    #[test]
    fn the_largest_statement_holds_and_zero_says_nothing() {
        let mut expected = told(&[("1.1", counts(0, 7, 3))]);
        assert!(!expected.stated(&uid("1.1"), counts(0, 5, 2)));
        assert!(!expected.stated(
            &uid("1.1"),
            Counts {
                study_instances: Some(0),
                ..Counts::default()
            }
        ));
        assert_eq!(
            (expected.instances, expected.in_series[&uid("1.1")]),
            (Some(7), 3)
        );
    }

    #[test]
    fn series_beyond_the_limit_are_not_waited_for() {
        let series = (0..=MAX_ANNOUNCED_SERIES)
            .map(|n| (uid(&format!("1.{n}")), 1))
            .collect();
        let mut expected = Expected::default();
        expected.announced(&Announced {
            study: uid("1"),
            series,
            finished: true,
        });
        assert_eq!(expected.in_series.len(), MAX_ANNOUNCED_SERIES);
    }

    #[test]
    fn what_is_missing_is_said_in_plain_words() {
        let expected = told(&[("1.1", counts(6, 144, 2))]);
        let mut missing = present(&[("1.1", "1"), ("1.2", "2")]).lacks(&expected);
        missing.contrasts = vec![Contrast::T2, Contrast::Adc];
        assert_eq!(
            missing.to_string(),
            "2 of 6 series, 2 of 144 images, 1 series lacks images, T2, ADC not yet there"
        );
        let remark = missing.remark().unwrap();
        assert_eq!(
            (remark.code.as_str(), remark.fault),
            ("incomplete_study", Fault::Peer)
        );
        assert!(
            !remark.text.contains("T2"),
            "the findings name missing contrasts themselves"
        );
        assert!(Missing::default().remark().is_none());
    }
}
