//! The command line: what was said goes to those who do it, and what became of it to the caller.

mod args;
mod ask;
mod show;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use pvd::InterfaceName;
use store::StoreError;
use tracing_subscriber::EnvFilter;

use self::args::{
    AskArgs, BenchCommand, Cli, Command, ConfigCommand, JsonArgs, LabCommand, MitigateArgs,
    PvdCommand,
};
use crate::config::{ConfigError, Report};
use crate::control::{BindError, Command as ControlCommand, Failure};
use crate::provisioning::fetch::{FetchArgs, OnceError, fetch_once};
use crate::provisioning::networks::NetworksCommand;
use crate::provisioning::sign::{self, VerifyArgs};
use crate::provisioning::{advertise, exec, networks, qr, serve, tunnel, watch};
use crate::terminal::{complain, say};
use crate::{bench, client, clock, config, discovery, gateway, lab, pki, server, words};

/// Exit code: refused, failed, or not done yet.
const EXIT_FAILED: u8 = 1;
/// Exit code: wrong use or configuration.
const EXIT_WRONG: u8 = 2;

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    match cli.command {
        Command::Lab(LabCommand::List(JsonArgs { json })) => show::scenarios(json),
        Command::Lab(LabCommand::Run(args)) => lab::run(&lab::RunOptions {
            scenario: args.scenario,
            json: args.json.json,
            keep: args.keep,
        })
        .unwrap_or_else(|error| failed(&error, EXIT_WRONG, args.json.json)),
        Command::Bench(BenchCommand::Signal(args)) => bench::run_signal(&args)
            .unwrap_or_else(|error| failed(&error, EXIT_WRONG, wants_json())),
        Command::Bench(BenchCommand::Decision(args)) => bench::run_decision(&args)
            .unwrap_or_else(|error| failed(&error, EXIT_WRONG, wants_json())),
        Command::BenchInside(args) => {
            bench::inside(&args).unwrap_or_else(|error| failed(&error, EXIT_WRONG, args.json))
        }
        Command::BenchHelper(command) => bench::helper(&command),
        Command::LabInside(args) => {
            lab::inside(&args).unwrap_or_else(|error| failed(&error, EXIT_WRONG, args.json))
        }
        Command::LabTraffic(args) => done(lab::traffic::main(&args), |_| EXIT_FAILED, false),
        Command::Client(args) => {
            log_to_stderr();
            daemon(client::run(&args.config), fault_of_client)
        }
        Command::Server(args) => {
            log_to_stderr();
            daemon(server::run(&args.config), fault_of_server)
        }
        Command::Gateway(args) => {
            log_to_stderr();
            daemon(gateway::run(&args.config), |error| match error {
                gateway::Error::Config(_) => Fault::Configuration,
                gateway::Error::Inside(error) => fault_of_server(error),
                gateway::Error::Outside(error) => fault_of_client(error),
                gateway::Error::Control(error) => fault_of_socket(error),
                gateway::Error::System(_) => Fault::Other,
            })
        }
        Command::Mitigate(args) => mitigate(args),
        Command::Efficacy(args) => ask::efficacy(&args.ask, args.request, args.attack),
        Command::Withdraw(args) => ask::withdraw(&args.ask, args.request),
        Command::Status(args) => ask::status(&args.ask, args.watch),
        Command::Explain(args) => ask::explain(&args.ask, args.targets, args.seen.on),
        Command::Sessions(args) => ask::sessions(&args),
        Command::Pvd(PvdCommand::Discover { place, json }) => discover(&place, json.json),
        Command::Pvd(PvdCommand::Announce {
            interface,
            json,
            control,
        }) => announce(&control, &interface, &json),
        Command::Pvd(PvdCommand::Watch(args)) => {
            log_to_stderr();
            daemon(watch::run(&args), |error| match error {
                watch::Error::Trust(_) | watch::Error::Cache { .. } => Fault::Configuration,
                watch::Error::Control(error) => fault_of_socket(error),
                watch::Error::System(_) => Fault::Other,
            })
        }
        Command::Pvd(PvdCommand::List { read, watch }) => list_domains(&read, watch),
        Command::Pvd(PvdCommand::Get { what, signed: true }) => {
            let show = |signed: &String| match what.read.json {
                true => show::json(signed),
                false => say!("{signed}"),
            };
            answered(watch::signed(&what), show, what.read.json)
        }
        Command::Pvd(PvdCommand::Get { what, .. }) => {
            let json = |object: &serde_json::Value| match what.read.json {
                true => show::json(object),
                false => say!("{object:#}"),
            };
            answered(watch::object(&what), json, what.read.json)
        }
        Command::Pvd(PvdCommand::Shelf(read)) => {
            let show = |shelf: &Vec<watch::ShelvedView>| match read.json {
                true => show::json(shelf),
                false => show::shelf(shelf),
            };
            answered(watch::shelf(&read.control), show, read.json)
        }
        Command::Pvd(PvdCommand::Show(args)) => {
            let show = |view: &watch::DomainView| match args.read.json {
                true => show::json(view),
                false => show::domain(view),
            };
            answered(watch::one(&args), show, args.read.json)
        }
        Command::Pvd(PvdCommand::Advertise {
            config,
            check: true,
            json,
        }) => check_advertising(&config, json),
        Command::Pvd(PvdCommand::Advertise { config, .. }) => {
            log_to_stderr();
            daemon(advertise::run(&config), fault_of_advertising)
        }
        Command::Pvd(PvdCommand::Sign(args)) => {
            done(sign::sign(&args, wall_clock()), judged, false)
        }
        Command::Pvd(PvdCommand::Qr(args)) => match qr::draw(&args) {
            Ok(drawn) => {
                say!("{drawn}");
                ExitCode::SUCCESS
            }
            Err(error) if error.is_of_object() => failed(&error, EXIT_FAILED, false),
            Err(error) => failed(&error, EXIT_WRONG, false),
        },
        Command::Pvd(PvdCommand::Verify { what, json }) => verify(&what, json.json),
        Command::Pvd(PvdCommand::Exec(args)) => {
            let error = exec::run(&args);
            failed(&error, error.exit_code(), false)
        }
        Command::Pvd(PvdCommand::Tunnel(command)) => tell_of_tunnel(&command),
        Command::Pvd(PvdCommand::Fetch { what, json }) => fetch(&what, json.json),
        Command::Pvd(PvdCommand::Networks(command)) => apply_networks(&command),
        Command::Pvd(PvdCommand::Serve(args)) => {
            log_to_stderr();
            daemon(serve::run(&args.config), |error| match error {
                serve::Error::Config(_) | serve::Error::Hosted { .. } => Fault::Configuration,
                _ => Fault::Other,
            })
        }
        Command::Pki(args) => done(
            pki::run(args.command, args.json),
            |_| EXIT_FAILED,
            args.json,
        ),
        Command::Config(ConfigCommand::Check { file, json }) => check(&file, json.json),
    }
}

