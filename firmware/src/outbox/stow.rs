//! A visit by the Store transaction of DICOMweb (STOW-RS, PS3.18 10.5).

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use models::findings::{Fault, Reason};
use models::package::hex_sha256;
use serde::Deserialize;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::{Item, Visit};
use crate::dicom::Uid;
use crate::dicom::user::peer;
use crate::disk::{Disk as _, RealDisk};
use crate::limits::{
    CONNECT_TIMEOUT, MAX_REPORT_FILE_BYTES, MAX_SETTINGS_BYTES, MAX_WEB_ANSWER_BYTES, RESPONSE_TIMEOUT,
    VISIT_DEADLINE,
};
use crate::tls::{self, ClientCredentials};

/// Sends all in one request. An error is about the destination as a whole.
pub(super) fn visit(
    url: &str,
    authorization: Option<&Path>,
    credentials: Option<&ClientCredentials>,
    items: &[Item],
    visit: &mut Visit,
) -> Result<(), Reason> {
    if items.is_empty() {
        return Ok(());
    }
    let (content_type, body) = multipart(items)?;
    let mut request = agent(credentials)?
        .post(url)
        .header("Content-Type", content_type)
        .header("Accept", "application/dicom+json");
    if let Some(file) = authorization {
        request = request.header("Authorization", secret(file)?);
    }
    let unreachable = |error: ureq::Error| match &error {
        ureq::Error::Io(inner) if tls::is_about_certificate(inner) => {
            Reason::new("certificate", Fault::Configuration, format!("{url}: {inner}"))
        }
        _ => peer("unreachable", format!("{url}: {error}")),
    };
    let mut response = request.send(&body).map_err(unreachable)?;
    let mut told = Vec::new();
    let read = response
        .body_mut()
        .as_reader()
        .take(MAX_WEB_ANSWER_BYTES)
        .read_to_end(&mut told);
    read.map_err(|error| peer("broken", format!("the answer broke off: {error}")))?;
    judge(response.status(), &told, items, visit)
}

/// The request body (PS3.18 8.6.1.2): each file as a part.
fn multipart(items: &[Item]) -> Result<(String, Vec<u8>), Reason> {
    let mut files = Vec::new();
    for item in items {
        let file = RealDisk.read_at_most(&item.path, MAX_REPORT_FILE_BYTES);
        files.push(file.map_err(|error| {
            let text = format!("{}: {error}", item.path.display());
            Reason::new("disk", Fault::Hardware, text)
        })?);
    }
    // Of what stands between it, so that it cannot stand there itself.
    let boundary = hex_sha256(&files.concat());
    let mut body = Vec::new();
    for file in files {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").as_bytes());
        body.extend_from_slice(&file);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
    Ok((content_type, body))
}

fn agent(credentials: Option<&ClientCredentials>) -> Result<Agent, Reason> {
    let mut config = Agent::config_builder()
        // Findings go where the settings say, and nowhere else.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(RESPONSE_TIMEOUT))
        .timeout_global(Some(VISIT_DEADLINE));
    if let Some(credentials) = credentials {
        let in_force = credentials.in_force()?;
        let roots: Vec<_> = in_force
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        let own = credentials.identity().map(|identity| {
            let chain = identity.chain.iter();
            let chain: Vec<_> = chain.map(|der| Certificate::from_der(der).to_owned()).collect();
            let key = PrivateKey::from_pem(&identity.key_pem);
            key.map(|key| ClientCert::new_with_certs(&chain, key))
        });
        let own = own.transpose().map_err(|error| {
            let text = format!("the key of our certificate: {error}");
            Reason::new("tls", Fault::Configuration, text)
        })?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(own)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        config = config.tls_config(tls.build());
    }
    Ok(config.build().into())
}

/// Only its first line, as `echo` leaves it.
fn secret(file: &Path) -> Result<String, Reason> {
    let unusable = |why: String| {
        let text = format!("the file {}: {why}", file.display());
        Reason::new("authorization", Fault::Configuration, text)
    };
    let bytes = RealDisk.read_at_most(file, MAX_SETTINGS_BYTES);
    let bytes = bytes.map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("it is not text".to_owned()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() || !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(unusable("its first line is no value of a header".to_owned()));
    }
    Ok(line.to_owned())
}

/// What came back (PS3.18 10.5.3): which instances were refused, each with a Failure Reason.
fn judge(status: StatusCode, body: &[u8], items: &[Item], visit: &mut Visit) -> Result<(), Reason> {
    let says = |text: &str| peer("not_stored", format!("HTTP status {}{text}", status.as_u16()));
    let accepted = match status {
        StatusCode::OK | StatusCode::ACCEPTED => true,
        // Nothing was stored; why not is said of each.
        StatusCode::CONFLICT => false,
        _ => return Err(says(&first_words(body))),
    };
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let failed = |instance: &Uid| {
        let items = told.as_ref()?.failed.values.iter();
        let mut failed = items.filter(|item| item.instance.first() == Some(instance.as_str()));
        let reason = failed.next()?.reason.values.first().copied();
        Some(reason.map_or(String::new(), |reason| format!(", failure reason {reason:04X}")))
    };
    for item in items {
        let instance = &item.reference.instance;
        let outcome = match failed(instance) {
            Some(reason) => Err(says(&reason)),
            None if accepted => Ok(()),
            None => Err(says("")),
        };
        visit.sent.push((instance.clone(), outcome));
    }
    Ok(())
}

/// What a server says about an error, as far as it is text for people.
fn first_words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    if line.is_empty() || line.starts_with('<') {
        return String::new();
    }
    let words = line.chars().filter(|c| !c.is_control()).take(100);
    format!(": {}", words.collect::<String>())
}

