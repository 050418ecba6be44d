//! Certificates and keys that a configuration names: read, and looked at before a peer does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509ExtendedKeyUsage, X509KeyUsage, X509Ref};

use super::{read_bounded, refuse_open_to_others};
use crate::config::problem::ProblemKind;
use crate::config::reader::{Diagnostics, Located, Table};
use crate::config::value;

/// Longest PEM file that is read, in bytes: a long list of CAs is shorter.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// The keys of a table that this reads.
const KEYS: [&str; 3] = ["certificate", "private_key", "trust_anchors"];

/// Bits of security that OpenSSL wants of every key at least: RSA with 2048 bits has them.
const SECURITY_BITS: u32 = 112;

/// An expiry is worth a warning this many days before.
const EXPIRY_WARNING_DAYS: i32 = 30;

/// A PEM file and its content. `Debug` shows the path alone: it may be a private key.
#[derive(Clone)]
pub(crate) struct PemFile {
    /// Where it was read.
    pub(crate) path: PathBuf,
    /// What was in it.
    pub(crate) pem: Vec<u8>,
    /// Its permissions then.
    mode: u32,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PemFile").field(&self.path).finish()
    }
}

/// What an agent proves itself with and verifies its peer against (RFC 9132 §7, §8). The key belongs to the
/// certificate, and each file holds what it should.
#[derive(Debug, Clone)]
pub(crate) struct CertificateCredentials {
    /// The agent's certificate, then any intermediate ones.
    pub(crate) certificate: PemFile,
    /// The key of the first certificate.
    pub(crate) private_key: PemFile,
    /// The CAs that the peer's certificate must lead to.
    pub(crate) trust_anchors: PemFile,
}

impl CertificateCredentials {
    /// What sessions are made with.
    pub(crate) fn pem(&self) -> dtls::PemCredentials<'_> {
        dtls::PemCredentials {
            certificate_chain: &self.certificate.pem,
            private_key: &self.private_key.pem,
            trust_anchors: &self.trust_anchors.pem,
        }
    }
}

/// What the certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Role {
    Client,
    Server,
}

