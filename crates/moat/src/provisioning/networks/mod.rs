//! `moat pvd networks`: several networks for a device, sealed for its key in a signed object, and in the words of what joins them.
//!
//! ```text
//! seal:   credentials --> JWE for the device --> `networks` of the object        (then: moat pvd sign)
//! apply:  signature --> `networks` --> the device's key --> wpa_supplicant, NetworkManager
//! ```
//! Who fails over from one network to the next is the supplicant, by the order that it is told. No word of the credentials is in an error or a log.

mod network_manager;
mod wpa_supplicant;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jose::{DeviceKey, DevicePublicKey, SealError, Unopened, WrongDeviceKey};
use openssl::error::ErrorStack;
use pvd::information::credentials::{Credentials, NoCredentials};
use pvd::information::registry::MOAT;
use pvd::information::{AdditionalInformation, Refused};
use pvd::{DataEvidence, Evidence, Insufficient, LinkEvidence, PvdId, TrustPolicy, Use};
use serde_json::{Map, Value};

use super::fetch::{TrustArgs, TrustError};
use super::{file, sign};

/// What is done with networks of devices.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworksCommand {
    /// Seal credentials for a device, and print the object with them in it, to be signed
    #[command(
        after_help = "Example:\n  moat pvd networks seal alarm.json --for alarm-key.pub --into home.json | moat pvd sign - --key KEY --certificate CHAIN > alarm.jws"
    )]
    Seal(SealArgs),
    /// Open what is sealed for this device in a signed object, and write it for the supplicant
    #[command(
        after_help = "Examples:\n  moat pvd networks apply alarm.jws --pin home.example=home.pub --key alarm-key.pem --format wpa-supplicant --output /etc/wpa_supplicant/wlan0.conf\n  moat pvd get home.example --signed | moat pvd networks apply - --authorities ca.pem --key alarm-key.pem --format networkmanager --output /etc/NetworkManager/system-connections"
    )]
    Apply(ApplyArgs),
}

/// For whom what is sealed.
#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    /// The networks (JSON), the preferred one first, or `-` for standard input
    credentials: PathBuf,
    /// Public key of the device: P-256 or X25519 (PEM)
    #[arg(long = "for", value_name = "FILE")]
    device: PathBuf,
    /// The object that they go into (JSON)
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

/// What is opened, and for what.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("anchor").required(true).multiple(true).args(["authorities", "pins"])))]
pub(crate) struct ApplyArgs {
    /// The signed object, or `-` for standard input
    object: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Private key of this device (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For what joins the networks
    #[arg(long, value_enum)]
    format: Format,
    /// File, or folder of a file for each network; standard output without it
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
}

/// What joins networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One file of wpa_supplicant
    #[value(alias = "wpa_supplicant")]
    WpaSupplicant,
    /// A keyfile of NetworkManager for each network
    #[value(name = "networkmanager")]
    NetworkManager,
}

