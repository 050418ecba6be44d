//! The run itself: first process of its namespaces, load generator, and parent of the servers.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::WaitOptions;

use super::cores::Cores;
use super::error::Error;
use super::generator::Generator;
use super::report::{Report, Setup};
use super::site::{LIBCOAP, Site, system_program};
use super::table::Table;
use super::{flood, handshakes, hellos, memory, puts, round_trips};
use crate::descriptors;
use crate::enclosure;
use crate::terminal::{complain, say};

/// Exit code of a run that was ended from outside, as shells count it: 128 + SIGINT.
const EXIT_INTERRUPTED: i32 = 130;
/// How many times more sessions idle than are active.
const IDLE: u32 = 10;
/// File systems without a disk behind them: tmpfs, ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// What the outside hands to the run.
#[derive(Debug, clap::Args)]
pub(crate) struct InsideArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds for each measurement
    #[arg(long)]
    seconds: f64,
    /// Sessions where many are measured
    #[arg(long)]
    sessions: u32,
    /// The work folder
    #[arg(long)]
    folder: PathBuf,
}

/// The hidden subcommand `bench-inside`. Only for [`super::outside`] to call.
///
/// # Errors
/// When nothing could be measured; to be treated like exit code 2.
pub(crate) fn inside(args: &InsideArgs) -> Result<ExitCode, Error> {
    enclosure::require_inside()?;
    end_with_lifeline(&args.folder);
    let carried_out = carry_out(args);
    // Where the run ends with its lifeline, this waits for that end: what has failed was killed.
    let _not_ending = ENDING.lock();
    let report = carried_out?;
    if args.json {
        say!("{}", serde_json::to_string(&report)?);
    } else {
        say!("{}", Table(&report));
    }
    Ok(ExitCode::SUCCESS)
}

/// How often it is looked whether what was killed has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Held by who ends the run with its lifeline, to the last.
static ENDING: Mutex<()> = Mutex::new(());

/// This process does not outlive the one outside; nor does the work folder, even if that one was killed.
fn end_with_lifeline(folder: &Path) {
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        let mut nothing = Vec::new();
        // Nothing is ever written; an error ends the lifeline as well.
        let _ = std::io::stdin().read_to_end(&mut nothing);
        let _ending = ENDING.lock();
        // First everybody who writes there: all processes of the namespace but the first, which is this one.
        // One may be started just now, so it is asked again until there is none.
        loop {
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(None) => std::thread::sleep(LOOK_AGAIN),
                Ok(Some(_)) => {}
                Err(_) => break,
            }
        }
        let _ = std::fs::remove_dir_all(folder);
        std::process::exit(EXIT_INTERRUPTED);
    });
}

fn carry_out(args: &InsideArgs) -> Result<Report, Error> {
    let cores = Cores::choose()?;
    cores.enter_generator()?;
    descriptors::allow_all().map_err(Error::system("allow many sockets"))?;
    // A new network namespace has a loopback that is down.
    system_program("ip", &["link", "set", "lo", "up"])?;
    let site = Site::new(args.folder.clone(), cores)?;
    let mut generator = Generator::new(site.client()?);
    let duration = Duration::from_secs_f64(args.seconds);
    let sessions = args.sessions;

    progress("round trips");
    let round_trips = round_trips::measure(&site, &mut generator, sessions, duration)?;
    progress("handshakes");
    let handshakes = handshakes::measure(&site, &mut generator, duration)?;
    progress("durable PUTs");
    let durable_puts = puts::measure(&site, &mut generator, sessions, duration)?;
    progress("idle sessions");
    let counts = [sessions, sessions * IDLE];
    let idle_memory = memory::measure(&site, &mut generator, counts)?;
    progress("ClientHellos");
    let hello_microseconds = hellos::measure(&site, duration)?;
    let flood = flood::measure(&site, &mut generator, sessions, duration)?;

    let mut not_run = Vec::new();
    let (program, package) = LIBCOAP;
    if round_trips.iter().any(|row| row.libcoap.is_none()) {
        not_run.push(format!("{program}: install the package {package}"));
    } else if handshakes.iter().any(|row| row.libcoap.is_none()) {
        not_run.push(format!("resumed handshakes of {program}: it resumes none"));
    }
    Ok(Report {
        setup: setup(args, cores)?,
        round_trips,
        durable_puts,
        handshakes,
        idle_memory,
        hello_microseconds,
        flood,
        not_run,
    })
}

fn progress(what: &str) {
    complain!("moat bench: {what} ...");
}

fn setup(args: &InsideArgs, cores: Cores) -> Result<Setup, Error> {
    let file_system = rustix::fs::statfs(&args.folder)
        .map_err(Error::system("ask for the file system of the work folder"))?;
    Ok(Setup {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        openssl: openssl::version::version(),
        cores,
        folder: args.folder.display().to_string(),
        on_disk: !IN_MEMORY.contains(&file_system.f_type),
        seconds: args.seconds,
    })
}
