mod chains;
mod forgeries;
mod sealed;
mod vectors;

use std::time::{Duration, SystemTime};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use pvd::PvdId;

use crate::compact::encode;
use crate::{Anchors, Forged, KeyReference, SigningKey, sign, verify};

/// 2026-01-01T00:00:00Z
const NOW: u64 = 1_767_225_600;
const DAY: u64 = 86_400;

const OBJECT: &str = r#"{"identifier":"cafe.example.com.","expires":"2030-05-23T06:00:00Z","prefixes":["2001:db8:1::/48"]}"#;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn ed25519() -> PKey<Private> {
    PKey::generate_ed25519().unwrap()
}

fn signing(key: &PKey<Private>) -> SigningKey {
    key.clone().try_into().unwrap()
}

fn cafe() -> PvdId {
    "cafe.example.com".parse().unwrap()
}

fn pinned(key: &PKey<Private>) -> Anchors {
    let mut anchors = Anchors::default();
    anchors
        .pinned
        .insert(cafe(), vec![signing(key).verifying().unwrap()]);
    anchors
}

fn reason(compact: &str, anchors: &Anchors) -> Forged {
    verify(compact, anchors, now()).expect_err("a forgery")
}

/// What a certificate says.
struct Certificate<'a> {
    subject: &'a str,
    names: &'a [&'a str],
    is_authority: bool,
    not_after: u64,
    for_servers: bool,
}

/// One for a server of this name.
fn server<'a>(names: &'a [&'a str]) -> Certificate<'a> {
    Certificate {
        subject: "cafe.example.com",
        names,
        is_authority: false,
        not_after: NOW + DAY,
        for_servers: true,
    }
}

fn authority(subject: &str) -> Certificate<'_> {
    Certificate {
        subject,
        names: &[],
        is_authority: true,
        not_after: NOW + 10 * DAY,
        for_servers: false,
    }
}

impl Certificate<'_> {
    /// Issued by another key and certificate, or by the key itself.
    fn issue(&self, key: &PKey<Private>, issuer: Option<&(X509, PKey<Private>)>) -> X509 {
        let time = |seconds: u64| Asn1Time::from_unix(i64::try_from(seconds).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", self.subject).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&subject).unwrap();
        let issuer_name = issuer.map_or(&*subject, |(certificate, _)| certificate.subject_name());
        builder.set_issuer_name(issuer_name).unwrap();
        builder.set_not_before(&time(NOW - 20 * DAY)).unwrap();
        builder.set_not_after(&time(self.not_after)).unwrap();
        builder.set_pubkey(key).unwrap();
        let mut constraints = BasicConstraints::new();
        if self.is_authority {
            constraints.critical().ca();
        }
        builder
            .append_extension(constraints.build().unwrap())
            .unwrap();
        let mut usage = ExtendedKeyUsage::new();
        let usage = match self.for_servers {
            true => usage.server_auth(),
            false => usage.code_signing(),
        };
        if !self.is_authority {
            builder.append_extension(usage.build().unwrap()).unwrap();
        }
        if !self.names.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for name in self.names {
                names.dns(name);
            }
            let names = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        let signer = issuer.map_or(key, |(_, key)| key);
        let digest = match signer.id() {
            openssl::pkey::Id::ED25519 => MessageDigest::null(),
            _ => MessageDigest::sha256(),
        };
        builder.sign(signer, digest).unwrap();
        builder.build()
    }
}

/// An authority, an intermediate one, and a key with a certificate for the PvD.
struct World {
    root: X509,
    intermediate: (X509, PKey<Private>),
    key: PKey<Private>,
    chain: Vec<X509>,
}

impl World {
    fn new(key: PKey<Private>) -> Self {
        let root_key = p256();
        let root = authority("root").issue(&root_key, None);
        let intermediate_key = p256();
        let issuer = (root.clone(), root_key);
        let intermediate = authority("intermediate").issue(&intermediate_key, Some(&issuer));
        let intermediate = (intermediate, intermediate_key);
        let own = server(&["CAFE.example.com"]).issue(&key, Some(&intermediate));
        Self {
            chain: vec![own, intermediate.0.clone()],
            root,
            intermediate,
            key,
        }
    }

    fn anchors(&self) -> Anchors {
        Anchors {
            authorities: vec![self.root.clone()],
            ..Anchors::default()
        }
    }

    fn signed(&self) -> String {
        let reference = KeyReference::Certificates(&self.chain);
        sign(OBJECT.as_bytes(), &signing(&self.key), &reference, now()).unwrap()
    }

    /// Signed with the key, whatever is in it.
    fn forge(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = signing(&self.key).sign(input.as_bytes()).unwrap();
        format!("{input}.{}", encode(signature))
    }

    /// The chain as a header has it.
    fn x5c(&self) -> String {
        x5c(&self.chain)
    }
}

fn x5c(chain: &[X509]) -> String {
    use base64::Engine as _;
    let encode = |certificate: &X509| {
        let der = certificate.to_der().unwrap();
        base64::engine::general_purpose::STANDARD.encode(der)
    };
    let texts: Vec<_> = chain.iter().map(encode).collect();
    serde_json::to_string(&texts).unwrap()
}
