//! Certificates and keys in PEM files: what they are, when they end.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use models::findings::{Fault, Reason};
use models::package::hex_sha256;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use crate::disk::{Disk as _, RealDisk};
use crate::limits::{CERTIFICATE_WARNING, MAX_PEM_BYTES};
use crate::screen::situation;
use crate::station::notice::Notice;

/// What is known about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the whole certificate, hexadecimal digits in lower case.
    pub sha256: String,
    /// Common name of its subject.
    pub common_name: Option<String>,
    /// The last second in which it is valid, seconds since 1970 UTC.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate; none when it is not X.509.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, x509) = x509_parser::parse_x509_certificate(der).ok()?;
        let common_name = x509
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .map(str::to_owned);
        Some(Self {
            sha256: hex_sha256(der),
            common_name,
            not_after: x509.validity().not_after.timestamp(),
        })
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.not_after < seconds(now)
    }

    /// As people see it.
    pub fn shown(&self, now: SystemTime) -> situation::Certificate {
        situation::Certificate {
            name: self.name().to_owned(),
            until: self.last_day(),
            ends_soon: self.left(now) <= CERTIFICATE_WARNING.as_secs().cast_signed(),
        }
    }

    fn name(&self) -> &str {
        self.common_name.as_deref().unwrap_or("without a name")
    }

    fn last_day(&self) -> String {
        OffsetDateTime::from_unix_timestamp(self.not_after)
            .map_or_else(|_| "a day out of range".to_owned(), |end| end.date().to_string())
    }

    /// Seconds to its end.
    fn left(&self, now: SystemTime) -> i64 {
        self.not_after - seconds(now)
    }

    /// What people should know about its end, from [`CERTIFICATE_WARNING`] ahead.
    fn warning(&self, whose: &str, now: SystemTime) -> Option<Notice> {
        let left = self.left(now);
        if left > CERTIFICATE_WARNING.as_secs().cast_signed() {
            return None;
        }
        let (name, day) = (self.name(), self.last_day());
        let (code, text) = match left {
            ..0 => ("certificate_ended", format!("expired on {day}")),
            _ => (
                "certificate_ends",
                format!("expires in {} days, on {day}", left / 86_400),
            ),
        };
        let reason = Reason::new(code, Fault::Configuration, text);
        Some(Notice::new(format!("{whose} {name}"), reason))
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}

/// What people should know about the ends of certificates.
pub fn warnings<'c>(
    certificates: &'c [Certificate],
    whose: &'c str,
    now: SystemTime,
) -> impl Iterator<Item = Notice> + 'c {
    certificates
        .iter()
        .filter_map(move |certificate| certificate.warning(whose, now))
}

/// Our certificate with its key.
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// The same as it is in its file.
    pub key_pem: Vec<u8>,
    /// What is known about the chain.
    pub own: Vec<Certificate>,
}

impl Identity {
    /// Reads both files.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used, by its configuration.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Reason> {
        let chain = certificates(certificate)?;
        let own = known(certificate, &chain)?;
        let key_pem = read(key)?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| unusable(key, error))?;
        Ok(Self {
            chain,
            key,
            key_pem,
            own,
        })
    }
}

/// Whose certificates are believed.
pub struct Authorities {
    /// Those that are in force.
    pub roots: RootCertStore,
    /// The same as they are in their files.
    pub in_force: Vec<CertificateDer<'static>>,
    /// All of them, also those that have expired.
    pub all: Vec<Certificate>,
}

impl Authorities {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`Identity::read`].
    pub fn read(paths: &[PathBuf], now: SystemTime) -> Result<Self, Reason> {
        let mut roots = RootCertStore::empty();
        let mut in_force = Vec::new();
        let mut all = Vec::new();
        for path in paths {
            let ders = certificates(path)?;
            let here = known(path, &ders)?;
            // The verifiers do not look at the dates of an authority.
            for (der, _) in ders.into_iter().zip(&here).filter(|(_, one)| !one.is_over(now)) {
                roots.add(der.clone()).map_err(|error| unusable(path, error))?;
                in_force.push(der);
            }
            all.extend(here);
        }
        Ok(Self { roots, in_force, all })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let bytes = read(path)?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, error))?;
    if all.is_empty() {
        return Err(unusable(path, "there is no certificate in it"));
    }
    Ok(all)
}

fn known(path: &Path, ders: &[CertificateDer<'_>]) -> Result<Vec<Certificate>, Reason> {
    ders.iter()
        .map(|der| Certificate::read(der).ok_or_else(|| unusable(path, "a certificate in it is not X.509")))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, Reason> {
    RealDisk
        .read_at_most(path, MAX_PEM_BYTES)
        .map_err(|error| unusable(path, error))
}

/// A file of TLS that cannot be used, by its configuration.
pub fn unusable(path: &Path, why: impl ToString) -> Reason {
    let text = format!("the TLS file {}: {}", path.display(), why.to_string());
    Reason::new("tls", Fault::Configuration, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_named_from_thirty_days_ahead() {
        const DAY: u64 = 86_400;
        let end = 1_796_342_400; // 2026-12-04
        let certificate = Certificate {
            sha256: String::new(),
            common_name: Some("box".into()),
            not_after: end,
        };
        let warning = |at: u64| {
            let notice = certificate.warning("TLS certificate", UNIX_EPOCH + Duration::from_secs(at));
            notice.map(|notice| notice.to_string())
        };
        let end = end as u64;
        assert_eq!(warning(end - 30 * DAY - 1), None);
        assert_eq!(
            warning(end - 30 * DAY).unwrap(),
            "TLS certificate box: expires in 30 days, on 2026-12-04"
        );
        assert_eq!(
            warning(end).unwrap(),
            "TLS certificate box: expires in 0 days, on 2026-12-04"
        );
        assert_eq!(
            warning(end + 1).unwrap(),
            "TLS certificate box: expired on 2026-12-04"
        );
    }

    #[test]
    fn bytes_that_are_no_certificate_are_none() {
        for bytes in [
            &b""[..],
            b"certificate",
            &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0x30, 0x80],
        ] {
            assert_eq!(Certificate::read(bytes), None);
        }
    }
}
