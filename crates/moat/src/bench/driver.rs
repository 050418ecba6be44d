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
/// What is answered later than this after its request, and after all others, counts as lost. A disk or a machine that pauses is slow, and shown as that.
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
    /// From a request to the moment at which its answer was read, which is in the order of the requests of a session.
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
/// It waits for answers in the order of the requests, so that a round trip costs the generator two system calls and no more. Where
/// nothing comes for a while it goes on, and looks for that answer at the end.
#[derive(Debug)]
pub(super) struct Driver {
    stations: Vec<Station>,
    window: usize,
    next: u32,
    patience: Duration,
}

/// A request: of which station, with which token, since when.
type UnderWay = (usize, Token, Instant);

impl Driver {
    /// With at most `window` requests under way, and no more than there are stations.
    pub(super) fn new(window: usize) -> Self {
        Driver {
            stations: Vec::new(),
            window,
            next: 1,
            patience: PATIENCE,
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
        self.run_for(duration / WARM_UP, message)?;
        let before = server.spent()?;
        let (answers, elapsed) = self.run_for(duration, message)?;
        let spent = server.spent()?.since(&before);
        Ok(Rate::new(answers, elapsed, spent))
    }

    /// Has so many requests answered.
    pub(super) fn send_first(
        &mut self,
        count: u32,
        message: &dyn Fn(u32) -> Message,
    ) -> Result<(), Error> {
        let last = self.next.saturating_add(count);
        self.run(&|next, _| next < last, message).map(drop)
    }

    fn run_for(
        &mut self,
        duration: Duration,
        message: &dyn Fn(u32) -> Message,
    ) -> Result<(Answers, Duration), Error> {
        let deadline = Instant::now() + duration;
        self.run(&|_, now| now < deadline, message)
    }

    /// Sends as long as `more` says so of the number of the next request and the time. What came of it, and how long it took without
    /// the wait for what is late.
    fn run(
        &mut self,
        more: &dyn Fn(u32, Instant) -> bool,
        message: &dyn Fn(u32) -> Message,
    ) -> Result<(Answers, Duration), Error> {
        let begin = Instant::now();
        let mut answers = Answers::default();
        let mut late = Vec::new();
        let window = self.window.min(self.stations.len());
        let mut under_way = VecDeque::with_capacity(window);
        loop {
            while under_way.len() < window {
                let now = Instant::now();
                if !more(self.next, now) {
                    break;
                }
                let (index, token) = self.send(message)?;
                under_way.push_back((index, token, now));
            }
            let Some(request) = under_way.pop_front() else {
                break;
            };
            match self.answer(request)? {
                Some(took) => answers.add(took),
                None => late.push(request),
            }
        }
        let elapsed = begin.elapsed();
        for request in late {
            match self.late_answer(request)? {
                Some(took) => answers.add(took),
                None => answers.lost += 1,
            }
        }
        Ok((answers, elapsed))
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

    /// How long the answer took, if it comes while the station waits.
    fn answer(&mut self, (index, token, sent): UnderWay) -> Result<Option<Duration>, Error> {
        let Some(station) = self.stations.get_mut(index) else {
            return Ok(None);
        };
        let answer = station.answer(token)?;
        Ok(answer.map(|(_, read)| read.saturating_duration_since(sent)))
    }

    /// The same until patience is over.
    fn late_answer(&mut self, request: UnderWay) -> Result<Option<Duration>, Error> {
        let (_, _, sent) = request;
        loop {
            let took = self.answer(request)?;
            if took.is_some() || sent.elapsed() >= self.patience {
                return Ok(took);
            }
        }
    }
}

/// Sends one request, which has to be answered.
pub(super) fn ask(station: &mut Station, message: &Message) -> Result<Message, Error> {
    let sent = Instant::now();
    station.send(message)?;
    while sent.elapsed() < PATIENCE {
        if let Some((answer, _)) = station.answer(message.token)? {
            return Ok(answer);
        }
    }
    let remote = station.remote();
    Err(Error::Unanswered { remote })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::bench::request::Request;

    /// The generator's station, and a server that has not answered yet.
    fn station() -> (Station, UdpSocket) {
        let [client, server] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let remote = server.local_addr().unwrap();
        client.connect(remote).unwrap();
        let wait = Some(Duration::from_millis(20));
        client.set_read_timeout(wait).unwrap();
        (Station::new(remote, client, None), server)
    }

    fn heartbeat(number: u32) -> Message {
        Request::heartbeat().message(number)
    }

    #[test]
    fn a_lost_answer_is_counted_and_holds_up_no_other() {
        let (station, server) = station();
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            server
                .set_read_timeout(Some(Duration::from_secs(3)))
                .unwrap();
            let mut count = 0;
            loop {
                match server.recv_from(&mut buffer) {
                    // The third is lost.
                    Ok(_) if count == 2 => count += 1,
                    Ok((length, client)) => {
                        server.send_to(&buffer[..length], client).unwrap();
                        count += 1;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        });
        let mut driver = Driver::new(1);
        driver.patience = Duration::from_secs(3);
        driver.add(vec![station]);
        let (answers, elapsed) = driver.run(&|next, _| next <= 50, &heartbeat).unwrap();
        assert_eq!((answers.count, answers.lost), (49, 1));
        assert!(elapsed < driver.patience, "{elapsed:?}");
        answering.join().unwrap();
    }

    #[test]
    fn an_answer_that_others_overtook_is_no_loss() {
        let (mut station, server) = station();
        let mut buffer = [0; 2048];
        for number in [1, 2] {
            station.send(&heartbeat(number)).unwrap();
        }
        let client = server.peek_from(&mut buffer).unwrap().1;
        for number in [2, 1] {
            server.send_to(&heartbeat(number).encode(), client).unwrap();
        }
        for number in [1, 2] {
            let answer = station.answer(heartbeat(number).token).unwrap();
            assert!(answer.is_some(), "{number}");
        }
    }
}
