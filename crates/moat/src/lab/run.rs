//! A run, step by step.
//!
//! ```text
//!  network -> agents -> sessions -> visitor (baseline) -> flood -> edges before -> moat mitigate -> attack stopped?
//!    -> edges with the filter -> moat withdraw -> attack back? -> counters -> verdict
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::agents::{Agents, Asked};
use super::error::Error;
use super::measure::{self, Snapshot, Stopped};
use super::monotonic_nanoseconds;
use super::plan::{ATTACK_SOURCES, ATTACKER, TARGET_PORT, VICTIM, VISITOR, VISITOR_SOURCES};
use super::process::{self, Conversation};
use super::report::{Edge, Report, Signalling};
use super::scenario::{Provider, Scenario};
use super::topology::{Network, Topology};
use super::traffic::{Pair, Received, Sent, Visits};
use super::verdict;
use crate::terminal::complain;

/// Packets per second of each attack flow.
const FLOOD_RATE: u32 = 5_000;

/// Nanoseconds between two packets of an attack flow.
const FLOOD_INTERVAL: u64 = 1_000_000_000 / FLOOD_RATE as u64;

/// Requests per second on each of the visitor's paths.
const VISIT_RATE: u32 = 50;

/// How long rates are measured before the alarm.
const BEFORE: Duration = Duration::from_secs(1);

/// How long they are measured while the filter is in force.
const AFTER: Duration = Duration::from_secs(2);

/// How long they are measured after the withdrawal.
const WITHDRAWN: Duration = Duration::from_millis(500);

/// Until traffic that was just started is steady.
const SETTLE: Duration = Duration::from_millis(300);

/// A flood of which nothing arrived for so long has stopped.
const SILENCE: Duration = Duration::from_millis(300);

/// How long the flood may take to stop, or to be back after the withdrawal.
const REACTION_LIMIT: Duration = Duration::from_secs(5);

/// A scenario with its network built and its agents and traffic started. All of it ends when dropped.
#[derive(Debug)]
pub(crate) struct Lab {
    scenario: &'static Scenario,
    folder: PathBuf,
    started: Instant,
    network: Network,
    agents: Agents,
    victim: Conversation,
    visitor: Conversation,
}

impl Lab {
    /// Builds the network, starts the agents, and waits for their sessions.
    pub(crate) fn build(scenario: &'static Scenario, folder: &Path) -> Result<Self, Error> {
        let started = Instant::now();
        let progress = |what: &str| progress(started, what);
        let providers = scenario.providers;
        progress("building the network");
        let network = Topology::residential(providers).build()?;
        progress("issuing certificates");
        let mut agents = Agents::prepare(folder, providers)?;
        progress("starting a DOTS server at each provider");
        agents.start_servers(&network, providers)?;
        progress("starting the DOTS client at home");
        agents.start_client(&network, providers)?;
        progress("sessions are established; starting a visitor");
        let victim = start_victim(&network, scenario, folder)?;
        let visitor = start_visitor(&network, scenario, folder)?;
        Ok(Lab {
            scenario,
            folder: folder.to_owned(),
            started,
            network,
            agents,
            victim,
            visitor,
        })
    }

    /// Attacks, asks for help, measures, withdraws.
    pub(crate) fn run(&mut self) -> Result<Report, Error> {
        // The first exchange resolves neighbours and shows that the victim listens.
        let _: Vec<Received> = self.victim.ask("report")?;
        sleep(SETTLE);
        let baseline = self.visit(BEFORE)?;

        self.progress("the attack starts");
        let mut flood = self.start_flood()?;
        let _: Vec<Sent> = flood.ask("report")?;
        sleep(SETTLE);
        let before = self.over(BEFORE)?;

        let targets = self.scenario.targets();
        self.progress(&format!(
            "asking for help: moat mitigate {}",
            targets.join(" ")
        ));
        let alarm = monotonic_nanoseconds();
        let asked = self.agents.mitigate(&self.network, &targets)?;
        let stopped = self.wait_until_stopped(alarm)?;
        self.progress(if stopped.is_some() {
            "the attack is gone; measuring"
        } else {
            "the attack goes on; measuring"
        });
        sleep(SETTLE);
        let filtered = self.visit(AFTER)?;

        self.progress("withdrawing the request");
        let withdrawn = self.withdraw(&asked)?;
        drop(flood);
        let end = self.snapshots()?;
        let windows = Windows {
            baseline,
            before,
            filtered,
            withdrawn,
            end,
        };
        Ok(self.report(asked, stopped, &windows))
    }