/// Reads the three keys of a table, and the files they name; `None` inside when none of them is there.
pub(in crate::config) fn read(
    table: &mut Table<'_>,
    role: Role,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<CertificateCredentials>> {
    if !KEYS.iter().any(|key| table.has(key)) {
        table.know(&KEYS);
        return Some(None);
    }
    let own = own_pair(table, role, folder, diagnostics);
    let trust_anchors = pem_file(table, "trust_anchors", "\"ca.pem\"", folder, diagnostics);
    let checked = trust_anchors
        .as_ref()
        .and_then(|file| anchors(file, diagnostics));
    let ((certificate, private_key), trust_anchors, ()) = (own?, trust_anchors?, checked?);
    Some(Some(CertificateCredentials {
        certificate,
        private_key,
        trust_anchors: trust_anchors.value,
    }))
}

/// The certificate of a server that asks nobody for his, and its key.
pub(in crate::config) fn server_certificate(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(PemFile, PemFile)> {
    own_pair(table, Role::Server, folder, diagnostics)
}

/// `certificate` and `private_key`, which belong together.
fn own_pair(
    table: &mut Table<'_>,
    role: Role,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(PemFile, PemFile)> {
    let certificate = pem_file(table, "certificate", "\"cert.pem\"", folder, diagnostics);
    let private_key = pem_file(table, "private_key", "\"key.pem\"", folder, diagnostics);
    let leaf = certificate
        .as_ref()
        .and_then(|file| own_certificate(file, role, diagnostics));
    let key = private_key
        .as_ref()
        .and_then(|file| own_key(file, diagnostics));
    let (certificate, private_key) = (certificate?, private_key?);
    let (leaf, key) = (leaf?, key?);
    if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
        let (key, certificate) = (private_key.value.path, certificate.value.path);
        diagnostics.note(
            &private_key.place,
            ProblemKind::KeyOfAnotherCertificate { key, certificate },
        );
        return None;
    }
    Some((certificate.value, private_key.value))
}

fn pem_file(
    table: &mut Table<'_>,
    key: &'static str,
    example: &'static str,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Located<PemFile>> {
    let text = table.require(key, example, diagnostics)?;
    let path = text.parse("the name of a PEM file, in quotes", diagnostics, |text| {
        value::path(folder, text)
    })?;
    let pem = read_bounded(&path.value, MAX_PEM_BYTES, "a PEM file");
    let Located { value: path, place } = path;
    match pem {
        Ok((pem, mode)) => Some(Located {
            value: PemFile { path, pem, mode },
            place,
        }),
        Err(kind) => {
            diagnostics.note(&place, kind);
            None
        }
    }
}

/// The first certificate of a file, once what a peer would hold against it is noted.
fn own_certificate(
    file: &Located<PemFile>,
    role: Role,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<X509> {
    let certificates = certificates(file, diagnostics)?;
    for certificate in &certificates {
        note_validity(certificate, file, diagnostics);
    }
    if let Some(bits) = certificates.iter().find_map(weak_key) {
        let file_path = file.value.path.clone();
        let kind = ProblemKind::WeakKey {
            file: file_path,
            bits,
        };
        diagnostics.note(&file.place, kind);
        return None;
    }
    let leaf = certificates.into_iter().next()?;
    // RFC 5280 §4.2.1.12: without the extension every purpose is allowed.
    let missing = leaf.extended_key_usage().and_then(|usage| match role {
        Role::Server if !usage.contains(X509ExtendedKeyUsage::SSL_SERVER) => {
            Some(("a server", "serverAuth"))
        }
        Role::Client if !usage.contains(X509ExtendedKeyUsage::SSL_CLIENT) => {
            Some(("a client", "clientAuth"))
        }
        Role::Server | Role::Client => None,
    });
    if let Some((use_, purpose)) = missing {
        let file_path = file.value.path.clone();
        diagnostics.note(
            &file.place,
            ProblemKind::WrongPurpose {
                file: file_path,
                use_,
                purpose,
            },
        );
    }
    Some(leaf)
}

/// The length of a certificate's key in bits, when it is too short to be used.
fn weak_key(certificate: &X509) -> Option<u32> {
    let key = certificate.public_key().ok()?;
    (key.security_bits() < SECURITY_BITS).then(|| key.bits())
}

fn anchors(file: &Located<PemFile>, diagnostics: &mut Diagnostics<'_>) -> Option<()> {
    for certificate in certificates(file, diagnostics)? {
        // RFC 5280 §4.2.1.3: a CA's key usage, when it is there, allows to sign certificates.
        if certificate
            .key_usage()
            .is_some_and(|usage| !usage.contains(X509KeyUsage::KEY_CERT_SIGN))
        {
            diagnostics.note(
                &file.place,
                ProblemKind::NotACa {
                    file: file.value.path.clone(),
                },
            );
        }
        if let Some(bits) = weak_key(&certificate) {
            let file_path = file.value.path.clone();
            let kind = ProblemKind::WeakAuthority {
                file: file_path,
                bits,
            };
            diagnostics.note(&file.place, kind);
        }
        note_validity(&certificate, file, diagnostics);
    }
    Some(())
}

fn certificates(file: &Located<PemFile>, diagnostics: &mut Diagnostics<'_>) -> Option<Vec<X509>> {
    let found = X509::stack_from_pem(&file.value.pem)
        .ok()
        .filter(|found| !found.is_empty());
    if found.is_none() {
        diagnostics.note(
            &file.place,
            ProblemKind::NoCertificate {
                file: file.value.path.clone(),
            },
        );
    }
    found
}

fn own_key(file: &Located<PemFile>, diagnostics: &mut Diagnostics<'_>) -> Option<PKey<Private>> {
    let path = || file.value.path.clone();
    let mut asked_for_passphrase = false;
    // Without a callback OpenSSL would ask for the passphrase on the terminal.
    let key = PKey::private_key_from_pem_callback(&file.value.pem, |_| {
        asked_for_passphrase = true;
        Err(ErrorStack::get())
    });
    let kind = match key {
        Ok(key) => match refuse_open_to_others(&file.value.path, file.value.mode) {
            Ok(()) => return Some(key),
            Err(kind) => kind,
        },
        Err(_) if asked_for_passphrase => ProblemKind::EncryptedPrivateKey { file: path() },
        Err(_) => ProblemKind::NoPrivateKey { file: path() },
    };
    diagnostics.note(&file.place, kind);
    None
}

fn note_validity(
    certificate: &X509Ref,
    file: &Located<PemFile>,
    diagnostics: &mut Diagnostics<'_>,
) {
    let path = file.value.path.clone();
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    let kind = match days_until(not_before).and_then(|before| Ok((before, days_until(not_after)?)))
    {
        Err(source) => ProblemKind::Unexaminable { file: path, source },
        Ok(((_, true), _)) => ProblemKind::NotYetValid {
            file: path,
            not_before: not_before.to_string(),
        },
        Ok((_, (_, false))) => ProblemKind::Expired {
            file: path,
            not_after: not_after.to_string(),
        },
        Ok((_, (days, _))) if days < EXPIRY_WARNING_DAYS => ProblemKind::ExpiresSoon {
            file: path,
            days: EXPIRY_WARNING_DAYS,
            not_after: not_after.to_string(),
        },
        Ok(_) => return,
    };
    diagnostics.note(&file.place, kind);
}

/// Whole days from now to `time`, and whether it is in the future.
fn days_until(time: &Asn1TimeRef) -> Result<(i32, bool), ErrorStack> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let now = Asn1Time::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))?;
    let difference = now.diff(time)?;
    Ok((difference.days, difference.days > 0 || difference.secs > 0))
}
