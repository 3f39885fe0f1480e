//! `[[peer]]` and `[tls]`: who may call, and how.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::dicom::admission::{Admission, Binding, Caller, Callers, Network};
use crate::dicom::door::{Capacity, ClientCertificate, TlsFiles};
use crate::dicom::{Passcode, Service};
use crate::limits::MAX_ASSOCIATIONS;

/// `[[peer]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its calling AE title.
    pub ae_title: String,
    /// The address or network it must call from, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Network>,
    /// What it may ask for.
    #[serde(default = "every_service")]
    pub may: Vec<Service>,
    /// SHA-256 of the certificate that it must show, if given: 64 hexadecimal digits, colons allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// Common name of the certificate that it must show, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_name: Option<String>,
    /// The user that it says it is, where user identities are required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The passcode of that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passcode: Option<Passcode>,
    /// `HOST:PORT` where it takes storage commitment reports when its own association is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_to: Option<String>,
}

fn every_service() -> Vec<Service> {
    Service::ALL.into()
}

/// `[tls]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Port to listen on; 0 takes a free one.
    #[serde(default = "dicom_tls_port")]
    pub port: u16,
    /// PEM file with our certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// PEM files with the authorities of callers.
    #[serde(default)]
    pub authorities: Vec<PathBuf>,
    /// Whether callers must show a certificate.
    #[serde(default)]
    pub client_certificate: ClientCertificate,
}

/// The registered port of DICOM by TLS (PS3.8 9.1.1).
fn dicom_tls_port() -> u16 {
    2762
}

/// Who may send, in one word for log and screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaySend {
    /// Whoever reaches us: chosen by `station.open`.
    Everybody,
    /// Nobody: no peer is listed, and `station.open` is not chosen.
    #[default]
    Nobody,
    /// The peers that are listed.
    Listed,
}

impl Peer {
    fn binding(&self) -> Option<Binding> {
        let fingerprint = self.certificate_sha256.as_ref().map(|text| {
            let digits = text.chars().filter(|c| *c != ':').collect::<String>();
            Binding::Fingerprint(digits.to_ascii_lowercase())
        });
        fingerprint.or_else(|| self.certificate_name.clone().map(Binding::CommonName))
    }

    fn check(&self) -> Result<(), String> {
        if self.may.is_empty() {
            return Err("peer.may is empty: leave the peer out instead".to_owned());
        }
        if self.certificate_sha256.is_some() && self.certificate_name.is_some() {
            return Err("peer.certificate_sha256 and peer.certificate_name: one is enough".to_owned());
        }
        match self.binding() {
            Some(Binding::Fingerprint(digits))
                if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Err("peer.certificate_sha256 is not 64 hexadecimal digits".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Config {
    pub(super) fn check_door(&self) -> Result<(), String> {
        self.peer.iter().try_for_each(Peer::check)?;
        let refused = |text: &str| Err(text.to_owned());
        if self.station.open && !self.peer.is_empty() {
            return refused("station.open lets everybody send, [[peer]] lets some: choose one");
        }
        match &self.tls {
            None if !self.station.plain => {
                return refused("station.plain = false without [tls]: nothing listens");
            }
            None if self.peer.iter().any(|peer| peer.binding().is_some()) => {
                return refused("a peer must show a certificate, and there is no [tls] to show it by");
            }
            Some(tls)
                if tls.authorities.is_empty() && tls.client_certificate == ClientCertificate::Required =>
            {
                return refused("tls.authorities is empty: no certificate of a caller could be trusted");
            }
            _ => {}
        }
        let limits = &self.limits;
        if limits.associations > MAX_ASSOCIATIONS {
            return Err(format!("limits.associations is more than {MAX_ASSOCIATIONS}"));
        }
        Ok(())
    }

    /// Who may send.
    pub fn may_send(&self) -> MaySend {
        match (self.station.open, self.peer.is_empty()) {
            (true, _) => MaySend::Everybody,
            (false, true) => MaySend::Nobody,
            (false, false) => MaySend::Listed,
        }
    }

    /// Who may call.
    pub fn admission(&self) -> Admission {
        let caller = |peer: &Peer| Caller {
            ae_title: peer.ae_title.clone(),
            network: peer.address,
            certificate: peer.binding(),
            may: peer.may.clone(),
        };
        Admission {
            ae_title: self.station.ae_title.clone(),
            require_called_ae_title: self.station.require_called_ae_title,
            callers: if self.station.open {
                Callers::Everybody
            } else {
                Callers::Listed(self.peer.iter().map(caller).chain(self.reporters()).collect())
            },
        }
    }

    /// How much callers may use up.
    pub fn capacity(&self) -> Capacity {
        Capacity {
            associations: self.limits.associations,
            associations_per_peer: self.limits.associations_per_peer,
            waiting: self.limits.waiting,
        }
    }

    /// The files of TLS, where it is on.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        self.tls.as_ref().map(|tls| TlsFiles {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            authorities: tls.authorities.clone(),
            client_certificate: tls.client_certificate,
        })
    }
}

impl MaySend {
    /// What the field engineer should know, where there is something to know.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Everybody => Some("open: everybody on the network may send (station.open = true)"),
            Self::Nobody => {
                Some("nobody may send: list each system as [[peer]], or choose station.open = true")
            }
            Self::Listed => None,
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

