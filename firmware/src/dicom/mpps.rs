//! Modality performed procedure step as provider (PS3.4 Annex F): the scanner tells which images it
//! made, and when it is done. We keep no such object for others; we only listen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dicom_dictionary_std::{tags, uids};
use models::mr::DataSet;

use super::Uid;
use super::dimse::{Command, N_CREATE_RQ, Status};
use super::normalized::{about, read, too_much, uid};
use super::refused::Refused;
use crate::limits::{MAX_PERFORMED_STEPS, MAX_STEP_SERIES};
use crate::study::evidence::Announced;

/// Performed Procedure Step Status (0040,0252).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InProgress,
    Completed,
    Discontinued,
}

/// What one data set says; what it leaves out stays as it was.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    state: Option<State>,
    studies: BTreeSet<Uid>,
    series: Option<BTreeMap<Uid, u32>>,
}

/// One step as it is known.
#[derive(Debug)]
struct Step {
    instance: Uid,
    state: State,
    /// None when the step belongs to several studies: its series cannot be told apart then.
    study: Option<Uid>,
    series: BTreeMap<Uid, u32>,
}

/// The steps that peers told of since the appliance started, oldest first. The oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct PerformedSteps {
    steps: VecDeque<Step>,
}

/// Whether the data set of a request is worth receiving.
pub(super) fn begin(request: &Command) -> Result<(), Refused> {
    about(request, uids::MODALITY_PERFORMED_PROCEDURE_STEP).map(|_| ())
}

impl PerformedSteps {
    /// N-CREATE or N-SET with its data set: what all steps say about its study now.
    pub(super) fn take(
        &mut self,
        request: &Command,
        data_set: &[u8],
        transfer_syntax: &str,
    ) -> Result<Option<Announced>, Refused> {
        let instance = about(request, uids::MODALITY_PERFORMED_PROCEDURE_STEP)?;
        let said = Said::read(&read(data_set, transfer_syntax)?)?;
        let study = if request.field == N_CREATE_RQ {
            self.create(instance, said)?
        } else {
            self.set(&instance, said)?
        };
        Ok(study.map(|study| self.announcement(study)))
    }

    fn create(&mut self, instance: Uid, said: Said) -> Result<Option<Uid>, Refused> {
        if self.steps.iter().any(|step| step.instance == instance) {
            let text = "the performed procedure step is already there";
            return Err(Refused::peer(
                Status::DUPLICATE_SOP_INSTANCE,
                "duplicate_step",
                text,
            ));
        }
        match said.state {
            Some(State::InProgress) => {}
            Some(_) => return Err(invalid("a performed procedure step begins IN PROGRESS")),
            None => return Err(missing("status of the performed procedure step")),
        }
        let mut studies = said.studies.into_iter();
        let first = studies.next().ok_or_else(|| missing("Study Instance UID"))?;
        let study = studies.next().is_none().then_some(first);
        if self.steps.len() >= MAX_PERFORMED_STEPS {
            let finished = self.steps.iter().position(Step::is_finished);
            self.steps.remove(finished.unwrap_or(0));
        }
        self.steps.push_back(Step {
            instance,
            state: State::InProgress,
            study: study.clone(),
            series: said.series.unwrap_or_default(),
        });
        Ok(study)
    }

    fn set(&mut self, instance: &Uid, said: Said) -> Result<Option<Uid>, Refused> {
        let known = self.steps.iter_mut().find(|step| step.instance == *instance);
        let step = known.ok_or_else(|| {
            let text = "no such performed procedure step is known here";
            Refused::peer(Status::NO_SUCH_SOP_INSTANCE, "unknown_step", text)
        })?;
        if step.is_finished() {
            // Wording and Error ID of PS3.4 Table F.7.2-2.
            let text = "Performed Procedure Step Object may no longer be updated";
            return Err(Refused {
                error_id: Some(MAY_NO_LONGER_BE_UPDATED),
                ..Refused::peer(Status::PROCESSING_FAILURE, "step_is_final", text)
            });
        }
        step.state = said.state.unwrap_or(step.state);
        if let Some(series) = said.series {
            step.series = series;
        }
        Ok(step.study.clone())
    }

