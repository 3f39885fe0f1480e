//! `[[destination]]`: where findings go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::dicom::Service;
use crate::dicom::admission::Caller;
use crate::dicom::user::Node;
use crate::outbox::destination::{self as outbox, Commitment, Terms, Way};
use crate::report::Kind;
use crate::tls::ClientFiles;

/// `[[destination]]`: a DICOM system by `ae_title`, `host` and `port`, or a web service by `stow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// What it is called on the screen; its AE title where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its AE title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ae_title: Option<String>,
    /// Name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// URL of the Studies service of DICOMweb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stow: Option<String>,
    /// File with the value of the Authorization header for that service, if it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<PathBuf>,
    /// The objects that it gets.
    #[serde(default = "every_kind")]
    pub send: Vec<Kind>,
    /// Whether it is asked to commit to storage.
    #[serde(default)]
    pub commitment: Commitment,
    /// By TLS, if it is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// `destination.tls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM files with the authorities of its certificate.
    pub authorities: Vec<PathBuf>,
    /// PEM file with our certificate and those between it and its authority, if it wants to see one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

fn every_kind() -> Vec<Kind> {
    Kind::ALL.into()
}

impl Destination {
    fn resolve(&self) -> Result<outbox::Destination, String> {
        let way = match (&self.ae_title, &self.host, self.port, &self.stow) {
            (Some(ae_title), Some(host), Some(port), None) => {
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.clone()
                };
                let node = format!("{ae_title}@{host}:{port}").parse::<Node>();
                Way::Dicom(node.map_err(|error| format!("destination {ae_title:?}: {error}"))?)
            }
            (None, None, None, Some(url)) => Way::Stow {
                url: url.clone(),
                authorization: self.authorization.clone(),
            },
            _ => {
                return Err("a destination has ae_title, host and port, or it has stow".to_owned());
            }
        };
        let name = self.name.as_ref().or(self.ae_title.as_ref());
        let name = name.ok_or("a destination with stow needs a name")?.trim();
        let wrong = |what: &str| Err(format!("destination {name:?}: {what}"));
        if name.is_empty() {
            return wrong("its name is empty");
        }
        if self.send.is_empty() {
            return wrong("send is empty: leave the destination out instead");
        }
        if let Some(tls) = &self.tls {
            if tls.authorities.is_empty() {
                return wrong("tls.authorities is empty: no certificate of it could be trusted");
            }
            if tls.certificate.is_some() != tls.key.is_some() {
                return wrong("tls.certificate and tls.key go together");
            }
        }
        if let Way::Stow { url, .. } = &way {
            let rest = url
                .strip_prefix("https://")
                .or_else(|| url.strip_prefix("http://"));
            if rest.is_none_or(str::is_empty) {
                return wrong("stow is not a URL that begins with https:// or http://");
            }
            if url.starts_with("https:") != self.tls.is_some() {
                return wrong("https:// and tls go together");
            }
            if self.commitment == Commitment::Required {
                return wrong("a web service knows no storage commitment");
            }
        } else if self.authorization.is_some() {
            return wrong("authorization is for a destination with stow");
        }
        let commitment = match way {
            Way::Dicom(_) => self.commitment,
            Way::Stow { .. } => Commitment::Never,
        };
        Ok(outbox::Destination {
            terms: Terms::new(name, &way, self.send.clone(), commitment),
            way,
            tls: self.tls.as_ref().map(|tls| ClientFiles {
                authorities: tls.authorities.clone(),
                own: tls.certificate.clone().zip(tls.key.clone()),
            }),
        })
    }
}

impl Config {
    pub(super) fn check_destinations(&self) -> Result<(), String> {
        let mut names = Vec::new();
        for destination in &self.destination {
            let name = destination.resolve()?.terms.name;
            if names.contains(&name) {
                return Err(format!("two destinations are called {name:?}"));
            }
            names.push(name);
        }
        Ok(())
    }

