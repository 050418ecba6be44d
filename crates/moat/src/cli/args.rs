//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use pvd::InterfaceName;

use crate::bench;
use crate::control::Attack;
use crate::discovery::DiscoverArgs;
use crate::lab;
use crate::pki::PkiCommand;
use crate::provisioning::exec::ExecArgs;
use crate::provisioning::fetch::FetchArgs;
use crate::provisioning::networks::NetworksCommand;
use crate::provisioning::qr::QrArgs;
use crate::provisioning::sign::{SignArgs, VerifyArgs};
use crate::provisioning::tunnel::TunnelCommand;
use crate::provisioning::watch::{ReadArgs, ReadOneArgs, WatchArgs};
use crate::words;

/// Where the client's control socket is when nobody says otherwise.
const DEFAULT_CONTROL: &str = "/run/moat/client.sock";

const ADVERTISE_EXAMPLES: &str = r#"Examples:
  moat pvd advertise --config /etc/moat/advertise.toml --check
  moat pvd advertise --config /etc/moat/advertise.toml

  [[pvd]]
  id = "fixed.example"
  interface = "lan0"
  pvd_aware_only = true                 # beside radvd: hosts that know no PvDs notice nothing
  dns = ["2001:db8:f::53"]
  object = "fixed.json"                 # served at https://fixed.example/.well-known/pvd
  [[pvd.prefix]]
  prefix = "2001:db8:f:100::/64"

README describes each key. It needs CAP_NET_RAW, and CAP_NET_ADMIN to add an address of its own.
SIGHUP has the files with additional information looked at now; RUST_LOG=debug makes it say more."#;

const EXIT_CODES: &str = "Exit codes:
  0  done: accepted, ended, shown; all is well
  1  refused, failed, or not (all) done yet
  2  wrong use or configuration; nothing was tried";

const MITIGATE_EXAMPLES: &str = "Examples:
  moat mitigate 203.0.113.7
  moat mitigate 203.0.113.0/28 2001:db8:f:100::/64 --lifetime 7200
  moat mitigate 203.0.113.7 --port 53 --port 8000-8080 --protocol udp
  moat mitigate 203.0.113.7 --preconfigured --lifetime indefinite

It waits up to 10 seconds for the providers, exits 0 if all of them have accepted, and goes on asking
in any case until the request is withdrawn or its lifetime is over.

Name all ports in one request: a further request for a common address replaces the older one, whatever
its ports. Asking again for the same target refreshes it.";

const STATUS_EXAMPLES: &str = "Examples:
  moat status
  moat status --watch
  moat status --control /run/moat/server.sock --json";

const ANNOUNCE_EXAMPLES: &str = r#"Example:
  moat pvd announce --interface wwan0 --json - <<END
  {"pvd": "mobile.example", "prefixes": ["198.51.100.7/32"], "addresses": ["198.51.100.7"],
   "dns": ["192.0.2.53"], "lifetime": 3600,
   "dots": [{"name": "dots.mobile.example", "addresses": ["192.0.2.46"]}]}
  END

The PvD must be a [[pvd]] of the client's file with a [pvd.discover] and this interface. What is left out
is learned as without an announcement; a lifetime of 0 takes it back. A server may have a port, as in
"[2001:db8::46]:4647", and "transports": ["udp"] or ["tcp"] instead of both."#;

const DISCOVER_EXAMPLES: &str = "Examples:
  moat pvd discover --interface eth0
  moat pvd discover --interface wwan0 --domain mobile.example --trusted '*.mobile.example' --json

Nothing is changed: DHCP is only asked for information, beside the DHCP client of the system.
It takes up to 8 seconds where no DHCP server answers, and exits 0 if a server was found.";

const WATCH_EXAMPLES: &str = "Examples:
  moat pvd watch --interface eth0
  moat pvd watch --interface eth0 --interface wlan0=secured-wlan --authorities ca.pem
  moat pvd watch --interface eth0 --fetch none
  moat pvd watch --interface eth0 --objects /media/stick --cache /var/lib/moat/pvd --pin cafe.example=cafe.pub

