//! A run, step by step.
//!
//! ```text
//!  network -> agents -> sessions -> visitor (baseline) -> flood -> edges before -> moat mitigate -> attack stopped?
//!    -> uplinks fail and return, in some scenarios -> edges with the filter -> moat withdraw -> attack back? -> counters -> verdict
//! ```

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::agents::{Agents, Held, Told};
use super::captures::Captures;
use super::error::Error;
use super::hosts::{self, FLOOD_RATE};
use super::measure::{Snapshot, Stopped, loss_percent};
use super::monotonic_nanoseconds;
use super::process::{self, Conversation};
use super::report::{Report, Server};
use super::scenario::{Provider, Scenario};
use super::topology::{Network, Topology, edge};
use super::traffic::{Received, Visits};
use super::verdict;
use super::window::{Window, Windows};
use crate::terminal::complain;

/// Nanoseconds between two packets of an attack flow.
const FLOOD_INTERVAL: u64 = 1_000_000_000 / FLOOD_RATE as u64;

/// How long the attack is measured before the alarm.
const BEFORE: Duration = Duration::from_secs(1);

/// How long visits are measured, before the attack and while the filter is in force: so long that one late response is less than a
/// percent of them.
const VISITED: Duration = Duration::from_secs(2);

/// How long the attack is measured after the withdrawal.
const WITHDRAWN: Duration = Duration::from_secs(2);

/// Until traffic that was just started is steady.
const SETTLE: Duration = Duration::from_millis(300);

/// A flood of which nothing arrived for so long has stopped.
const SILENCE: Duration = Duration::from_millis(300);

/// How long the flood may take to stop, or to be back after the withdrawal.
const REACTION_LIMIT: Duration = Duration::from_secs(30);

/// A scenario with its network built and its agents and traffic started. All of it ends when dropped.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(super) scenario: &'static Scenario,
    folder: PathBuf,
    started: Instant,
    pub(super) network: Network,
    pub(super) agents: Agents,
    pub(super) captures: Captures,
    victim: Conversation,
    visitor: Conversation,
}

impl Lab {
    /// Builds the network, starts the agents, and waits for their sessions.
    pub(crate) fn build(scenario: &'static Scenario, folder: &Path) -> Result<Self, Error> {
        let started = Instant::now();
        let progress = |what: &str| progress(started, what);
        progress("building the network");
        let network = Topology::of(scenario).build()?;
        progress("issuing certificates");
        let mut agents = Agents::prepare(folder, scenario)?;
        progress("starting a DOTS server at each provider");
        agents.start_servers(&network, scenario)?;
        let captures = Captures::start(&network, scenario, folder)?;
        agents.start_provisioning(&network, scenario)?;
        if !scenario.gateways.is_empty() {
            progress("starting the DOTS gateways");
            agents.start_gateways(&network, scenario)?;
        }
        progress("starting the DOTS client at each place that has one");
        agents.start_clients(&network, scenario)?;
        progress("sessions are established; starting a visitor");
        let victim = hosts::start_victim(&network, scenario, folder)?;
        let visitor = hosts::start_visitor(&network, scenario, folder)?;
        Ok(Lab {
            scenario,
            folder: folder.to_owned(),
            started,
            network,
            agents,
            captures,
            victim,
            visitor,
        })
    }

    /// Attacks, asks for help, measures, withdraws.
    pub(crate) fn run(&mut self) -> Result<Report, Error> {
        // The first exchange resolves neighbours and shows that the victim listens.
        let _: Vec<Received> = self.victim.ask("report")?;
        sleep(SETTLE);
        let baseline = self.visit(VISITED)?;

        let mut course = self.renumber()?;
        self.look_for_anycast(&mut course)?;

        self.progress("the attack starts");
        let mut flood = hosts::start_flood(&self.network, self.scenario, &self.folder)?;
        // Once it answers, it sends.
        let () = flood.ask("")?;
        sleep(SETTLE);
        let before = self.over(BEFORE)?;
        let arrived: Vec<Received> = self.victim.ask("report")?;
        let missing = hosts::missing(&hosts::flows(self.scenario), &arrived);
        course.failures.extend(missing);

        let outage = self.begin_outage()?;
        let (earlier, earlier_inside) = (self.held()?, self.held_inside()?);
        let targets = self.scenario.victims(&self.scenario.alarmed());
        let words: Vec<_> = targets.iter().map(ToString::to_string).collect();
        self.progress(&format!(
            "asking for help: moat mitigate {}",
            words.join(" ")
        ));
        let alarm = monotonic_nanoseconds();
        let mut told = self.alarm(&targets)?;
        let stopped = self.wait_until_stopped(alarm)?;
        self.progress(if stopped.is_some() {
            "the attack is gone; measuring"
        } else {
            "the attack goes on; measuring"
        });
        if let Some(outage) = outage {
            self.fail_over(&outage, &mut told, &mut course)?;
            self.wait_for_visitor()?;
        }
        sleep(SETTLE);
        let filtered = self.visit(VISITED)?;
        let (held, held_inside) = (self.held()?, self.held_inside()?);

        self.progress("withdrawing what was asked");
        let withdrawn = self.withdraw(&told)?;
        drop(flood);
        let windows = Windows {
            baseline,
            before,
            filtered,
            withdrawn,
            end: self.snapshots()?,
        };
        let servers = self.servers(&earlier, &held)?;
        let gateways = self.gateways(&earlier_inside, &held_inside)?;
        let captures = self.captures(&servers, &windows)?;
        let mut report = Report {
            scenario: self.scenario.name,
            ok: false,
            alarm_to_drop_ms: stopped.map(|stopped| stopped.first),
            alarm_to_clear_ms: stopped.map(|stopped| stopped.last),
            requests: Vec::new(),
            not_asked: Vec::new(),
            edges: self.by_provider(|number, provider| windows.edge(number, provider)),
            signalling: self.by_provider(|number, provider| windows.signalling(number, provider)),
            captures,
            servers,
            gateways,
            events: course.happened,
            failures: course.failures,
        };
        for told in told {
            report.requests.extend(told.requests);
            report.not_asked.extend(told.not_asked);
        }
        let failures = verdict::failures(self.scenario, &report, f64::from(FLOOD_RATE));
        report.failures.extend(failures);
        report.ok = report.failures.is_empty();
        Ok(report)
    }

