//! The command line: what can be said, and where it goes.

mod ask;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::bench;
use crate::config;
use crate::control::Command as ControlCommand;
use crate::lab;
use crate::pki::{self, PkiCommand};
use crate::{client, server};

/// Where the client's control socket is when nobody says otherwise.
const DEFAULT_CONTROL: &str = "/run/moat/client.sock";

/// Exit code: the answer is no (refused, a check failed).
const EXIT_NO: u8 = 1;
/// Exit code: it could not be tried (wrong words, no daemon, no permission).
const EXIT_COULD_NOT: u8 = 2;

/// Asks the right provider to stop a DDoS attack, and stops it
///
/// moat is a DOTS agent (RFC 9132) for networks with several ways to the internet: each provider
/// is asked to protect only the addresses that it assigned (RFC 9284).
///
/// Exit codes: 0 done, 1 refused or failed, 2 could not be tried.
#[derive(Debug, Parser)]
#[command(name = "moat", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    /// Ask the right providers to protect TARGET
    Mitigate(MitigateArgs),
    /// Withdraw a request
    Withdraw(WithdrawArgs),
    /// Show all requests (of a client) or mitigations (of a server)
    Status(StatusArgs),
    /// Show who would be asked to protect TARGET, who would not, and why
    Explain(ExplainArgs),
    /// Show the sessions
    Sessions(AskArgs),
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
enum LabCommand {
    /// List the scenarios
    List(JsonArgs),
    /// Run a scenario; exits 0 only if the attack was dropped where it should be
    Run(LabRunArgs),
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// The signal channel: round trips, handshakes, durable requests, memory, floods of ClientHellos
    Signal(bench::SignalArgs),
}

#[derive(Debug, Args)]
struct LabRunArgs {
    /// Name of the scenario, as `moat lab list` shows it
    scenario: String,
    #[command(flatten)]
    json: JsonArgs,
    /// Keep the network for a look until Enter or Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Args)]
struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DaemonArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct AskArgs {
    /// Control socket of the daemon
    #[arg(long, value_name = "PATH", env = "MOAT_CONTROL", default_value = DEFAULT_CONTROL)]
    control: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Args)]
struct MitigateArgs {
    /// Address or prefix under attack
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Only these ports under attack, as in 53 or 8000-8080
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<String>,
    /// Only these protocols, as in udp, tcp or a number
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<String>,
    /// Seconds, or `indefinite`; it is prolonged until then
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
struct WithdrawArgs {
    /// Number of the request, as `moat mitigate` and `moat status` show it
    request: u64,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Go on, showing it again every second
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// Address or prefix
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
struct PkiArgs {
    #[command(subcommand)]
    command: PkiCommand,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a client's or a server's file, and all that it names
    Check {
        /// Configuration file (TOML)
        file: PathBuf,
        #[command(flatten)]
        json: JsonArgs,
    },
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Lab(LabCommand::List(JsonArgs { json })) => show::scenarios(json),
        Command::Lab(LabCommand::Run(args)) => code(lab::run(&lab::RunOptions {
            scenario: args.scenario,
            json: args.json.json,
            keep: args.keep,
        })),
        Command::Bench(BenchCommand::Signal(args)) => code(bench::run(&args)),
        Command::BenchInside(args) => bench::inside(&args),
        Command::BenchHelper(command) => bench::helper(&command),
        Command::LabInside(args) => lab::inside(&args),
        Command::LabTraffic(args) => done(lab::traffic::main(&args)),
        Command::Client(args) => {
            log_to_stderr();
            done(client::run(&args.config))
        }
        Command::Server(args) => {
            log_to_stderr();
            done(server::run(&args.config))
        }
        Command::Mitigate(args) => ask::mitigate(
            &args.ask,
            &ControlCommand::Mitigate {
                targets: args.targets,
                ports: args.ports,
                protocols: args.protocols,
                lifetime: args.lifetime,
            },
        ),
        Command::Withdraw(args) => ask::withdraw(&args.ask, args.request),
        Command::Status(args) => ask::status(&args.ask, args.watch),
        Command::Explain(args) => ask::explain(&args.ask, args.targets),
        Command::Sessions(args) => ask::sessions(&args),
        Command::Pki(args) => done(pki::run(args.command, args.json)),
        Command::Config(ConfigCommand::Check { file, json }) => check(&file, json.json),
    }
}

/// Daemons log to stderr, one line an event; `RUST_LOG` says how much.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

fn check(file: &std::path::Path, json: bool) -> ExitCode {
    match config::check(file) {
        Ok(report) => {
            if json {
                show::json(&report);
            } else {
                println!("{report}");
            }
            if report.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_NO)
            }
        }
        Err(error) => failed(&error),
    }
}

fn done<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    code(result.map(|()| ExitCode::SUCCESS))
}

fn code<E: std::error::Error>(result: Result<ExitCode, E>) -> ExitCode {
    result.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("moat: {error}");
    ExitCode::from(EXIT_COULD_NOT)
}
