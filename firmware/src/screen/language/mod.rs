//! The words of the screen in six languages.
//!
//! A language is a value of [`Words`]: one that lacks a word does not compile. What stands between braces is
//! filled in; a test holds every language to the same braces. Sentences about single reasons come from the
//! reason's code; their details stay in English, as they are in findings, logs and reports.

mod chinese;
mod english;
mod french;
mod german;
mod spanish;
mod turkish;

use std::fmt::{Display, Write as _};

use heapless::String;
use models::findings::{Fault, Reason};
use serde::{Deserialize, Serialize};

/// A language of the screen, by its code of ISO 639-1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Chinese in simplified characters.
    #[serde(rename = "zh")]
    Chinese,
    /// Turkish.
    #[serde(rename = "tr")]
    Turkish,
    /// Spanish.
    #[serde(rename = "es")]
    Spanish,
    /// German.
    #[serde(rename = "de")]
    German,
    /// French.
    #[serde(rename = "fr")]
    French,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 6] = [
        Language::English,
        Language::Chinese,
        Language::Turkish,
        Language::Spanish,
        Language::German,
        Language::French,
    ];

    /// `en`, `zh`, …
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
            Language::Turkish => "tr",
            Language::Spanish => "es",
            Language::German => "de",
            Language::French => "fr",
        }
    }

    /// The language of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Language::English => &english::WORDS,
            Language::Chinese => &chinese::WORDS,
            Language::Turkish => &turkish::WORDS,
            Language::Spanish => &spanish::WORDS,
            Language::German => &german::WORDS,
            Language::French => &french::WORDS,
        }
    }
}

/// A text for one and for any other number of things.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) one: &'static str,
    pub(super) other: &'static str,
}

/// What went wrong, and what helps.
#[derive(Debug)]
pub(super) struct Advice {
    /// Code of the reason.
    pub(super) code: &'static str,
    /// The reason in plain words.
    pub(super) plain: &'static str,
    /// What the reader can do.
    pub(super) remedy: &'static str,
}

/// Everything that the screen says.
#[derive(Debug)]
pub(super) struct Words {
    /// Stands on every page with patient data.
    pub(super) notice: &'static str,

    // Places and what one does there.
    pub(super) studies: &'static str,
    pub(super) result: &'static str,
    pub(super) station: &'static str,
    pub(super) details: &'static str,
    pub(super) back: &'static str,

    // The state of the box and of a study, for the chip at the top.
    pub(super) ready: &'static str,
    pub(super) attention: &'static str,
    pub(super) not_listening: &'static str,
    pub(super) nobody_may_send: &'static str,
    pub(super) no_model: &'static str,
    pub(super) tumour_found: &'static str,
    pub(super) no_tumour_found: &'static str,
    pub(super) cannot_answer: &'static str,

    // Studies.
    pub(super) waiting_for_a_study: &'static str,
    /// `{ae}`, `{address}`.
    pub(super) send_here: &'static str,
    pub(super) not_listening_yet: &'static str,
    pub(super) list_a_peer: &'static str,
    /// `{n}`.
    pub(super) images: Count,
    /// `{n}`, `{of}`.
    pub(super) images_of: &'static str,
    /// `{n}`, `{of}`.
    pub(super) series_of: &'static str,
    pub(super) receiving: &'static str,
    /// `{what}`.
    pub(super) waits_for: &'static str,
    pub(super) waits_for_analysis: &'static str,
    pub(super) analyzing: &'static str,
    pub(super) step_read: &'static str,
    pub(super) step_check: &'static str,
    pub(super) step_align: &'static str,
    pub(super) step_locate: &'static str,
    pub(super) step_classify: &'static str,
    pub(super) step_views: &'static str,
    pub(super) answered: &'static str,
    pub(super) delivered: &'static str,
    /// `{to}`.
    pub(super) on_its_way: &'static str,
    /// `{to}`.
    pub(super) not_delivered: &'static str,
    pub(super) failed: &'static str,
    pub(super) turned_away: &'static str,
    pub(super) just_now: &'static str,
    /// `{n}`, as are the next ones.
    pub(super) minutes_ago: &'static str,
    pub(super) hours_ago: &'static str,
    pub(super) days_ago: &'static str,
    /// Instead of an age that is not known.
    pub(super) before_start: &'static str,
    /// `{n}`.
    pub(super) more: &'static str,
    pub(super) no_patient_name: &'static str,
    pub(super) nothing_yet: &'static str,
    /// `{tag}`: instead of a name that is not to be shown.
    pub(super) hidden_patient: &'static str,

