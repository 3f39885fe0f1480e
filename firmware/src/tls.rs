//! TLS: bytes between a connection and its socket, whichever side we are, and what we need to call somebody.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use models::findings::{Fault, Reason};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ConnectionCommon, IoState, SideData};

use crate::certificate::{Authorities, Certificate, Identity, unusable, warnings};
use crate::station::notice::Notice;

/// The files that we need to call somebody by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// PEM files with the authorities of the certificate of the other side.
    pub authorities: Vec<PathBuf>,
    /// PEM files with our certificate and its key, where the other side wants to see one.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl ClientFiles {
    /// Whether they can be used.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used, by its configuration.
    pub fn check(&self) -> Result<(), Reason> {
        ClientCredentials::read(self, SystemTime::now()).map(drop)
    }
}

/// What these files hold.
pub struct ClientCredentials {
    /// None when every authority has expired: then no certificate of the other side can hold.
    config: Option<Arc<ClientConfig>>,
    in_force: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    authorities: Vec<Certificate>,
}

impl ClientCredentials {
    /// Reads the files.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used, by its configuration.
    pub fn read(files: &ClientFiles, now: SystemTime) -> Result<Self, Reason> {
        let Authorities { roots, in_force, all } = Authorities::read(&files.authorities, now)?;
        let identity = match &files.own {
            Some((certificate, key)) => Some((certificate, Identity::read(certificate, key)?)),
            None => None,
        };
        let ours = |error: rustls::Error| Reason::new("tls", Fault::Us, error.to_string());
        let nobody = roots.is_empty();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(ours)?
            .with_root_certificates(roots);
        let mut config = match &identity {
            None => config.with_no_client_auth(),
            Some((path, Identity { chain, key, .. })) => {
                let config = config.with_client_auth_cert(chain.clone(), key.clone_key());
                config.map_err(|error| unusable(path, error))?
            }
        };
        // Every connection looks at the certificates anew.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: (!nobody).then(|| Arc::new(config)),
            in_force,
            identity: identity.map(|(_, identity)| identity),
            authorities: all,
        })
    }

    /// For rustls.
    ///
    /// # Errors
    /// `authorities_expired`, by the configuration.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Reason> {
        self.config.clone().ok_or_else(|| {
            let text = "every authority that the settings name for it has expired";
            Reason::new("authorities_expired", Fault::Configuration, text)
        })
    }

    /// The authorities that have not expired.
    ///
    /// # Errors
    /// As [`ClientCredentials::config`].
    pub fn in_force(&self) -> Result<&[CertificateDer<'static>], Reason> {
        self.config().map(|_| &self.in_force[..])
    }

    /// Our certificate, with those between it and its authority, and its key, where we show them.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// What people should know: certificates that end soon or have ended. `whose` is what they are for.
    pub fn warnings(&self, whose: &str, now: SystemTime) -> Vec<Notice> {
        let own = self.identity.as_ref().map_or(&[][..], |identity| &identity.own);
        let (certificate, authority) = (format!("{whose} certificate"), format!("{whose} authority"));
        let own = warnings(own, &certificate, now);
        own.chain(warnings(&self.authorities, &authority, now)).collect()
    }
}

/// Whether a connection failed because the certificate of the other side does not hold.
pub(crate) fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Takes in what one read of the socket gives, and writes what TLS has to say to it.
pub(crate) fn advance<S: SideData>(
    tls: &mut ConnectionCommon<S>,
    socket: &mut (impl Read + Write),
) -> io::Result<()> {
    flush(tls, socket)?;
    if tls.read_tls(socket)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    process(tls, socket).map(drop)
}

/// Takes in what was read.
pub(crate) fn process<S: SideData>(
    tls: &mut ConnectionCommon<S>,
    socket: &mut impl Write,
) -> io::Result<IoState> {
    let taken = tls.process_new_packets();
    // After an error too: the alert tells the peer why. It may be gone.
    let flushed = flush(tls, socket);
    let state = taken.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    flushed.map(|()| state)
}

/// Writes what TLS has to say.
pub(crate) fn flush<S: SideData>(tls: &mut ConnectionCommon<S>, socket: &mut impl Write) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(socket)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}
