//! The certificates of `moat pki`: their keys, names, dates and extensions (RFC 5280 §4.2).

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef, X509Ref};

use super::MAX_COMMON_NAME;
use crate::config::HostName;

const DAY: i64 = 86_400;

/// A certificate begins this much in the past, so that a peer whose clock is late accepts it.
const BACKDATED_SECONDS: i64 = 300;

/// Random bits in a serial number; with the sign bit it stays within 20 octets (RFC 5280 §4.1.2.2).
const SERIAL_BITS: i32 = 159;

/// What a leaf certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// The time that a certificate is valid.
pub(super) struct Validity {
    not_before: Asn1Time,
    not_after: Asn1Time,
}

impl Validity {
    pub(super) fn from_now(days: i64) -> Result<Self, ErrorStack> {
        let now = now();
        Ok(Self {
            not_before: Asn1Time::from_unix(now.saturating_sub(BACKDATED_SECONDS))?,
            not_after: Asn1Time::from_unix(now.saturating_add(days.saturating_mul(DAY)))?,
        })
    }

    /// From two days ago until yesterday.
    pub(super) fn over() -> Result<Self, ErrorStack> {
        let yesterday = now().saturating_sub(DAY);
        Ok(Self {
            not_before: Asn1Time::from_unix(yesterday.saturating_sub(DAY))?,
            not_after: Asn1Time::from_unix(yesterday)?,
        })
    }
}

fn now() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

/// A certificate with its key.
pub(super) struct Made {
    pub(super) certificate: X509,
    pub(super) private_key: PKey<Private>,
}

impl Made {
    /// Seconds since 1970.
    pub(super) fn not_after(&self) -> Result<i64, ErrorStack> {
        let since = Asn1Time::from_unix(0)?.diff(self.certificate.not_after())?;
        Ok(i64::from(since.days)
            .saturating_mul(DAY)
            .saturating_add(since.secs.into()))
    }
}

/// A CA that can issue: its certificate, and the key that belongs to it.
pub(super) struct Ca(Made);

impl Ca {
    /// `None` when the key is another one's, or the certificate may not sign others.
    pub(super) fn new(certificate: X509, private_key: PKey<Private>) -> Option<Self> {
        let fits = certificate
            .public_key()
            .is_ok_and(|public| public.public_eq(&private_key));
        // Being its own issuer with a usage that allows it is what makes a trust anchor here.
        let signs = certificate
            .key_usage()
            .is_some_and(|usage| usage.contains(openssl::x509::X509KeyUsage::KEY_CERT_SIGN));
        (fits && signs).then_some(Self(Made {
            certificate,
            private_key,
        }))
    }

    pub(super) fn has_expired(&self) -> Result<bool, ErrorStack> {
        Ok(self.0.not_after()? <= now())
    }

    /// Ends a validity with the CA's own: no certificate is worth more than its CA's.
    pub(super) fn cap(&self, validity: Validity) -> Result<Validity, ErrorStack> {
        let last = self.0.certificate.not_after();
        if validity.not_after.compare(last)?.is_gt() {
            Ok(Validity {
                not_after: Asn1Time::from_unix(self.0.not_after()?)?,
                ..validity
            })
        } else {
            Ok(validity)
        }
    }

    pub(super) fn issue(
        &self,
        name: &HostName,
        addresses: &[IpAddr],
        purpose: Purpose,
        validity: &Validity,
    ) -> Result<Made, ErrorStack> {
        let private_key = new_key()?;
        let subject = common_name(name.as_str())?;
        let named = subject.entries().next().is_some();
        let mut builder = begin(&private_key, &subject, validity)?;
        builder.set_issuer_name(self.0.certificate.subject_name())?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        // RFC 9132 §7.1 allows ECDHE suites only: the key signs, and does nothing else.
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        let mut usage = ExtendedKeyUsage::new();
        match purpose {
            Purpose::Server => usage.server_auth(),
            Purpose::Client => usage.client_auth(),
        };
        builder.append_extension(usage.build()?)?;
        let mut names = SubjectAlternativeName::new();
        names.dns(name.as_str());
        for address in addresses {
            names.ip(&address.to_string());
        }
        if !named {
            names.critical(); // RFC 5280 §4.2.1.6: it is the only name then
        }
        identify(
            builder,
            Some(&self.0.certificate),
            Some(&names),
            &self.0.private_key,
        )
        .map(|certificate| Made {
            certificate,
            private_key,
        })
    }
}

/// Makes a self-signed CA that signs leaf certificates only.
pub(super) fn make_ca(name: &str, validity: &Validity) -> Result<Made, ErrorStack> {
    let private_key = new_key()?;
    let subject = common_name(name)?;
    let mut builder = begin(&private_key, &subject, validity)?;
    builder.set_issuer_name(&subject)?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(
        KeyUsage::new()
            .critical()
            .key_cert_sign()
            .crl_sign()
            .build()?,
    )?;
    let certificate = identify(builder, None, None, &private_key)?;
    Ok(Made {
        certificate,
        private_key,
    })
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// A subject with this common name; an empty one when the name is too long for it.
fn common_name(name: &str) -> Result<X509Name, ErrorStack> {
    let mut subject = X509Name::builder()?;
    if name.chars().count() <= MAX_COMMON_NAME {
        subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    }
    Ok(subject.build())
}

fn begin(
    key: &PKeyRef<Private>,
    subject: &X509NameRef,
    validity: &Validity,
) -> Result<X509Builder, ErrorStack> {
    const VERSION_3: i32 = 2;
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    let serial: Asn1Integer = serial.to_asn1_integer()?;
    let mut builder = X509::builder()?;
    builder.set_version(VERSION_3)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(subject)?;
    builder.set_not_before(&validity.not_before)?;
    builder.set_not_after(&validity.not_after)?;
    builder.set_pubkey(key)?;
    Ok(builder)
}

/// Adds what depends on the keys and names, and signs.
fn identify(
    mut builder: X509Builder,
    issuer: Option<&X509Ref>,
    names: Option<&SubjectAlternativeName>,
    signer: &PKeyRef<Private>,
) -> Result<X509, ErrorStack> {
    let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer, None))?;
    builder.append_extension(subject_key)?;
    if issuer.is_some() {
        // RFC 5280 §4.2.1.1: a self-signed one may leave it out.
        let context = builder.x509v3_context(issuer, None);
        let authority_key = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(authority_key)?;
    }
    if let Some(names) = names {
        let names = names.build(&builder.x509v3_context(issuer, None))?;
        builder.append_extension(names)?;
    }
    builder.sign(signer, MessageDigest::sha256())?;
    Ok(builder.build())
}
