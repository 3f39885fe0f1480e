//! Authorities and the certificates that they sign, made where they are used.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a part of tests: it fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// The end of this year is far away.
pub const FOREVER: i32 = 2099;

/// A certificate and its key as PEM files.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub sha256: String,
}

/// An authority of a hospital.
pub struct Authority<'f> {
    folder: &'f Path,
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl<'f> Authority<'f> {
    /// One that is valid to the end of a year.
    pub fn new(folder: &'f Path, name: &str, until: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(until, 12, 31);
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
            file,
        }
    }

    pub fn signs(&self, name: &str, until: i32) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(until, 12, 31);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind| self.folder.join(format!("{name}.{kind}.pem"));
        let identity = Identity {
            certificate: path("certificate"),
            key: path("key"),
            sha256: firmware::certificate::Certificate::read(signed.der())
                .unwrap()
                .sha256,
        };
        fs::write(&identity.certificate, signed.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}
