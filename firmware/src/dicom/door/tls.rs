//! DICOM over TLS after the BCP 195 profiles of PS3.15 (B.12, B.13): TLS 1.3 and 1.2, the latter with
//! ephemeral keys and authenticated encryption only; no resumption, so that every association shows
//! its certificate anew.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use models::findings::{Fault, Reason};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::disk::{Disk as _, RealDisk};
use crate::limits::{CERTIFICATE_WARNING, MAX_PEM_BYTES};

/// The files of TLS, all of them PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates callers may show.
    pub authorities: Vec<PathBuf>,
    /// Whether callers must show one.
    pub client_certificate: ClientCertificate,
}

/// Whether callers must show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// Without one there is no association.
    #[default]
    Required,
    /// A caller without one is as unknown as one without TLS; a wrong one is refused all the same.
    Optional,
}

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
            sha256: Sha256::digest(der)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            common_name,
            not_after: x509.validity().not_after.timestamp(),
        })
    }

    /// The certificate that the peer showed in a handshake that is over.
    pub(super) fn of_peer(tls: &ServerConnection) -> Option<Self> {
        Self::read(tls.peer_certificates()?.first()?)
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.not_after < seconds(now)
    }

    /// What people should know about its end, from [`CERTIFICATE_WARNING`] ahead.
    fn warning(&self, whose: &str, now: SystemTime) -> Option<String> {
        let left = self.not_after - seconds(now);
        if left > CERTIFICATE_WARNING.as_secs().cast_signed() {
            return None;
        }
        let name = self.common_name.as_deref().unwrap_or("without a name");
        let day = OffsetDateTime::from_unix_timestamp(self.not_after)
            .map_or_else(|_| "a day out of range".to_owned(), |end| end.date().to_string());
        Some(match left {
            ..0 => format!("{whose} {name} expired on {day}"),
            _ => format!("{whose} {name} expires in {} days, on {day}", left / 86_400),
        })
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}

/// How calls by TLS are taken.
pub struct Tls {
    files: TlsFiles,
    loaded: RwLock<Loaded>,
}

/// What the files hold.
struct Loaded {
    /// None when every authority has expired: then nobody can show a certificate that holds.
    config: Option<Arc<ServerConfig>>,
    own: Vec<Certificate>,
    authorities: Vec<Certificate>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used, by its configuration.
    pub fn open(files: TlsFiles) -> Result<Self, Reason> {
        let loaded = RwLock::new(Loaded::read(&files, SystemTime::now())?);
        Ok(Self { files, loaded })
    }

    /// Reads the files again. When they cannot be used, what was read before stays in force.
    ///
    /// # Errors
    /// As [`Tls::open`].
    pub fn read_again(&self) -> Result<(), Reason> {
        let loaded = Loaded::read(&self.files, SystemTime::now())?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// What people should know: certificates that end soon or have ended. By the wall clock, which is
    /// what certificates are about.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let own = loaded.own.iter().map(|own| own.warning("TLS certificate", now));
        let authorities = loaded
            .authorities
            .iter()
            .map(|authority| authority.warning("TLS authority", now));
        own.chain(authorities).flatten().collect()
    }

    /// Our side of a new connection; none when every authority has expired.
    pub(super) fn accept(&self) -> Option<ServerConnection> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        ServerConnection::new(loaded.config.clone()?).ok()
    }
}

impl Loaded {
    fn read(files: &TlsFiles, now: SystemTime) -> Result<Self, Reason> {
        let chain = certificates(&files.certificate)?;
        let own = known(&files.certificate, &chain)?;
        let key =
            PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| unusable(&files.key, error))?;

        let mut roots = RootCertStore::empty();
        let mut authorities = Vec::new();
        for path in &files.authorities {
            let ders = certificates(path)?;
            let all = known(path, &ders)?;
            // The verifier does not look at the dates of an authority.
            for (der, _) in ders.into_iter().zip(&all).filter(|(_, one)| !one.is_over(now)) {
                roots.add(der).map_err(|error| unusable(path, error))?;
            }
            authorities.extend(all);
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = if roots.is_empty() && files.client_certificate == ClientCertificate::Optional {
            WebPkiClientVerifier::no_client_auth()
        } else if roots.is_empty() {
            return Ok(Self {
                config: None,
                own,
                authorities,
            });
        } else {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            let verifier = match files.client_certificate {
                ClientCertificate::Required => verifier,
                ClientCertificate::Optional => verifier.allow_unauthenticated(),
            };
            verifier
                .build()
                .map_err(|error| Reason::new("tls", Fault::Us, error.to_string()))?
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| Reason::new("tls", Fault::Us, error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&files.certificate, error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Some(Arc::new(config)),
            own,
            authorities,
        })
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

fn unusable(path: &Path, why: impl ToString) -> Reason {
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
        let warning = |at: u64| certificate.warning("TLS certificate", UNIX_EPOCH + Duration::from_secs(at));
        let end = end as u64;
        assert_eq!(warning(end - 30 * DAY - 1), None);
        assert_eq!(
            warning(end - 30 * DAY).unwrap(),
            "TLS certificate box expires in 30 days, on 2026-12-04"
        );
        assert_eq!(
            warning(end).unwrap(),
            "TLS certificate box expires in 0 days, on 2026-12-04"
        );
        assert_eq!(
            warning(end + 1).unwrap(),
            "TLS certificate box expired on 2026-12-04"
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