    /// A study may be made in several steps: what they say is added up.
    fn announcement(&self, study: Uid) -> Announced {
        let own = || {
            self.steps
                .iter()
                .filter(|step| step.study.as_ref() == Some(&study))
        };
        let mut series = BTreeMap::new();
        for (uid, count) in own().flat_map(|step| &step.series) {
            let sum = series.entry(uid.clone()).or_insert(0_u32);
            *sum = sum.saturating_add(*count);
        }
        Announced {
            series: series.into_iter().collect(),
            finished: own().all(Step::is_finished),
            study,
        }
    }
}

/// Error ID of PS3.4 Table F.7.2-2.
const MAY_NO_LONGER_BE_UPDATED: u16 = 0xA710;

impl Step {
    fn is_finished(&self) -> bool {
        self.state != State::InProgress
    }
}

impl Said {
    fn read(set: &DataSet<'_>) -> Result<Self, Refused> {
        let wrong = Status::INVALID_ATTRIBUTE_VALUE;
        let state = match set.words(tags::PERFORMED_PROCEDURE_STEP_STATUS).as_slice() {
            [] => None,
            [one] if one == "IN PROGRESS" => Some(State::InProgress),
            [one] if one == "COMPLETED" => Some(State::Completed),
            [one] if one == "DISCONTINUED" => Some(State::Discontinued),
            _ => return Err(invalid("no such status of a performed procedure step")),
        };
        let scheduled = set.items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE).iter();
        let studies = scheduled
            .map(|item| uid(item, tags::STUDY_INSTANCE_UID, "Study Instance UID", wrong))
            .collect::<Result<_, _>>()?;
        let series = match set.get(tags::PERFORMED_SERIES_SEQUENCE) {
            None => None,
            Some(performed) if performed.items().len() > MAX_STEP_SERIES => {
                return Err(too_much("series in one performed procedure step"));
            }
            Some(performed) => Some(performed.items().iter().try_fold(BTreeMap::new(), count)?),
        };
        Ok(Self {
            state,
            studies,
            series,
        })
    }
}

/// Adds the instances of one item of the Performed Series Sequence.
fn count(mut series: BTreeMap<Uid, u32>, item: &DataSet<'_>) -> Result<BTreeMap<Uid, u32>, Refused> {
    let wrong = Status::INVALID_ATTRIBUTE_VALUE;
    let own = uid(item, tags::SERIES_INSTANCE_UID, "Series Instance UID", wrong)?;
    let images = item.items(tags::REFERENCED_IMAGE_SEQUENCE).len();
    let others = item
        .items(tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE)
        .len();
    let referenced = u32::try_from(images + others).unwrap_or(u32::MAX);
    let sum = series.entry(own).or_insert(0);
    *sum = u32::saturating_add(*sum, referenced);
    Ok(series)
}

fn invalid(text: &str) -> Refused {
    Refused::peer(Status::INVALID_ATTRIBUTE_VALUE, "bad_step", text)
}

