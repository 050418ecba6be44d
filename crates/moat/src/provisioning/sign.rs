//! `moat pvd sign` and `moat pvd verify`: an object with its proof in it, which any carrier may bring.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use clap::{ArgGroup, Args};
use jose::onboarding::{self, NotOnboarding};
use jose::{
    Anchors, Forged, KeyReference, MAX_SIGNED_BYTES, SignError, SigningKey, TlsaRecord,
    UnsuitableKey, Verified, VerifyingKey,
};
use openssl::x509::X509;
use pvd::information::AdditionalInformation;
use pvd::{DataEvidence, KeyBinding, PvdId};
use serde::Serialize;

use super::dane::{self, DaneArgs};
use crate::resolver::{self, Link, Resolver};

/// What `moat pvd sign` is told.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("reference").required(true).args(["certificate", "key_id"])))]
pub(crate) struct SignArgs {
    /// The object (JSON), or `-` for standard input
    object: PathBuf,
    /// Private key of P-256 or Ed25519 (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Its certificate for the PvD's name, then any intermediate ones (PEM)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// In place of a certificate: what those who have pinned the key call it
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,
}

/// What `moat pvd verify` is told.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("anchor").required(true).multiple(true).args(["authorities", "pinned", "tlsa", "dane"])))]
pub(crate) struct VerifyArgs {
    /// The signed object, or `-` for standard input
    object: PathBuf,
    /// The PvD that it must be about
    #[arg(long, value_name = "PVD")]
    pvd: Option<PvdId>,
    /// Authorities whose certificates are believed (PEM)
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// A public key of this PvD (PEM); may be given more than once
    #[arg(long = "pin", value_name = "FILE", requires = "pvd")]
    pinned: Vec<PathBuf>,
    /// A TLSA record of this PvD that you know to be genuine, as "3 1 1 HEX"; may be given more than once
    #[arg(long, value_name = "RECORD", requires = "pvd", value_parser = parse_tlsa)]
    tlsa: Vec<TlsaRecord>,
    #[command(flatten)]
    dane: DaneArgs,
    /// Whom to ask for these keys
    #[arg(long = "dns", value_name = "ADDRESS", required_if_eq("dane", "true"))]
    resolvers: Vec<IpAddr>,
}

