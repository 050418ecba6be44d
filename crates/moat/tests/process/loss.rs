//! Real datagrams lost both ways between a client and a server: every request is acknowledged, and
//! is at the server once.
//!
//! ```text
//! callers --control socket--> client --PUT, lost with p--> server
//!                               <--2.01, lost with p--
//!                               '-- again, with the same mid and another Message ID
//! ```

use std::collections::BTreeMap;
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Loss, Outcome, PATIENCE, Request, Site, isolated};

/// How many requests are made at 80 %; 200 take a quarter of an hour, and a few some minutes: one datagram
/// leaves every 3 s, and one in twenty-five is answered.
const REQUESTS_AT_80: &str = "MOAT_LOSS_REQUESTS";
/// Callers at once: fewer than a daemon serves, so that there is room to ask how it goes.
const CALLERS: usize = 16;
/// How often the client is asked how it goes.
const LOOK: Duration = Duration::from_millis(100);

fn address(number: usize) -> String {
    format!("203.0.113.{number}")
}

/// When each request was made and when it was seen to be accepted.
#[derive(Default)]
struct Times {
    made: BTreeMap<String, Instant>,
    accepted: BTreeMap<String, Instant>,
}

impl Times {
    fn accept(&mut self, request: &Request) {
        if request.accepted {
            let target = request.target.clone();
            self.accepted.entry(target).or_insert_with(Instant::now);
        }
    }

    fn delays(&self) -> Vec<Duration> {
        let delay = |(target, made): (&String, &Instant)| {
            let accepted = self.accepted.get(target)?;
            Some(accepted.saturating_duration_since(*made))
        };
        let mut delays: Vec<_> = self.made.iter().filter_map(delay).collect();
        delays.sort();
        delays
    }
}

/// Makes so many requests, and waits until the client knows each to be accepted.
fn all_are_accepted(site: &Site, count: usize, within: Duration) -> Outcome<Vec<Duration>> {
    let times = Mutex::new(Times::default());
    let next = AtomicUsize::new(1);
    let caller = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > count {
                return Ok(());
            }
            let target = format!("{}/32", address(number));
            let made = Instant::now();
            let answer = site
                .mitigate(&address(number))
                .and_then(|view| Request::of(&view));
            let request = answer.map_err(|error| error.to_string())?;
            let mut times = times.lock().map_err(|_| "a caller panicked")?;
            times.made.insert(target, made);
            times.accept(&request);
        }
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
        let deadline = Instant::now() + within;
        loop {
            let requests = site.requests()?;
            let mut times = times.lock().map_err(|_| "a caller panicked")?;
            requests.iter().for_each(|request| times.accept(request));
            if times.accepted.len() == count && times.made.len() == count {
                break;
            }
            if Instant::now() > deadline {
                let accepted = times.accepted.len();
                return Err(format!("{accepted} of {count} accepted after {within:?}").into());
            }
            drop(times);
            thread::sleep(LOOK);
        }
        for caller in callers {
            caller.join().map_err(|_| "a caller panicked")??;
        }
        Ok(())
    })
    .map_err(|error: Box<dyn std::error::Error>| error)?;
    Ok(times
        .into_inner()
        .map_err(|_| "a caller panicked")?
        .delays())
}

/// Each request of the client is one mitigation of the server, with its number and target.
fn none_is_lost_or_doubled(site: &Site, count: usize) -> Outcome {
    let mut asked: Vec<_> = site
        .requests()?
        .into_iter()
        .map(|request| (request.mid, request.target))
        .collect();
    asked.sort();
    assert_eq!(asked.len(), count);
    assert_eq!(site.mitigations()?, asked);
    let counters = site.ask("sessions")?["requests"].take();
    assert_eq!(counters["accepted"], count, "{counters}");
    println!("copies that came twice: {}", counters["refreshed"]);
    Ok(())
}

fn print(what: &str, delays: &[Duration]) {
    let share = |percent: usize| delays.get((delays.len() * percent).div_ceil(100).max(1) - 1);
    println!(
        "{what}: {} requests, p50 {:.1?}, p90 {:.1?}, longest {:.1?}",
        delays.len(),
        share(50).copied().unwrap_or_default(),
        share(90).copied().unwrap_or_default(),
        share(100).copied().unwrap_or_default(),
    );
}

/// The session is set up while half of what is sent is lost, too.
///
/// Covers: S-037, S-038
#[test]
fn with_half_of_all_datagrams_lost_each_way_200_requests_are_acknowledged_once_each() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _server = site.start()?;
        let _loss = Loss::of(50)?;
        let begun = Instant::now();
        let mut client = site.start_client("")?;
        // An attempt may fail, and the next comes a minute after it began (RFC 9132 §4.7).
        client.wait_within("session established", Duration::from_secs(600))?;
        println!("the session is up after {:.1?}", begun.elapsed());
        let delays = all_are_accepted(&site, 200, Duration::from_secs(240))?;
        print("at 50 % loss", &delays);
        none_is_lost_or_doubled(&site, 200)
    })
}

/// The session is there before the loss, as it is when an attack begins.
///
/// Covers: S-037, S-038
#[test]
fn with_four_of_five_datagrams_lost_each_way_no_request_is_lost_or_doubled() -> Outcome {
    isolated(&[], || {
        let count = match env::var(REQUESTS_AT_80) {
            Ok(count) => count.parse()?,
            Err(_) => 3,
        };
        let site = Site::new()?;
        let _server = site.start()?;
        let mut client = site.start_client("")?;
        client.wait_within("session established", PATIENCE)?;
        let loss = Loss::of(80)?;
        let patience = Duration::from_secs(1200) + Duration::from_secs(6) * u32::try_from(count)?;
        let delays = all_are_accepted(&site, count, patience)?;
        print("at 80 % loss", &delays);
        drop(loss);
        none_is_lost_or_doubled(&site, count)
    })
}
