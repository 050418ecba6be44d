//! Mitigation requests that are acknowledged after they are on disk.

use std::fs::File;
use std::io::{Seek, Write};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::driver::Driver;
use super::error::Error;
use super::generator::Generator;
use super::report::{DurablePuts, Puts};
use super::request::Request;
use super::site::Site;
use crate::control::{self, Command};

/// Requests under way at most: enough to fill a commit, few enough for the buffer of the server's socket.
const WINDOW: u32 = 256;
/// How many mitigations are refreshed in turn.
const REFRESHED: u32 = 1000;
/// The smallest thing worth an fsync: a page.
const PAGE: [u8; 4096] = [0; 4096];

/// What is asked with each request.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A new mitigation each time; its filter is made besides.
    New,
    /// A new mitigation each time that waits for the loss of the session (`trigger-mitigation` false): no filter.
    Preconfigured,
    /// One that there is, for longer.
    Refresh,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::New => "new mitigation",
            Kind::Preconfigured => "preconfigured mitigation",
            Kind::Refresh => "refresh",
        }
    }

    fn request(self, number: u32) -> Request {
        match self {
            Kind::New => Request::put_mitigation(number, true),
            Kind::Preconfigured => Request::put_mitigation(number, false),
            Kind::Refresh => Request::put_mitigation(number % REFRESHED, true),
        }
    }
}

/// Measures each kind with a server and a store of its own, and what the disk does without a server.
pub(super) fn measure(
    site: &Site,
    generator: &mut Generator,
    sessions: u32,
    duration: Duration,
) -> Result<DurablePuts, Error> {
    let sessions = sessions.min(WINDOW);
    let mut kinds = Vec::new();
    for kind in [Kind::New, Kind::Preconfigured, Kind::Refresh] {
        let server = site.moat()?;
        let mut driver = Driver::new(usize::try_from(WINDOW).unwrap_or(1));
        driver.add(generator.sessions(server.remote(), sessions)?);
        let message = |number| kind.request(number).message(number);
        if let Kind::Refresh = kind {
            driver.send_first(REFRESHED, &message)?;
        }
        let before = committed(site)?;
        let rate = driver.measure(&server, duration, &message)?;
        let after = committed(site)?;
        kinds.push(Puts {
            what: kind.name(),
            sessions,
            in_flight: sessions,
            moat: rate,
            commits: after.commits - before.commits,
            changes_committed: after.changes_committed - before.changes_committed,
        });
    }
    Ok(DurablePuts {
        appends_per_second: fsyncs_per_second(site, duration, false)?,
        overwrites_per_second: fsyncs_per_second(site, duration, true)?,
        kinds,
    })
}

/// What the server says on its control socket.
#[derive(Debug, Deserialize)]
struct Answer {
    requests: Committed,
}

/// What its store has made durable.
#[derive(Debug, Deserialize)]
struct Committed {
    commits: u64,
    changes_committed: u64,
}

fn committed(site: &Site) -> Result<Committed, Error> {
    let answer = control::call(&site.control(), &Command::Sessions)?;
    let text = answer.to_string();
    let answer: Result<Answer, _> = serde_json::from_value(answer);
    let what = "the answer of moat server";
    answer
        .map(|answer| answer.requests)
        .map_err(|_| Error::Text { what, text })
}

/// How often a page is written to a file in the same folder and made durable, one after the other.
fn fsyncs_per_second(site: &Site, duration: Duration, overwrite: bool) -> Result<f64, Error> {
    let path = site.folder().join("fsync");
    let failed = || Error::system("write and fsync a file");
    site.cores().on_server(|| {
        let mut file = File::create(&path).map_err(failed())?;
        let begin = Instant::now();
        let mut count = 0_u32;
        while begin.elapsed() < duration {
            if overwrite {
                file.rewind().map_err(failed())?;
            }
            file.write_all(&PAGE).map_err(failed())?;
            file.sync_data().map_err(failed())?;
            count += 1;
        }
        Ok(f64::from(count) / begin.elapsed().as_secs_f64())
    })
}