    /// Where findings go.
    pub fn destinations(&self) -> Vec<outbox::Destination> {
        // Checked when the settings were read.
        let resolved = self.destination.iter().map(Destination::resolve);
        resolved.filter_map(Result::ok).collect()
    }

    /// The destinations that call us to report on storage commitment. They may do that and nothing else.
    pub(in crate::station) fn reporters(&self) -> impl Iterator<Item = Caller> {
        let asked = self
            .destination
            .iter()
            .filter(|one| one.commitment != Commitment::Never);
        asked
            .filter_map(|one| one.ae_title.clone())
            .map(|ae_title| Caller {
                ae_title,
                network: None,
                certificate: None,
                may: vec![Service::Verification, Service::CommitmentReport],
            })
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

    const PACS: &str = "[[destination]]\nae_title = \"PACS\"\nhost = \"pacs\"\nport = 104\n";
    const WEB: &str = "[[destination]]\nname = \"web\"\nstow = \"https://pacs/studies\"\n";
    const TLS: &str = "[destination.tls]\nauthorities = [\"a\"]\n";

    #[test]
    fn destinations_are_read_and_written_back() {
        let config = parse(&format!(
            "{PACS}send = [\"report\"]\ncommitment = \"required\"\n{WEB}authorization = \"t\"\n{TLS}"
        ))
        .unwrap();
        let [pacs, web] = &config.destinations()[..] else {
            panic!("two");
        };
        assert_eq!(pacs.way, Way::Dicom("PACS@pacs:104".parse().unwrap()));
        assert_eq!(
            (&pacs.terms.name[..], &pacs.terms.kinds[..]),
            ("PACS", &[Kind::Report][..])
        );
        assert_eq!(pacs.terms.commitment, Commitment::Required);
        assert_eq!((&web.terms.name[..], web.terms.kinds.len()), ("web", 3));
        assert_eq!(web.terms.commitment, Commitment::Never);
        assert!(web.tls.is_some() && pacs.tls.is_none());
        assert_eq!(parse(&config.to_toml().unwrap()).unwrap(), config);
    }

    #[test]
    fn who_is_asked_may_report_and_nobody_else() {
        let admission = parse(PACS).unwrap().admission();
        let origin = crate::dicom::Origin::plain("192.0.2.1".parse().unwrap());
        assert!(admission.may("PACS", &origin, Service::CommitmentReport));
        assert!(!admission.may("PACS", &origin, Service::Storage));
        assert!(!admission.may("MR1", &origin, Service::CommitmentReport));
        let never = parse(&format!("{PACS}commitment = \"never\"")).unwrap();
        assert!(!never.admission().may("PACS", &origin, Service::CommitmentReport));
        assert!(!never.services().asks_for_commitment && parse(PACS).unwrap().services().asks_for_commitment);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (text, words) in [
            (PACS.replace("port = 104\n", ""), "ae_title, host and port"),
            (format!("{PACS}stow = \"https://x/\""), "or it has stow"),
            (PACS.repeat(2), "two destinations are called \"PACS\""),
            (PACS.replace("PACS", "SEVENTEEN_LETTERS"), "AE title"),
            (format!("{PACS}send = []"), "send is empty"),
            (format!("{PACS}send = [\"images\"]"), "unknown variant"),
            (format!("{PACS}authorization = \"t\""), "authorization"),
            (format!("{PACS}{TLS}key = \"k\""), "go together"),
            (format!("{PACS}{}", TLS.replace("\"a\"", "")), "tls.authorities"),
            (WEB.to_owned(), "https:// and tls"),
            (
                format!("{}{TLS}", WEB.replace("https", "http")),
                "https:// and tls",
            ),
            (WEB.replace("https://pacs/studies", "pacs"), "not a URL"),
            (WEB.replace("name = \"web\"", ""), "needs a name"),
            (
                format!("{WEB}commitment = \"required\"\n{TLS}"),
                "no storage commitment",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