Addresses are the kernel's business, and without --routes so are routes. It needs root or CAP_NET_RAW, with --routes
CAP_NET_ADMIN, too.";

const LIST_EXAMPLES: &str = "Examples:
  moat pvd list
  moat pvd list --watch

With --watch it goes on, and prints a line of JSON for each change, first for each PvD there is.";

const SIGN_EXAMPLES: &str = "Example:
  moat pvd sign cafe.json --key cafe.example-key.pem --certificate cafe.example.pem > cafe.jose

Who verifies it needs to trust the certificate's authority, or to know the key, and nothing of the way it came.";

const VERIFY_EXAMPLES: &str = "Examples:
  moat pvd verify cafe.jose --authorities ca.pem
  moat pvd verify cafe.jose --pvd cafe.example --pin cafe.pub --json

It exits 0 if the object is proved, and says by what; otherwise 1, with the reason.";

const EXEC_EXAMPLES: &str = "Examples:
  sudo moat pvd exec --pvd fixed.example -- curl https://www.example/
  sudo moat pvd exec --pvd wlan0 --user alice -- firefox

It needs `moat pvd watch`, root, cgroup v2 and a kernel with BPF. Every IPv4 and IPv6 socket of the program, and of what it
starts, leaves by the interface of the PvD, where the link has several PvDs also from an address of it; names are looked up with its
resolvers. If that cannot be had, nothing runs. Under sudo it runs as whoever called sudo.";

const QR_EXAMPLES: &str = "Examples:
  moat pvd qr alarm.jws
  moat pvd qr alarm.jws --text > alarm.txt

Whatever reads a signed object takes this text as well: moat pvd verify, networks apply, watch --objects. It holds 4296
characters: what has certificates with it seldom has room, a pinned key (sign --key-id) has.";

const FETCH_EXAMPLES: &str = "Examples:
  moat pvd fetch fixed.example --interface eth0 --dns 2001:db8:f::53
  moat pvd fetch fixed.example --interface eth0 --dns 2001:db8:f::53 --authorities ca.pem --signed --json

Names are asked of this resolver only, and all of it leaves by this interface, from an address of it. It exits 0 if
the object is one that a host would use.";

/// Asks the right provider to stop a DDoS attack, and stops it
///
/// moat is a DOTS agent (RFC 9132) for networks with several ways to the internet: each provider
/// is asked to protect only the addresses that it assigned (RFC 9284).
#[derive(Debug, Parser)]
#[command(name = "moat", version, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove it: build a multihomed network in namespaces, attack it, have the attack dropped
    #[command(subcommand)]
    Lab(LabCommand),
    /// Measure what the server costs, beside others on the same machine
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Run the client: keeps a session with the DOTS server of each provider
    Client(DaemonArgs),
    /// Run the server: takes requests of customers and drops the attacks
    Server(DaemonArgs),
    /// Run the gateway: takes requests of inside clients and asks the right providers for them
    Gateway(DaemonArgs),
    /// Ask the right providers to protect TARGET
    Mitigate(MitigateArgs),
    /// Tell the providers that mitigate for a request whether that helps
    Efficacy(EfficacyArgs),
    /// Withdraw a request
    Withdraw(WithdrawArgs),
    /// Show all requests (of a client) or mitigations (of a server)
    Status(StatusArgs),
    /// Show who would be asked to protect TARGET, who would not, and why
    Explain(ExplainArgs),
    /// Show the sessions, and at a server what it has counted
    Sessions(AskArgs),
    /// Provisioning domains: know those of this node, advertise them to others, and find DOTS servers in them
    #[command(subcommand)]
    Pvd(PvdCommand),
    /// Make certificates, or pre-shared keys, to try things with
    Pki(PkiArgs),
    /// Look at configuration files
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(hide = true)]
    BenchInside(bench::InsideArgs),
    #[command(hide = true, subcommand)]
    BenchHelper(bench::HelperCommand),
    #[command(hide = true)]
    LabInside(lab::InsideArgs),
    #[command(hide = true)]
    LabTraffic(lab::traffic::Args),
}

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// List the scenarios
    List(JsonArgs),
    /// Run a scenario, or all; exits 0 only if all checks held, as that the attack was dropped where it should be
    #[command(after_help = "Examples:\n  moat lab run residential --json\n  moat lab run all")]
    Run(LabRunArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// The signal channel: round trips, handshakes, durable requests, memory, floods of ClientHellos
    Signal(bench::SignalArgs),
    /// The decision whom to ask: prefixes, networks and standing requests as they grow
    Decision(bench::DecisionArgs),
}

