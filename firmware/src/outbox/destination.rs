//! A system that is to have our findings: what it gets, and how it is reached.

use std::path::PathBuf;
use std::time::SystemTime;

use models::findings::Reason;
use serde::{Deserialize, Serialize};

use crate::dicom::user::Node;
use crate::report::Kind;
use crate::tls::{ClientCredentials, ClientFiles};

/// A system that is to have our findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What it gets.
    pub terms: Terms,
    /// How it is reached.
    pub way: Way,
    /// The files of TLS, where it is reached by that.
    pub tls: Option<ClientFiles>,
}

/// What a destination gets, and when that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its name on the screen and in `delivery.json`.
    pub name: String,
    /// Its AE title, or its name where it has none.
    pub title: String,
    /// Where it is: a host name or an address.
    pub host: String,
    /// The objects that it wants.
    pub kinds: Vec<Kind>,
    /// Whether it is asked to commit to storage.
    pub commitment: Commitment,
}

/// Whether a destination is asked to commit to storage, and what holds without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Commitment {
    /// It is asked where it offers that. Where it does not, what it acknowledged counts as delivered.
    #[default]
    IfOffered,
    /// Only what it committed to counts as delivered.
    Required,
    /// It is not asked: what it acknowledged counts as delivered.
    Never,
}

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By C-STORE.
    Dicom(Node),
    /// By the Studies service of DICOMweb (PS3.18 10.5).
    Stow {
        /// The service: `https://HOST/PATH/studies`.
        url: String,
        /// A file with the value of the Authorization header, where it wants one.
        authorization: Option<PathBuf>,
    },
}

impl Terms {
    /// What it gets by which way.
    pub fn new(name: &str, way: &Way, kinds: Vec<Kind>, commitment: Commitment) -> Self {
        let (title, address) = match way {
            Way::Dicom(node) => (node.ae_title.as_str(), node.address.as_str()),
            Way::Stow { url, .. } => {
                let from = url.find("://").map_or(0, |at| at + 3);
                (name, url[from..].split('/').next().unwrap_or_default())
            }
        };
        let host = match address.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => address,
        };
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            kinds,
            commitment,
        }
    }
}

impl Destination {
    /// What its files of TLS hold now.
    pub(super) fn credentials(&self) -> Result<Option<ClientCredentials>, Reason> {
        let files = self.tls.as_ref();
        files
            .map(|files| ClientCredentials::read(files, SystemTime::now()))
            .transpose()
    }
}