    // A result.
    pub(super) left_gland: &'static str,
    pub(super) right_gland: &'static str,
    pub(super) long_axis: &'static str,
    pub(super) volume: &'static str,
    pub(super) mean_adc: &'static str,
    pub(super) no_adc_map: &'static str,
    pub(super) malignancy: &'static str,
    pub(super) tumour_type: &'static str,
    pub(super) benign: &'static str,
    pub(super) malignant: &'static str,
    pub(super) pleomorphic_adenoma: &'static str,
    pub(super) warthin_tumour: &'static str,
    pub(super) basal_cell_adenoma: &'static str,
    pub(super) probability_and_interval: &'static str,
    pub(super) no_tumour_statement: &'static str,
    pub(super) no_tumour_meaning: &'static str,
    /// `{n}`, `{of}`.
    pub(super) slice_of: &'static str,
    pub(super) patients_right: &'static str,
    pub(super) slice_weights: &'static str,
    pub(super) heat_legend: &'static str,
    pub(super) tool_slice: &'static str,
    pub(super) tool_lesion: &'static str,
    pub(super) tool_series: &'static str,
    pub(super) tool_zoom: &'static str,
    pub(super) tool_brightness: &'static str,
    pub(super) tool_contrast: &'static str,
    pub(super) tool_heat: &'static str,
    pub(super) on: &'static str,
    pub(super) off: &'static str,
    pub(super) read_by_model: &'static str,
    pub(super) shown_only: &'static str,
    pub(super) not_in_study: &'static str,
    pub(super) model_needs_it: &'static str,
    pub(super) no_picture: &'static str,
    pub(super) computed_here: &'static str,
    pub(super) aligned_by_content: &'static str,
    pub(super) fairly_sure: &'static str,
    pub(super) not_sure: &'static str,
    /// `{n}`.
    pub(super) series: &'static str,
    pub(super) quality: &'static str,
    pub(super) no_remarks: &'static str,
    pub(super) left_out: &'static str,
    pub(super) model: &'static str,
    pub(super) trained_on: &'static str,
    pub(super) software: &'static str,
    pub(super) answered_in: &'static str,
    pub(super) seconds: &'static str,
    pub(super) examination: &'static str,

    // No answer.
    pub(super) cannot_answer_meaning: &'static str,
    pub(super) cause: &'static str,
    pub(super) received: &'static str,
    pub(super) fault_peer: &'static str,
    pub(super) fault_data: &'static str,
    pub(super) fault_configuration: &'static str,
    pub(super) fault_hardware: &'static str,
    pub(super) fault_us: &'static str,
    /// What to do where the code says nothing.
    pub(super) remedy_peer: &'static str,
    pub(super) remedy_data: &'static str,
    pub(super) remedy_configuration: &'static str,
    pub(super) remedy_hardware: &'static str,
    pub(super) remedy_us: &'static str,

