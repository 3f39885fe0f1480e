//! A syslog server: where it is, and by which certificates it and we are known.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use models::findings::{Fault, Reason};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use serde::{Deserialize, Serialize};

use crate::certificate::{Authorities, Certificate, Identity, unusable, warnings};

/// `HOST:PORT`; an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The name or address that its certificate must be for.
    pub host: String,
    /// Port; 6514 is registered for syslog over TLS.
    pub port: u16,
}

/// A text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT, such as syslog.example.org:6514")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = Self {
            host: bare.unwrap_or(host).to_owned(),
            port: port.parse().map_err(|_| wrong())?,
        };
        if address.port == 0 || address.name().is_none() || address.to_string() != text {
            return Err(wrong());
        }
        Ok(address)
    }
}

impl Address {
    /// What its certificate must be for.
    pub(super) fn name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.host.clone()).ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// Where the trail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// PEM files with the authorities of its certificate.
    pub authorities: Vec<PathBuf>,
    /// PEM files with our certificate and its key, where it wants to see one.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Server {
    /// Whether its files can be used.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used, by its configuration.
    pub fn check(&self) -> Result<(), Reason> {
        Credentials::read(self, SystemTime::now()).map(drop)
    }
}

/// What the files of a server hold.
pub(super) struct Credentials {
    /// None when every authority has expired: then no certificate of the server can hold.
    pub(super) config: Option<Arc<ClientConfig>>,
    own: Vec<Certificate>,
    authorities: Vec<Certificate>,
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used, by its configuration.
    pub(super) fn read(server: &Server, now: SystemTime) -> Result<Self, Reason> {
        let Authorities { roots, all } = Authorities::read(&server.authorities, now)?;
        let identity = match &server.own {
            Some((certificate, key)) => Some((certificate, Identity::read(certificate, key)?)),
            None => None,
        };
        let ours = |error: rustls::Error| Reason::new("tls", Fault::Us, error.to_string());
        let nobody = roots.is_empty();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(ours)?
            .with_root_certificates(roots);
        let (mut config, own) = match identity {
            None => (config.with_no_client_auth(), Vec::new()),
            Some((path, Identity { chain, key, own })) => {
                let config = config.with_client_auth_cert(chain, key);
                (config.map_err(|error| unusable(path, error))?, own)
            }
        };
        // Every connection looks at the certificates anew.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: (!nobody).then(|| Arc::new(config)),
            own,
            authorities: all,
        })
    }

    /// What people should know: certificates that end soon or have ended.
    pub(super) fn warnings(&self, now: SystemTime) -> impl Iterator<Item = String> {
        warnings(&self.own, "syslog certificate", now).chain(warnings(
            &self.authorities,
            "syslog authority",
            now,
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for text in ["syslog.example.org:6514", "192.0.2.7:6514", "[2001:db8::7]:6514"] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string(), address.port), (text.to_owned(), 6514));
        }
        for text in [
            "",
            "syslog",
            ":6514",
            "syslog:",
            "syslog:0",
            "syslog:70000",
            "2001:db8::7:6514",
            "a b:6514",
            "[syslog]:6514",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