/// Why there is no signature, or no proof.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that cannot be read, or printed to.
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    /// Longer than anything of the kind.
    #[error("{} has more than {MAX_SIGNED_BYTES} octets", .0.display())]
    TooLong(PathBuf),
    /// No key that signs.
    #[error("{}: {source}", file.display())]
    Key {
        file: PathBuf,
        source: UnsuitableKey,
    },
    /// No PEM file with certificates.
    #[error("{} has no certificate that can be read", .0.display())]
    Certificates(PathBuf),
    /// What DNSSEC has to lead to.
    #[error(transparent)]
    Dnssec(#[from] resolver::Error),
    /// The system refused something.
    #[error(transparent)]
    System(io::Error),
    /// Which keys the DNS has, nobody says.
    #[error("not proved: {0}")]
    Unknown(#[from] dane::Unknown),
    /// The object is not signed.
    #[error("not signed: {0}")]
    Sign(#[from] SignError),
    /// The object proves nothing.
    #[error("not proved: {0}")]
    Forged(#[from] Forged),
    /// It looks like the text of a QR code.
    #[error("not proved: {0}")]
    NotOnboarding(#[from] NotOnboarding),
    /// Another PvD's object.
    #[error("it is about {is}, and not about {wanted}")]
    OtherPvd { is: PvdId, wanted: PvdId },
}

impl Error {
    /// Whether the command was fine and the object is not.
    pub(crate) fn is_of_object(&self) -> bool {
        matches!(
            self,
            Self::Sign(_)
                | Self::Forged(_)
                | Self::Unknown(_)
                | Self::NotOnboarding(_)
                | Self::OtherPvd { .. }
        )
    }
}

/// What is proved of an object.
#[derive(Debug, Serialize)]
pub(crate) struct Proof {
    pvd: String,
    proved_by: &'static str,
    /// The object, as it was read.
    object: serde_json::Value,
    ignored: Vec<String>,
    #[serde(skip)]
    evidence: DataEvidence,
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: proved by {}", self.pvd, self.evidence)?;
        for ignored in &self.ignored {
            write!(formatter, "\n  not used: {ignored}")?;
        }
        write!(formatter, "\n{:#}", self.object)
    }
}

/// Prints the object with its signature, as one line.
///
/// # Errors
/// [`Error`]
pub(crate) fn sign(args: &SignArgs, now: SystemTime) -> Result<(), Error> {
    let object = read(&args.object)?;
    let pem = read_secret(&args.key)?;
    let key = SigningKey::from_pem(&pem).map_err(|source| Error::Key {
        file: args.key.clone(),
        source,
    })?;
    let chain = args.certificate.as_deref().map(certificates).transpose()?;
    let reference = match (&chain, &args.key_id) {
        (Some(chain), _) => KeyReference::Certificates(chain),
        (None, id) => KeyReference::KeyId(id.as_deref().unwrap_or_default()),
    };
    let signed = jose::sign(&object, &key, &reference, now)?;
    writeln!(io::stdout().lock(), "{signed}").map_err(|source| Error::File {
        file: "standard output".into(),
        source,
    })
}

/// Says what is proved, and by what.
///
/// # Errors
/// [`Error`]
pub(crate) fn verify(args: &VerifyArgs, now: SystemTime) -> Result<Proof, Error> {
    let compact = compact(&args.object)?;
    let anchors = with_dns(anchors(args)?, args, &compact, now)?;
    let Verified { read, binding } = jose::verify(&compact, &anchors, now)?;
    let is = &read.information.identifier;
    if let Some(wanted) = args.pvd.clone().filter(|wanted| wanted != is) {
        let is = is.clone();
        return Err(Error::OtherPvd { is, wanted });
    }
    Ok(Proof {
        pvd: is.to_string(),
        proved_by: match binding {
            KeyBinding::Certificate => "certificate",
            KeyBinding::Dane => "dane",
            KeyBinding::Pinned => "pinned",
        },
        object: serde_json::Value::from_str(&read.information.to_json()).unwrap_or_default(),
        ignored: read.ignored,
        evidence: DataEvidence::Signed(binding),
    })
}

/// With what the DNS says of the PvD that the object says it is about, if it is to be asked.
fn with_dns(
    anchors: Anchors,
    args: &VerifyArgs,
    compact: &str,
    now: SystemTime,
) -> Result<Anchors, Error> {
    let Some(assurance) = args.dane.assurance()? else {
        return Ok(anchors);
    };
    let payload = jose::payload_unverified(compact)?;
    let pvd = AdditionalInformation::read(&payload, now).map_err(Forged::Payload)?;
    let pvd = pvd.information.identifier;
    let servers = args.resolvers.iter();
    let servers: Vec<_> = servers
        .map(|address| SocketAddr::new(*address, assurance.port()))
        .collect();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().map_err(Error::System)?;
    Ok(runtime.block_on(async {
        let resolver = Resolver::new(&servers, &assurance, Link::default());
        dane::extended(&anchors, &pvd, resolver).await
    })?)
}

/// What is proved of the object in a file, by whom somebody trusts.
///
/// # Errors
/// [`Error`]
pub(super) fn verified(file: &Path, anchors: &Anchors, now: SystemTime) -> Result<Verified, Error> {
    Ok(jose::verify(&compact(file)?, anchors, now)?)
}

/// The text of a signed object, which may be in the form for a QR code. What is no text is none; a file may end in a line break.
pub(super) fn compact(file: &Path) -> Result<String, Error> {
    let octets = read(file)?;
    let text = String::from_utf8_lossy(&octets);
    let text = text.trim_end_matches(['\r', '\n']);
    let compact = onboarding::from_text(text)?;
    Ok(compact.unwrap_or_else(|| text.trim_end().to_owned()))
}

fn anchors(args: &VerifyArgs) -> Result<Anchors, Error> {
    let pinned = args.pinned.iter().map(|file| {
        VerifyingKey::from_pem(&read(file)?).map_err(|source| Error::Key {
            file: file.clone(),
            source,
        })
    });
    let pinned = pinned.collect::<Result<Vec<_>, _>>()?;
    let authorities = args.authorities.as_deref().map(certificates).transpose()?;
    let mut anchors = Anchors {
        authorities: authorities.unwrap_or_default(),
        ..Anchors::default()
    };
    // No keys at all would be keys that exclude all others, or that make the DNS needless.
    if let Some(pvd) = args.pvd.as_ref().filter(|_| !pinned.is_empty()) {
        anchors.pinned.insert(pvd.clone(), pinned);
    }
    if let Some(pvd) = args.pvd.as_ref().filter(|_| !args.tlsa.is_empty()) {
        anchors.dane.insert(pvd.clone(), args.tlsa.clone());
    }
    Ok(anchors)
}

fn certificates(file: &Path) -> Result<Vec<X509>, Error> {
    let certificates = X509::stack_from_pem(&read(file)?).ok();
    certificates
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| Error::Certificates(file.to_owned()))
}

/// A file that only its owner and its group may read, or standard input.
pub(super) fn read_secret(file: &Path) -> Result<Vec<u8>, Error> {
    let is_own = match file.as_os_str() == "-" {
        true => Ok(()),
        false => super::file::refuse_open_to_others(file),
    };
    is_own.map_err(|source| Error::File {
        file: file.to_owned(),
        source,
    })?;
    read(file)
}

/// A file of a sensible length, or standard input.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let limit = u64::try_from(MAX_SIGNED_BYTES).unwrap_or(u64::MAX) + 1;
    let mut octets = Vec::new();
    let done = match file.as_os_str() == "-" {
        true => io::stdin().lock().take(limit).read_to_end(&mut octets),
        false => File::open(file).and_then(|file| file.take(limit).read_to_end(&mut octets)),
    };
    done.map_err(|source| Error::File {
        file: file.to_owned(),
        source,
    })?;
    match octets.len() > MAX_SIGNED_BYTES {
        true => Err(Error::TooLong(file.to_owned())),
        false => Ok(octets),
    }
}

/// As the DNS shows it: usage, selector, matching type, and the data in hexadecimal, which may have gaps (RFC 6698 §2.2).
fn parse_tlsa(text: &str) -> Result<TlsaRecord, &'static str> {
    const FORM: &str = "a TLSA record is USAGE SELECTOR MATCHING-TYPE HEX, as 3 1 1 8cb0...";
    let mut words = text.split_ascii_whitespace();
    let mut number = || words.next()?.parse().ok();
    let (Some(usage), Some(selector), Some(matching)) = (number(), number(), number()) else {
        return Err(FORM);
    };
    let digits: String = words.collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(FORM);
    }
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).map_err(|_| FORM)?;
        // A sign is no digit, though from_str_radix takes one.
        match pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            true => u8::from_str_radix(pair, 16).map_err(|_| FORM),
            false => Err(FORM),
        }
    });
    let data = pairs.collect::<Result<Vec<u8>, _>>()?;
    Ok(TlsaRecord {
        usage,
        selector,
        matching,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tlsa_record_is_read_as_the_dns_shows_it() {
        let record = parse_tlsa("3 1 1 0AfF 10").unwrap();
        assert_eq!((record.usage, record.selector, record.matching), (3, 1, 1));
        assert_eq!(record.data, [0x0a, 0xff, 0x10]);
        for wrong in [
            "",
            "3 1 1",
            "3 1 1 abc",
            "3 1 256 ab",
            "3 1 ab",
            "3 1 1 +a",
            "3 1 1 ää",
        ] {
            assert!(parse_tlsa(wrong).is_err(), "{wrong}");
        }
    }
}