    // The station.
    pub(super) network: &'static str,
    pub(super) address: &'static str,
    pub(super) ae_title: &'static str,
    pub(super) may_send: &'static str,
    pub(super) everybody: &'static str,
    pub(super) listed: &'static str,
    pub(super) nobody: &'static str,
    pub(super) senders: &'static str,
    pub(super) not_heard: &'static str,
    pub(super) encrypted: &'static str,
    pub(super) destinations: &'static str,
    pub(super) no_destination: &'static str,
    /// `{n}`.
    pub(super) waiting: &'static str,
    pub(super) nothing_waits: &'static str,
    pub(super) storage: &'static str,
    /// `{free}`, `{of}`.
    pub(super) free_of: &'static str,
    /// `{n}`.
    pub(super) refused_below: &'static str,
    pub(super) health: &'static str,
    pub(super) temperature: &'static str,
    pub(super) unknown: &'static str,
    pub(super) clock: &'static str,
    pub(super) certificates: &'static str,
    /// `{date}`.
    pub(super) valid_until: &'static str,
    pub(super) no_certificate: &'static str,
    pub(super) versions: &'static str,
    pub(super) serial_number: &'static str,
    pub(super) updates: &'static str,
    pub(super) last_update: &'static str,
    pub(super) never_updated: &'static str,
    pub(super) rolled_back: &'static str,
    pub(super) self_test: &'static str,
    pub(super) passed: &'static str,
    pub(super) not_run: &'static str,
    pub(super) notices: &'static str,

    // Start, stop, alarms, rest.
    pub(super) starting: &'static str,
    pub(super) start_storage: &'static str,
    pub(super) start_model: &'static str,
    pub(super) start_studies: &'static str,
    pub(super) start_network: &'static str,
    pub(super) start_failed: &'static str,
    pub(super) start_again: &'static str,
    pub(super) stopping: &'static str,
    pub(super) stopping_meaning: &'static str,
    pub(super) stop_receiving: &'static str,
    pub(super) stop_delivering: &'static str,
    pub(super) stopped: &'static str,
    pub(super) alarm_disk: &'static str,
    /// `{free}`, `{below}`.
    pub(super) alarm_disk_meaning: &'static str,
    pub(super) alarm_clock: &'static str,
    pub(super) alarm_clock_meaning: &'static str,
    pub(super) alarm_temperature: &'static str,
    /// `{now}`.
    pub(super) alarm_temperature_meaning: &'static str,
    pub(super) understood: &'static str,
    pub(super) locked: &'static str,
    pub(super) enter_pin: &'static str,
    pub(super) wrong_pin: &'static str,
    pub(super) press_any_key: &'static str,
    /// `{n}`.
    pub(super) new_results: Count,

    // Updates, restarts, support reports.
    pub(super) usb_stick: &'static str,
    pub(super) close: &'static str,
    pub(super) later: &'static str,
    pub(super) try_again: &'static str,
    pub(super) one_moment: &'static str,
    /// `{version}`.
    pub(super) version_runs: &'static str,
    /// `{version}`.
    pub(super) update_offered: &'static str,
    pub(super) offer_meaning: &'static str,
    pub(super) install: &'static str,
    pub(super) no_update_on_stick: &'static str,
    pub(super) update_refused: &'static str,
    /// `{version}`.
    pub(super) installing: &'static str,
    pub(super) installing_meaning: &'static str,
    pub(super) leave_the_stick: &'static str,
    /// `{version}`.
    pub(super) installed: &'static str,
    pub(super) installed_meaning: &'static str,
    pub(super) restart_now: &'static str,
    pub(super) not_installed: &'static str,
    pub(super) write_report: &'static str,
    pub(super) report_under_way: &'static str,
    pub(super) report_done: &'static str,
    pub(super) report_contents: &'static str,
    pub(super) report_failed: &'static str,

    /// Reasons that a study can meet, each once.
    pub(super) advice: &'static [Advice],
}