/// The Store Instances Response, in the DICOM JSON model (PS3.18 10.5.3.2, F.2).
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "00081198", default)]
    failed: Values<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(rename = "00081155", default)]
    instance: Values<String>,
    #[serde(rename = "00081197", default)]
    reason: Values<u16>,
}

#[derive(Deserialize)]
struct Values<T> {
    #[serde(rename = "Value", default = "Vec::new")]
    values: Vec<T>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl Values<String> {
    fn first(&self) -> Option<&str> {
        self.values.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Errand;
    use super::*;
    use crate::dicom::Reference;

    fn judged(status: u16, body: &str) -> (Result<(), Reason>, Vec<bool>) {
        let uid = |text: &str| Uid::parse(text).unwrap();
        let items = ["1.2.1", "1.2.2"].map(|instance| Item {
            reference: Reference {
                class: uid("1.2"),
                instance: uid(instance),
            },
            path: "none".into(),
        });
        let mut visit = Visit::of(&Errand {
            study: uid("1.2.3"),
            destination: "web".to_owned(),
            send: vec![],
            about: vec![],
            ask: None,
        });
        let done = judge(
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
            &items,
            &mut visit,
        );
        (
            done,
            visit.sent.iter().map(|(_, outcome)| outcome.is_ok()).collect(),
        )
    }

    const ONE_FAILED: &str = r#"{
        "00081198": {"vr": "SQ", "Value": [{
            "00081155": {"vr": "UI", "Value": ["1.2.2"]},
            "00081197": {"vr": "US", "Value": [272]}}]},
        "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.1"]}}]}}"#;

    #[test]
    fn each_instance_is_stored_unless_it_is_said_to_have_failed() {
        assert_eq!(judged(200, ""), (Ok(()), vec![true, true]));
        assert_eq!(judged(202, ONE_FAILED), (Ok(()), vec![true, false]));
        assert_eq!(judged(200, ONE_FAILED), (Ok(()), vec![true, false]));
        assert_eq!(judged(409, ONE_FAILED), (Ok(()), vec![false, false]));
        for (status, body, words) in [
            (401, "", "HTTP status 401"),
            (301, "moved", "HTTP status 301: moved"),
            (503, "<html>", "HTTP status 503"),
        ] {
            let (done, sent) = judged(status, body);
            assert_eq!((done.unwrap_err().text.as_str(), sent.len()), (words, 0));
        }
    }
}
