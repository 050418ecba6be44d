//! What is served of one PvD: its object, and perhaps the same signed.

use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use ipnet::IpNet;
use pvd::PvdId;
use pvd::information::json::{self, Json};
use pvd::information::registry::MOAT;
use pvd::information::{AdditionalInformation, Refused};

use super::accept::Form;

/// The key of credentials, among our own.
const NETWORKS: &str = "networks";

/// An object in the forms in which it is there.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) plain: Representation,
    pub(super) signed: Option<Representation>,
    /// When it is of no use any more, in all forms.
    pub(super) expires: SystemTime,
    /// Whose object it is.
    prefixes: Vec<IpNet>,
}

/// One form of it.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) content: Bytes,
    /// Its entity tag (RFC 9110 §8.8.3): the same for the same content, whenever the server was started.
    pub(super) tag: String,
}

/// Why files are not what can be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the object is no PvD Additional Information: {0}")]
    Object(Refused),
    #[error("the object is that of {0}")]
    OtherPvd(PvdId),
    #[error(
        "there are credentials for networks in the object ({MOAT}: networks), which everybody in the PvD could keep until the device's key is known; give the device a signed object of its own, and serve one without them"
    )]
    Credentials,
    #[error(
        "the signed form is no compact JWS (RFC 7515 §7.1): three parts in base64url, with dots between them"
    )]
    NotCompact,
    #[error("what is signed is no PvD Additional Information: {0}")]
    Signed(Refused),
    #[error("what is signed is another object than the one beside it; sign that anew")]
    OtherObject,
}

impl Unfit {
    /// Whether the signed form is to blame, and not the object.
    pub(super) fn is_of_signed_form(&self) -> bool {
        match self {
            Self::Object(_) | Self::OtherPvd(_) | Self::Credentials => false,
            Self::NotCompact | Self::Signed(_) | Self::OtherObject => true,
        }
    }
}

impl Document {
    /// Reads the object of a PvD, and its signed form. Whether it has expired is seen when somebody asks for it.
    ///
    /// # Errors
    /// [`Unfit`]
    pub(super) fn read(id: &PvdId, object: Vec<u8>, signed: Option<&[u8]>) -> Result<Self, Unfit> {
        let information = read(&object).map_err(Unfit::Object)?;
        if information.identifier != *id {
            return Err(Unfit::OtherPvd(information.identifier));
        }
        if has_credentials(&object) {
            return Err(Unfit::Credentials);
        }
        let signed = match signed {
            Some(file) => Some(signed_form(file, &information)?),
            None => None,
        };
        let v6 = information.prefixes.iter().copied().map(IpNet::V6);
        let v4 = information
            .moat
            .ipv4_prefixes
            .iter()
            .copied()
            .map(IpNet::V4);
        Ok(Self {
            plain: Representation::new(object),
            signed,
            expires: information.expires,
            prefixes: v6.chain(v4).collect(),
        })
    }

    /// What there is of it in a form.
    pub(super) fn in_form(&self, form: Form) -> Option<&Representation> {
        match form {
            Form::Plain => Some(&self.plain),
            Form::Signed => self.signed.as_ref(),
        }
    }

    /// Whether an address is in the PvD (RFC 8801 §4.2).
    pub(super) fn is_for(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }
}

impl Representation {
    fn new(content: Vec<u8>) -> Self {
        let hash = openssl::sha::sha256(&content);
        Self {
            content: content.into(),
            tag: format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(hash)),
        }
    }
}

/// The signed form, in which there is the same object: whichever a client asks for, it learns the same. That the signature holds is
/// for clients to see, who know whose keys they trust.
fn signed_form(file: &[u8], information: &AdditionalInformation) -> Result<Representation, Unfit> {
    let compact = file.trim_ascii();
    let compact = std::str::from_utf8(compact).map_err(|_| Unfit::NotCompact)?;
    let payload = jose::payload_unverified(compact).map_err(|_| Unfit::NotCompact)?;
    match read(&payload).map_err(Unfit::Signed)? == *information && !has_credentials(&payload) {
        true => Ok(Representation::new(compact.into())),
        false => Err(Unfit::OtherObject),
    }
}

/// Whether there is anything at the place of credentials, sealed or, worse, not: what is unreadable there readers leave out, and
/// everybody is given it all the same.
fn has_credentials(text: &[u8]) -> bool {
    let root = json::read(text).ok();
    let own = root.and_then(|mut root| root.remove(MOAT));
    matches!(own, Some(Json::Object(own)) if own.contains_key(NETWORKS))
}

/// Also one that has expired, which may have been good when it was written.
fn read(text: &[u8]) -> Result<AdditionalInformation, Refused> {
    AdditionalInformation::read(text, SystemTime::UNIX_EPOCH).map(|read| read.information)
}
