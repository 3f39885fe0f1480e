//! `[services]` of the settings: what is offered to callers.

use serde::{Deserialize, Serialize};

use super::config::{Config, Peer};
use crate::dicom::user::Node;
use crate::dicom::{Commitment, Credential, Identities, Services, Uid};
use crate::limits::PDU_KIB;

/// `[services]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Offered {
    /// Which storage SOP classes are taken.
    pub storage: StorageClasses,
    /// Further ones by UID.
    pub storage_classes: Vec<Uid>,
    /// How requests to commit to storage are answered.
    pub storage_commitment: Commitment,
    /// Whether performed procedure steps are taken.
    pub performed_steps: bool,
    /// Whether callers must say which user they are.
    pub user_identity: UserIdentity,
}

/// Which storage SOP classes are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageClasses {
    /// All standard ones, and those of `storage_classes`.
    #[default]
    Standard,
    /// Those of `storage_classes` only.
    Listed,
}

/// What is done with the user identity of a caller (PS3.7 D.3.3.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserIdentity {
    /// Nothing.
    #[default]
    Ignored,
    /// It must be that of its `[[peer]]`.
    Required,
}

impl Default for Offered {
    fn default() -> Self {
        Self {
            storage: StorageClasses::default(),
            storage_classes: Vec::new(),
            storage_commitment: Commitment::default(),
            performed_steps: true,
            user_identity: UserIdentity::default(),
        }
    }
}

impl Config {
    pub(super) fn check_services(&self) -> Result<(), String> {
        let pdu_kib = self.limits.pdu_kib;
        if !PDU_KIB.contains(&pdu_kib) {
            let (least, most) = (PDU_KIB.start(), PDU_KIB.end());
            return Err(format!(
                "limits.pdu_kib {pdu_kib} is not between {least} and {most}"
            ));
        }
        let offered = &self.services;
        if offered.storage == StorageClasses::Listed && offered.storage_classes.is_empty() {
            return Err("services.storage is \"listed\", and services.storage_classes lists none".to_owned());
        }
        let required = offered.user_identity == UserIdentity::Required;
        if required && self.peer.iter().all(|peer| peer.user.is_none()) {
            return Err("services.user_identity is \"required\", and no peer has a user".to_owned());
        }
        if let Some(peer) = self
            .peer
            .iter()
            .find(|peer| peer.passcode.is_some() && peer.user.is_none())
        {
            return Err(format!("peer {:?} has a passcode and no user", peer.ae_title));
        }
        self.report_to().map(|_| ())
    }

    fn report_to(&self) -> Result<Vec<Node>, String> {
        let told = self
            .peer
            .iter()
            .filter_map(|peer| Some((peer, peer.report_to.as_ref()?)));
        told.map(|(peer, address)| {
            let node = format!("{}@{address}", peer.ae_title).parse();
            node.map_err(|error| format!("peer.report_to {address:?}: {error}"))
        })
        .collect()
    }

    /// What is offered to callers.
    pub fn services(&self) -> Services {
        let credential = |peer: &Peer| {
            Some(Credential {
                ae_title: peer.ae_title.clone(),
                network: peer.address,
                user: peer.user.clone()?,
                passcode: peer.passcode.clone(),
            })
        };
        Services {
            storage_classes: self.services.storage_classes.clone(),
            standard_storage: self.services.storage == StorageClasses::Standard,
            commitment: self.services.storage_commitment,
            performed_steps: self.services.performed_steps,
            identities: match self.services.user_identity {
                UserIdentity::Ignored => Identities::Ignored,
                UserIdentity::Required => {
                    Identities::Required(self.peer.iter().filter_map(credential).collect())
                }
            },
            pdu_bytes: self.limits.pdu_kib * 1024,
            asks_for_commitment: self.reporters().next().is_some(),
            // Checked when the settings were read.
            report_to: self.report_to().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("s.toml")).map_err(|error| error.message)
    }

    #[test]
    fn services_are_read_and_passcodes_written_back_hashed() {
        let config = parse(
            "[services]\nstorage = \"listed\"\nstorage_classes = [\"1.2.3\"]\n\
             storage_commitment = \"while_kept\"\nperformed_steps = false\nuser_identity = \"required\"\n\
             [[peer]]\nae_title = \"MR1\"\nuser = \"u\"\npasscode = \"secret\"\nreport_to = \"mr1:104\"\n\
             [limits]\npdu_kib = 64\n",
        )
        .unwrap();
        let services = config.services();
        assert!(services.stores("1.2.3") && !services.standard_storage && !services.performed_steps);
        assert_eq!(services.commitment, Commitment::WhileKept);
        assert_eq!(services.pdu_bytes, 64 * 1024);
        assert_eq!(services.report_to[0].to_string(), "MR1@mr1:104");
        assert!(matches!(&services.identities, Identities::Required(all) if all.len() == 1));
        let written = config.to_toml().unwrap();
        assert!(written.contains("sha256:") && !written.contains("secret"));
        assert_eq!(parse(&written).unwrap(), config);
        assert_eq!(Config::default().services(), Services::default());
    }

    #[test]
    fn senseless_services_are_refused_by_name() {
        for (text, name) in [
            ("[limits]\npdu_kib = 3", "limits.pdu_kib"),
            ("[limits]\npdu_kib = 4097", "limits.pdu_kib"),
            ("[services]\nstorage = \"listed\"", "services.storage_classes"),
            (
                "[services]\nstorage_classes = [\"../1\"]",
                "numbers separated by dots",
            ),
            ("[services]\nuser_identity = \"required\"", "no peer has a user"),
            ("[[peer]]\nae_title = \"A\"\npasscode = \"x\"", "no user"),
            (
                "[[peer]]\nae_title = \"A\"\nuser = \"x\"\npasscode = \"\"",
                "passcode",
            ),
            (
                "[[peer]]\nae_title = \"A\"\nreport_to = \"nowhere\"",
                "peer.report_to",
            ),
        ] {
            assert!(parse(text).unwrap_err().contains(name), "{text}");
        }
    }
}