fn mitigate(args: MitigateArgs) -> ExitCode {
    let json = args.ask.json.json;
    // What has no sense needs no daemon to say so.
    if let Err(error) = words::target(&args.targets, &args.ports, &args.protocols) {
        return failed(&error, EXIT_WRONG, json);
    }
    let command = ControlCommand::Mitigate {
        targets: args.targets,
        ports: args.ports,
        protocols: args.protocols,
        lifetime: args.lifetime,
        preconfigured: args.preconfigured,
        seen_on: args.seen.on,
    };
    ask::mitigate(&args.ask, &command)
}

fn announce(control: &Path, interface: &InterfaceName, file: &Path) -> ExitCode {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let announcement = text.and_then(|text| Ok(serde_json::from_str(&text)?));
    match announcement {
        Ok(announcement) => ask::announce(control, interface, announcement),
        Err(error) => failed(&error, EXIT_WRONG, false),
    }
}

fn discover(place: &discovery::DiscoverArgs, json: bool) -> ExitCode {
    log_to_stderr();
    let report = match discovery::discover(place) {
        Ok(report) => report,
        Err(error @ discovery::Error::NoInterface(_)) => return failed(&error, EXIT_WRONG, json),
        Err(error) => return failed(&error, EXIT_FAILED, json),
    };
    match json {
        true => show::json(&report),
        false => show::discovered(&report),
    }
    match report.is_found() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(EXIT_FAILED),
    }
}

