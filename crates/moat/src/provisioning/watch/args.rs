//! What is said to `moat pvd watch` and to those who read what it knows.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use pvd::selection::{self, Mode, Wish};
use pvd::{InterfaceName, LinkEvidence, PvdId};

use crate::provisioning::dane::DaneArgs;
use crate::provisioning::fetch::TrustArgs;

/// Where the daemon is when nobody says otherwise.
pub(crate) const DEFAULT_CONTROL: &str = "/run/moat/pvd.sock";

/// What is watched.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Interface to listen on; NAME=KIND says what its link is, where the kernel does not know it: open-wlan, secured-wlan, 802.1x,
    /// wired, vpn
    #[arg(long = "interface", value_name = "NAME[=KIND]", required = true)]
    pub(crate) interfaces: Vec<Watched>,
    /// Of which PvDs additional information is fetched
    #[arg(long, value_enum, default_value_t)]
    pub(crate) fetch: Whose,
    /// Fetch it of this PvD and those below it alone; whoever advertises names can find out which
    #[arg(long = "only", value_name = "ID", conflicts_with = "fetch")]
    pub(crate) only: Vec<PvdId>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) dane: DaneArgs,
    /// Folder with signed objects that came by another way, such as a stick; it is watched. May be given more than once
    #[arg(long, value_name = "DIR")]
    pub(crate) objects: Vec<PathBuf>,
    /// Folder in which signed objects are kept for the next start
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// PvDs by their IDs, or interfaces, in the order in which they are to be used for what is new; an ID counts where its network has proved it, or on a cable
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) prefer: Vec<Wish>,
    /// Whether programs may use several PvDs at a time, or are to leave the others until the preferred one fails
    #[arg(long = "use", value_enum, default_value_t)]
    pub(crate) mode: Together,
    /// How to find out that packets of a PvD arrive: by a question to its own resolvers now and then, for the name servers of the root
    #[arg(long, value_enum, default_value_t)]
    pub(crate) probe: Probing,
    /// Keep routes by source address in the kernel: each PvD's addresses leave by its own routers, and what has none yet by the preferred PvD
    #[arg(long)]
    pub(crate) routes: bool,
    /// Socket on which it tells programs of this node what it knows
    #[arg(long, value_name = "PATH", env = "MOAT_PVD_CONTROL", default_value = DEFAULT_CONTROL)]
    pub(crate) control: PathBuf,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Socket of `moat pvd watch`
    #[arg(long, value_name = "PATH", env = "MOAT_PVD_CONTROL", default_value = DEFAULT_CONTROL)]
    pub(crate) control: PathBuf,
    /// Print JSON, also of an error: {"error":{"reason":"..."}}
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which PvD.
#[derive(Debug, Args)]
pub(crate) struct ReadOneArgs {
    /// The PvD: its ID, or the link-local address of the router of an implicit one
    #[arg(value_name = "PVD")]
    pub(crate) pvd: String,
    /// The interface that it is on, where several have one of this name
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) interface: Option<InterfaceName>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// Whose additional information is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whose {
    /// Of all that announce some
    #[default]
    All,
    /// Of none
    None,
}

/// How several PvDs are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Together {
    /// Several at a time
    #[default]
    Parallel,
    /// One at a time
    Sequential,
}

/// How health is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Probing {
    /// By links, routers and addresses, and by questions to resolvers
    #[default]
    Dns,
    /// By links, routers and addresses alone
    None,
}

impl WatchArgs {
    /// Who is used for what is new.
    pub(super) fn selection(&self) -> selection::Settings {
        selection::Settings {
            wishes: self.prefer.clone(),
            mode: match self.mode {
                Together::Parallel => Mode::Parallel,
                Together::Sequential => Mode::Sequential,
            },
            probes: self.probe == Probing::Dns,
        }
    }
}

/// An interface to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Its name.
    pub(crate) name: InterfaceName,
    /// What the administrator says of its link.
    pub(crate) link: Option<LinkEvidence>,
}

const KINDS: [(&str, LinkEvidence); 5] = [
    ("open-wlan", LinkEvidence::OpenWireless),
    ("secured-wlan", LinkEvidence::SecuredWireless),
    ("802.1x", LinkEvidence::Authenticated),
    ("wired", LinkEvidence::Wired),
    ("vpn", LinkEvidence::Vpn),
];

impl FromStr for Watched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, kind) = match text.split_once('=') {
            Some((name, kind)) => (name, Some(kind)),
            None => (text, None),
        };
        let link = kind.map(|kind| {
            let known = KINDS.iter().find(|(word, _)| *word == kind);
            let known = known.map(|(_, link)| *link);
            let words = KINDS.map(|(word, _)| word).join(", ");
            known.ok_or(format!("no link is called \"{kind}\", but {words}"))
        });
        Ok(Self {
            name: name
                .parse()
                .map_err(|error: pvd::InterfaceNameError| error.to_string())?,
            link: link.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_may_come_with_what_its_link_is() {
        let read = |text: &str| {
            text.parse::<Watched>()
                .map(|it| (it.name.to_string(), it.link))
        };
        assert_eq!(read("eth0"), Ok(("eth0".to_owned(), None)));
        let secured = Some(LinkEvidence::SecuredWireless);
        assert_eq!(
            read("wlan0=secured-wlan"),
            Ok(("wlan0".to_owned(), secured))
        );
        assert!(read("wlan0=safe").is_err_and(|error| error.contains("802.1x")));
        assert!(read("=wired").is_err());
    }
}
