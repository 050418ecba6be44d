//! What stands before the payload, read as strictly as the payload (RFC 7515 §4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::x509::X509;
use pvd::information::json::{self, Json};
use serde::Serialize;

use crate::algorithm::Algorithm;
use crate::verify::Forged;

/// Longest chain that is read, in certificates.
pub const MAX_CERTIFICATES: usize = 8;

/// What a payload of ours is called in `cty` (RFC 7515 §4.1.10). It must be there, or something else that the same key once signed
/// might do for a PvD.
pub(crate) const CONTENT_TYPE: &str = "pvd+json";

/// How much of a strange algorithm is quoted, in characters.
const MAX_QUOTED: usize = 32;

/// What is read of the header of a signed object. `jwk`, `jku` and `x5u` are not: no object says by itself which key to believe, nor
/// where to ask.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    /// The chain of the key, the key's own certificate first.
    pub(crate) certificates: Vec<X509>,
}

/// The header that is written.
#[derive(Serialize)]
pub(crate) struct Written<'a> {
    alg: &'a str,
    cty: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x5c: Vec<String>,
}

impl<'a> Written<'a> {
    pub(crate) fn new(algorithm: Algorithm, key_id: Option<&'a str>, chain: &[Vec<u8>]) -> Self {
        Self {
            alg: algorithm.as_str(),
            cty: CONTENT_TYPE,
            kid: key_id,
            x5c: chain.iter().map(|der| STANDARD.encode(der)).collect(),
        }
    }
}

impl Header {
    pub(crate) fn read(octets: &[u8]) -> Result<Self, Forged> {
        let mut keys = json::read(octets).map_err(Forged::Header)?;
        let algorithm = algorithm(keys.remove("alg"))?;
        if keys.contains_key("crit") {
            return Err(Forged::Critical);
        }
        if !is_ours(keys.remove("cty")) {
            return Err(Forged::ContentType);
        }
        Ok(Self {
            algorithm,
            certificates: certificates(keys.remove("x5c"))?,
        })
    }
}

fn algorithm(value: Option<Json>) -> Result<Algorithm, Forged> {
    match value {
        // Some readers took "None" and "nOnE", too.
        Some(Json::Text(name)) if name.eq_ignore_ascii_case("none") => Err(Forged::Unsigned),
        Some(Json::Text(name)) => Algorithm::named(&name).ok_or_else(|| {
            let shown: String = name.chars().take(MAX_QUOTED).collect();
            Forged::Algorithm(shown.escape_debug().to_string())
        }),
        _ => Err(Forged::Algorithm(String::new())),
    }
}

/// With or without `application/`, which may be left out (RFC 7515 §4.1.10).
fn is_ours(content_type: Option<Json>) -> bool {
    let Some(Json::Text(text)) = content_type else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    text.strip_prefix("application/").unwrap_or(&text) == CONTENT_TYPE
}

fn certificates(value: Option<Json>) -> Result<Vec<X509>, Forged> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(Json::List(list)) if (1..=MAX_CERTIFICATES).contains(&list.len()) => list,
        Some(_) => return Err(Forged::Certificates),
    };
    let read = list.into_iter().map(|certificate| match certificate {
        Json::Text(text) => {
            let der = STANDARD.decode(text).map_err(|_| Forged::Certificates)?;
            X509::from_der(&der).map_err(|_| Forged::Certificates)
        }
        _ => Err(Forged::Certificates),
    });
    read.collect()
}
