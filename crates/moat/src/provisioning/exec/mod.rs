//! `moat pvd exec`: runs a program inside one PvD, which need not know what that is (RFC 7556 §5.2, RFC 8801 §3.4.4).
//!
//! ```text
//! moat pvd watch --the PvD--> exec
//!    person   as whom it is to run
//!    group    a control group, whose sockets the kernel holds to the PvD: its interface and its addresses (program, kernel)
//!    names    a mount namespace, whose resolv.conf names the PvD's resolvers
//!    person   gives up what it does not need
//!    execve   becomes the command: its number, files, signals and exit code are the caller's business
//! ```
//!
//! Whatever of this cannot be done, the command does not run. It is a guard rail for programs that do not look for ways out, and no
//! sandbox: what is not an IPv4 or IPv6 socket, sockets that it inherits, and services that it asks to connect for it are not covered.

mod args;
mod group;
mod kernel;
mod names;
mod person;
mod program;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::process::CommandExt;
use std::process::Command;

use pvd::InterfaceName;
use pvd::host::NextHops;
use socket2::{Domain, Socket, Type};

pub(crate) use self::args::ExecArgs;
use self::group::Group;
use self::person::Person;
use self::program::Sources;
use super::next_hop::{self, Refused};
use super::watch::{AskError, DomainView, list};
use crate::discovery::Attachment;
use crate::terminal::complain;

/// As env(1) has it: it did not run, it cannot be run, there is no such program.
const NOT_RUN: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Somewhere in the internet; nothing is sent there.
const FAR: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1));

/// Why the command does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The PvD is not known.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The interface has others beside it.
    #[error("{interface} has several PvDs: {}; name one of them", pvds.join(", "))]
    Several {
        /// The interface.
        interface: String,
        /// They.
        pvds: Vec<String>,
    },
    /// A PvD is called like an interface, and is not the one on it.
    #[error(
        "{name} is an interface, and also the ID of a PvD on {interface}; say with --interface which of them is meant"
    )]
    Either {
        /// What was named.
        name: String,
        /// Where the PvD of this name is.
        interface: String,
    },
    /// This node has no address in it.
    #[error("this node has no address in {0} to send from")]
    NoAddress(String),
    /// It names no resolvers.
    #[error("{0} has no resolver, and names are not looked up in other networks")]
    NoResolver(String),
    /// The interface has gone.
    #[error("there is no interface {0} any more")]
    NoInterface(String),
    /// As whom.
    #[error(transparent)]
    Person(#[from] person::Error),
    /// Its sockets cannot be held to the PvD.
    #[error(
        "the kernel does not hold sockets to {pvd}: {error}; it needs root, cgroup v2 and BPF for control groups"
    )]
    Sockets {
        /// The PvD.
        pvd: String,
        /// What it said.
        error: io::Error,
    },
    /// They are not, although the kernel took it.
    #[error("new sockets are not bound to {0}, although they should be")]
    Unbound(String),
    /// The kernel would pass it on by another network.
    #[error("what is for {destination} would not stay in {pvd}: {error}")]
    Astray {
        /// The PvD.
        pvd: String,
        /// Where it goes.
        destination: IpAddr,
        /// Why.
        error: Refused,
    },
    /// The kernel cannot be asked.
    #[error("the kernel cannot be asked for its routes: {0}")]
    Routes(io::Error),
    /// Names would be looked up elsewhere.
    #[error(transparent)]
    Names(#[from] names::Error),
    /// The program.
    #[error("{}: {error}", program.display())]
    Command {
        /// Which.
        program: OsString,
        /// What the system said.
        error: io::Error,
    },
}

impl Error {
    /// The exit code that says so.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Command { error, .. } if error.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            Self::Command { .. } => NOT_EXECUTABLE,
            _ => NOT_RUN,
        }
    }
}

/// Becomes the command, unless something prevents it.
pub(crate) fn run(args: &ExecArgs) -> Error {
    match enclose(args) {
        Ok(mut command) => Error::Command {
            program: command.get_program().to_owned(),
            error: command.exec(),
        },
        Err(error) => error,
    }
}

fn enclose(args: &ExecArgs) -> Result<Command, Error> {
    let view = choose(args)?;
    let said = &view.information;
    let is_claimed = view.pvd.is_some() && view.tunnel.is_none();
    if is_claimed && (said.evidence.is_none() || said.elsewhere) {
        complain!(
            "moat: nothing proves that the network on {} is {}: whoever is on the link can say so",
            view.interface,
            view.name()
        );
    }
    let person = Person::choose(args.user.as_deref())?;
    let place = Place::of(&view)?;
    place.check_routes(&view)?;
    place.enter(view.name())?;
    names::enclose(&view)?;
    let mut words = args.command.iter();
    let mut command = Command::new(words.next().cloned().unwrap_or_default());
    command.args(words);
    for variable in names::VARIABLES {
        command.env_remove(variable);
    }
    if let Some(person) = person {
        person.become_him()?;
        command
            .env("HOME", person.home())
            .env("USER", person.name())
            .env("LOGNAME", person.name());
    }
    Ok(command)
}