    fn report(&self, asked: Asked, stopped: Option<Stopped>, windows: &Windows) -> Report {
        let providers = || self.scenario.providers.iter().enumerate();
        let edges = providers()
            .map(|(number, provider)| windows.edge(number, provider))
            .collect();
        let signalling = providers()
            .map(|(number, provider)| windows.signalling(number, provider))
            .collect();
        let mut report = Report {
            scenario: self.scenario.name,
            ok: false,
            alarm_to_drop_ms: stopped.map(|stopped| stopped.first),
            alarm_to_clear_ms: stopped.map(|stopped| stopped.last),
            requests: asked.requests,
            not_asked: asked.not_asked,
            edges,
            signalling,
            failures: Vec::new(),
        };
        let flows = attack_flows(self.scenario.providers.iter().take(1)).len();
        report.failures =
            verdict::failures(self.scenario, &report, f64::from(FLOOD_RATE) * flows as f64);
        report.ok = report.failures.is_empty();
        report
    }

    fn start_flood(&self) -> Result<Conversation, Error> {
        let mut command = traffic("flood")?;
        command.args(["--rate", &FLOOD_RATE.to_string()]);
        for flow in attack_flows(self.scenario.attacked_providers()) {
            command.args(["--flow", &flow.to_string()]);
        }
        self.network.node(ATTACKER)?.converse(
            "the attacker",
            &mut command,
            &self.folder.join("flood.log"),
        )
    }

    /// Waits until nothing arrives of any attack flow. `None` if that does not happen.
    fn wait_until_stopped(&mut self, alarm: u64) -> Result<Option<Stopped>, Error> {
        let victim = &mut self.victim;
        let mut last: Vec<Received> = victim.ask("report")?;
        let mut since = Instant::now();
        let silent = process::wait_for(REACTION_LIMIT, || {
            let now: Vec<Received> = victim.ask("report")?;
            if now != last {
                last = now;
                since = Instant::now();
            }
            Ok((since.elapsed() >= SILENCE).then_some(()))
        })?;
        Ok(silent.and_then(|()| Stopped::from_record(&last, FLOOD_INTERVAL, alarm)))
    }

    /// Withdraws, waits until the attack is back, and measures it.
    fn withdraw(&mut self, asked: &Asked) -> Result<Window, Error> {
        let before: Vec<Received> = self.victim.ask("report")?;
        self.agents.withdraw(&self.network, asked.request)?;
        let victim = &mut self.victim;
        process::wait_for(REACTION_LIMIT, || {
            let now: Vec<Received> = victim.ask("report")?;
            let back = |earlier: &Received| {
                now.iter()
                    .any(|later| later.flow == earlier.flow && later.packets > earlier.packets)
            };
            Ok(before.iter().all(back).then_some(()))
        })?;
        self.over(WITHDRAWN)
    }

    /// Counts at the edges over `duration`.
    fn over(&self, duration: Duration) -> Result<Window, Error> {
        let start = self.snapshots()?;
        sleep(duration);
        Ok(Window {
            start,
            end: self.snapshots()?,
            visits: Vec::new(),
        })
    }

    /// Counts at the edges over `duration`, and what the visitor noticed.
    fn visit(&mut self, duration: Duration) -> Result<Window, Error> {
        let _: Vec<Visits> = self.visitor.ask("open")?;
        let window = self.over(duration)?;
        Ok(Window {
            visits: self.visitor.ask("close")?,
            ..window
        })
    }

    fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.scenario
            .providers
            .iter()
            .map(|provider| Snapshot::take(self.network.node(provider.node)?))
            .collect()
    }

    fn progress(&self, what: &str) {
        progress(self.started, what);
    }
}

fn progress(started: Instant, what: &str) {
    complain!("[{:4.1} s] {what}", started.elapsed().as_secs_f64());
}

