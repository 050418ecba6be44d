//! A scenario under way: its network, what runs in it, and what was seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::Scenario;
use super::network::{HOME, PLAIN, UPLINKS, Uplink, topology};
use super::report::{Check, Report};
use crate::lab::error::Error;
use crate::lab::hosts::traffic;
use crate::lab::inside::this_program;
use crate::lab::process::{self, Conversation, Process};
use crate::lab::run::progress;
use crate::lab::topology::Network;
use crate::lab::traffic::{Captured, Wanted, to_hexadecimal};

/// How long what must come may take to come.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// A scenario with its network built. All of it ends when dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    scenario: &'static Scenario,
    folder: PathBuf,
    started: Instant,
    pub(super) network: Network,
    /// Who listens at each router to what hosts send, by the router's name.
    captures: BTreeMap<&'static str, Conversation>,
    running: BTreeMap<String, Process>,
    checks: Vec<Check>,
    /// Certificates of the certification authorities of all networks.
    pub(super) authorities: String,
}

impl Stage {
    /// Builds the network, and listens at its edges.
    pub(crate) fn build(scenario: &'static Scenario, folder: &Path) -> Result<Self, Error> {
        let started = Instant::now();
        progress(started, "building the network");
        let mut topology = topology();
        (scenario.more)(&mut topology);
        let mut stage = Stage {
            scenario,
            folder: folder.to_owned(),
            started,
            network: topology.build()?,
            captures: BTreeMap::new(),
            running: BTreeMap::new(),
            checks: Vec::new(),
            authorities: String::new(),
        };
        for uplink in UPLINKS {
            stage.listen(uplink)?;
        }
        Ok(stage)
    }

    /// Plays the scenario to its end.
    pub(crate) fn play(&mut self) -> Result<Report, Error> {
        (self.scenario.play)(self).map_err(|error| error.with_logs(&self.log_tails()))?;
        Ok(Report {
            scenario: self.scenario.name,
            ok: self.checks.iter().all(|check| check.ok),
            checks: self.checks.clone(),
        })
    }

    /// What can be looked at afterwards, as commands within the enclosure.
    pub(crate) fn looks(&self) -> Vec<String> {
        let nodes = UPLINKS.map(|uplink| uplink.node);
        let nodes = nodes.into_iter().chain([HOME, PLAIN]);
        let shells = nodes.map(|node| format!("ip netns exec {node} bash"));
        let control = self.control();
        let list = format!(
            "{} pvd list --control {}",
            this_program(),
            control.display()
        );
        shells.chain([list]).collect()
    }

    /// Says what happens now.
    pub(super) fn progress(&self, what: &str) {
        progress(self.started, what);
    }

    /// Holds what is seen against what must be.
    pub(super) fn expect(&mut self, what: &str, expected: impl Serialize, seen: impl Serialize) {
        let (expected, seen) = (json!(expected), json!(seen));
        self.checks.push(Check {
            what: what.to_owned(),
            ok: expected == seen,
            expected,
            seen,
        });
    }

    /// The same of what may take a while to come.
    pub(super) fn await_that<T: Serialize>(
        &mut self,
        what: &str,
        expected: impl Serialize,
        look: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<(), Error> {
        self.await_within(LIMIT, what, expected, look)
    }

    /// The same of what may take so long.
    pub(super) fn await_within<T: Serialize>(
        &mut self,
        limit: Duration,
        what: &str,
        expected: impl Serialize,
        mut look: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<(), Error> {
        self.progress(&format!("waiting: {what}"));
        let expected = json!(expected);
        let mut seen = Value::Null;
        process::wait_for(limit, || {
            seen = json!(look(self)?);
            Ok((seen == expected).then_some(()))
        })?;
        self.expect(what, expected, seen);
        Ok(())
    }

    /// Where all of the run is kept.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where something of this name is kept.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let file = self.file(name);
        std::fs::write(&file, text).map_err(Error::io(format!("write {name}")))?;
        Ok(file)
    }

    /// A folder, new or not.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.file(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(format!("make {name}")))?;
        Ok(folder)
    }

    /// This program with these words.
    pub(super) fn moat(&self, words: &[&str]) -> Command {
        let mut command = Command::new(this_program());
        // The level at which a daemon says that it is ready, whatever the user's is.
        command.env("RUST_LOG", "info").args(words);
        command
    }

    /// A program of the system.
    pub(super) fn system_program(&self, name: &str) -> Result<Command, Error> {
        process::system_program(name, &self.folder)
    }

    /// Starts a program in a namespace; it goes on until [`Stage::stop`].
    pub(super) fn start(
        &mut self,
        node: &str,
        name: &str,
        command: &mut Command,
    ) -> Result<(), Error> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let log = self.file(&format!("{node}-{name}.log"));
        let title = title(node, name);
        let process = self.network.node(node)?.start(&title, command, &log)?;
        self.running.insert(title, process);
        Ok(())
    }

    /// Ends it, without a word to anybody.
    pub(super) fn stop(&mut self, node: &str, name: &str) {
        self.running.remove(&title(node, name));
    }

    /// Waits until it says something.
    pub(super) fn wait_for_log(&mut self, node: &str, name: &str, text: &str) -> Result<(), Error> {
        let title = title(node, name);
        let said = process::wait_for(LIMIT, || {
            let Some(process) = self.running.get_mut(&title) else {
                return Ok(None);
            };
            process.check_alive()?;
            Ok(process.log().contains(text).then_some(()))
        })?;
        said.ok_or_else(|| self.timeout(&format!("\"{text}\" of {title}")))
    }

    /// What did not happen.
    pub(super) fn timeout(&self, what: &str) -> Error {
        Error::Timeout {
            what: what.to_owned(),
            limit: LIMIT,
            logs: self.log_tails(),
        }
    }

    fn log_tails(&self) -> String {
        self.running.values().map(Process::log_tail).collect()
    }

    fn listen(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let mut command = traffic("capture")?;
        command.args(["--interface", uplink.interface]);
        let name = format!("who listens at {}", uplink.interface);
        let log = self.file(&format!("{}-capture.log", uplink.node));
        let netns = self.network.node(uplink.node)?;
        let mut conversation = netns.converse(&name, &mut command, &log)?;
        // Once it answers, it listens.
        let _: Captured = conversation.ask("{}")?;
        self.captures.insert(uplink.node, conversation);
        Ok(())
    }

    /// What hosts have sent to a router up to now, and in how many packets of it these texts are.
    pub(super) fn captured(&mut self, at: &Uplink, texts: &[&str]) -> Result<Captured, Error> {
        let mut wanted = Wanted::default();
        for text in texts {
            let octets = to_hexadecimal(text.as_bytes());
            wanted.0.insert((*text).to_owned(), octets);
            // As a domain name on the wire (RFC 1035 §3.1), which every question has.
            let labels = text.split('.').flat_map(|label| {
                let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
                std::iter::once(length).chain(label.bytes())
            });
            let labels: Vec<u8> = labels.collect();
            let name = format!("{text} as a domain name");
            wanted.0.insert(name, to_hexadecimal(&labels));
        }
        let question = serde_json::to_string(&wanted).unwrap_or_default();
        let listener = self.captures.get_mut(at.node);
        let listener = listener.ok_or_else(|| Error::NoNode {
            name: at.node.to_owned(),
        })?;
        listener.ask(&question)
    }
}

/// What a process is called.
fn title(node: &str, name: &str) -> String {
    format!("{name} of {node}")
}