fn missing(what: &str) -> Refused {
    let text = format!("the {what} is missing");
    Refused::peer(Status::MISSING_ATTRIBUTE, "bad_step", text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::dicom::dimse::N_SET_RQ;

    const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;

    fn element(tag: dicom_core::Tag, value: &[u8]) -> Vec<u8> {
        let mut bytes = [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat();
        let padding = value.len() % 2;
        bytes.extend(((value.len() + padding) as u32).to_le_bytes());
        bytes.extend(value);
        bytes.extend(&[b' '][..padding]);
        bytes
    }

    fn item(inside: &[u8]) -> Vec<u8> {
        element(dicom_core::Tag(0xFFFE, 0xE000), inside)
    }

    fn status(value: &str) -> Vec<u8> {
        element(tags::PERFORMED_PROCEDURE_STEP_STATUS, value.as_bytes())
    }

    fn of_studies(studies: &[&str]) -> Vec<u8> {
        let items: Vec<u8> = studies
            .iter()
            .flat_map(|study| item(&element(tags::STUDY_INSTANCE_UID, study.as_bytes())))
            .collect();
        element(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, &items)
    }

    fn series(all: &[(&str, usize)]) -> Vec<u8> {
        let items = all.iter().flat_map(|(uid, images)| {
            let image = item(&element(tags::REFERENCED_SOP_INSTANCE_UID, b"1.2.3"));
            let sequence = element(tags::REFERENCED_IMAGE_SEQUENCE, &image.repeat(*images));
            item(&[element(tags::SERIES_INSTANCE_UID, uid.as_bytes()), sequence].concat())
        });
        element(tags::PERFORMED_SERIES_SEQUENCE, &items.collect::<Vec<_>>())
    }

    fn create(steps: &mut PerformedSteps, uid: &str, set: &[u8]) -> Result<Option<Announced>, Refused> {
        let request = Command {
            affected_sop_class_uid: Some(uids::MODALITY_PERFORMED_PROCEDURE_STEP.into()),
            affected_sop_instance_uid: Some(uid.into()),
            field: N_CREATE_RQ,
            ..Command::default()
        };
        steps.take(&request, set, IMPLICIT)
    }

    fn set(steps: &mut PerformedSteps, uid: &str, set: &[u8]) -> Result<Option<Announced>, Refused> {
        let request = Command {
            requested_sop_class_uid: Some(uids::MODALITY_PERFORMED_PROCEDURE_STEP.into()),
            requested_sop_instance_uid: Some(uid.into()),
            field: N_SET_RQ,
            ..Command::default()
        };
        steps.take(&request, set, IMPLICIT)
    }

    fn begun(study: &str) -> Vec<u8> {
        [status("IN PROGRESS"), of_studies(&[study])].concat()
    }

    fn announced(series: &[(&str, u32)], finished: bool) -> Option<Announced> {
        let uid = |text: &str| Uid::parse(text).unwrap();
        Some(Announced {
            study: uid("1.2"),
            series: series
                .iter()
                .map(|(series, count)| (uid(series), *count))
                .collect(),
            finished,
        })
    }

    #[test]
    fn a_step_tells_its_series_and_when_it_is_done() {
        let mut steps = PerformedSteps::default();
        assert_eq!(
            create(&mut steps, "9.1", &begun("1.2")).unwrap(),
            announced(&[], false)
        );
        let partly = set(&mut steps, "9.1", &series(&[("1.2.1", 3)])).unwrap();
        assert_eq!(partly, announced(&[("1.2.1", 3)], false));
        let done = [status("COMPLETED"), series(&[("1.2.1", 3), ("1.2.2", 5)])].concat();
        let done = set(&mut steps, "9.1", &done).unwrap();
        assert_eq!(done, announced(&[("1.2.1", 3), ("1.2.2", 5)], true));
    }

    #[test]
    fn a_study_in_two_steps_is_done_when_both_are() {
        let mut steps = PerformedSteps::default();
        create(&mut steps, "9.1", &begun("1.2")).unwrap();
        create(&mut steps, "9.2", &begun("1.2")).unwrap();
        create(&mut steps, "9.3", &begun("1.3")).unwrap();
        let one = [status("COMPLETED"), series(&[("1.2.1", 3)])].concat();
        assert_eq!(
            set(&mut steps, "9.1", &one).unwrap(),
            announced(&[("1.2.1", 3)], false)
        );
        let other = [status("DISCONTINUED"), series(&[("1.2.1", 1), ("1.2.2", 5)])].concat();
        let both = set(&mut steps, "9.2", &other).unwrap();
        assert_eq!(both, announced(&[("1.2.1", 4), ("1.2.2", 5)], true));
    }

    #[test]
    fn a_step_of_two_studies_says_nothing_about_either() {
        let mut steps = PerformedSteps::default();
        let two = [status("IN PROGRESS"), of_studies(&["1.2", "1.3"])].concat();
        assert_eq!(create(&mut steps, "9.1", &two).unwrap(), None);
        let same = [status("IN PROGRESS"), of_studies(&["1.2", "1.2"])].concat();
        assert!(create(&mut steps, "9.2", &same).unwrap().is_some());
    }

    #[test]
    fn what_the_standard_forbids_is_refused_by_its_status() {
        let mut steps = PerformedSteps::default();
        create(&mut steps, "9.1", &begun("1.2")).unwrap();
        let refused = |outcome: Result<Option<Announced>, Refused>| outcome.unwrap_err().status;
        let duplicate = create(&mut steps, "9.1", &begun("1.2"));
        assert_eq!(refused(duplicate), Status::DUPLICATE_SOP_INSTANCE);
        let done = [status("COMPLETED"), of_studies(&["1.2"])].concat();
        assert_eq!(
            refused(create(&mut steps, "9.2", &done)),
            Status::INVALID_ATTRIBUTE_VALUE
        );
        let stateless = create(&mut steps, "9.2", &of_studies(&["1.2"]));
        assert_eq!(refused(stateless), Status::MISSING_ATTRIBUTE);
        let homeless = create(&mut steps, "9.2", &status("IN PROGRESS"));
        assert_eq!(refused(homeless), Status::MISSING_ATTRIBUTE);
        let strange = set(&mut steps, "9.1", &status("PAUSED"));
        assert_eq!(refused(strange), Status::INVALID_ATTRIBUTE_VALUE);
        let hostile = set(&mut steps, "9.1", &series(&[("../1", 1)]));
        assert_eq!(refused(hostile), Status::INVALID_ATTRIBUTE_VALUE);
        let unknown = set(&mut steps, "9.9", &status("COMPLETED"));
        assert_eq!(refused(unknown), Status::NO_SUCH_SOP_INSTANCE);
        let nameless = create(&mut steps, "", &begun("1.2"));
        assert_eq!(refused(nameless), Status::INVALID_SOP_INSTANCE);
        set(&mut steps, "9.1", &status("COMPLETED")).unwrap();
        let late = set(&mut steps, "9.1", &status("IN PROGRESS")).unwrap_err();
        assert_eq!(late.status, Status::PROCESSING_FAILURE);
        assert_eq!(late.error_id, Some(0xA710));
        assert!(late.reason.text.ends_with("may no longer be updated"));
    }

    #[test]
    fn only_so_many_steps_and_series_are_kept() {
        let mut steps = PerformedSteps::default();
        for number in 0..=MAX_PERFORMED_STEPS {
            create(&mut steps, &format!("9.{number}"), &begun("1.2")).unwrap();
            if number == 1 {
                set(&mut steps, "9.1", &status("DISCONTINUED")).unwrap();
            }
        }
        assert_eq!(steps.steps.len(), MAX_PERFORMED_STEPS);
        let gone = set(&mut steps, "9.1", &status("COMPLETED")).unwrap_err();
        assert_eq!(
            gone.status,
            Status::NO_SUCH_SOP_INSTANCE,
            "the finished one goes first"
        );
        assert!(set(&mut steps, "9.0", &status("COMPLETED")).is_ok());

        let names: Vec<_> = (0..=MAX_STEP_SERIES)
            .map(|number| format!("1.{number}"))
            .collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert!(set(&mut steps, "9.2", &series(&all[1..])).is_ok());
        let more = set(&mut steps, "9.2", &series(&all)).unwrap_err();
        assert_eq!(more.status, Status::RESOURCE_LIMITATION);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), explicit: bool) {
            let syntax = if explicit { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { IMPLICIT };
            let _ = read(&bytes, syntax).and_then(|set| Said::read(&set));
        }

        #[test]
        fn damaged_bytes_never_panic(at: usize, to: u8) {
            let mut bytes = [begun("1.2"), series(&[("1.2.1", 2), ("1.2.2", 1)])].concat();
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = create(&mut PerformedSteps::default(), "9.1", &bytes);
        }
    }
}
