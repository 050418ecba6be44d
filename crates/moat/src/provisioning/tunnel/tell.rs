//! `moat pvd tunnel`: tells `moat pvd watch` of a tunnel.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pvd::InterfaceName;
use pvd::bindings::ikev2::{self, Report, Unreadable};

use super::told::Told;
use crate::provisioning::file;
use crate::provisioning::watch::{AskError, DEFAULT_CONTROL, Question, Taken, change};

/// Longest description, in bytes.
const MAX_JSON_BYTES: usize = 16 * 1024;

/// What is told of a tunnel.
#[derive(Debug, Subcommand)]
pub(crate) enum TunnelCommand {
    /// What strongSwan says in the environment: the command of `updown` in a child of swanctl.conf
    #[command(after_help = UPDOWN_EXAMPLES)]
    Updown {
        #[command(flatten)]
        whom: WhomArgs,
        /// The tunnel's interface; without it the one that has the virtual address
        #[arg(long, value_name = "NAME")]
        interface: Option<InterfaceName>,
    },
    /// A tunnel of any other VPN is there
    #[command(after_help = UP_EXAMPLES)]
    Up(DescribedArgs),
    /// It is there no more; each `up` is ended by one `down` with the same addresses and prefixes
    #[command(after_help = "Example:\n  moat pvd tunnel down --json office.json")]
    Down(DescribedArgs),
}

/// Whom to tell.
#[derive(Debug, Args)]
pub(crate) struct WhomArgs {
    /// Socket of `moat pvd watch`, which takes this from root and from its own user
    #[arg(long, value_name = "PATH", env = "MOAT_PVD_CONTROL", default_value = DEFAULT_CONTROL)]
    control: PathBuf,
}

/// A tunnel in a file.
#[derive(Debug, Args)]
pub(crate) struct DescribedArgs {
    #[command(flatten)]
    whom: WhomArgs,
    /// One JSON object in a file, or on standard input with `-`
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
}

const UPDOWN_EXAMPLES: &str = "\
Example, in /etc/swanctl/conf.d/office.conf:
  connections.office {
    remote_addrs = 192.0.2.1
    vips = 0.0.0.0, ::
    remote { id = office.example }        # the PvD ID
    children.office {
      remote_ts = 10.1.0.0/16
      if_id_in = 42                       # an XFRM interface, or load kernel-libipsec
      if_id_out = 42
      updown = /usr/bin/moat pvd tunnel updown
    }
    ...
  }
and for its resolvers in /etc/strongswan.conf: charon.plugins.updown.dns_handler = yes";

const UP_EXAMPLES: &str = "\
Example:
  moat pvd tunnel up --json - <<END
  {\"pvd\": \"office.example\", \"gateway\": \"192.0.2.1\", \"outer\": \"198.51.100.5\",
   \"addresses\": [\"10.9.0.5\"], \"prefixes\": [\"10.1.0.0/16\"], \"resolvers\": [\"10.1.0.53\"]}
  END
`pvd` is what the peer has proved to be. `gateway` and `outer` are its address and this node's outside. Besides:
`search`; `interface`, else the one with one of the `addresses`; and `sources`, prefixes from which packets go in.";

/// Why nobody was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TellError {
    /// It is no tunnel.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The daemon.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl TellError {
    /// Whether what was said is at fault, and not the daemon.
    pub(crate) fn is_wrong_use(&self) -> bool {
        !matches!(self, Self::Ask(_))
    }
}

/// Tells, and gives back whether the tunnel is there by that, and what the daemon made of it.
///
/// # Errors
/// [`TellError`]
pub(crate) fn tell(command: &TunnelCommand) -> Result<(bool, Taken), TellError> {
    let (is_up, tunnel, whom) = match command {
        TunnelCommand::Updown { whom, interface } => {
            let variables = std::env::vars_os();
            let text = variables.filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            });
            let Report { is_up, tunnel } = ikev2::read(text)?;
            let told = Told::of(&tunnel, interface.clone());
            (is_up, told, whom)
        }
        TunnelCommand::Up(args) => (true, Some(described(&args.json)?), &args.whom),
        TunnelCommand::Down(args) => (false, Some(described(&args.json)?), &args.whom),
    };
    // A tunnel that was read has ends.
    let tunnel = tunnel.ok_or(Unreadable::Missing("PLUTO_PEER"))?;
    let question = match is_up {
        true => Question::TunnelUp { tunnel },
        false => Question::TunnelDown { tunnel },
    };
    Ok((is_up, change(&whom.control, &question)?))
}

fn described(path: &Path) -> Result<Told, TellError> {
    let read = || -> io::Result<Told> {
        let text = match path.as_os_str() == "-" {
            true => {
                let most = u64::try_from(MAX_JSON_BYTES).unwrap_or(u64::MAX);
                let mut text = Vec::new();
                io::stdin().take(most).read_to_end(&mut text)?;
                text
            }
            false => file::read(path, MAX_JSON_BYTES)?,
        };
        Ok(serde_json::from_slice(&text)?)
    };
    read().map_err(|error| TellError::File {
        path: path.to_owned(),
        error,
    })
}
