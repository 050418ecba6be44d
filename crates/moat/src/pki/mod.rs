//! `moat pki`: a small certification authority to try things with.
//!
//! `init` makes a CA in a folder, `issue` certificates that it signs: EC P-256, SHA-256, and the extensions that
//! RFC 5280 wants of a CA and of the two ends of a DOTS session (RFC 9132 §7.1, §8). `psk` makes a key that both ends have.

mod certificate;
mod files;
mod pre_shared_key;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use openssl::error::ErrorStack;
use serde::Serialize;

use crate::config::HostName;
use certificate::{Made, Purpose, Validity};
use files::Pair;
pub(crate) use pre_shared_key::PskArgs;
use pre_shared_key::WrittenKey;

/// Longest common name (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// A hundred years: no date of a certificate leaves the years it can write.
const MAX_DAYS: i64 = 36_500;

/// Makes certificates, or keys, to try things with.
#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Make a CA: DIR/ca.pem (for everybody who shall trust it) and DIR/ca-key.pem (for nobody else)
    Init(InitArgs),
    /// Issue a certificate for a server or a client: DIR/NAME.pem and DIR/NAME-key.pem
    Issue(IssueArgs),
    /// Make a pre-shared key instead of certificates: DIR/IDENTITY.psk, the same file for both ends
    Psk(PskArgs),
}

/// What `moat pki init` is told.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Folder of the CA; made when it does not exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Name of the CA, for people to read
    #[arg(long, value_parser = parse_ca_name)]
    pub(crate) name: String,
    /// Days that the CA is valid
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(i64).range(1..=MAX_DAYS))]
    pub(crate) days: i64,
    /// Replace the CA in DIR; certificates that it issued are not trusted any more
    #[arg(long)]
    pub(crate) force: bool,
}

/// What `moat pki issue` is told.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("for").required(true).args(["server", "client"])))]
pub(crate) struct IssueArgs {
    /// Folder of the CA, and of what is issued
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// For the DOTS server of this name, as its clients configure it
    #[arg(long, value_name = "NAME", value_parser = parse_host_name)]
    pub(crate) server: Option<HostName>,
    /// For the DOTS client of this name, as its server lists it under `[[customer]]`
    #[arg(long, value_name = "NAME", value_parser = parse_host_name)]
    pub(crate) client: Option<HostName>,
    /// Also valid for this IP address; may be given more than once
    #[arg(long = "address", value_name = "ADDRESS")]
    pub(crate) addresses: Vec<IpAddr>,
    /// Days that the certificate is valid, at most as long as the CA
    #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(i64).range(1..=MAX_DAYS))]
    pub(crate) days: i64,
    /// Make one that expired yesterday, for testing
    #[arg(long, hide = true, conflicts_with = "days")]
    pub(crate) expired: bool,
    /// Replace the certificate and key of this name
    #[arg(long)]
    pub(crate) force: bool,
}

/// Why nothing was made. No file is left half written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    /// A file that would be written is there.
    #[error("{} exists already; use another --dir, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// `issue` before `init`.
    #[error("{} is missing: there is no CA in this folder; make one: moat pki init --dir {} --name NAME", file.display(), dir.display())]
    NoCa { file: PathBuf, dir: PathBuf },
    /// `ca.pem` or `ca-key.pem` is not what it should be.
    #[error("{} is not {what}; make a new CA: moat pki init --dir {} --name NAME --force", file.display(), dir.display())]
    BrokenCa {
        file: PathBuf,
        dir: PathBuf,
        what: &'static str,
    },
    /// The CA's own time is over.
    #[error("the CA {} has expired; make a new one: moat pki init --dir {} --name NAME --force", file.display(), dir.display())]
    ExpiredCa { file: PathBuf, dir: PathBuf },
    /// Neither `--server` nor `--client`.
    #[error("for whom? say --server NAME or --client NAME")]
    NoName,
    /// A leaf's files would be the CA's, or another leaf's.
    #[error("{name} cannot be the name: {name}.pem is kept for {owner}; take another name")]
    ReservedName { name: HostName, owner: &'static str },
    /// Reading or writing failed.
    #[error("{}: cannot {action}: {source}", file.display())]
    File {
        file: PathBuf,
        action: &'static str,
        source: io::Error,
    },
    /// Standard output is gone.
    #[error("cannot print the result: {0}")]
    Print(#[source] io::Error),
    /// OpenSSL refused.
    #[error("OpenSSL could not make it: {0}")]
    Openssl(#[from] ErrorStack),
}

/// What was made.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Written {
    /// A certificate with its key.
    Certificate(WrittenCertificate),
    /// A pre-shared key.
    Key(WrittenKey),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(certificate) => certificate.fmt(f),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// A certificate and its key.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenCertificate {
    /// The name in the certificate.
    pub(crate) name: String,
    /// The certificate's file, PEM, readable by all.
    pub(crate) certificate: PathBuf,
    /// The private key's file, PEM, readable by its owner only.
    pub(crate) private_key: PathBuf,
    /// The end of its validity, in seconds since 1970.
    pub(crate) not_after: i64,
    #[serde(skip)]
    next: String,
}

impl fmt::Display for WrittenCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wrote {}", self.certificate.display())?;
        writeln!(f, "wrote {} (keep it secret)", self.private_key.display())?;
        write!(f, "next: {}", self.next)
    }
}