/// Why nothing was sealed, or applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that cannot be read or written.
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    /// The object, its signature, or what that is checked with.
    #[error(transparent)]
    Object(#[from] sign::Error),
    /// Whom to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// OpenSSL failed.
    #[error("OpenSSL makes no key of a passphrase: {0}")]
    Library(#[from] ErrorStack),
    /// The object is none.
    #[error("the object is refused: {0}")]
    Refused(#[from] Refused),
    /// The device's key is none.
    #[error("{}: {source}", file.display())]
    Key {
        file: PathBuf,
        source: WrongDeviceKey,
    },
    /// They are no credentials.
    #[error("the networks cannot be read: {0}")]
    Credentials(#[from] NoCredentials),
    /// Some of them are none.
    #[error("a device would leave out what is wrong: {}", .0.join("; "))]
    Ignored(Vec<String>),
    /// They are too many.
    #[error("not sealed: {0}")]
    Seal(#[from] SealError),
    /// The object has none.
    #[error("{0} has no networks for a device")]
    NoNetworks(PvdId),
    /// What is not signed is good for nothing here.
    #[error(transparent)]
    Insufficient(#[from] Insufficient),
    /// They are for somebody else.
    #[error("the networks stay closed: {0}")]
    Unopened(#[from] Unopened),
}

impl Error {
    /// Whether the command was fine and what it was given is not.
    pub(crate) fn is_of_object(&self) -> bool {
        match self {
            Self::File { .. } | Self::Key { .. } | Self::Trust(_) | Self::Library(_) => false,
            Self::Object(error) => error.is_of_object(),
            _ => true,
        }
    }
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Applied {
    pvd: PvdId,
    networks: usize,
    /// Networks that are left out, and why.
    ignored: Vec<String>,
    files: Vec<PathBuf>,
}

impl fmt::Display for Applied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} networks of {}", self.networks, self.pvd)?;
        for file in &self.files {
            write!(formatter, "\n  {}", file.display())?;
        }
        for ignored in &self.ignored {
            write!(formatter, "\n  left out: {ignored}")?;
        }
        Ok(())
    }
}

/// Prints the object with the credentials in it, sealed.
///
/// # Errors
/// [`Error`]
pub(crate) fn seal(args: &SealArgs, now: SystemTime) -> Result<(), Error> {
    let text = sign::read_secret(&args.credentials)?;
    let credentials = Credentials::read(&text)?;
    if !credentials.ignored.is_empty() {
        return Err(Error::Ignored(credentials.ignored));
    }
    let device = DevicePublicKey::from_pem(&sign::read(&args.device)?);
    let device = device.map_err(|source| Error::Key {
        file: args.device.clone(),
        source,
    })?;
    let object = sign::read(&args.into)?;
    AdditionalInformation::read(&object, now)?;
    let sealed = jose::seal(&without_space(&text), &device)?;
    let object = with_networks(&object, sealed).to_string();
    // With them it may be too long.
    AdditionalInformation::read(object.as_bytes(), now)?;
    writeln!(io::stdout().lock(), "{object}").map_err(printing)
}

/// The same JSON, as short as it can be. What is no JSON was refused before.
fn without_space(text: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    serde_json::to_vec(&value).unwrap_or_default()
}

fn with_networks(object: &[u8], sealed: String) -> Value {
    let mut root: Map<String, Value> = serde_json::from_slice(object).unwrap_or_default();
    let mut own = match root.remove(MOAT) {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    own.insert("networks".to_owned(), sealed.into());
    root.insert(MOAT.to_owned(), own.into());
    root.into()
}

/// Writes what is sealed for this device.
///
/// # Errors
/// [`Error`]
pub(crate) fn apply(args: &ApplyArgs, now: SystemTime) -> Result<Applied, Error> {
    let (pvd, credentials) = open(args, now)?;
    let files = match (args.format, &args.output) {
        (Format::WpaSupplicant, None) => {
            print(&wpa_supplicant::configuration(&credentials.networks, None)?)?
        }
        (Format::WpaSupplicant, Some(path)) => {
            let before = settings(path)?;
            let text = wpa_supplicant::configuration(&credentials.networks, before.as_deref())?;
            write(path, &text)?;
            vec![path.clone()]
        }
        (Format::NetworkManager, None) => {
            let profiles = network_manager::profiles(&pvd, &credentials.networks);
            let texts = profiles.map(|(name, text)| format!("# {name}\n{text}\n"));
            print(&texts.collect::<String>())?
        }
        (Format::NetworkManager, Some(folder)) => {
            let mut files = Vec::new();
            for (name, text) in network_manager::profiles(&pvd, &credentials.networks) {
                let path = folder.join(name);
                write(&path, &text)?;
                files.push(path);
            }
            let others = network_manager::others(&pvd, folder, &files);
            others.map_err(|source| Error::File {
                file: folder.clone(),
                source,
            })?;
            files
        }
    };
    Ok(Applied {
        pvd,
        networks: credentials.networks.len(),
        ignored: credentials.ignored,
        files,
    })
}

fn open(args: &ApplyArgs, now: SystemTime) -> Result<(PvdId, Credentials), Error> {
    let pem = sign::read_secret(&args.key)?;
    let key = DeviceKey::from_pem(&pem).map_err(|source| Error::Key {
        file: args.key.clone(),
        source,
    })?;
    let verified = sign::verified(&args.object, &args.trust.anchors()?, now)?;
    let information = verified.read.information;
    // From wherever it is: nothing but its signature speaks for it.
    let evidence = Evidence {
        link: LinkEvidence::Absent,
        data: DataEvidence::Signed(verified.binding),
    };
    TrustPolicy::default().check(&evidence, Use::Credentials)?;
    let pvd = information.identifier;
    let sealed = information.moat.networks;
    let sealed = sealed.ok_or_else(|| Error::NoNetworks(pvd.clone()))?;
    let text = jose::open(sealed.as_str(), &key)?;
    Ok((pvd, Credentials::read(&text)?))
}

fn print(text: &str) -> Result<Vec<PathBuf>, Error> {
    io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(printing)?;
    Ok(Vec::new())
}

fn printing(source: io::Error) -> Error {
    Error::File {
        file: "standard output".into(),
        source,
    }
}

/// For nobody else to read, at any time.
/// What a file of wpa_supplicant says now, if there is one.
fn settings(path: &Path) -> Result<Option<String>, Error> {
    /// Longest that is read, in bytes.
    const MOST: usize = 256 * 1024;
    let read = file::read(path, MOST).and_then(|text| {
        String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            file: path.to_owned(),
            source,
        }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    file::replace(path, text.as_bytes(), 0o600).map_err(|source| Error::File {
        file: path.to_owned(),
        source,
    })
}