fn list_domains(read: &watch::ReadArgs, goes_on: bool) -> ExitCode {
    if goes_on {
        let followed = watch::follow(&read.control, |line| say!("{line}"));
        return done(followed, |_| EXIT_FAILED, read.json);
    }
    let show = |views: &Vec<watch::DomainView>| match read.json {
        true => show::json(views),
        false => show::domains(views),
    };
    answered(watch::list(&read.control), show, read.json)
}

fn answered<T>(answer: Result<T, watch::AskError>, show: impl FnOnce(&T), json: bool) -> ExitCode {
    let answer = answer.map(|answer| show(&answer));
    done(answer, |_| EXIT_FAILED, json)
}

fn tell_of_tunnel(command: &tunnel::TunnelCommand) -> ExitCode {
    let told = tunnel::tell(command).map(|(is_up, taken)| match taken.interface {
        Some(interface) => say!("{} on {interface}", taken.pvd),
        None if is_up => say!("{} waits for an interface with its addresses", taken.pvd),
        None => say!("{} is there no more", taken.pvd),
    });
    let code = |error: &tunnel::TellError| match error.is_wrong_use() {
        true => EXIT_WRONG,
        false => EXIT_FAILED,
    };
    done(told, code, false)
}

fn verify(what: &VerifyArgs, json: bool) -> ExitCode {
    match sign::verify(what, wall_clock()) {
        Ok(proof) if json => show::json(&proof),
        Ok(proof) => say!("{proof}"),
        Err(error) => return failed(&error, judged(&error), json),
    }
    ExitCode::SUCCESS
}

fn fetch(what: &FetchArgs, json: bool) -> ExitCode {
    log_to_stderr();
    match fetch_once(what) {
        Ok(report) if json => show::json(&report),
        Ok(report) => say!("{report}"),
        Err(error @ (OnceError::NoInterface(_) | OnceError::Trust(_))) => {
            return failed(&error, EXIT_WRONG, json);
        }
        Err(error) => return failed(&error, EXIT_FAILED, json),
    }
    ExitCode::SUCCESS
}