    const TLS: &str = "[tls]\ncertificate = \"c\"\nkey = \"k\"\nauthorities = [\"a\"]\n";

    #[test]
    fn nobody_may_send_until_somebody_chooses() {
        let may_send = |text| parse(text).unwrap().may_send();
        assert_eq!(may_send(""), MaySend::Nobody);
        assert_eq!(may_send("[station]\nopen = true"), MaySend::Everybody);
        assert_eq!(may_send("[[peer]]\nae_title = \"MR1\""), MaySend::Listed);
        assert_eq!(parse("").unwrap().admission().callers, Callers::Listed(vec![]));
    }

    #[test]
    fn peers_are_read_with_network_services_and_certificate() {
        let colons = vec!["AB"; 32].join(":");
        let config = parse(&format!(
            "[[peer]]\nae_title = \"MR1\"\naddress = \"192.0.2.0/24\"\nmay = [\"store\", \"echo\"]\n\
             certificate_sha256 = \"{colons}\"\n[[peer]]\nae_title = \"MR2\"\ncertificate_name = \"mr2\"\n{TLS}"
        ))
        .unwrap();
        let Callers::Listed(callers) = config.admission().callers else {
            panic!("a list");
        };
        assert_eq!(callers[0].network, Some("192.0.2.0/24".parse().unwrap()));
        assert_eq!(callers[0].may, [Service::Storage, Service::Verification]);
        assert_eq!(
            callers[0].certificate,
            Some(Binding::Fingerprint("ab".repeat(32)))
        );
        assert_eq!(callers[1].may, Service::ALL);
        assert_eq!(callers[1].certificate, Some(Binding::CommonName("mr2".into())));
        assert_eq!(config.tls.as_ref().unwrap().port, 2762);
        let again = Config::parse(&config.to_toml().unwrap(), Path::new("t")).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let peer = "[[peer]]\nae_title = \"MR1\"\n";
        for (text, name) in [
            (format!("[station]\nopen = true\n{peer}"), "station.open"),
            ("[station]\nplain = false".to_owned(), "station.plain"),
            (format!("{peer}may = []"), "peer.may"),
            (format!("{peer}may = [\"find\"]"), "find"),
            (format!("{peer}address = \"10.0.0.1/8\""), "10.0.0.1/8"),
            (format!("{peer}certificate_name = \"x\""), "[tls]"),
            (
                format!("{peer}certificate_sha256 = \"12\"\n{TLS}"),
                "certificate_sha256",
            ),
            (TLS.replace("[\"a\"]", "[]"), "tls.authorities"),
            ("[limits]\nassociations = 257".to_owned(), "limits.associations"),
            ("[limits]\nwaiting = 0".to_owned(), "limits.waiting"),
            (
                "[limits]\nassociations_per_peer = 0".to_owned(),
                "limits.associations_per_peer",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
    }
}