/// Runs a command and prints what it wrote and the next step, or one JSON object.
///
/// # Errors
/// Says what was not made, and why.
pub(crate) fn run(command: PkiCommand, json: bool) -> Result<(), PkiError> {
    let written = make(command)?;
    let text = if json {
        serde_json::to_string(&written).map_err(io::Error::from)
    } else {
        Ok(written.to_string())
    };
    text.and_then(|text| writeln!(io::stdout().lock(), "{text}"))
        .map_err(PkiError::Print)
}

/// Does what a command says.
///
/// # Errors
/// Says what was not made, and why.
#[allow(
    clippy::needless_pass_by_value,
    reason = "a command is done once, and of no use after"
)]
pub(crate) fn make(command: PkiCommand) -> Result<Written, PkiError> {
    match &command {
        PkiCommand::Init(args) => init(args),
        PkiCommand::Issue(args) => issue(args),
        PkiCommand::Psk(args) => pre_shared_key::make(args).map(Written::Key),
    }
}

/// Makes a CA.
fn init(args: &InitArgs) -> Result<Written, PkiError> {
    let files = Pair::of_ca(&args.dir);
    files.refuse_existing(args.force)?;
    files::make_folder(&args.dir)?;
    let made = certificate::make_ca(&args.name, &Validity::from_now(args.days)?)?;
    files.write(&made, args.force)?;
    let next = format!(
        "moat pki issue --dir {} --server dots.example.net",
        args.dir.display()
    );
    written(&args.name, files, &made, next)
}

/// Issues a certificate.
fn issue(args: &IssueArgs) -> Result<Written, PkiError> {
    let (name, purpose) = args.subject()?;
    let files = Pair::of_leaf(&args.dir, name)?;
    files.refuse_existing(args.force)?;
    let ca = files::load_ca(&args.dir)?;
    let validity = if args.expired {
        Validity::over()?
    } else {
        ca.cap(Validity::from_now(args.days)?)?
    };
    let made = ca.issue(name, &args.addresses, purpose, &validity)?;
    files.write(&made, args.force)?;
    let lines = format!(
        "certificate = {:?}, private_key = {:?}",
        files.certificate, files.private_key
    );
    let next = match purpose {
        Purpose::Server => format!(
            "in the server's file: {lines}; in its clients' [[pvd.dots]]: name = \"{name}\""
        ),
        Purpose::Client => format!(
            "in the client's [[pvd.dots]]: {lines}; in the server's [[customer]]: name = \"{name}\""
        ),
    };
    written(name.as_str(), files, &made, next)
}

impl IssueArgs {
    fn subject(&self) -> Result<(&HostName, Purpose), PkiError> {
        let server = self.server.as_ref().map(|name| (name, Purpose::Server));
        let client = self.client.as_ref().map(|name| (name, Purpose::Client));
        server.or(client).ok_or(PkiError::NoName)
    }
}

fn written(name: &str, files: Pair, made: &Made, next: String) -> Result<Written, PkiError> {
    let Pair {
        certificate,
        private_key,
    } = files;
    Ok(Written::Certificate(WrittenCertificate {
        name: name.to_owned(),
        certificate,
        private_key,
        not_after: made.not_after()?,
        next,
    }))
}

fn parse_host_name(text: &str) -> Result<HostName, String> {
    HostName::parse(text).map_err(|why| format!("{why}; write it like dots.example.net"))
}

fn parse_ca_name(text: &str) -> Result<String, String> {
    let good = !text.trim().is_empty()
        && text.chars().count() <= MAX_COMMON_NAME
        && !text.chars().any(char::is_control);
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "write 1 to {MAX_COMMON_NAME} characters, none of them a control character"
        ))
    }
}