/// The code under which advice on a reason is kept: reasons about which people can do the same share one.
fn family(code: &str) -> &str {
    match code {
        "worker_start" | "worker_wire" | "internal" | "interrupted" | "thread" => "worker_crashed",
        "package_manifest" | "package_schema" | "package_hash" | "package_signature" => "package_file",
        "kernel_refused" => "root_refused",
        "self_test" => "never_good",
        "changed" => "unreadable",
        "unsupported_transfer_syntax" => "undecodable",
        "single_direction" | "no_contrast" | "not_chosen" => "not_used",
        "missing_geometry"
        | "invalid_geometry"
        | "mixed_orientation"
        | "mixed_size"
        | "duplicate_slices"
        | "missing_slices"
        | "uneven_spacing"
        | "tilted_gantry"
        | "too_few_slices"
        | "invalid_frames"
        | "invalid_mosaic"
        | "mosaic_without_normal"
        | "multi_frame" => "uneven_stack",
        "no_pixels" | "not_grayscale" => "unsupported_pixels",
        "short_stack" => "parotids_partly_covered",
        "malformed"
        | "wrong_transfer_syntax"
        | "missing_uid"
        | "invalid_uid"
        | "bad_uid"
        | "other_protocol"
        | "protocol_violation"
        | "length"
        | "no_data_set"
        | "unexpected_data_set"
        | "unknown_operation"
        | "too_many_contexts" => "not_dicom",
        "too_deep" | "too_much" | "too_many_files" | "too_many_directions" => "too_large",
        "transfer_syntax" | "sop_instance" => "sop_class",
        "too_many_conflicts" => "conflicting_duplicate",
        "calling_ae_title" | "user_identity" | "not_allowed" => "unknown_caller",
        "too_many_of_one_peer" | "out_of_resources" => "too_many_associations",
        "silent" | "not_reading" | "too_slow" | "aborted_by_peer" | "no_answer" | "syslog_hangs"
        | "syslog_closed" | "broken" => "connection_closed",
        "connection_failed" | "syslog_unreachable" => "unreachable",
        "wrong_certificate"
        | "certificate_expired"
        | "no_certificate"
        | "authorities_expired"
        | "no_tls"
        | "tls"
        | "syslog_tls" => "certificate",
        "commitment_refused" | "no_association" | "authorization" => "not_stored",
        "no_commitment" | "report_undelivered" => "not_committed",
        "toml" => "configuration",
        other => other,
    }
}

/// A text that was filled in; what finds no room is left out.
pub(super) type Filled = String<256>;

/// A text with what stands between its braces filled in.
pub(super) fn fill(text: &str, values: &[(&str, &dyn Display)]) -> Filled {
    let mut filled = Filled::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let _ = filled.push_str(before);
        let Some((name, after)) = behind.split_once('}') else {
            break;
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            let _ = write!(filled, "{value}");
        }
        rest = after;
    }
    let _ = filled.push_str(rest);
    filled
}

impl Count {
    /// The text for `n` things.
    pub(super) fn fill(&self, n: u64) -> Filled {
        fill(if n == 1 { self.one } else { self.other }, &[("n", &n)])
    }
}