/// The PvD that is meant: of this name, or the only one of this interface.
fn choose(args: &ExecArgs) -> Result<DomainView, Error> {
    let name = args.pvd.trim_end_matches('.').to_ascii_lowercase();
    let mut all = list(&args.control)?;
    if let Some(interface) = &args.interface {
        all.retain(|view| view.interface == interface.as_str());
    }
    let (mut named, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|view| view.name() == name);
    let mut of_interface = others;
    of_interface.retain(|view| view.interface == args.pvd);
    match (named.pop(), of_interface.pop()) {
        // Anybody on a link can call his PvD like another link.
        (Some(view), Some(_)) => Err(Error::Either {
            name: args.pvd.clone(),
            interface: view.interface,
        }),
        (Some(view), None) if named.is_empty() => Ok(view),
        (Some(view), _) => {
            named.push(view);
            Err(Error::Ask(AskError::Ambiguous {
                pvd: args.pvd.clone(),
                interfaces: named.into_iter().map(|view| view.interface).collect(),
            }))
        }
        (None, Some(view)) if of_interface.is_empty() => Ok(view),
        (None, Some(view)) => {
            of_interface.push(view);
            Err(Error::Several {
                interface: args.pvd.clone(),
                pvds: of_interface
                    .iter()
                    .map(|view| view.name().to_owned())
                    .collect(),
            })
        }
        (None, None) => Err(Error::Ask(AskError::Unknown(args.pvd.clone()))),
    }
}

/// What sockets are held to.
struct Place {
    interface: InterfaceName,
    index: i32,
    /// The PvD's addresses.
    sources: Sources,
    /// Of IPv6, the one to use first.
    first: Option<IpAddr>,
    /// The interface has others as well.
    is_shared: bool,
}

impl Place {
    fn of(view: &DomainView) -> Result<Self, Error> {
        let gone = || Error::NoInterface(view.interface.clone());
        let interface: InterfaceName = view.interface.parse().map_err(|_| gone())?;
        let attachment = Attachment::of(&interface).ok().flatten().ok_or_else(gone)?;
        // What is used first comes first (RFC 6724 §5, rules 3 and 7).
        let mut own: Vec<_> = view.addresses.iter().collect();
        own.sort_by_key(|own| (own.deprecated, !own.temporary));
        let own: Vec<IpAddr> = own
            .iter()
            .filter_map(|own| own.address.parse().ok())
            // Who watches may be in another network namespace, with an interface of the same name.
            .filter(|own| attachment.addresses.iter().any(|it| it.address == *own))
            .collect();
        if own.is_empty() {
            return Err(Error::NoAddress(view.name().to_owned()));
        }
        if view.resolvers.is_empty() {
            return Err(Error::NoResolver(view.name().to_owned()));
        }
        let mut all = attachment.addresses.iter();
        let is_shared = all.any(|it| !own.contains(&it.address));
        Ok(Self {
            interface,
            index: i32::try_from(attachment.interface.index.get()).map_err(|_| gone())?,
            sources: Sources::new(&own),
            first: own.into_iter().find(IpAddr::is_ipv6),
            is_shared,
        })
    }

    /// Asks the kernel whether the PvD's own routers are next on the way to its resolvers and to anywhere, over IPv6: of the routers of
    /// IPv4 nobody says whose they are.
    fn check_routes(&self, view: &DomainView) -> Result<(), Error> {
        let Some(source) = self.first else {
            return Ok(());
        };
        let resolvers = view.resolvers.iter().filter_map(|it| it.name.parse().ok());
        let resolvers: Vec<IpAddr> = resolvers.filter(IpAddr::is_ipv6).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Routes)?;
        let next_hops = next_hops(view);
        for destination in resolvers.into_iter().chain([FAR]) {
            let checked = next_hop::check(&next_hops, &self.interface, source, destination);
            match runtime.block_on(checked) {
                // Then nothing leaves.
                Ok(()) | Err(Refused::NoWay(_)) => {}
                Err(error) => {
                    let pvd = view.name().to_owned();
                    return Err(Error::Astray {
                        pvd,
                        destination,
                        error,
                    });
                }
            }
        }
        Ok(())
    }

    /// Has the kernel hold this process, and all that comes of it, to the place.
    fn enter(&self, pvd: &str) -> Result<(), Error> {
        let refused = |error| Error::Sockets {
            pvd: pvd.to_owned(),
            error,
        };
        let group = Group::new().map_err(refused)?;
        let mut programs = vec![program::of_interface(self.index, self.is_shared)];
        match self.is_shared {
            true => programs.extend(self.sources.insist()),
            false => programs.extend(self.sources.forbid_others()),
        }
        for program in programs {
            group.attach(&program).map_err(refused)?;
        }
        group.join().map_err(refused)?;
        for domain in [Domain::IPV4, Domain::IPV6] {
            // A system without IPv6 has nothing to bind.
            if let Ok(socket) = Socket::new(domain, Type::DGRAM, None) {
                let device = socket.device().map_err(refused)?.unwrap_or_default();
                if device != self.interface.as_str().as_bytes() {
                    return Err(Error::Unbound(self.interface.to_string()));
                }
            }
        }
        Ok(())
    }
}

/// By whom the PvD may be left.
fn next_hops(view: &DomainView) -> NextHops {
    let routers = view.routers.iter().filter_map(|it| it.via.parse().ok());
    let routes = view.routes.iter().filter_map(|it| {
        let prefix = it.to.parse().ok()?;
        Some((prefix, it.via.parse().ok()?))
    });
    let on_link = view.prefixes.iter().filter(|it| it.on_link);
    let on_link = on_link.filter_map(|it| it.prefix.parse().ok());
    match &view.tunnel {
        Some(tunnel) => {
            let reached = tunnel.reaches.iter().filter_map(|it| it.parse().ok());
            NextHops::of_tunnel(reached.collect())
        }
        None => NextHops::new(routers, routes, on_link),
    }
}
