//! A server under measurement: a process on the servers' core.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::clocks::{self, Spent};
use super::cores::Cores;
use super::error::Error;

/// Longest time that a server may need to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often something is looked at while waiting for it.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How much of a log is shown.
const TAIL_LINES: usize = 10;

/// A server under measurement. Killed and waited for when dropped.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    remote: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it and waits until it listens at `remote`, on IPv4.
    pub(super) fn start(
        name: &'static str,
        remote: SocketAddr,
        mut command: Command,
        folder: &Path,
        cores: Cores,
    ) -> Result<Self, Error> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).map_err(Error::system("make a log"))?;
        let other = file.try_clone().map_err(Error::system("make a log"))?;
        command.stdin(Stdio::null()).stdout(file).stderr(other);
        command.process_group(0);
        let spawn = || {
            let spawned = command.spawn();
            spawned.map_err(Error::system(format!("start {name}")))
        };
        let child = cores.on_server(spawn)?;
        let mut server = Server {
            name,
            remote,
            child,
            log,
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Where it listens.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// What it has spent of its core so far.
    pub(super) fn spent(&self) -> Result<Spent, Error> {
        Spent::of(Pid::from_child(&self.child))
    }

    /// Datagrams that its sockets had no place for so far.
    pub(super) fn dropped(&self) -> Result<u64, Error> {
        Ok(dropped(&udp_sockets()?, self.remote.port()))
    }

    /// Bytes of memory it has in use.
    pub(super) fn resident_bytes(&self) -> Result<u64, Error> {
        clocks::resident_bytes(Some(Pid::from_child(&self.child)))
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !listens(self.remote)? {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
                return Err(Error::Process {
                    name: self.name,
                    problem: if ended {
                        "has ended"
                    } else {
                        "does not listen"
                    },
                    tail: tail.map(|line| format!("    {line}\n")).collect(),
                });
            }
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // With what it started. Both fail only when it has ended by itself, which is what is wanted.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Whether a UDP socket of this network namespace is bound to that port.
fn listens(remote: SocketAddr) -> Result<bool, Error> {
    Ok(bound(&udp_sockets()?, remote.port()).next().is_some())
}

/// A line for each UDP socket of this network namespace, for IPv4 (Linux: Documentation/networking/proc_net_tcp.rst).
fn udp_sockets() -> Result<String, Error> {
    std::fs::read_to_string("/proc/net/udp").map_err(Error::system("read /proc/net/udp"))
}

/// Of these lines those of sockets at a port.
fn bound(sockets: &str, port: u16) -> impl Iterator<Item = &str> {
    let port = format!(":{port:04X}");
    let local = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let mut lines = sockets.lines();
    std::iter::from_fn(move || {
        lines.find(|line| local(line).is_some_and(|local| local.ends_with(&port)))
    })
}

/// What the kernel dropped at these sockets, which is the last word of a line.
fn dropped(sockets: &str, port: u16) -> u64 {
    let drops = bound(sockets, port).filter_map(|line| line.split_whitespace().next_back());
    drops.filter_map(|drops| drops.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_that_of_all_sockets_at_the_port() {
        let sockets = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  317: 0100007F:1226 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17 2 0000000000000000 40
  318: 0100007F:1226 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18 2 0000000000000000 2
  319: 0100107F:8E10 0100007F:1226 01 00000000:00000000 00:00000000 00000000     0        0 19 2 0000000000000000 7
";
        assert_eq!(dropped(sockets, 4646), 42);
        assert_eq!(dropped(sockets, 4647), 0);
        assert_eq!(bound(sockets, 4646).count(), 2);
    }
}
