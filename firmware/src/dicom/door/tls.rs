//! DICOM over TLS after the BCP 195 profiles of PS3.15 (B.12, B.13): TLS 1.3 and 1.2, the latter with
//! ephemeral keys and authenticated encryption only; no resumption, so that every association shows
//! its certificate anew.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use models::findings::{Fault, Reason};
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use serde::{Deserialize, Serialize};

use crate::certificate::{Authorities, Certificate, Identity, unusable, warnings};
use crate::screen::situation;
use crate::station::notice::Notice;

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
    pub fn warnings(&self, now: SystemTime) -> Vec<Notice> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let own = warnings(&loaded.own, "TLS certificate", now);
        own.chain(warnings(&loaded.authorities, "TLS authority", now))
            .collect()
    }

    /// Our certificates, for people.
    pub fn own(&self, now: SystemTime) -> Vec<situation::Certificate> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.own.iter().map(|one| one.shown(now)).collect()
    }

    /// Our side of a new connection; none when every authority has expired.
    pub(super) fn accept(&self) -> Option<ServerConnection> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        ServerConnection::new(loaded.config.clone()?).ok()
    }
}

/// The certificate that the peer showed in a handshake that is over.
pub(super) fn shown_by(tls: &ServerConnection) -> Option<Certificate> {
    Certificate::read(tls.peer_certificates()?.first()?)
}

impl Loaded {
    fn read(files: &TlsFiles, now: SystemTime) -> Result<Self, Reason> {
        let Identity { chain, key, own, .. } = Identity::read(&files.certificate, &files.key)?;
        let Authorities {
            roots,
            all: authorities,
            ..
        } = Authorities::read(&files.authorities, now)?;
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
