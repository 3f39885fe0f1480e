//! The signed program of a slot: Linux, its first root in memory and [`Root`] in one PE file (a unified kernel image)
//! with an Authenticode signature. Where Secure Boot is on, the firmware checks that signature as well; it is checked
//! here in any case, against the key that this loader was built with, so that a box whose firmware checks nothing
//! still refuses what is not ours.

use alloc::format;
use alloc::string::String;

use authenticode::{AttributeCertificateIterator, AuthenticodeSignature, PeTrait as _, authenticode_digest};
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _};
use rsa::pkcs8::{DecodePublicKey as _, ObjectIdentifier};
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest as _, Sha256};

use crate::tries::Slot;

/// The section that says which root file system belongs to the kernel.
pub const ROOT_SECTION: &str = ".box";

/// OIDs of PKCS #9 and NIST.
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// Why the kernel of a slot is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a PE file, or cut off.
    #[error("there is no program in it")]
    NoProgram,
    /// No signature, or one of a form that is not ours.
    #[error("it has no signature that can be read")]
    NoSignature,
    /// The content is not what was signed.
    #[error("its content is not what was signed")]
    Changed,
    /// The signature is somebody else's.
    #[error("the signature is not ours")]
    Foreign,
    /// Signed, and yet without a word about the root file system.
    #[error("it does not say which root file system it wants")]
    NoRoot,
    /// The key that this loader was built with is none: our fault.
    #[error("this loader was built without a key")]
    NoKey,
}

/// The root file system that belongs to a kernel, dm-verity's words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root<'a> {
    sectors: u64,
    blocks: u64,
    hash: &'a str,
    salt: &'a str,
    console: &'a str,
}

/// A kernel that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel<'a> {
    /// The PE file, without what follows it in the partition.
    pub program: &'a [u8],
    /// Its root file system.
    pub root: Root<'a>,
}

/// The kernel at the beginning of a partition, if it is signed with this key (DER, SubjectPublicKeyInfo).
///
/// # Errors
/// Why not.
pub fn verified<'a>(partition: &'a [u8], key: &[u8]) -> Result<Kernel<'a>, Refusal> {
    let key = RsaPublicKey::from_public_key_der(key).map_err(|_| Refusal::NoKey)?;
    // The signature comes last in the file, so that its end is the file's.
    let whole = PeFile64::parse(partition).map_err(|_| Refusal::NoProgram)?;
    let table = whole
        .certificate_table_range()
        .map_err(|_| Refusal::NoProgram)?
        .ok_or(Refusal::NoSignature)?;
    let program = partition.get(..table.end).ok_or(Refusal::NoProgram)?;
    let file = PeFile64::parse(program).map_err(|_| Refusal::NoProgram)?;

    let mut table = AttributeCertificateIterator::new(&file)
        .map_err(|_| Refusal::NoSignature)?
        .ok_or(Refusal::NoSignature)?;
    let signature = table
        .next()
        .and_then(|entry| entry.ok()?.get_authenticode_signature().ok())
        .ok_or(Refusal::NoSignature)?;
    // Nothing signs the table itself: one signature, and nothing behind it.
    if table.next().is_some() {
        return Err(Refusal::NoSignature);
    }
    let mut digest = Sha256::new();
    authenticode_digest(&file, &mut digest).map_err(|_| Refusal::NoProgram)?;
    if signature.digest() != digest.finalize().as_slice() {
        return Err(Refusal::Changed);
    }
    is_signed(&signature, &key)?;

    let section = file
        .section_by_name(ROOT_SECTION)
        .and_then(|section| section.data().ok());
    let root = section.and_then(Root::parse).ok_or(Refusal::NoRoot)?;
    Ok(Kernel { program, root })
}

/// Whether the digest in the signature is signed: RFC 5652, section 5.4. What is signed are the attributes; one of
/// them is the digest of the content, which holds the digest of the file.
fn is_signed(signature: &AuthenticodeSignature, key: &RsaPublicKey) -> Result<(), Refusal> {
    use rsa::pkcs8::der::Encode as _;
    let signer = signature.signer_info();
    let algorithms = [&signer.digest_alg.oid, &signature.digest_algorithm().oid];
    if algorithms.iter().any(|oid| **oid != SHA256) {
        return Err(Refusal::NoSignature);
    }
    let content = signature.encapsulated_content().ok_or(Refusal::NoSignature)?;
    let attributes = signer.signed_attrs.as_ref().ok_or(Refusal::NoSignature)?;
    let said = attributes
        .iter()
        .find(|attribute| attribute.oid == MESSAGE_DIGEST)
        .and_then(|attribute| attribute.values.get(0))
        .ok_or(Refusal::NoSignature)?;
    if said.value() != Sha256::digest(content).as_slice() {
        return Err(Refusal::Changed);
    }
    let signed = attributes.to_der().map_err(|_| Refusal::NoSignature)?;
    key.verify(
        Pkcs1v15Sign::new::<Sha256>(),
        &Sha256::digest(&signed),
        signature.signature(),
    )
    .map_err(|_| Refusal::Foreign)
}

impl<'a> Root<'a> {
    /// `name=value` lines: `sectors`, `blocks`, `hash`, `salt` (hexadecimal), and `console` where the kernel is not to
    /// find it out itself.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(one, _)| *one == name).map(|(_, value)| value)
        };
        let hexadecimal =
            |name| value(name).filter(|value| value.bytes().all(|byte| byte.is_ascii_hexdigit()));
        Some(Self {
            sectors: value("sectors")?.parse().ok()?,
            blocks: value("blocks")?.parse().ok()?,
            hash: hexadecimal("hash").filter(|hash| hash.len() == 64)?,
            salt: hexadecimal("salt")?,
            console: value("console").unwrap_or_default(),
        })
    }

    /// What Linux is told: the same words as U-Boot's (`u-boot/box.env`, `slot_start`). `partition` is the PARTUUID of
    /// the slot's root.
    pub fn command_line(&self, slot: Slot, partition: &str) -> String {
        let Self {
            sectors,
            blocks,
            hash,
            salt,
            console,
        } = self;
        let console = match *console {
            "" => String::new(),
            console => format!("console={console} "),
        };
        format!(
            "{console}quiet loglevel=4 panic=3 rauc.slot={slot} ro root=/dev/dm-0 rootfstype=squashfs \
             systemd.gpt_auto=0 fsck.repair=yes dm-mod.create=\"root,,,ro,0 {sectors} verity 1 PARTUUID={partition} \
             PARTUUID={partition} 4096 4096 {blocks} {blocks} sha256 {hash} {salt} 1 panic_on_corruption\""
        )
    }
}
