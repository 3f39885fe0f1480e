//! Who may call, and for what: decisions without input or output.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Service;
use crate::certificate::Certificate;
use crate::limits::MAX_AE_TITLE_CHARS;

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Our own AE title.
    pub ae_title: String,
    /// Whether callers must name it.
    pub require_called_ae_title: bool,
    /// Who may call.
    pub callers: Callers,
}

/// The systems that may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callers {
    /// Whoever reaches us. Only ever chosen, never a default.
    Everybody,
    /// These; when there are none, nobody.
    Listed(Vec<Caller>),
}

/// One system that may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its AE title.
    pub ae_title: String,
    /// The network it must call from, if that matters.
    pub network: Option<Network>,
    /// The certificate that it must show by TLS, if that matters.
    pub certificate: Option<Binding>,
    /// What it may ask for.
    pub may: Vec<Service>,
}

/// The one certificate that a peer must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// By its SHA-256, hexadecimal digits in lower case.
    Fingerprint(String),
    /// By the common name of its subject.
    CommonName(String),
}

impl Binding {
    fn holds(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Fingerprint(sha256) => *sha256 == certificate.sha256,
            Self::CommonName(name) => certificate.common_name.as_ref() == Some(name),
        }
    }
}

/// Where a caller comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its network address.
    pub address: IpAddr,
    /// The certificate that it showed by TLS and whose authority we trust.
    pub certificate: Option<Certificate>,
}

impl Origin {
    /// A caller without a certificate.
    pub fn plain(address: IpAddr) -> Self {
        Self {
            address,
            certificate: None,
        }
    }
}

/// Why somebody may not call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// What should be an AE title is none.
    #[error("its AE title is not one")]
    CallingAeTitle,
    /// It wants somebody else.
    #[error("it called another AE title")]
    CalledAeTitle,
    /// There is no entry with its AE title and its address.
    #[error("it is not listed as a peer")]
    Unknown,
    /// There are no entries at all.
    #[error("no [[peer]] is listed and station.open is not chosen, so nobody may call")]
    NobodyListed,
    /// It is listed, with another certificate.
    #[error("it does not show the certificate that is listed for it")]
    Certificate,
}

impl NotAdmitted {
    /// Stable, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::CallingAeTitle => "calling_ae_title",
            Self::CalledAeTitle => "called_ae_title",
            Self::Unknown | Self::NobodyListed => "unknown_caller",
            Self::Certificate => "wrong_certificate",
        }
    }
}

impl Admission {
    /// Whether a caller may have an association at all.
    pub fn admit(&self, calling: &str, called: &str, origin: &Origin) -> Result<(), NotAdmitted> {
        if !is_ae_title(calling) {
            return Err(NotAdmitted::CallingAeTitle);
        }
        if self.require_called_ae_title && called != self.ae_title {
            return Err(NotAdmitted::CalledAeTitle);
        }
        let Callers::Listed(listed) = &self.callers else {
            return Ok(());
        };
        if self.is_ourselves(calling, origin) {
            return Ok(());
        }
        if listed.is_empty() {
            return Err(NotAdmitted::NobodyListed);
        }
        let mut known = listed
            .iter()
            .filter(|caller| caller.is_at(calling, origin.address))
            .peekable();
        if known.peek().is_none() {
            Err(NotAdmitted::Unknown)
        } else if known.any(|caller| caller.shows(origin)) {
            Ok(())
        } else {
            Err(NotAdmitted::Certificate)
        }
    }

    /// Whether a caller may ask for a service.
    pub fn may(&self, calling: &str, origin: &Origin, service: Service) -> bool {
        match &self.callers {
            Callers::Everybody => true,
            Callers::Listed(listed) => {
                let listed = listed.iter().any(|caller| {
                    caller.is_at(calling, origin.address)
                        && caller.shows(origin)
                        && caller.may.contains(&service)
                });
                listed || (service == Service::Verification && self.is_ourselves(calling, origin))
            }
        }
    }

    /// The self-test asks whether somebody listens; nobody else calls from here by our own title.
    fn is_ourselves(&self, calling: &str, origin: &Origin) -> bool {
        calling == self.ae_title && origin.address.is_loopback()
    }
}

impl Caller {
    fn is_at(&self, calling: &str, address: IpAddr) -> bool {
        self.ae_title == calling && self.network.is_none_or(|network| network.contains(address))
    }

    fn shows(&self, origin: &Origin) -> bool {
        self.certificate.as_ref().is_none_or(|binding| {
            origin
                .certificate
                .as_ref()
                .is_some_and(|shown| binding.holds(shown))
        })
    }
}

/// Whether a title is made of the characters and the length that VR AE allows.
pub(crate) fn is_ae_title(title: &str) -> bool {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\\';
    !title.trim().is_empty() && title.len() <= MAX_AE_TITLE_CHARS && title.bytes().all(printable)
}

/// A network in CIDR notation (RFC 4632): `192.0.2.0/24`; a single address is a network of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// What is wrong with a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not in one of the two notations.
    #[error("{0:?} is neither an IP address nor a network such as 192.0.2.0/24")]
    Malformed(String),
    /// Most likely another network is meant.
    #[error("{0} has bits set behind the prefix")]
    HostBits(String),
}

