//! `[audit]`: where the audit trail is sent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::station::audit::syslog::{Address, Server};
use crate::tls::ClientFiles;

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// `HOST:PORT` of a syslog server that takes calls by TLS.
    pub syslog: Address,
    /// PEM files with the authorities of its certificate.
    pub authorities: Vec<PathBuf>,
    /// PEM file with our certificate and those between it and its authority, if the server wants to see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Config {
    pub(super) fn check_audit(&self) -> Result<(), String> {
        let Some(audit) = &self.audit else {
            return Ok(());
        };
        if audit.authorities.is_empty() {
            return Err(
                "audit.authorities is empty: no certificate of the server could be trusted".to_owned(),
            );
        }
        match (&audit.certificate, &audit.key) {
            (Some(_), None) => Err("audit.certificate without audit.key".to_owned()),
            (None, Some(_)) => Err("audit.key without audit.certificate".to_owned()),
            _ => Ok(()),
        }
    }

    /// Where the audit trail is sent, if anywhere.
    pub fn syslog(&self) -> Option<Server> {
        self.audit.as_ref().map(|audit| Server {
            address: audit.syslog.clone(),
            tls: ClientFiles {
                authorities: audit.authorities.clone(),
                own: audit.certificate.clone().zip(audit.key.clone()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    const AUDIT: &str = "[audit]\nsyslog = \"syslog.example.org:6514\"\nauthorities = [\"a\"]\n";

    #[test]
    fn a_syslog_server_is_read_and_written_back() {
        let parse = |text: &str| Config::parse(text, Path::new("s.toml")).unwrap();
        assert_eq!(parse("").syslog(), None);
        let config = parse(AUDIT);
        let server = config.syslog().unwrap();
        assert_eq!((server.address.port, server.tls.own), (6514, None));
        assert_eq!(parse(&config.to_toml().unwrap()), config);
        let config = parse(&format!("{AUDIT}certificate = \"c\"\nkey = \"k\""));
        assert_eq!(config.syslog().unwrap().tls.own, Some(("c".into(), "k".into())));
        assert_eq!(parse(&config.to_toml().unwrap()), config);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (text, name) in [
            ("[audit]\nsyslog = \"s:6514\"".to_owned(), "authorities"),
            (AUDIT.replace("[\"a\"]", "[]"), "audit.authorities"),
            (
                AUDIT.replace(":6514", ""),
                "\"syslog.example.org\" is not HOST:PORT",
            ),
            (format!("{AUDIT}certificate = \"c\""), "audit.certificate"),
            (format!("{AUDIT}key = \"k\""), "audit.key"),
            (format!("{AUDIT}port = 6514"), "unknown field `port`"),
        ] {
            let error = Config::parse(&text, Path::new("s.toml")).unwrap_err();
            assert!(error.to_string().contains(name), "{text}: {error}");
        }
        let error = Config::parse(&AUDIT.replace(":6514", ""), Path::new("s.toml")).unwrap_err();
        assert_eq!(error.at, Some((2, 10)), "the place is named too");
    }
}