#[derive(Debug, Args)]
pub(super) struct LabRunArgs {
    /// Name of the scenario, as `moat lab list` shows it, or `all`
    pub(super) scenario: String,
    #[command(flatten)]
    pub(super) json: JsonArgs,
    /// Keep the network for a look until Enter, Ctrl-C or the end of the input
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, Args)]
pub(super) struct JsonArgs {
    /// Print JSON, also of an error: {"error":{"reason":"..."}}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "RUST_LOG=debug makes it say more; it logs to standard error.")]
pub(super) struct DaemonArgs {
    /// Configuration file (TOML); README describes each key
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// Control socket of the daemon, as `control` in its file says; a server's is /run/moat/server.sock
    #[arg(long, value_name = "PATH", env = "MOAT_CONTROL", default_value = DEFAULT_CONTROL)]
    pub(super) control: PathBuf,
    #[command(flatten)]
    pub(super) json: JsonArgs,
}

#[derive(Debug, Args)]
#[command(after_help = MITIGATE_EXAMPLES)]
pub(super) struct MitigateArgs {
    /// Address or prefix under attack
    #[arg(required = true, value_name = "TARGET", value_parser = checked(words::prefix))]
    pub(super) targets: Vec<String>,
    /// Only these ports (0 to 65535) or ranges, as in 53 or 8000-8080; all without it
    #[arg(long = "port", value_name = "PORT", value_parser = checked(words::port_range))]
    pub(super) ports: Vec<String>,
    /// Only these protocols, as in udp, tcp, icmp, or a number from 0 to 255; all without it
    #[arg(long = "protocol", value_name = "PROTOCOL", value_parser = checked(words::protocol))]
    pub(super) protocols: Vec<String>,
    /// How long it is wanted: seconds (1 to 4294967295), or `indefinite`; without it what the client's file says (3600)
    #[arg(long, value_name = "SECONDS", value_parser = checked(words::lifetime))]
    pub(super) lifetime: Option<String>,
    /// Prepare it now, and have it start only when the session with the provider is lost
    #[arg(long)]
    pub(super) preconfigured: bool,
    #[command(flatten)]
    pub(super) seen: SeenArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(super) struct SeenArgs {
    /// PvD on which the attack was seen; narrows who is asked only if the client's file says seen_on = "decides"
    #[arg(long = "seen-on", value_name = "PVD")]
    pub(super) on: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  moat efficacy 1 under-attack")]
pub(super) struct EfficacyArgs {
    /// Number of the request, as `moat mitigate` and `moat status` show it
    #[arg(value_parser = words::request)]
    pub(super) request: u64,
    /// How the attack looks from here
    #[arg(value_enum)]
    pub(super) attack: Attack,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  moat withdraw 1")]
pub(super) struct WithdrawArgs {
    /// Number of the request, as `moat mitigate` and `moat status` show it
    #[arg(value_parser = words::request)]
    pub(super) request: u64,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct StatusArgs {
    /// Go on, showing it again every second
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  moat explain 203.0.113.7 2001:db8:f:100::7")]
pub(super) struct ExplainArgs {
    /// Address or prefix
    #[arg(required = true, value_name = "TARGET", value_parser = checked(words::prefix))]
    pub(super) targets: Vec<String>,
    #[command(flatten)]
    pub(super) seen: SeenArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum PvdCommand {
    /// Look once by DHCP, S-NAPTR and DNS-SD (RFC 8973) for the DOTS servers of a network
    #[command(after_help = DISCOVER_EXAMPLES)]
    Discover {
        #[command(flatten)]
        place: DiscoverArgs,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Sign the additional information of a PvD, so that it proves itself wherever it comes from; prints a JWS
    #[command(after_help = SIGN_EXAMPLES)]
    Sign(SignArgs),
    /// Verify signed additional information
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify {
        #[command(flatten)]
        what: VerifyArgs,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Draw a signed object as a QR code, for a device that is on no network yet
    #[command(after_help = QR_EXAMPLES)]
    Qr(QrArgs),
    /// Advertise PvDs to the hosts of a link in Router Advertisements (RFC 8801), in place of radvd or beside it
    #[command(after_help = ADVERTISE_EXAMPLES)]
    Advertise {
        /// Configuration file (TOML); README describes each key
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only say what is wrong with the file, or that this machine does not have for it
        #[arg(long)]
        check: bool,
        /// Print JSON with --check, also of an error: {"error":{"reason":"..."}}
        #[arg(long, requires = "check")]
        json: bool,
    },
    /// Tell the running client what was learned of a network by other means, such as 3GPP PCO
    #[command(after_help = ANNOUNCE_EXAMPLES)]
    Announce {
        /// Interface of the network
        #[arg(long, value_name = "INTERFACE")]
        interface: InterfaceName,
        /// One JSON object in a file, or on standard input with `-`
        #[arg(long, value_name = "FILE")]
        json: PathBuf,
        /// Control socket of the client, as `control` in its file says
        #[arg(long, value_name = "PATH", env = "MOAT_CONTROL", default_value = DEFAULT_CONTROL)]
        control: PathBuf,
    },
    /// Know the PvDs of this node: listen to Router Advertisements, fetch what they announce (RFC 8801)
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(WatchArgs),
    /// List the PvDs that `moat pvd watch` knows
    #[command(after_help = LIST_EXAMPLES)]
    List {
        #[command(flatten)]
        read: ReadArgs,
        /// Go on, printing a line of JSON for each change
        #[arg(long)]
        watch: bool,
    },
    /// Print the additional information of a PvD; exits 1 where there is none that may be used
    #[command(
        after_help = "Examples:\n  moat pvd get fixed.example\n  moat pvd get fixed.example --signed > fixed.jws"
    )]
    Get {
        #[command(flatten)]
        what: ReadOneArgs,
        /// Print the compact JWS that it came in: a proof for others, whoever brings it
        #[arg(long)]
        signed: bool,
    },
    /// List the signed objects that `moat pvd watch` has, whether their PvDs are attached or not
    Shelf(ReadArgs),
    /// Show everything that is known of a PvD
    #[command(
        after_help = "Examples:\n  moat pvd show fixed.example\n  moat pvd show fe80::1 --interface eth0"
    )]
    Show(ReadOneArgs),
    /// Run a program inside one PvD: its interface, addresses and resolvers; the exit code is the program's, or 125 if it did not run
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArgs),
    /// Tell `moat pvd watch` of a tunnel, which makes a PvD
    #[command(subcommand)]
    Tunnel(TunnelCommand),
    /// Fetch the additional information of a PvD, as a host of its network would (RFC 8801)
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch {
        #[command(flatten)]
        what: FetchArgs,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Networks of a device: sealed for it, and applied where it is
    #[command(subcommand)]
    Networks(NetworksCommand),
    /// Serve the additional information of PvDs over HTTPS (RFC 8801)
    Serve(DaemonArgs),
}

#[derive(Debug, Args)]
pub(super) struct PkiArgs {
    #[command(subcommand)]
    pub(super) command: PkiCommand,
    /// Print JSON, also of an error: {"error":{"reason":"..."}}
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check a client's, a server's or a gateway's file, and all that it names; exits 2 if a daemon would not work with it
    #[command(after_help = "Example:\n  moat config check /etc/moat/client.toml")]
    Check {
        /// Configuration file (TOML)
        file: PathBuf,
        #[command(flatten)]
        json: JsonArgs,
    },
}

/// Refuses a word that means nothing, and leaves the others as they are: the daemon reads them itself.
fn checked<T>(
    read: impl Fn(&str) -> Result<T, words::Error> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<String, words::Error> + Clone + Send + Sync + 'static {
    move |word| read(word).map(|_| word.to_owned())
}