impl Network {
    /// Whether an address lies in it. IPv4 in the clothes of IPv6 is IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let same_kind = address.is_ipv4() == self.address.is_ipv4();
        same_kind && (bits(address) ^ bits(self.address)) & self.mask() == 0
    }

    /// The bits that count, from the top of 128.
    fn mask(self) -> u128 {
        u128::MAX
            .checked_shl(128 - u32::from(self.prefix))
            .unwrap_or_default()
    }
}

/// An address as its first bits of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| malformed())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let network = Self {
            address,
            prefix: prefix.unwrap_or(whole),
        };
        if network.prefix > whole {
            return Err(malformed());
        }
        if bits(address) & !network.mask() != 0 {
            return Err(NetworkError::HostBits(text.to_owned()));
        }
        Ok(network)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        write!(f, "{}", self.address)?;
        if self.prefix < whole {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::plain(address.parse().unwrap())
    }

    fn caller(network: Option<&str>) -> Caller {
        Caller {
            ae_title: "MR1".into(),
            network: network.map(|text| text.parse().unwrap()),
            certificate: None,
            may: Service::ALL.into(),
        }
    }

    fn admission(callers: Callers) -> Admission {
        Admission {
            ae_title: "SIALOSCOPE".into(),
            require_called_ae_title: false,
            callers,
        }
    }

    #[test]
    fn the_self_test_may_ask_whether_somebody_listens_and_nothing_else() {
        for callers in [vec![], vec![caller(None)]] {
            let admission = admission(Callers::Listed(callers));
            let (here, elsewhere) = (origin("127.0.0.1"), origin("192.0.2.7"));
            assert_eq!(admission.admit("SIALOSCOPE", "SIALOSCOPE", &here), Ok(()));
            assert!(admission.may("SIALOSCOPE", &here, Service::Verification));
            assert!(!admission.may("SIALOSCOPE", &here, Service::Storage));
            for (title, origin) in [("SIALOSCOPE", &elsewhere), ("MR2", &here)] {
                assert!(admission.admit(title, "SIALOSCOPE", origin).is_err(), "{title}");
                assert!(!admission.may(title, origin, Service::Verification), "{title}");
            }
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (network, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.64/26", "::ffff:192.0.2.65", "192.0.2.63"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(
                !parsed.contains(outside.parse().unwrap()),
                "{outside} not in {network}"
            );
            assert_eq!(parsed.to_string(), network);
        }
        for bad in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.1/24",
            "::1/129",
            "mr1",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_everybody_and_the_listed_ones() {
        let mr1 = |admission: &Admission, from: &str| admission.admit("MR1", "X", &origin(from));
        let nobody = admission(Callers::Listed(vec![]));
        assert_eq!(mr1(&nobody, "127.0.0.1"), Err(NotAdmitted::NobodyListed));
        assert!(!nobody.may("MR1", &origin("127.0.0.1"), Service::Verification));
        let mut everybody = admission(Callers::Everybody);
        assert_eq!(mr1(&everybody, "127.0.0.1"), Ok(()));
        everybody.require_called_ae_title = true;
        assert_eq!(mr1(&everybody, "127.0.0.1"), Err(NotAdmitted::CalledAeTitle));
        let listed = admission(Callers::Listed(vec![caller(Some("192.0.2.0/24"))]));
        assert_eq!(mr1(&listed, "192.0.2.9"), Ok(()));
        assert_eq!(mr1(&listed, "198.51.100.9"), Err(NotAdmitted::Unknown));
        assert_eq!(
            listed.admit("MR2", "X", &origin("192.0.2.9")),
            Err(NotAdmitted::Unknown)
        );
    }

    #[test]
    fn each_entry_permits_for_its_own_network() {
        let mut echo_only = caller(Some("198.51.100.0/24"));
        echo_only.may = vec![Service::Verification];
        let admission = admission(Callers::Listed(vec![caller(Some("192.0.2.1")), echo_only]));
        assert!(admission.may("MR1", &origin("192.0.2.1"), Service::Storage));
        assert!(!admission.may("MR1", &origin("198.51.100.1"), Service::Storage));
        assert!(admission.may("MR1", &origin("198.51.100.1"), Service::Verification));
    }

    #[test]
    fn a_certificate_that_is_asked_for_must_be_shown() {
        let shown = |sha256: &str, name: &str| Origin {
            address: "192.0.2.1".parse().unwrap(),
            certificate: Some(Certificate {
                sha256: sha256.into(),
                common_name: Some(name.into()),
                not_after: 0,
            }),
        };
        for (binding, right, wrong) in [
            (
                Binding::Fingerprint("ab".into()),
                shown("ab", "x"),
                shown("cd", "x"),
            ),
            (
                Binding::CommonName("mr1".into()),
                shown("ab", "mr1"),
                shown("ab", "mr2"),
            ),
        ] {
            let mut bound = caller(None);
            bound.certificate = Some(binding);
            let admission = admission(Callers::Listed(vec![bound]));
            assert_eq!(admission.admit("MR1", "X", &right), Ok(()));
            assert!(admission.may("MR1", &right, Service::Storage));
            for bad in [wrong, origin("192.0.2.1")] {
                assert_eq!(admission.admit("MR1", "X", &bad), Err(NotAdmitted::Certificate));
                assert!(!admission.may("MR1", &bad, Service::Storage));
            }
        }
    }

    #[test]
    fn hostile_ae_titles_are_no_ae_titles() {
        for bad in ["", "   ", "A\\B", "A\nB", "A\0", "12345678901234567", "é"] {
            assert!(!is_ae_title(bad), "{bad:?}");
        }
        assert!(is_ae_title("MR-1 upper"));
    }
}
