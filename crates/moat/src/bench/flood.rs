//! Live sessions, while ClientHellos arrive at the same socket that lead to nothing.

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

use coap::Token;
use socket2::SockRef;

use super::driver::{Answers, PATIENCE, Rate};
use super::error::Error;
use super::generator::{Generator, Station};
use super::hellos::client_hello;
use super::report::Flood;
use super::request::Request;
use super::site::Site;

/// How many hellos are to arrive a second.
const HELLOS: u32 = 100_000;
/// How many sources they come from. None of them ever reads the server's answer.
const SOURCES: usize = 512;
/// Pause between two looks at the clock.
const TICK: Duration = Duration::from_micros(200);

/// A heartbeat under way: on which session, which, since when.
type UnderWay = VecDeque<(usize, Token, Instant)>;

/// Each session sends a heartbeat a second, over real sockets.
pub(super) fn measure(
    site: &Site,
    generator: &mut Generator,
    sessions: u32,
    duration: Duration,
) -> Result<Flood, Error> {
    let server = site.moat()?;
    let mut stations = generator.sessions(server.remote(), sessions)?;
    for station in &stations {
        station.stop_waiting()?;
    }
    let sources = (0..SOURCES).map(|_| {
        let socket = generator.socket(server.remote())?;
        // The answers that nobody reads shall take little memory.
        let small = SockRef::from(&socket).set_recv_buffer_size(0);
        small.map_err(Error::system("shrink a socket's buffer"))?;
        Ok(socket)
    });
    let sources = sources.collect::<Result<Vec<UdpSocket>, Error>>()?;
    let hello = client_hello(&site.client()?)?;

    let heartbeat = Request::heartbeat();
    let mut under_way = UnderWay::new();
    let (mut hellos, mut heartbeats) = (0_u32, 0_u32);
    let (mut slowest, mut lost) = (Duration::ZERO, 0);
    let dropped_before = server.dropped()?;
    let (begin, before) = (Instant::now(), server.spent()?);
    let mut source = sources.iter().cycle();
    loop {
        let elapsed = begin.elapsed().min(duration);
        while f64::from(hellos) < elapsed.as_secs_f64() * f64::from(HELLOS) {
            let sent = source.next().map(|socket| socket.send(&hello));
            sent.transpose()
                .map_err(Error::system("send a ClientHello"))?;
            hellos += 1;
        }
        while f64::from(heartbeats) < elapsed.as_secs_f64() * f64::from(sessions) {
            let index = usize::try_from(heartbeats % sessions).unwrap_or(0);
            let message = heartbeat.message(heartbeats);
            if let Some(station) = stations.get_mut(index) {
                station.send(&message)?;
            }
            under_way.push_back((index, message.token, Instant::now()));
            heartbeats += 1;
        }
        let (took, given_up) = collect(&mut stations, &mut under_way)?;
        slowest = slowest.max(took);
        lost += given_up;
        if elapsed == duration && under_way.is_empty() {
            break;
        }
        sleep(TICK);
    }
    let spent = server.spent()?.since(&before);
    Ok(Flood {
        sessions,
        heartbeats: heartbeats.into(),
        heartbeats_lost: lost,
        slowest_answer_milliseconds: slowest.as_secs_f64() * 1e3,
        datagrams_dropped: server.dropped()?.saturating_sub(dropped_before),
        hellos: Rate::new(Answers::of(hellos.into()), duration, spent),
    })
}

/// Takes the answers that are there: how long the slowest took, and how many heartbeats are given up.
fn collect(stations: &mut [Station], under_way: &mut UnderWay) -> Result<(Duration, u64), Error> {
    let (mut slowest, mut lost) = (Duration::ZERO, 0);
    for (index, token, sent) in std::mem::take(under_way) {
        let Some(station) = stations.get_mut(index) else {
            continue;
        };
        match station.answer(token)? {
            Some((_, read)) => slowest = slowest.max(read.saturating_duration_since(sent)),
            None if sent.elapsed() > PATIENCE => lost += 1,
            None => under_way.push_back((index, token, sent)),
        }
    }
    Ok((slowest, lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_without_an_answer_hides_none_behind_it() {
        let [client, server] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        client.connect(server.local_addr().unwrap()).unwrap();
        let mut stations = [Station::new(server.local_addr().unwrap(), client, None)];
        stations[0].stop_waiting().unwrap();
        let mut under_way = UnderWay::new();
        let message = |number| Request::heartbeat().message(number);
        for number in [1, 2] {
            stations[0].send(&message(number)).unwrap();
            under_way.push_back((0, message(number).token, Instant::now()));
        }
        let client = server.peek_from(&mut [0; 2048]).unwrap().1;
        for (number, waiting) in [(2, 1), (1, 0)] {
            server.send_to(&message(number).encode(), client).unwrap();
            let (slowest, lost) = collect(&mut stations, &mut under_way).unwrap();
            assert!(slowest > Duration::ZERO);
            assert_eq!((under_way.len(), lost), (waiting, 0));
        }
    }
}