/// Counts over a stretch of time. One snapshot for each provider at its start and end.
#[derive(Debug)]
struct Window {
    start: Vec<Snapshot>,
    end: Vec<Snapshot>,
    visits: Vec<Visits>,
}

impl Window {
    /// Packets per second at an edge.
    fn rate(&self, number: usize, counters: &[&str]) -> f64 {
        let (Some(start), Some(end)) = (self.start.get(number), self.end.get(number)) else {
            return 0.0;
        };
        counters
            .iter()
            .map(|counter| end.rate_since(start, counter))
            .sum()
    }

    /// Loss of the visitor's requests to the addresses of a provider, in percent.
    fn loss(&self, provider: &Provider) -> f64 {
        let victims = provider.victims().map(|victim| victim.parse().ok());
        measure::loss_percent(
            self.visits
                .iter()
                .filter(|visits| victims.contains(&Some(visits.to))),
        )
    }
}

/// All that was counted in a run.
#[derive(Debug)]
struct Windows {
    baseline: Window,
    before: Window,
    filtered: Window,
    withdrawn: Window,
    end: Vec<Snapshot>,
}

impl Windows {
    fn edge(&self, number: usize, provider: &Provider) -> Edge {
        let legitimate = ["requests_passed", "responses_passed"];
        Edge {
            pvd: provider.pvd,
            attack_pps_before: self.before.rate(number, &["attack_passed"]),
            attack_pps_after: self.filtered.rate(number, &["attack_passed"]),
            attack_pps_offered_after: self.filtered.rate(number, &["attack_offered"]),
            legit_loss_percent_before: self.baseline.loss(provider),
            legit_loss_percent_after: self.filtered.loss(provider),
            legit_pps_before: self.baseline.rate(number, &legitimate),
            legit_pps_after: self.filtered.rate(number, &legitimate),
            attack_pps_withdrawn: self.withdrawn.rate(number, &["attack_passed"]),
            wrong_source_packets: self.total(number, "wrong_source"),
        }
    }

    fn signalling(&self, number: usize, provider: &Provider) -> Signalling {
        Signalling {
            pvd: provider.pvd,
            right_source: self.total(number, "signalling_right"),
            wrong_source: self.total(number, "signalling_wrong"),
        }
    }

    fn total(&self, number: usize, counter: &str) -> u64 {
        self.end
            .get(number)
            .map_or(0, |snapshot| snapshot.packets(counter))
    }
}

/// From each source of the attacker to each address of the victim, within a family.
fn attack_flows<'a>(providers: impl Iterator<Item = &'a Provider>) -> Vec<Pair> {
    pairs(&ATTACK_SOURCES, providers)
}

fn pairs<'a>(sources: &[&str], providers: impl Iterator<Item = &'a Provider>) -> Vec<Pair> {
    let targets: Vec<_> = providers.flat_map(Provider::victims).collect();
    let pairs = sources
        .iter()
        .flat_map(|from| targets.iter().map(move |to| format!("{from},{to}").parse()));
    pairs.filter_map(Result::ok).collect()
}

fn start_victim(
    network: &Network,
    scenario: &Scenario,
    folder: &Path,
) -> Result<Conversation, Error> {
    let mut command = traffic("victim")?;
    for address in scenario.providers.iter().flat_map(Provider::victims) {
        command.args(["--address", address]);
    }
    network
        .node(VICTIM)?
        .converse("the victim", &mut command, &folder.join("victim.log"))
}

fn start_visitor(
    network: &Network,
    scenario: &Scenario,
    folder: &Path,
) -> Result<Conversation, Error> {
    let mut command = traffic("visitor")?;
    command.args(["--rate", &VISIT_RATE.to_string()]);
    for path in pairs(&VISITOR_SOURCES, scenario.providers.iter()) {
        command.args(["--path", &path.to_string()]);
    }
    network
        .node(VISITOR)?
        .converse("the visitor", &mut command, &folder.join("visitor.log"))
}

/// This program in a role of [`super::traffic`].
fn traffic(role: &str) -> Result<Command, Error> {
    let mut command =
        Command::new(std::env::current_exe().map_err(Error::io("find this program's own file"))?);
    command.args(["lab-traffic", role, "--port", &TARGET_PORT.to_string()]);
    Ok(command)
}
