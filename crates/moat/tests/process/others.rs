//! Others on the same host that get in the way.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use coap::Code;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::{
    CUID, Daemon, Outcome, PATIENCE, Peer, SERVER_V4, Site, body, get, is_filtered, isolated, put,
    run, until,
};

/// What most systems give a process at its start, and fewer than there are silent connections.
const FILES: u32 = 1024;

/// Covers: S-041
#[test]
fn filters_that_somebody_flushes_come_back() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let mut server = site.start()?;
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let asked = client.ask(&put(CUID, 1, &body("203.0.113.7/32", 600)))?;
        assert_eq!(asked.code, Code::CREATED);
        until("it is enforced", || Ok(is_filtered("203.0.113.7")))?;
        run("nft", &["flush", "ruleset"])?;
        server.wait_for("somebody has removed filters")?;
        until("it is enforced again", || Ok(is_filtered("203.0.113.7")))
    })
}

/// A second server that cannot run must leave the filter of the first alone.
#[test]
fn a_second_server_with_the_same_address_or_table_changes_nothing() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _server = site.start()?;
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        client.ask(&put(CUID, 1, &body("203.0.113.7/32", 600)))?;
        until("it is enforced", || Ok(is_filtered("203.0.113.7")))?;
        let written = fs::read_to_string(site.path().join("server.toml"))?;
        let own = written
            .replace("server.db", "second.db")
            .replace("server.sock", "second.sock");
        let elsewhere = own.replace(":4646", ":4647");
        let file = site.path().join("second.toml");
        for (config, said) in [
            (own, "cannot listen on"),
            (elsewhere, "belongs to another moat server"),
        ] {
            fs::write(&file, config)?;
            Daemon::launch("server", &file)?.wait_for(said)?;
            assert!(is_filtered("203.0.113.7"));
        }
        Ok(())
    })
}

/// Who connects and says nothing takes none of the files that nft needs: where a process is given few at its start and allowed
/// more, it serves them all; where it is allowed no more, it closes what is too much.
///
///
#[test]
fn silent_connections_of_many_sources_stop_no_mitigation() -> Outcome {
    isolated(&[], || {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
        assert_eq!(refused_of_silent(&format!("{FILES}:"))?, 0);
        assert_ne!(refused_of_silent(&format!("{FILES}:{FILES}"))?, 0);
        Ok(())
    })
}

/// A server that has so many files, in the words of prlimit(1), enforces a mitigation beside silent connections. Returns how
/// many of these it has refused.
fn refused_of_silent(files: &str) -> Outcome<u64> {
    let site = Site::new()?;
    let mut server = Daemon::launch_with_files(files, "server", &site.path().join("server.toml"))?;
    server.wait_for("moat server is ready")?;
    let to: SocketAddr = SERVER_V4.parse()?;
    let mut silent = Vec::new();
    for source in 1..=80 {
        for _ in 0..16 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let from: SocketAddr = format!("127.0.1.{source}:0").parse()?;
            socket.bind(&from.into())?;
            socket.connect_timeout(&to.into(), PATIENCE)?;
            silent.push(TcpStream::from(socket));
        }
    }
    let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
    let asked = client.ask(&put(CUID, 1, &body("203.0.113.7/32", 600)))?;
    assert_eq!(asked.code, Code::CREATED);
    until("it is enforced", || Ok(is_filtered("203.0.113.7")))?;
    assert_eq!(client.ask(&get(CUID, 1))?.code, Code::CONTENT);
    let refused = site.ask("sessions")?["sockets"]["sessions_refused"].take();
    drop(silent);
    refused.as_u64().ok_or_else(|| "not counted".into())
}

/// What is accepted makes lines as well as what is refused.
#[test]
fn a_customer_that_asks_on_and_on_fills_no_log_and_hides_nobody_elses_lines() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let mut server = site.start()?;
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let request = put(CUID, 1, &body("203.0.113.7/32", 600));
        let begun = Instant::now();
        for _ in 0..2000 {
            client.ask(&request)?;
        }
        let mut neighbour = Peer::connect(&site.identity("pki", "neighbour"), SERVER_V4)?;
        neighbour.ask(&put(CUID, 1, &body("198.51.100.1/32", 600)))?;
        server.wait_for("customer=\"neighbour\"")?;
        let log = server.kill()?;
        let lines = log.matches("mitigation prolonged").count();
        // 600 in a minute, the last of which may have begun just now.
        let most = 600 * (begun.elapsed().as_secs() / 60 + 2);
        assert!(
            (100..=usize::try_from(most)?).contains(&lines),
            "{lines} lines, {most} at most"
        );
        Ok(())
    })
}
