//! `kill -9` of the server at any moment: what it promised is in force when it is back, and what it
//! did not promise is either whole or not there (ARCHITECTURE.md, invariant 2).
//!
//! ```text
//! test                              server
//!   | PUT mid n                       |
//!   |-------------------------------->| commit ---> filter
//!   |   SIGKILL at a random moment -->X    \-> 2.01
//!   | start again, same state file    |
//!   | GET mid n: 2.05 exactly if committed, and then filtered
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coap::{Code, MessageType};
use fastrand::Rng;
use serde_json::Value;
use store::{ServerStore, SqliteStore};

use crate::support::{
    CUID, Gate, Outcome, Peer, SERVER_V4, Site, body, delete, get, is_filtered, isolated, put, run,
    until,
};

/// Replays the moments of a run.
const SEED: &str = "MOAT_CRASH_SEED";
/// So many moments at least, and more until each side of the promise was met this often.
const MOMENTS: u32 = 50;
const EACH: usize = 5;
/// As many as the server lets its customer have mitigations.
const MOST_MOMENTS: u32 = 250;
/// Between them lies the time that a commit takes, and a promise, whatever the machine.
const WINDOWS: [Duration; 2] = [Duration::from_micros(20), Duration::from_secs(2)];

/// How far a request had come when the server died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Nothing of it remained.
    Lost,
    /// It was committed, and the client does not know.
    Committed,
    /// The client was told 2.01.
    Promised,
}

fn address(mid: u32) -> String {
    format!("203.0.113.{mid}")
}

fn request_body(mid: u32) -> Vec<u8> {
    body(&format!("{}/32", address(mid)), 3600)
}

fn seed() -> Outcome<u64> {
    let seed = match env::var(SEED) {
        Ok(seed) => seed.parse()?,
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()),
    };
    println!("replay with {SEED}={seed}");
    Ok(seed)
}

/// The mitigations in the database that a dead server left, read from a copy: opening it repairs
/// it, which is for the server to do.
fn recorded(site: &Site) -> Outcome<BTreeSet<u32>> {
    let copy = tempfile::tempdir()?;
    for file in fs::read_dir(site.path().join("state"))? {
        let file = file?;
        fs::copy(file.path(), copy.path().join(file.file_name()))?;
    }
    let mut store = SqliteStore::open(&copy.path().join("server.db"))?;
    let records = ServerStore::load(&mut store)?.mitigations;
    Ok(records.iter().map(|record| record.key.mid.0).collect())
}

/// The mitigations that a running server says it has.
fn reported(site: &Site) -> Outcome<BTreeSet<u32>> {
    let status = site.ask("status")?;
    let mitigations = status["mitigations"].as_array().ok_or("no list")?;
    let mid = |entry: &Value| {
        entry["mid"]
            .as_u64()
            .and_then(|mid| u32::try_from(mid).ok())
    };
    Ok(mitigations.iter().filter_map(mid).collect())
}

fn connect(site: &Site) -> Outcome<Peer> {
    Peer::connect(&site.identity("pki", "home"), SERVER_V4)
}

/// Has the server killed `delay` after the request left, or before it does.
fn crash(site: &Site, mid: u32, delay: Option<Duration>) -> Outcome<Fate> {
    let server = site.start()?;
    let mut client = connect(site)?;
    let request = put(CUID, mid, &request_body(mid));
    let request = client.message(MessageType::NonConfirmable, &request);
    let mut server = Some(server);
    if delay.is_none() {
        server.take();
    }
    client.send(&request.encode())?;
    // The moment of the crash is what is tested here.
    thread::sleep(delay.unwrap_or_default());
    drop(server);

    let told = client.remains()?;
    let told = told.iter().find(|message| message.token == request.token);
    let is_promised = told.is_some_and(|response| response.code == Code::CREATED);
    assert_eq!(told.is_some(), is_promised, "{told:?}");
    let is_recorded = recorded(site)?.contains(&mid);
    assert!(
        is_recorded || !is_promised,
        "promised before it was durable"
    );
    assert!(
        is_recorded || !is_filtered(&address(mid)),
        "filtered before it was durable"
    );
    Ok(match (is_recorded, is_promised) {
        (false, _) => Fate::Lost,
        (true, false) => Fate::Committed,
        (true, true) => Fate::Promised,
    })
}

