//! A daemon that is stopped for a while (SIGSTOP) and goes on: the network sees a peer that is
//! there and says nothing, and then says everything at once.
//!
//! ```text
//! client                         server
//!   | PUT mid 1 ------------------>|  in force
//!   |                              X  stopped
//!   | PUT mid 2, again and again   :  its socket fills
//!   |   another session beside     :  (with nothing asked: no session any more)
//!   |                              |  goes on
//!   |<----------------- 2.01 mid 2 |  mid 1 still in force, nothing doubled
//! ```

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    CLIENT_SOCKET, Daemon, Outcome, PATIENCE, Site, is_filtered, isolated, until,
};

/// How long a daemon is stopped at least, in seconds: 300 for what a person would call an outage. Without it, until the
/// other one has drawn its conclusion.
const PAUSE: &str = "MOAT_PAUSE_SECONDS";
/// The shortest heartbeats there are (RFC 9132 §4.5.1), so that silence is noticed soon.
const HEARTBEAT: &str = "[heartbeat]\ninterval = 15\nmissing_allowed = 1";
/// Two heartbeats and the time for an answer to the second, with room for a busy machine.
const SILENCE: Duration = Duration::from_secs(60);
/// After a set-up that failed the next comes after a minute, and may need a second attempt.
const RECOVERY: Duration = Duration::from_secs(150);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);
/// For how long the server grants where that is to be over soon.
const GRANTED: u64 = 30;

/// Lets the rest of the pause go by that somebody wants to be longer.
fn rest(begun: Instant) -> Outcome {
    if let Ok(seconds) = env::var(PAUSE) {
        let pause = Duration::from_secs(seconds.parse()?);
        thread::sleep(pause.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Both daemons with a session between them.
fn scene(server_more: &str) -> Outcome<(Site, Daemon, Daemon)> {
    let site = Site::new()?;
    site.extend_server_file(&format!("{server_more}\n{HEARTBEAT}"))?;
    let server = site.start()?;
    let mut client = site.start_client(HEARTBEAT)?;
    client.wait_for("session established")?;
    Ok((site, server, client))
}

/// Waits until the server has what the client wants, and both call it accepted. Returns after how
/// long.
fn recovered(site: &Site, targets: &[&str]) -> Outcome<Duration> {
    let begun = Instant::now();
    loop {
        let requests = site.requests()?;
        let accepted = requests.iter().filter(|request| request.accepted);
        let mut wanted: Vec<_> = accepted
            .map(|request| (request.mid, request.target.clone()))
            .collect();
        wanted.sort();
        let is_complete = targets.iter().all(|address| {
            let target = format!("{address}/32");
            wanted.iter().any(|(_, other)| *other == target)
        });
        let there = site.mitigations()?;
        if is_complete && there == wanted && targets.iter().all(|address| is_filtered(address)) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > RECOVERY {
            return Err(format!("not recovered: {requests:?}, at the server {there:?}").into());
        }
        thread::sleep(LOOK);
    }
}

/// How the client stands to its server.
fn session(site: &Site) -> Outcome<Value> {
    let mut sessions = site.call(CLIENT_SOCKET, &json!({ "command": "sessions" }))?;
    Ok(sessions["sessions"][0].take())
}

/// Every request is at the server exactly once.
fn none_is_doubled(site: &Site, count: u64) -> Outcome {
    let counters = site.ask("sessions")?["requests"].take();
    assert_eq!(counters["accepted"], count, "{counters}");
    Ok(())
}

/// Covers: S-067, S-068
#[test]
fn a_server_that_was_stopped_has_lost_nothing_and_takes_what_was_asked_meanwhile() -> Outcome {
    isolated(&[], || {
        let (site, server, _client) = scene("")?;
        site.mitigate("203.0.113.1")?;
        recovered(&site, &["203.0.113.1"])?;
        server.stop()?;
        let begun = Instant::now();
        // It returns without an answer, and the client goes on asking.
        let asked = site.mitigate("203.0.113.2")?;
        assert_eq!(asked["requests"][0]["accepted"], Value::Null, "{asked}");
        until("a second session is begun beside the first", || {
            let connections = session(&site)?["connections"].take();
            Ok(connections.as_array().map(Vec::len) == Some(2))
        })?;
        rest(begun)?;
        assert_eq!(site.requests()?.len(), 2, "the client answers its user");
        server.go_on()?;
        let after = recovered(&site, &["203.0.113.1", "203.0.113.2"])?;
        println!("a stopped server, under attack: all is well {after:.1?} after it went on");
        assert_eq!(session(&site)?["state"], "established");
        none_is_doubled(&site, 2)
    })
}

/// Covers: S-067
#[test]
fn with_nothing_asked_a_session_with_a_stopped_server_recovers_by_itself() -> Outcome {
    isolated(&[], || {
        let (site, server, mut client) = scene("")?;
        server.stop()?;
        let begun = Instant::now();
        client.wait_within("it answers no heartbeat any more", SILENCE)?;
        rest(begun)?;
        server.go_on()?;
        let begun = Instant::now();
        client.wait_within("session established", RECOVERY)?;
        let after = begun.elapsed();
        println!("a stopped server, idle: a session {after:.1?} after it went on");
        site.mitigate("203.0.113.1")?;
        recovered(&site, &["203.0.113.1"])?;
        none_is_doubled(&site, 1)
    })
}

/// What a stopped client does not refresh, expires; it is asked for again, because it is still
/// wanted.
///
/// Covers: S-023, S-067, S-070
#[test]
fn what_a_stopped_client_did_not_refresh_expires_and_is_asked_for_again() -> Outcome {
    isolated(&[], || {
        let (site, _server, client) = scene(&format!("max_lifetime = {GRANTED}"))?;
        site.mitigate("203.0.113.1")?;
        recovered(&site, &["203.0.113.1"])?;
        client.stop()?;
        let begun = Instant::now();
        while !site.mitigations()?.is_empty() || is_filtered("203.0.113.1") {
            let granted = Duration::from_secs(GRANTED) + PATIENCE;
            assert!(begun.elapsed() < granted, "nobody refreshed it");
            thread::sleep(LOOK);
        }
        rest(begun)?;
        client.go_on()?;
        site.mitigate("203.0.113.2")?;
        let after = recovered(&site, &["203.0.113.1", "203.0.113.2"])?;
        println!("a stopped client: all is well {after:.1?} after it went on");
        assert_eq!(session(&site)?["state"], "established");
        none_is_doubled(&site, 3)
    })
}