    /// Tells all clients that are told of attacks, at the same time.
    pub(super) fn alarm(&self, targets: &[IpAddr]) -> Result<Vec<Told>, Error> {
        let alarmed = self.scenario.clients.iter().filter(|one| one.is_alarmed);
        let agents = &self.agents;
        std::thread::scope(|scope| {
            let calls: Vec<_> = alarmed
                .map(|client| scope.spawn(move || agents.alarm(client, targets)))
                .collect();
            let join = |call: std::thread::ScopedJoinHandle<'_, _>| {
                let joined = call.join();
                joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            calls.into_iter().map(join).collect()
        })
    }

    pub(super) fn held(&self) -> Result<Vec<Held>, Error> {
        let servers = self.scenario.servers().into_iter();
        servers
            .map(|provider| self.agents.held(provider.node))
            .collect()
    }

    /// What each gateway has for the inside.
    fn held_inside(&self) -> Result<Vec<Held>, Error> {
        let gateways = self.scenario.gateways.iter();
        gateways
            .map(|gateway| self.agents.held(gateway.client.name))
            .collect()
    }

    /// What each server says of itself at the end, with the mitigations that it had before, and what it accepted since earlier.
    fn servers(&self, earlier: &[Held], before: &[Held]) -> Result<Vec<Server>, Error> {
        let servers = self.scenario.servers().into_iter().zip(self.held()?);
        let servers = servers.zip(earlier.iter().zip(before));
        let servers = servers.map(|((provider, end), (earlier, before))| Server {
            names_asked: self.agents.names_asked(provider),
            ..server(provider.dots_name, end, earlier, before)
        });
        Ok(servers.collect())
    }

    /// The same of each gateway, for the inside.
    fn gateways(&self, earlier: &[Held], before: &[Held]) -> Result<Vec<Server>, Error> {
        let gateways = self.scenario.gateways.iter().zip(self.held_inside()?);
        let gateways = gateways.zip(earlier.iter().zip(before));
        let gateways = gateways.map(|((gateway, end), (earlier, before))| {
            server(gateway.dots_name, end, earlier, before)
        });
        Ok(gateways.collect())
    }

    /// What is to be said of each attachment.
    fn by_provider<T>(&self, what: impl Fn(usize, &'static Provider) -> T) -> Vec<T> {
        let providers = self.scenario.providers.iter().enumerate();
        providers.map(|(number, one)| what(number, one)).collect()
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

    /// Withdraws, waits until the attack is back and no server has a mitigation, and measures the attack.
    fn withdraw(&mut self, told: &[Told]) -> Result<Window, Error> {
        let before: Vec<Received> = self.victim.ask("report")?;
        for told in told {
            self.agents.withdraw(told)?;
        }
        let victim = &mut self.victim;
        process::wait_for(REACTION_LIMIT, || {
            let now: Vec<Received> = victim.ask("report")?;
            let back = |earlier: &Received| {
                now.iter()
                    .any(|later| later.flow == earlier.flow && later.packets > earlier.packets)
            };
            Ok(before.iter().all(back).then_some(()))
        })?;
        // What stays is for the report to show.
        process::wait_for(REACTION_LIMIT, || {
            let held = self.held()?;
            let is_over = held.iter().all(|one| one.mitigations.is_empty());
            Ok(is_over.then_some(()))
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

    /// Waits until the visitor is answered on every path: neighbours are resolved anew behind a link that was down. What does
    /// not come back is for the measurement to show.
    fn wait_for_visitor(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        while begin.elapsed() < REACTION_LIMIT {
            let window = self.visit(SETTLE)?;
            if loss_percent(&window.visits) == 0.0 {
                break;
            }
        }
        Ok(())
    }

    fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.scenario
            .providers
            .iter()
            .map(|provider| {
                Snapshot::take(self.network.node(provider.node)?, &edge::table(provider))
            })
            .collect()
    }

    pub(super) fn progress(&self, what: &str) {
        progress(self.started, what);
    }
}

pub(super) fn progress(started: Instant, what: &str) {
    complain!("[{:4.1} s] {what}", started.elapsed().as_secs_f64());
}

/// What a server says of itself at the end, with what it had before.
fn server(name: &'static str, end: Held, earlier: &Held, before: &Held) -> Server {
    Server {
        server: name,
        mitigations: before.mitigations.clone(),
        mitigations_left: end.mitigations,
        mitigated_for: before.mitigated_for.clone(),
        cuids: before.cuids.clone(),
        customers: end.customers,
        sessions_established: end.established,
        sessions_failed: end.failed,
        accepted: end.accepted.saturating_sub(earlier.accepted),
        refused: end.refused,
        names_asked: Vec::new(),
    }
}
