//! Process 1 of the enclosure: prepares it, runs the scenario, and ends when the lifeline does.

use std::io::{BufRead, StdinLock};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mount::MountFlags;

use super::error::Error;
use super::listed::{self, Listed};
use super::outside::NOBODY;
use super::provisioning::{self, Stage};
use super::run::Lab;
use super::scenario::Scenario;
use super::{EXIT_CHECK_FAILED, EXIT_INTERRUPTED, or_in_json, print, report};
use crate::enclosure;
use crate::terminal::complain;

/// What `moat lab run` hands to the process inside.
#[derive(Debug, clap::Args)]
pub(crate) struct InsideArgs {
    /// Name of the scenario
    scenario: String,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the network after the run
    #[arg(long)]
    keep: bool,
    /// User number 0 is the caller's
    #[arg(long)]
    in_user_namespace: bool,
}

/// Where everything of a run is: keys, configuration, state, logs. On the private tmpfs.
const WORK_FOLDER: &str = "/run/moat-lab";

/// The hidden subcommand `lab-inside`. Only for [`super::outside`] to call: it takes over the mount namespace it is in.
///
/// # Errors
/// When the run could not be carried out, unless that was said in JSON; to be treated like exit code 2.
pub(crate) fn inside(args: &InsideArgs) -> Result<ExitCode, Error> {
    enclosure::require_inside()?;
    or_in_json(carry_out(args), args.json, &args.scenario)
}

fn carry_out(args: &InsideArgs) -> Result<ExitCode, Error> {
    let scenario = listed::find(&args.scenario)?;
    let lifeline = Lifeline::watch()?;
    let folder = prepare_folder()?;
    match scenario {
        Listed::Attack(scenario) => {
            let mut lab = Lab::build(scenario, &folder)?;
            let report = lab.run()?;
            let table = report::Table(&report).to_string();
            tell(args, &report.to_json(), &table);
            let looks = looks_of_attack(scenario);
            Ok(keep(args, lifeline, report.ok, &looks))
        }
        Listed::Provisioning(scenario) => {
            let mut stage = Stage::build(scenario, &folder)?;
            let report = stage.play()?;
            let table = provisioning::Table(&report).to_string();
            tell(args, &report.to_json(), &table);
            Ok(keep(args, lifeline, report.ok, &stage.looks()))
        }
    }
}

fn tell(args: &InsideArgs, json: &str, table: &str) {
    print(if args.json { json } else { table });
}

/// Ends with what the report says; with `--keep`, once the user has looked enough.
fn keep(args: &InsideArgs, lifeline: Lifeline, is_ok: bool, looks: &[String]) -> ExitCode {
    let code = if is_ok { 0 } else { EXIT_CHECK_FAILED };
    if args.keep {
        explain_how_to_look(looks, lifeline.enclosure, args.in_user_namespace);
        lifeline.wait_for_user(code);
    }
    ExitCode::from(code)
}

/// A private /run, so that the names of network namespaces (which `ip netns` keeps there) and all files vanish with the run.
fn prepare_folder() -> Result<PathBuf, Error> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("moat-lab", "/run", "tmpfs", flags, None)
        .map_err(Error::io("mount a private file system on /run"))?;
    let folder = PathBuf::from(WORK_FOLDER);
    std::fs::create_dir(&folder).map_err(Error::io("make the work folder"))?;
    Ok(folder)
}

/// The pipe from outside, watched by a thread of its own: this process never outlives it.
struct Lifeline {
    /// Process number of unshare, as seen from outside.
    enclosure: u32,
    /// Exit code for the end of the lifeline.
    code: Arc<AtomicU8>,
    /// Gets a message for each Enter, as long as one can come.
    entered: std::sync::mpsc::Receiver<()>,
}

impl Lifeline {
    fn watch() -> Result<Self, Error> {
        let mut first = String::new();
        std::io::stdin()
            .read_line(&mut first)
            .map_err(Error::io("read from outside"))?;
        let enclosure = first.trim().parse().unwrap_or_default();
        let code = Arc::new(AtomicU8::new(EXIT_INTERRUPTED));
        let (sender, entered) = std::sync::mpsc::channel();
        let at_end = Arc::clone(&code);
        std::thread::spawn(move || {
            let lines: StdinLock<'_> = std::io::stdin().lock();
            let mut sender = Some(sender);
            for line in lines.lines().map_while(Result::ok) {
                if line == NOBODY {
                    sender = None;
                } else if let Some(sender) = &sender {
                    let _ = sender.send(());
                }
            }
            std::process::exit(i32::from(at_end.load(Ordering::SeqCst)));
        });
        Ok(Lifeline {
            enclosure,
            code,
            entered,
        })
    }

    /// Returns at the first Enter from now on, or at once where none can come. The end of the lifeline ends the process, from now on with this code.
    fn wait_for_user(self, code: u8) {
        self.code.store(code, Ordering::SeqCst);
        while self.entered.try_recv().is_ok() {}
        if self.entered.recv().is_err() {
            complain!("The input has ended, so nobody can press Enter: the network goes.");
        }
    }
}

/// What can be looked at after an attack, as commands within the enclosure.
fn looks_of_attack(scenario: &Scenario) -> Vec<String> {
    let moat = this_program();
    let clients = scenario.clients.iter().map(|client| client.name);
    let gateways = scenario.gateways.iter().map(|gateway| gateway.client.name);
    let shells = clients.clone().chain(gateways);
    let shells = shells.map(|name| format!("ip netns exec {name} bash"));
    let edges = scenario.providers.iter();
    let edges = edges.map(|one| format!("ip netns exec {} nft list ruleset", one.node));
    let sessions = clients.map(|name| {
        let control = format!("{WORK_FOLDER}/{name}.sock");
        format!("{moat} sessions --control {control}")
    });
    shells.chain(edges).chain(sessions).collect()
}

/// This program's own file, for a command line.
pub(super) fn this_program() -> String {
    let moat = std::env::current_exe().unwrap_or_else(|_| Path::new("moat").to_path_buf());
    moat.display().to_string()
}

/// Prints commands that work in another terminal of the same user.
fn explain_how_to_look(looks: &[String], enclosure: u32, in_user_namespace: bool) {
    let user = if in_user_namespace {
        " --user --preserve-credentials"
    } else {
        ""
    };
    let enter = format!(
        "nsenter --target {enclosure}{user} --mount --pid=/proc/{enclosure}/ns/pid_for_children"
    );
    complain!("\nThe network is kept. To look inside, in another terminal of this user:");
    complain!("  {enter} ip netns list");
    for look in looks {
        complain!("  {enter} {look}");
    }
    complain!("  {enter} ls {WORK_FOLDER}");
    complain!("Enter or Ctrl-C ends it.");
}
