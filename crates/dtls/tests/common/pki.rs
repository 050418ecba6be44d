//! A certification authority for tests: EC P-256, everything in memory.

use dtls::{ClientConfig, PemCredentials, PskIdentity, PskKey, ServerConfig, SessionSettings};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use openssl::x509::{X509, X509Builder, X509Name};

pub const SERVER_NAME: &str = "dots.fixed.example";
pub const CLIENT_NAME: &str = "client-1.example";

pub struct Ca {
    certificate: X509,
    key: PKey<Private>,
}

/// What a certificate says; the defaults make a good one.
pub struct Profile<'a> {
    pub common_name: &'a str,
    pub dns_names: Vec<String>,
    pub address: Option<&'a str>,
    pub purpose: Purpose,
    pub not_before: &'a str,
    pub not_after: &'a str,
}

#[derive(Clone, Copy)]
pub enum Purpose {
    Client,
    Server,
}

/// One end's PEM files.
#[derive(Clone)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub anchors: Vec<u8>,
}

impl Profile<'_> {
    pub fn server() -> Self {
        Self {
            common_name: "not-a-name.example",
            dns_names: vec![SERVER_NAME.to_owned()],
            address: None,
            purpose: Purpose::Server,
            not_before: "20200101000000Z",
            not_after: "20991231235959Z",
        }
    }

    pub fn client() -> Self {
        Self {
            common_name: "client-1",
            dns_names: vec![CLIENT_NAME.to_owned()],
            purpose: Purpose::Client,
            ..Self::server()
        }
    }
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let key = key();
        let mut builder = builder(name, &key, "20200101000000Z", "20991231235959Z");
        builder.set_issuer_name(&subject(name)).unwrap();
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
        builder
            .append_extension(
                KeyUsage::new()
                    .critical()
                    .key_cert_sign()
                    .crl_sign()
                    .build()
                    .unwrap(),
            )
            .unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self {
            certificate: builder.build(),
            key,
        }
    }

    pub fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// A certificate of this authority, trusting the same authority.
    pub fn issue(&self, profile: &Profile<'_>) -> Identity {
        let key = key();
        let mut builder = builder(
            profile.common_name,
            &key,
            profile.not_before,
            profile.not_after,
        );
        builder
            .set_issuer_name(self.certificate.subject_name())
            .unwrap();

        let mut names = SubjectAlternativeName::new();
        for name in &profile.dns_names {
            names.dns(name);
        }
        if let Some(address) = profile.address {
            names.ip(address);
        }
        if !profile.dns_names.is_empty() || profile.address.is_some() {
            let context = builder.x509v3_context(Some(&self.certificate), None);
            let extension = names.build(&context).unwrap();
            builder.append_extension(extension).unwrap();
        }
        let mut usage = ExtendedKeyUsage::new();
        match profile.purpose {
            Purpose::Client => usage.client_auth(),
            Purpose::Server => usage.server_auth(),
        };
        builder.append_extension(usage.build().unwrap()).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Identity {
            certificate: builder.build().to_pem().unwrap(),
            key: key.private_key_to_pem_pkcs8().unwrap(),
            anchors: self.pem(),
        }
    }
}

impl Identity {
    pub fn credentials(&self) -> PemCredentials<'_> {
        PemCredentials {
            certificate_chain: &self.certificate,
            private_key: &self.key,
            trust_anchors: &self.anchors,
        }
    }

    pub fn client_config(&self) -> ClientConfig {
        ClientConfig::new(self.credentials(), SessionSettings::default()).unwrap()
    }

    pub fn server_config(&self) -> ServerConfig {
        ServerConfig::new(self.credentials(), SessionSettings::default()).unwrap()
    }
}

pub const PSK_IDENTITY: &str = "client-1";
pub const PSK: &[u8] = b"a key of 20 octets..";

pub fn psk_client(identity: &str, key: &[u8]) -> ClientConfig {
    ClientConfig::with_psk(
        &PskIdentity::new(identity).unwrap(),
        &PskKey::new(key).unwrap(),
        SessionSettings::default(),
    )
    .unwrap()
}

/// A server that knows one key, and certificates if it has an identity itself.
pub fn psk_server(certificates: Option<&Identity>) -> ServerConfig {
    let keys = [(
        PskIdentity::new(PSK_IDENTITY).unwrap(),
        PskKey::new(PSK).unwrap(),
    )];
    ServerConfig::with_psks(
        certificates.map(Identity::credentials),
        &keys.into(),
        SessionSettings::default(),
    )
    .unwrap()
}

/// A good server and a good client of one authority.
pub fn server_and_client() -> (Identity, Identity) {
    let ca = Ca::new("test CA");
    (ca.issue(&Profile::server()), ca.issue(&Profile::client()))
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn subject(common_name: &str) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)
        .unwrap();
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "Example")
        .unwrap();
    name.build()
}

fn builder(name: &str, key: &PKey<Private>, not_before: &str, not_after: &str) -> X509Builder {
    let mut serial = BigNum::new().unwrap();
    serial
        .rand(127, openssl::bn::MsbOption::ONE, false)
        .unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject(name)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::from_str(not_before).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::from_str(not_after).unwrap())
        .unwrap();
    builder
}

/// A time for [`Profile::not_after`].
#[allow(
    clippy::disallowed_methods,
    reason = "certificates are judged by the real clock"
)]
pub fn seconds_from_now(seconds: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let at = now.as_secs() + seconds;
    let (days, rest) = (at / 86400, at % 86400);
    let (mut year, mut day) = (1970, days);
    let length = |year: u64| if year.is_multiple_of(4) { 366 } else { 365 };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let mut month = 0;
    let months = [
        31,
        length(year) - 337,
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    format!(
        "{year}{:02}{:02}{:02}{:02}{:02}Z",
        month + 1,
        day + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}
