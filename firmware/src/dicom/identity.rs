//! User identity negotiation (PS3.7 D.3.3.7): who a caller says that it is, besides its AE title.

use std::fmt;
use std::net::IpAddr;

use dicom_ul::pdu::{AssociationRQ, UserIdentity, UserIdentityType, UserVariableItem};
use models::package::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Network;

/// The server response sub-item (PS3.7 D.3.3.7.2), which dicom-ul does not know.
const SERVER_RESPONSE: u8 = 0x59;

/// Whether callers must say who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identities {
    /// What they say is neither checked nor answered.
    Ignored,
    /// They must be one of these.
    Required(Vec<Credential>),
}

/// What one system says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its calling AE title.
    pub ae_title: String,
    /// The network it must call from, if that matters.
    pub network: Option<Network>,
    /// Its user name.
    pub user: String,
    /// Its passcode; without one the user name suffices.
    pub passcode: Option<Passcode>,
}

/// A passcode, of which only the SHA-256 is kept. In the settings it stands as plain text or as
/// `sha256:` and 64 hexadecimal digits; it is always written back as the latter.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Passcode([u8; 32]);

const HASHED: &str = "sha256:";

impl Passcode {
    fn of(plain: &[u8]) -> Self {
        Self(Sha256::digest(plain).into())
    }

    /// Compares in a time that tells nothing about where they differ.
    fn is(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(differing) == 0
    }
}

impl PartialEq for Passcode {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Passcode {}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode")
    }
}

impl TryFrom<String> for Passcode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let Some(digits) = text.strip_prefix(HASHED) else {
            return if text.is_empty() {
                Err("a passcode is empty")
            } else {
                Ok(Self::of(text.as_bytes()))
            };
        };
        let mut hash = [0; 32];
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits.len() != 2 * hash.len() || !hexadecimal {
            return Err("a hashed passcode is not sha256: and 64 hexadecimal digits");
        }
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| "a digit is none")?;
        }
        Ok(Self(hash))
    }
}

impl From<Passcode> for String {
    fn from(passcode: Passcode) -> Self {
        format!("{HASHED}{}", hex(&passcode.0))
    }
}

impl Identities {
    /// Judges what a caller says of itself; the item is for the answer.
    ///
    /// # Errors
    /// Why it is not believed, for people. It holds nothing of what the caller said.
    pub(super) fn judge(
        &self,
        request: &AssociationRQ,
        address: IpAddr,
    ) -> Result<Option<UserVariableItem>, &'static str> {
        let Self::Required(credentials) = self else {
            return Ok(None);
        };
        let said = request.user_variables.iter().find_map(|item| match item {
            UserVariableItem::UserIdentityItem(identity) => Some(identity),
            _ => None,
        });
        let said = said.ok_or("it does not say which user it is")?;
        let passcode = match said.identity_type() {
            UserIdentityType::Username => None,
            UserIdentityType::UsernamePassword => Some(Passcode::of(&said.secondary_field())),
            _ => return Err("it identifies itself in a way that cannot be checked here"),
        };
        // Every credential is compared, so that the time does not tell which user exists.
        let believed = credentials
            .iter()
            .filter(|credential| credential.fits(request, address, said, passcode.as_ref()))
            .count();
        if believed == 0 {
            return Err("its user name or passcode is wrong");
        }
        // Of these types the server response is empty (PS3.7 Table D.3-15).
        let response = UserVariableItem::Unknown(SERVER_RESPONSE, vec![0, 0]);
        Ok(said.positive_response_requested().then_some(response))
    }
}

impl Credential {
    fn fits(
        &self,
        request: &AssociationRQ,
        address: IpAddr,
        said: &UserIdentity,
        passcode: Option<&Passcode>,
    ) -> bool {
        let caller = self.ae_title == request.calling_ae_title
            && self.network.is_none_or(|network| network.contains(address));
        let user = Passcode::of(self.user.as_bytes()).is(&Passcode::of(&said.primary_field()));
        let proved = match (&self.passcode, passcode) {
            (Some(own), Some(said)) => own.is(said),
            (Some(_), None) => false,
            (None, _) => true,
        };
        caller & user & proved
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn required(passcode: Option<&str>) -> Identities {
        Identities::Required(vec![Credential {
            ae_title: "MR1".into(),
            network: None,
            user: "scanner".into(),
            passcode: passcode.map(|text| Passcode::try_from(text.to_owned()).unwrap()),
        }])
    }

    fn request(ae_title: &str, said: Option<UserIdentity>) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: ae_title.into(),
            called_ae_title: "X".into(),
            application_context_name: String::new(),
            presentation_contexts: vec![],
            user_variables: said.into_iter().map(UserVariableItem::UserIdentityItem).collect(),
        }
    }

    fn said(kind: UserIdentityType, user: &str, passcode: &str) -> Option<UserIdentity> {
        Some(UserIdentity::new(true, kind, user.into(), passcode.into()))
    }

    #[test]
    fn what_is_required_is_checked_as_a_whole() {
        use UserIdentityType::{Jwt, Username, UsernamePassword};
        let judge =
            |identities: &Identities, title: &str, said| identities.judge(&request(title, said), HERE);
        let secret = required(Some("open sesame"));
        let believed = judge(&secret, "MR1", said(UsernamePassword, "scanner", "open sesame"));
        assert_eq!(believed, Ok(Some(UserVariableItem::Unknown(0x59, vec![0, 0]))));
        for (title, wrong) in [
            ("MR1", None),
            ("MR1", said(Username, "scanner", "")),
            ("MR1", said(UsernamePassword, "scanner", "open sesam")),
            ("MR1", said(UsernamePassword, "scanne", "open sesame")),
            ("MR1", said(Jwt, "scanner", "open sesame")),
            ("MR2", said(UsernamePassword, "scanner", "open sesame")),
        ] {
            assert!(judge(&secret, title, wrong.clone()).is_err(), "{title} {wrong:?}");
            assert_eq!(judge(&Identities::Ignored, title, wrong), Ok(None));
        }
        assert!(judge(&required(None), "MR1", said(Username, "scanner", "")).is_ok());
        let elsewhere = Identities::Required(vec![Credential {
            ae_title: "MR1".into(),
            network: Some("192.0.2.1".parse().unwrap()),
            user: "scanner".into(),
            passcode: None,
        }]);
        assert!(judge(&elsewhere, "MR1", said(Username, "scanner", "")).is_err());
    }

    #[test]
    fn a_passcode_is_kept_as_its_hash_only() {
        // SHA-256 of "abc", FIPS 180-4.
        let hashed = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let passcode = Passcode::try_from("abc".to_owned()).unwrap();
        assert_eq!(String::from(passcode.clone()), hashed);
        assert_eq!(Passcode::try_from(hashed.to_owned()).unwrap(), passcode);
        assert!(!format!("{passcode:?}").contains("ba78"));
        for bad in [
            "",
            "sha256:",
            "sha256:12",
            &hashed.replace('b', "x"),
            &hashed.replacen("ba", "é", 1),
        ] {
            assert!(Passcode::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
