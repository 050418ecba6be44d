//! Keeps a number of requests under way and counts the answers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coap::{Message, Token};
use serde::Serialize;

use super::error::Error;
use super::generator::Station;
use super::server::Server;

/// How much of the time goes by before it counts.
const WARM_UP: u32 = 10;
/// What is answered later than this after its request counts as lost. A disk or a machine that pauses is slow, and shown as that.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a load.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rate {
    /// Answers a second.
    pub(super) per_second: f64,
    /// What the server spent of its core for each, in microseconds.
    pub(super) server_microseconds: f64,
    /// How much of its core the server used, 0 to 1 (and more where it runs on several).
    pub(super) server_load: f64,
    pub(super) answers: Answers,
}

/// How the requests of a load were answered.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Answers {
    /// Requests with an answer.
    pub(super) count: u64,
    /// Requests without one.
    pub(super) lost: u64,
    /// From a request to the moment at which its answer was looked at, which is in the order of the requests.
    pub(super) slowest_milliseconds: f64,
}

impl Answers {
    /// Nobody waited for any.
    pub(super) fn of(count: u64) -> Self {
        Answers {
            count,
            ..Answers::default()
        }
    }

    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.slowest_milliseconds = self.slowest_milliseconds.max(took.as_secs_f64() * 1e3);
    }
}

impl Rate {
    pub(super) fn new(answers: Answers, elapsed: Duration, spent: Duration) -> Self {
        #[allow(
            clippy::cast_precision_loss,
            reason = "fewer than 2^52 answers come in a run"
        )]
        let count = answers.count as f64;
        Rate {
            per_second: count / elapsed.as_secs_f64(),
            server_microseconds: spent.as_secs_f64() * 1e6 / count.max(1.0),
            server_load: spent.as_secs_f64() / elapsed.as_secs_f64(),
            answers,
        }
    }
}

/// Sends from station after station, with `window` requests under way.
///
/// It waits for answers in the order of the requests, so that a round trip costs the generator two system calls and no more.
#[derive(Debug)]
pub(super) struct Driver {
    stations: Vec<Station>,
    window: usize,
    next: u32,
}

impl Driver {
    /// With at most `window` requests under way, and no more than there are stations.
    pub(super) fn new(window: usize) -> Self {
        Driver {
            stations: Vec::new(),
            window,
            next: 1,
        }
    }

    /// Has more stations send.
    pub(super) fn add(&mut self, stations: Vec<Station>) {
        self.stations.extend(stations);
    }

    /// Keeps requests under way for this long; `message` makes each of its number. What `server` spends is measured.
    pub(super) fn measure(
        &mut self,
        server: &Server,
        duration: Duration,
        message: &dyn Fn(u32) -> Message,
    ) -> Result<Rate, Error> {
        self.run(duration / WARM_UP, message)?;
        let (begin, before) = (Instant::now(), server.spent()?);
        let answers = self.run(duration, message)?;
        let spent = server.spent()?.since(&before);
        Ok(Rate::new(answers, begin.elapsed(), spent))
    }

    fn run(
        &mut self,
        duration: Duration,
        message: &dyn Fn(u32) -> Message,
    ) -> Result<Answers, Error> {
        let deadline = Instant::now() + duration;
        let mut answers = Answers::default();
        let window = self.window.min(self.stations.len());
        let mut under_way = VecDeque::with_capacity(window);
        loop {
            while under_way.len() < window {
                let now = Instant::now();
                if now >= deadline {
                    break;
                }
                let (index, token) = self.send(message)?;
                under_way.push_back((index, token, now));
            }
            let Some((index, token, sent)) = under_way.pop_front() else {
                return Ok(answers);
            };
            if let Some(station) = self.stations.get_mut(index) {
                match late_answer(station, token, sent)? {
                    Some(_) => answers.add(sent.elapsed()),
                    None => answers.lost += 1,
                }
            }
        }
    }

    fn send(&mut self, message: &dyn Fn(u32) -> Message) -> Result<(usize, Token), Error> {
        let message = message(self.next);
        let count = self.stations.len().max(1);
        let index = usize::try_from(self.next).unwrap_or(0) % count;
        self.next = self.next.wrapping_add(1);
        if let Some(station) = self.stations.get_mut(index) {
            station.send(&message)?;
        }
        Ok((index, message.token))
    }
}

/// Sends one request, which has to be answered.
pub(super) fn ask(station: &mut Station, message: &Message) -> Result<Message, Error> {
    let sent = Instant::now();
    station.send(message)?;
    let remote = station.remote();
    late_answer(station, message.token, sent)?.ok_or(Error::Unanswered { remote })
}

/// The answer to a request sent at this time, if it comes within [`PATIENCE`].
fn late_answer(
    station: &mut Station,
    token: Token,
    sent: Instant,
) -> Result<Option<Message>, Error> {
    loop {
        let answer = answer(station, token)?;
        if answer.is_some() || sent.elapsed() >= PATIENCE {
            return Ok(answer);
        }
    }
}

/// The answer to the request with this token, if it comes while the station waits; what comes late for earlier ones is passed over.
pub(super) fn answer(station: &mut Station, token: Token) -> Result<Option<Message>, Error> {
    while let Some(message) = station.next_message()? {
        if message.token != token {
            continue;
        }
        if message.code.is_response() && !message.code.is_success() {
            return Err(Error::Refused {
                remote: station.remote(),
                code: message.code,
                text: String::from_utf8_lossy(&message.payload).into_owned(),
            });
        }
        return Ok(Some(message));
    }
    Ok(None)
}
