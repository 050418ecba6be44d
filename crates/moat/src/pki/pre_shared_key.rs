//! `moat pki psk`: a key that both ends of a session have (RFC 9132 §8).

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use dtls::PskIdentity;
use serde::Serialize;

use super::{PkiError, files};

/// Octets of a key: as strong as the SHA-256 around it.
const KEY_OCTETS: usize = 32;

/// What `moat pki psk` is told.
#[derive(Debug, Args)]
pub(crate) struct PskArgs {
    /// What the client calls the key: 1 to 128 bytes, as in home.example.net
    #[arg(value_name = "IDENTITY", value_parser = parse_identity)]
    pub(crate) identity: PskIdentity,
    /// Folder of the key's file; made when it does not exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Replace the key of this name; sessions with the old one are refused from then on
    #[arg(long)]
    pub(crate) force: bool,
}

/// A key that was made. The key itself is in its file alone.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenKey {
    /// What the client calls it.
    pub(crate) psk_identity: String,
    /// The file with it: hexadecimal, readable by its owner only.
    pub(crate) psk_key_file: PathBuf,
}

impl fmt::Display for WrittenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (identity, file) = (&self.psk_identity, &self.psk_key_file);
        writeln!(f, "wrote {} (keep it secret)", file.display())?;
        writeln!(
            f,
            "next: copy it to the other side over a way nobody listens to, and write on both sides,\n\
             in the server's [[customer]] and in the client's [[pvd.dots]]:"
        )?;
        writeln!(f, "  psk_identity = {identity:?}")?;
        write!(f, "  psk_key_file = {file:?}")
    }
}

pub(super) fn make(args: &PskArgs) -> Result<WrittenKey, PkiError> {
    let identity = args.identity.as_str();
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_') {
            letter
        } else {
            '_'
        }
    };
    let name: String = identity.chars().map(plain).collect();
    let file = args.dir.join(format!("{name}.psk"));
    files::refuse_existing(&file, args.force)?;
    files::make_folder(&args.dir)?;
    let mut key = [0; KEY_OCTETS];
    openssl::rand::rand_priv_bytes(&mut key)?;
    let mut text: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
    text.push('\n');
    files::write(&file, text.as_bytes(), 0o600, args.force)?;
    Ok(WrittenKey {
        psk_identity: identity.to_owned(),
        psk_key_file: file,
    })
}

fn parse_identity(text: &str) -> Result<PskIdentity, String> {
    PskIdentity::new(text).map_err(|error| error.to_string())
}
