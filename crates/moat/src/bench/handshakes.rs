//! Full and resumed handshakes, with mutual certificates and the cookie exchange.

use std::time::{Duration, Instant};

use dtls::ResumptionState;

use super::driver::{Answers, Rate};
use super::error::Error;
use super::generator::Generator;
use super::library::Library;
use super::report::Handshakes;
use super::server::Server;
use super::site::Site;

/// Measures both kinds with moat, with libcoap, and with the bare library.
///
/// A server that does not resume has no row for that.
pub(super) fn measure(
    site: &Site,
    generator: &mut Generator,
    duration: Duration,
) -> Result<[Handshakes; 2], Error> {
    let moat = site.moat()?;
    let (full, resumed) = both(&moat, generator, duration)?;
    let resumed = resumed.ok_or_else(|| not_resumed(&moat))?;
    drop(moat);
    let (their_full, their_resumed) = match site.libcoap()? {
        None => (None, None),
        Some(libcoap) => {
            let (full, resumed) = both(&libcoap, generator, duration)?;
            (Some(full), resumed)
        }
    };
    let [library_full, library_resumed] = site.cores().on_server(|| {
        let library = Library::new(site)?;
        Ok([
            library.microseconds(None, duration)?,
            library.microseconds(Some(&library.resumption()?), duration)?,
        ])
    })?;
    Ok([
        Handshakes::new("full", full, their_full, library_full),
        Handshakes::new("resumed", resumed, their_resumed, library_resumed),
    ])
}

/// Full, then resumed if the server resumes.
fn both(
    server: &Server,
    generator: &mut Generator,
    duration: Duration,
) -> Result<(Rate, Option<Rate>), Error> {
    let full = rate(server, generator, None, duration)?;
    let mut resumption = None;
    generator.open(
        server.remote(),
        None,
        |begun| begun < 1,
        |station| {
            resumption = station.resumption();
            station.close()
        },
    )?;
    let resumed = match rate(server, generator, resumption.as_ref(), duration) {
        Ok(rate) => Some(rate),
        // libcoap's ends the handshake when it is offered a session.
        Err(Error::NotResumed { .. } | Error::SessionEnded { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok((full, resumed))
}

fn rate(
    server: &Server,
    generator: &mut Generator,
    resumption: Option<&ResumptionState>,
    duration: Duration,
) -> Result<Rate, Error> {
    let remote = server.remote();
    let (begin, before) = (Instant::now(), server.spent()?);
    let mut count = 0;
    generator.open(
        remote,
        resumption,
        |_| begin.elapsed() < duration,
        |station| {
            if station.is_resumed() != resumption.is_some() {
                return Err(not_resumed(server));
            }
            count += 1;
            station.close()
        },
    )?;
    let spent = server.spent()?.since(&before);
    Ok(Rate::new(Answers::of(count), begin.elapsed(), spent))
}

fn not_resumed(server: &Server) -> Error {
    let who = server.remote().to_string();
    Error::NotResumed { who }
}
