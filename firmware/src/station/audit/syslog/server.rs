//! A syslog server: where it is, and by which certificates it and we are known.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};

use crate::tls::ClientFiles;

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
    /// By which certificates it and we are known.
    pub tls: ClientFiles,
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