fn apply_networks(command: &NetworksCommand) -> ExitCode {
    let done = match command {
        NetworksCommand::Seal(args) => networks::seal(args, wall_clock()),
        NetworksCommand::Apply(args) => networks::apply(args, wall_clock()).map(|applied| {
            // What is printed may be the file itself.
            complain!("{applied}");
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_of_object() => failed(&error, EXIT_FAILED, false),
        Err(error) => failed(&error, EXIT_WRONG, false),
    }
}

fn wall_clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(clock::now().unix)
}

fn judged(error: &sign::Error) -> u8 {
    match error.is_of_object() {
        true => EXIT_FAILED,
        false => EXIT_WRONG,
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

fn check(file: &Path, json: bool) -> ExitCode {
    told(config::check(file), json)
}

/// The same for what is advertised: first the file, and then whether one interface can say all of it.
fn check_advertising(file: &Path, json: bool) -> ExitCode {
    let found = config::check_advertise(file);
    if found.as_ref().is_ok_and(Report::is_ok)
        && let Err(error) = advertise::check(file)
    {
        return failed(&error, EXIT_WRONG, json);
    }
    told(found, json)
}

fn told(found: Result<Report, ConfigError>, json: bool) -> ExitCode {
    match found {
        Ok(report) => {
            if json {
                show::json(&report);
            } else {
                say!("{report}");
            }
            if report.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_WRONG)
            }
        }
        Err(error) => failed(&error, EXIT_WRONG, json),
    }
}

/// What stopped a daemon.
enum Fault {
    /// What its file says.
    Configuration,
    /// Its database or its socket.
    Files,
    Other,
}

/// Only where the system refused may another user or another path help.
fn fault_of(error: &StoreError) -> Fault {
    match error {
        StoreError::Directory { source, .. } | StoreError::Create { source, .. }
            if source.kind() != std::io::ErrorKind::StorageFull =>
        {
            Fault::Files
        }
        StoreError::Sqlite { .. } => Fault::Files,
        _ => Fault::Other,
    }
}

fn fault_of_client(error: &client::Error) -> Fault {
    match error {
        client::Error::Config(_) | client::Error::Credentials { .. } => Fault::Configuration,
        client::Error::Control(error) => fault_of_socket(error),
        client::Error::Store(error) => fault_of(error),
        _ => Fault::Other,
    }
}

fn fault_of_advertising(error: &advertise::Error) -> Fault {
    match error {
        advertise::Error::State(_) | advertise::Error::System(_) => Fault::Other,
        _ => Fault::Configuration,
    }
}

fn fault_of_server(error: &server::Error) -> Fault {
    match error {
        server::Error::Config(_) | server::Error::Credentials(_) => Fault::Configuration,
        server::Error::Control(error) => fault_of_socket(error),
        server::Error::Store(error) => fault_of(error),
        _ => Fault::Other,
    }
}

/// What is wrong with a path, the error says; who may use it, it does not.
fn fault_of_socket(error: &BindError) -> Fault {
    if error.is_taken() {
        Fault::Other
    } else {
        Fault::Files
    }
}

fn daemon<E: Error>(result: Result<(), E>, fault: impl FnOnce(&E) -> Fault) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let fault = fault(&error);
    let code = match fault {
        Fault::Configuration => EXIT_WRONG,
        Fault::Files | Fault::Other => EXIT_FAILED,
    };
    let code = failed(&error, code, false);
    if matches!(fault, Fault::Files) {
        complain!(
            "  run it as the user who owns these files, or name others with `state` and `control`"
        );
    }
    code
}

fn wants_json() -> bool {
    std::env::args().any(|word| word == "--json")
}

fn done<E: Error>(result: Result<(), E>, code: impl FnOnce(&E) -> u8, json: bool) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, code(&error), json),
    }
}

/// Says what went wrong: to people, or to a program.
fn failed(error: &dyn Error, code: u8, json: bool) -> ExitCode {
    let failure = Failure {
        reason: error.to_string(),
        selection: None,
        is_wrong_use: false,
    };
    show::failure(&failure, json);
    ExitCode::from(code)
}

/// Says that a command line is wrong, or shows the help that was asked for.
fn misused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && wants_json() {
        let text = error.to_string();
        let sentence = text.split("\n\n").next().unwrap_or_default();
        let failure = Failure {
            reason: sentence.trim_start_matches("error: ").trim().to_owned(),
            selection: None,
            is_wrong_use: false,
        };
        show::failure(&failure, true);
    } else if let Err(error) = error.print() {
        complain!("moat: {error}");
    }
    if error.use_stderr() {
        ExitCode::from(EXIT_WRONG)
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_user_is_no_help_where_the_disk_is_full() {
        let path = || "/srv/server.db".into();
        let advises = |error| matches!(fault_of(&error), Fault::Files);
        let create = |kind: std::io::ErrorKind| StoreError::Create {
            path: path(),
            source: kind.into(),
        };
        assert!(advises(create(std::io::ErrorKind::PermissionDenied)));
        assert!(!advises(create(std::io::ErrorKind::StorageFull)));
        assert!(!advises(StoreError::DiskFull { path: path() }));
        assert!(!advises(StoreError::InUse { path: path() }));
    }
}