/// Issue 2, item 5.
#[test]
fn after_kill_9_at_any_moment_what_was_promised_is_in_force_and_nothing_is_half_done() -> Outcome {
    isolated(&[], || {
        let mut rng = Rng::with_seed(seed()?);
        let site = Site::new()?;
        let mut fates: BTreeMap<Fate, BTreeSet<u32>> = BTreeMap::new();
        // Moments around the commit take turns with moments around the promise. Each window moves
        // so that half of its moments fall on either side.
        let mut windows = [Fate::Committed, Fate::Promised].map(|fate| (fate, WINDOWS[0] * 100));
        let met =
            |fates: &BTreeMap<Fate, BTreeSet<u32>>, fate| fates.get(fate).map_or(0, BTreeSet::len);
        for mid in 1..=MOST_MOMENTS {
            let sides = [&Fate::Lost, &Fate::Promised];
            if mid > MOMENTS && sides.iter().all(|fate| met(&fates, fate) >= EACH) {
                break;
            }
            windows.reverse();
            let (aim, window) = &mut windows[0];
            let delay = (rng.u32(0..10) > 0).then(|| window.mul_f64(rng.f64()));
            let fate = crash(&site, mid, delay)?;
            fates.entry(fate).or_default().insert(mid);
            let change = if fate >= *aim { 0.8 } else { 1.25 };
            *window = window.mul_f64(change).clamp(WINDOWS[0], WINDOWS[1]);

            let _server = site.start()?;
            // Before the server was ready, so in the order of things now.
            let is_filtered = is_filtered(&address(mid));
            let response = connect(&site)?.ask(&get(CUID, mid))?;
            let (code, filtered) = match fate {
                Fate::Lost => (Code::NOT_FOUND, false),
                Fate::Committed | Fate::Promised => (Code::CONTENT, true),
            };
            assert_eq!(
                (response.code, is_filtered),
                (code, filtered),
                "{fate:?}, {delay:?}"
            );
        }
        println!("{fates:?}, at last {windows:?}");
        let lost = fates.remove(&Fate::Lost).unwrap_or_default();
        let promised = met(&fates, &Fate::Promised);
        assert!(
            lost.len() >= EACH && promised >= EACH,
            "the moments fell on one side"
        );

        let _server = site.start()?;
        let kept: BTreeSet<u32> = fates.into_values().flatten().collect();
        assert_eq!(reported(&site)?, kept);
        assert!(kept.iter().all(|mid| is_filtered(&address(*mid))));
        assert!(!lost.iter().any(|mid| is_filtered(&address(*mid))));
        Ok(())
    })
}

#[test]
fn a_withdrawal_that_was_acknowledged_outlives_kill_9() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        for mid in 1..=10 {
            let server = site.start()?;
            let mut client = connect(&site)?;
            let response = client.ask(&put(CUID, mid, &request_body(mid)))?;
            assert_eq!(response.code, Code::CREATED);
            assert_eq!(client.ask(&delete(CUID, mid))?.code, Code::DELETED);
            drop(server);
            let _server = site.start()?;
            assert_eq!(connect(&site)?.ask(&get(CUID, mid))?.code, Code::NOT_FOUND);
            assert!(!is_filtered(&address(mid)));
        }
        Ok(())
    })
}

/// A machine that was restarted has no filter; the server makes it before it speaks to anybody.
#[test]
fn a_restarted_server_says_nothing_before_the_filter_is_in_force_again() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let server = site.start()?;
        let response = connect(&site)?.ask(&put(CUID, 1, &request_body(1)))?;
        assert_eq!(response.code, Code::CREATED);
        until("the filter comes", || Ok(is_filtered(&address(1))))?;
        drop(server);
        run("nft", &["flush", "ruleset"])?;

        let gate = Gate::shut(site.path())?;
        let mut server = site.launch()?;
        let silence = Instant::now() + Duration::from_millis(500);
        while Instant::now() < silence {
            let probe = Peer::begin(&site.identity("pki", "home"), SERVER_V4)?;
            probe
                .socket
                .set_read_timeout(Some(Duration::from_millis(20)))?;
            let answer = probe.socket.recv(&mut [0; 64]);
            assert!(answer.is_err(), "it speaks, but enforces nothing");
        }
        assert!(server.is_running()?);
        drop(gate);
        server.wait_for("moat server is ready")?;
        assert!(is_filtered(&address(1)));
        assert_eq!(connect(&site)?.ask(&get(CUID, 1))?.code, Code::CONTENT);
        Ok(())
    })
}

/// The other half: what the store no longer holds leaves the filter at the start.
#[test]
fn a_filter_that_nobody_promised_is_gone_after_a_restart() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let server = site.start()?;
        let response = connect(&site)?.ask(&put(CUID, 1, &request_body(1)))?;
        assert_eq!(response.code, Code::CREATED);
        until("the filter comes", || Ok(is_filtered(&address(1))))?;
        drop(server);
        fs::remove_dir_all(site.path().join("state"))?;
        let mut server = site.start()?;
        assert!(!is_filtered(&address(1)));
        assert_eq!(connect(&site)?.ask(&get(CUID, 1))?.code, Code::NOT_FOUND);
        assert!(server.is_running()?);
        Ok(())
    })
}

/// What is promised must be on disk under its name; a server that cannot do that stops, and what it
/// promised before stays in force.
#[test]
fn a_server_whose_state_file_is_removed_promises_nothing_more() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let mut server = site.start()?;
        let mut client = connect(&site)?;
        let response = client.ask(&put(CUID, 1, &request_body(1)))?;
        assert_eq!(response.code, Code::CREATED);
        until("the filter comes", || Ok(is_filtered(&address(1))))?;
        fs::remove_dir_all(site.path().join("state"))?;
        let request = put(CUID, 2, &request_body(2));
        let request = client.message(MessageType::NonConfirmable, &request);
        client.send(&request.encode())?;
        server.wait_for("was removed or replaced while it was in use")?;
        until("it stops", || Ok(!server.is_running()?))?;
        let told = client.remains()?;
        assert!(!told.iter().any(|message| message.token == request.token));
        assert!(is_filtered(&address(1)) && !is_filtered(&address(2)));
        Ok(())
    })
}
