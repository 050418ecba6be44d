//! Seals secrets for the key of one device: ECDH-ES with A256GCM (RFC 7518 §4.6, §5.3; X25519: RFC 8037 §3.2).
//!
//! ```text
//! sender                                        device
//!   new key e                                     key d
//!   Z = e x D                                     Z = d x E
//!   K = Concat KDF(Z)                             K = Concat KDF(Z)
//!   {alg, enc, epk: E} . (nothing) . IV . text sealed with K . tag  -->
//! ```
//!
//! It says nothing of who sealed it: whoever knows the device's public key can. So what is sealed counts only inside an object that is
//! signed, or that the administrator wrote.

use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use pvd::information::NotIJson;
use pvd::information::json::{self, Json};
use serde::Serialize;

use crate::compact::{NotCompact, decode, encode, split};
use crate::key::is_p256;

/// Longest JWE that is made and opened: it must fit into an object.
pub const MAX_SEALED_BYTES: usize = pvd::information::MAX_OBJECT_BYTES / 2;

const AGREEMENT: &str = "ECDH-ES";
const CIPHER: &str = "A256GCM";
const IV_OCTETS: usize = 12;
const TAG_OCTETS: usize = 16;
/// Octets of a coordinate of P-256 and of a key of X25519.
const COORDINATE: usize = 32;

/// The private key of a device: P-256 or X25519. It has no `Debug`.
pub struct DeviceKey(PKey<Private>);

/// The public half of it.
pub struct DevicePublicKey(PKey<Public>);

/// Another kind of key, another curve, or no key at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device's key is one of P-256 or X25519, in a PEM file that is not encrypted")]
pub struct WrongDeviceKey;

/// Why nothing is sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Longer than [`MAX_SEALED_BYTES`] once it is sealed.
    #[error("it would have {0} octets, and at most {MAX_SEALED_BYTES} are opened")]
    TooLarge(usize),
    /// OpenSSL failed.
    #[error("OpenSSL cannot seal: {0}")]
    Failed(#[from] ErrorStack),
}

/// Why something stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// Longer than [`MAX_SEALED_BYTES`].
    #[error("it has {0} octets, and at most {MAX_SEALED_BYTES} are read")]
    TooLarge(usize),
    /// Not even of the form.
    #[error("it is no compact JWE: {0}")]
    NotCompact(#[from] NotCompact),
    /// The header is no object of which all understand the same.
    #[error("its header: {0}")]
    Header(#[from] NotIJson),
    /// Another agreement or another cipher than ECDH-ES and A256GCM, or compression.
    #[error("it is not sealed with {AGREEMENT} and {CIPHER} alone")]
    Algorithm,
    /// It needs something that is not known here (RFC 7516 §4.1.13).
    #[error("it must not be read by who does not know an extension of it")]
    Critical,
    /// The sender's key is missing, on another curve than the device's, or not on it at all.
    #[error("the key that it brings is none that goes with the device's")]
    EphemeralKey,
    /// Sealed for another key, or changed since.
    #[error("it is sealed for another key, or was changed")]
    Sealed,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    enc: &'static str,
    epk: EphemeralKey,
}

#[derive(Serialize)]
struct EphemeralKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl DeviceKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// [`WrongDeviceKey`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, WrongDeviceKey> {
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0));
        key.map_err(|_| WrongDeviceKey)?.try_into()
    }

    /// The half that others may know.
    ///
    /// # Errors
    /// [`WrongDeviceKey`], where OpenSSL fails.
    pub fn public(&self) -> Result<DevicePublicKey, WrongDeviceKey> {
        let der = self.0.public_key_to_der().map_err(|_| WrongDeviceKey)?;
        let key = PKey::public_key_from_der(&der);
        key.map(DevicePublicKey).map_err(|_| WrongDeviceKey)
    }
}

impl TryFrom<PKey<Private>> for DeviceKey {
    type Error = WrongDeviceKey;

    fn try_from(key: PKey<Private>) -> Result<Self, WrongDeviceKey> {
        curve(&key).map(|_| Self(key)).ok_or(WrongDeviceKey)
    }
}

impl DevicePublicKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// [`WrongDeviceKey`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, WrongDeviceKey> {
        let key = PKey::public_key_from_pem(pem).map_err(|_| WrongDeviceKey)?;
        curve(&key).map(|_| Self(key)).ok_or(WrongDeviceKey)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    X25519,
}

fn curve<T: HasPublic>(key: &PKeyRef<T>) -> Option<Curve> {
    match key.id() {
        Id::X25519 => Some(Curve::X25519),
        Id::EC => key
            .ec_key()
            .ok()
            .filter(|key| is_p256(key))
            .map(|_| Curve::P256),
        _ => None,
    }
}

/// Seals octets so that only the device can read them.
///
/// # Errors
/// [`SealError`]
pub fn seal(text: &[u8], device: &DevicePublicKey) -> Result<String, SealError> {
    let (own, epk) = ephemeral(&device.0)?;
    let header = Header {
        alg: AGREEMENT,
        enc: CIPHER,
        epk,
    };
    // A structure of texts, which cannot fail.
    let header = encode(serde_json::to_vec(&header).unwrap_or_default());
    let key = agree(&own, &device.0)?;
    let mut iv = [0; IV_OCTETS];
    rand_bytes(&mut iv)?;
    let mut tag = [0; TAG_OCTETS];
    let aad = header.as_bytes();
    let sealed = encrypt_aead(Cipher::aes_256_gcm(), &key, Some(&iv), aad, text, &mut tag)?;
    let compact = format!(
        "{header}..{}.{}.{}",
        encode(iv),
        encode(sealed),
        encode(tag)
    );
    match compact.len() > MAX_SEALED_BYTES {
        true => Err(SealError::TooLarge(compact.len())),
        false => Ok(compact),
    }
}

