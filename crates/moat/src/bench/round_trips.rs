//! Heartbeats and status requests, on one session and on many.

use std::time::Duration;

use super::driver::{Driver, Rate, ask};
use super::error::Error;
use super::generator::{Generator, Station};
use super::report::RoundTrips;
use super::request::Request;
use super::server::Server;
use super::site::Site;

/// Requests under way where there are many sessions.
const WINDOW: usize = 64;
/// The mitigation that is asked for.
const MID: u32 = 1;

/// What is asked, on how many sessions, in the order of measurement.
fn cases(many: u32) -> [(&'static str, u32); 4] {
    [
        ("heartbeat", 1),
        ("mitigation GET", 1),
        ("heartbeat", many),
        ("mitigation GET", many),
    ]
}

/// Measures the three servers.
pub(super) fn measure(
    site: &Site,
    generator: &mut Generator,
    many: u32,
    duration: Duration,
) -> Result<Vec<RoundTrips>, Error> {
    let get = Request::get_mitigation(MID);
    let messages = [Request::heartbeat(), get.clone()];
    let put = Request::put_mitigation(MID, true);

    let moat = site.moat()?;
    let mut clients = Generator::sessions;
    let mut prepared = clients(generator, moat.remote(), 1)?;
    let mut status = Vec::new();
    for station in &mut prepared {
        ask(station, &put.message(0))?;
        status = ask(station, &get.message(1))?.payload;
    }
    let ours = rates(
        &moat,
        generator,
        &mut clients,
        prepared,
        &messages,
        (many, duration),
    )?;
    drop(moat);

    let theirs = match site.libcoap()? {
        None => None,
        Some(libcoap) => {
            let mut prepared = clients(generator, libcoap.remote(), 1)?;
            for station in &mut prepared {
                ask(station, &Request::put_bytes(MID, status.clone()).message(0))?;
                ask(station, &Request::heartbeat().message(1))?;
            }
            let (server, how) = (&libcoap, (many, duration));
            Some(rates(
                server,
                generator,
                &mut clients,
                prepared,
                &messages,
                how,
            )?)
        }
    };

    let echo = site.echo()?;
    let prepared = generator.plain(echo.remote(), 1)?;
    let padded = messages.map(Request::padded);
    let how = (many, duration);
    let plain = rates(
        &echo,
        generator,
        &mut Generator::plain,
        prepared,
        &padded,
        how,
    )?;

    let rows = cases(many).into_iter().zip(ours).zip(plain).enumerate();
    let row = |(index, (((what, sessions), moat), udp_echo))| {
        let libcoap = theirs.as_ref().and_then(|rates| rates.get(index)).copied();
        let in_flight = WINDOW.min(usize::try_from(sessions).unwrap_or(WINDOW));
        RoundTrips::new(what, sessions, in_flight, moat, udp_echo, libcoap)
    };
    Ok(rows.map(row).collect())
}

type MakeStations<'a> =
    &'a mut dyn FnMut(&mut Generator, std::net::SocketAddr, u32) -> Result<Vec<Station>, Error>;

/// The rates of one server, in the order of [`cases`]. `prepared` is the first station.
fn rates(
    server: &Server,
    generator: &mut Generator,
    stations: MakeStations<'_>,
    prepared: Vec<Station>,
    messages: &[Request; 2],
    (many, duration): (u32, Duration),
) -> Result<Vec<Rate>, Error> {
    let mut driver = Driver::new(WINDOW);
    driver.add(prepared);
    let mut rates = Vec::new();
    for more in [0, many - 1] {
        driver.add(stations(generator, server.remote(), more)?);
        for request in messages {
            let message = |number| request.message(number);
            rates.push(driver.measure(server, duration, &message)?);
        }
    }
    Ok(rates)
}