impl Words {
    /// The reason in plain words; none where its code is not known.
    pub(super) fn plain(&self, reason: &Reason) -> Option<&'static str> {
        self.advice_on(&reason.code).map(|advice| advice.plain)
    }

    /// What the reader can do: by the code where it says enough, else by whose fault it is.
    pub(super) fn remedy(&self, reason: &Reason) -> &'static str {
        match self.advice_on(&reason.code) {
            Some(advice) if !advice.remedy.is_empty() => advice.remedy,
            _ => match reason.fault {
                Fault::Peer => self.remedy_peer,
                Fault::Data => self.remedy_data,
                Fault::Configuration => self.remedy_configuration,
                Fault::Hardware => self.remedy_hardware,
                Fault::Us => self.remedy_us,
            },
        }
    }

    fn advice_on(&self, code: &str) -> Option<&'static Advice> {
        let code = family(code);
        self.advice.iter().find(|advice| advice.code == code)
    }

    /// Where the cause lies.
    pub(super) fn fault(&self, fault: Fault) -> &'static str {
        match fault {
            Fault::Peer => self.fault_peer,
            Fault::Data => self.fault_data,
            Fault::Configuration => self.fault_configuration,
            Fault::Hardware => self.fault_hardware,
            Fault::Us => self.fault_us,
        }
    }

    /// A step of the analysis, by its name in [`models::findings::Timing::step`].
    pub(super) fn step(&self, step: &str) -> Option<&'static str> {
        Some(match step {
            "read" => self.step_read,
            "check" => self.step_check,
            "align" => self.step_align,
            "locate" => self.step_locate,
            "classify" => self.step_classify,
            "views" => self.step_views,
            _ => return None,
        })
    }

    /// A question of the model, by its name in the package.
    pub(super) fn task(&self, task: &str) -> Option<&'static str> {
        Some(match task {
            "malignancy" => self.malignancy,
            "subtype" => self.tumour_type,
            _ => return None,
        })
    }

    /// An answer of the model, by its name in the package.
    pub(super) fn label(&self, label: &str) -> Option<&'static str> {
        Some(match label {
            "benign" => self.benign,
            "malignant" => self.malignant,
            "pleomorphic adenoma" => self.pleomorphic_adenoma,
            "Warthin tumour" => self.warthin_tumour,
            "basal cell adenoma" => self.basal_cell_adenoma,
            _ => return None,
        })
    }

    /// `just now`, `4 min ago`, `3 h ago`, `2 d ago`.
    pub(super) fn ago(&self, seconds: u64) -> Filled {
        let (text, n) = match seconds {
            0..60 => (self.just_now, 0),
            60..3600 => (self.minutes_ago, seconds / 60),
            3600..86_400 => (self.hours_ago, seconds / 3600),
            _ => (self.days_ago, seconds / 86_400),
        };
        fill(text, &[("n", &n)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::text::{Face, Typesetter};
    use super::*;

    /// All texts of a language, in their order.
    fn texts(language: Language) -> Vec<std::string::String> {
        // No-break spaces are written as escapes, whose braces are not ours.
        let written = format!("{:?}", language.words()).replace(r"\u{a0}", "\u{a0}");
        let mut texts = Vec::new();
        let mut rest = written.as_str();
        while let Some((_, behind)) = rest.split_once('"') {
            let end = behind.char_indices().scan(false, |escaped, (i, c)| {
                let ends = c == '"' && !*escaped;
                *escaped = c == '\\' && !*escaped;
                Some((i, ends))
            });
            let end = end.filter(|(_, ends)| *ends).map(|(i, _)| i).next().unwrap();
            texts.push(behind[..end].to_owned());
            rest = &behind[end + 1..];
        }
        texts
    }

    fn braces(text: &str) -> Vec<&str> {
        let mut names: Vec<_> = text
            .split('{')
            .skip(1)
            .filter_map(|part| part.split('}').next())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_language_fills_in_the_same_and_leaves_nothing_empty() {
        let english = texts(Language::English);
        assert!(english.len() > 200, "{}", english.len());
        for language in Language::ALL {
            let texts = texts(language);
            assert_eq!(texts.len(), english.len(), "{language:?}");
            for (text, original) in texts.iter().zip(&english) {
                assert_eq!(braces(text), braces(original), "{language:?}: {text}");
                assert_eq!(text.is_empty(), original.is_empty(), "{language:?}: {original}");
                assert!(
                    braces(text).is_empty() || text.len() < 220,
                    "no room to fill in: {text}"
                );
            }
        }
    }

    /// What is the same in two languages is a name or a code, or was forgotten.
    #[test]
    fn hardly_anything_is_left_in_english() {
        let english = texts(Language::English);
        for language in &Language::ALL[1..] {
            let texts = texts(*language);
            let same = texts.iter().zip(&english).filter(|(text, original)| {
                text == original && original.contains(' ') && !original.contains('{')
            });
            let same: Vec<_> = same.map(|(text, _)| text).collect();
            assert!(same.len() <= 3, "{language:?}: {same:?}");
        }
    }

    #[test]
    fn every_word_can_be_written() {
        let mut type_ = Typesetter::new();
        for language in Language::ALL {
            for text in texts(language) {
                for face in [Face::regular(16), Face::bold(16)] {
                    assert!(type_.can_write(face, &text), "{language:?}: {text}");
                }
            }
        }
    }

    #[test]
    fn texts_are_filled_in_by_name() {
        assert_eq!(fill("{n} of {of}", &[("of", &7), ("n", &3)]), "3 of 7");
        assert_eq!(fill("{unknown}{", &[("n", &1)]), "{");
        assert_eq!(fill("", &[]), "");
        let long = "x".repeat(300);
        assert!(fill("{n}", &[("n", &long)]).len() <= 256);
        assert_eq!(english::WORDS.images.fill(1), "1 image");
        assert_eq!(english::WORDS.images.fill(2), "2 images");
    }

    #[test]
    fn ages_have_one_unit() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400].map(|age| english::WORDS.ago(age));
        let expected = [
            "just now",
            "just now",
            "1 min ago",
            "59 min ago",
            "1 h ago",
            "23 h ago",
            "1 d ago",
        ];
        assert_eq!(ages, expected);
    }

    #[test]
    fn a_known_reason_has_its_words_and_an_unknown_one_its_fault() {
        let words = Language::German.words();
        let known = Reason::new("missing_contrast", Fault::Data, "x");
        assert!(words.plain(&known).is_some());
        let unknown = Reason::new("something_new", Fault::Hardware, "x");
        assert_eq!(words.plain(&unknown), None);
        assert_eq!(words.remedy(&unknown), words.remedy_hardware);
        // Known, but nothing better to do than what its fault says.
        let nothing_better = Reason::new("worker_crashed", Fault::Us, "x");
        assert_eq!(words.remedy(&nothing_better), words.remedy_us);
    }

    /// Every reason that reading and checking a study can give is listed at the head of its module; every one that
    /// appears at the door or at a destination, here.
    #[test]
    fn every_reason_that_people_meet_has_its_words() {
        let tables = [
            include_str!("../../../../models/src/mr/mod.rs"),
            include_str!("../../../../models/src/study/quality/mod.rs"),
        ];
        let mut codes: Vec<&str> = tables
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("//! | `"))
            .flat_map(|line| line.split(" | ").next().unwrap_or_default().split(", "))
            .map(|code| code.trim_matches('`'))
            .collect();
        assert!(codes.len() > 40, "{codes:?}");
        codes.extend([
            "aborted_by_peer",
            "authorities_expired",
            "authorization",
            "bad_uid",
            "called_ae_title",
            "calling_ae_title",
            "certificate",
            "certificate_ended",
            "certificate_ends",
            "certificate_expired",
            "commitment_refused",
            "configuration",
            "connection_closed",
            "connection_failed",
            "data_dir",
            "data_dir_in_use",
            "disk",
            "internal",
            "interrupted",
            "listen",
            "length",
            "no_address",
            "no_answer",
            "no_certificate",
            "no_commitment",
            "no_space",
            "not_committed",
            "not_reading",
            "not_stored",
            "other_protocol",
            "out_of_resources",
            "protocol_violation",
            "silent",
            "sop_class",
            "syslog_closed",
            "syslog_hangs",
            "syslog_tls",
            "syslog_unreachable",
            "tls",
            "too_many_associations",
            "too_many_conflicts",
            "too_many_of_one_peer",
            "too_slow",
            "transfer_syntax",
            "unknown_caller",
            "unreachable",
            "stick_write",
            "update_board",
            "update_damaged",
            "update_failed",
            "update_old",
            "update_signature",
            "worker_crashed",
            "worker_timeout",
            "wrong_certificate",
        ]);
        let silent: Vec<_> = codes
            .into_iter()
            .filter(|code| english::WORDS.advice_on(code).is_none())
            .collect();
        assert!(silent.is_empty(), "{silent:?}");
        // Advice for a code that is never asked for is of no use to anybody.
        for advice in english::WORDS.advice {
            assert_eq!(family(advice.code), advice.code);
        }
    }
}