/// Opens what was sealed for this key.
///
/// # Errors
/// [`Unopened`]
pub fn open(compact: &str, device: &DeviceKey) -> Result<Vec<u8>, Unopened> {
    if compact.len() > MAX_SEALED_BYTES {
        return Err(Unopened::TooLarge(compact.len()));
    }
    let [header, key, iv, sealed, tag] = split(compact)?;
    let mut keys = json::read(&decode(header)?)?;
    let mut text = |name: &str| match keys.remove(name) {
        Some(Json::Text(text)) => text,
        _ => String::new(),
    };
    let is_ours = text("alg") == AGREEMENT && text("enc") == CIPHER;
    if keys.contains_key("crit") {
        return Err(Unopened::Critical);
    }
    if !is_ours
        || !key.is_empty()
        || ["zip", "apu", "apv"]
            .iter()
            .any(|name| keys.contains_key(*name))
    {
        return Err(Unopened::Algorithm);
    }
    let Some(Json::Object(epk)) = keys.remove("epk") else {
        return Err(Unopened::EphemeralKey);
    };
    let own = curve(&device.0).ok_or(Unopened::EphemeralKey)?;
    let theirs = public_key(own, &epk).ok_or(Unopened::EphemeralKey)?;
    // What is agreed with a key of small order is nothing, and OpenSSL refuses it.
    let key = agree(&device.0, &theirs).map_err(|_| Unopened::EphemeralKey)?;
    let [iv, sealed, tag] = [decode(iv)?, decode(sealed)?, decode(tag)?];
    if iv.len() != IV_OCTETS || tag.len() != TAG_OCTETS {
        return Err(Unopened::Sealed);
    }
    let cipher = Cipher::aes_256_gcm();
    let opened = decrypt_aead(cipher, &key, Some(&iv), header.as_bytes(), &sealed, &tag);
    opened.map_err(|_| Unopened::Sealed)
}

/// A new key on the curve of another, and what is written of it.
fn ephemeral(device: &PKeyRef<Public>) -> Result<(PKey<Private>, EphemeralKey), ErrorStack> {
    if device.id() == Id::X25519 {
        let own = PKey::generate_x25519()?;
        let epk = EphemeralKey {
            kty: "OKP",
            crv: "X25519",
            x: encode(own.raw_public_key()?),
            y: None,
        };
        return Ok((own, epk));
    }
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let own = EcKey::generate(&group)?;
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    let mut context = BigNumContext::new()?;
    let point = own.public_key();
    point.affine_coordinates_gfp(&group, &mut x, &mut y, &mut context)?;
    let length = i32::try_from(COORDINATE).unwrap_or_default();
    let epk = EphemeralKey {
        kty: "EC",
        crv: "P-256",
        x: encode(x.to_vec_padded(length)?),
        y: Some(encode(y.to_vec_padded(length)?)),
    };
    Ok((PKey::from_ec_key(own)?, epk))
}

/// The key that an object brings, if it is a point of this curve.
fn public_key(
    curve: Curve,
    epk: &std::collections::BTreeMap<String, Json>,
) -> Option<PKey<Public>> {
    let text = |name: &str| match epk.get(name) {
        Some(Json::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let coordinate = |name: &str| {
        let octets = decode(text(name)?).ok()?;
        (octets.len() == COORDINATE).then_some(octets)
    };
    match (curve, text("kty")?, text("crv")?) {
        (Curve::X25519, "OKP", "X25519") => {
            PKey::public_key_from_raw_bytes(&coordinate("x")?, Id::X25519).ok()
        }
        (Curve::P256, "EC", "P-256") => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).ok()?;
            let x = BigNum::from_slice(&coordinate("x")?).ok()?;
            let y = BigNum::from_slice(&coordinate("y")?).ok()?;
            // A point beside the curve would give the device's key away, bit by bit.
            let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y).ok()?;
            key.check_key().ok()?;
            PKey::from_ec_key(key).ok()
        }
        _ => None,
    }
}

fn agree(own: &PKeyRef<Private>, theirs: &PKeyRef<Public>) -> Result<[u8; 32], ErrorStack> {
    let mut deriver = Deriver::new(own)?;
    deriver.set_peer(theirs)?;
    Ok(concat_kdf(&deriver.derive_to_vec()?, CIPHER, b"", b"", 256))
}

/// One round of the Concat KDF with SHA-256 (RFC 7518 §4.6.2), which gives up to 256 bits.
pub(crate) fn concat_kdf(z: &[u8], algorithm: &str, apu: &[u8], apv: &[u8], bits: u32) -> [u8; 32] {
    let mut input = 1_u32.to_be_bytes().to_vec();
    input.extend_from_slice(z);
    for part in [algorithm.as_bytes(), apu, apv] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        input.extend(length.to_be_bytes());
        input.extend_from_slice(part);
    }
    input.extend(bits.to_be_bytes());
    sha256(&input)
}
