//! ClientHellos of sources that do not exist, at the door alone.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dtls::{ClientConfig, CookieDoor, Output, Session};

use super::clocks;
use super::error::Error;
use super::site::{SERVER_NAME, Site};

/// Hellos between two looks at the clock.
const BATCH: u32 = 1000;

/// The first datagram of a client.
pub(super) fn client_hello(client: &ClientConfig) -> Result<Vec<u8>, Error> {
    let mut session = client.connect(Instant::now(), SERVER_NAME, None)?;
    match session.poll_output() {
        Some(Output::Transmit(datagram)) => Ok(datagram),
        _ => Err(Error::Endless),
    }
}

/// What the door takes to answer one, in microseconds of the servers' core. No socket is involved.
pub(super) fn measure(site: &Site, duration: Duration) -> Result<f64, Error> {
    let hello = client_hello(&site.client()?)?;
    site.cores().on_server(|| {
        let now = Instant::now();
        let mut door = CookieDoor::new(&[7; 32], now);
        let before = clocks::of_this_thread();
        let mut count = 0_u32;
        while now.elapsed() < duration {
            for _ in 0..BATCH {
                let source = IpAddr::from(Ipv4Addr::from_bits(count));
                let verdict = door.handle_datagram(now, SocketAddr::new(source, 4646), &hello);
                black_box(verdict);
                count = count.wrapping_add(1);
            }
        }
        let spent = clocks::of_this_thread().saturating_sub(before);
        Ok(spent.as_secs_f64() * 1e6 / f64::from(count.max(1)))
    })
}
