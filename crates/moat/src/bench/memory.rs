//! What an idle session takes of a server's memory.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::error::Error;
use super::generator::Generator;
use super::helper::LIBRARY_MEMORY;
use super::report::IdleMemory;
use super::server::Server;
use super::site::{Site, this_program};

/// Sessions before the count begins: the first ones fill what all share.
pub(super) const WARM_UP: u32 = 10;
/// Time for a server to finish what it was doing.
const SETTLE: Duration = Duration::from_millis(300);

/// Measures servers with each of these numbers of sessions, ascending, and the bare library with as many.
pub(super) fn measure(
    site: &Site,
    generator: &mut Generator,
    counts: [u32; 2],
) -> Result<Vec<IdleMemory>, Error> {
    let moat = bytes(&site.moat()?, generator, counts)?;
    let libcoap = match site.libcoap()? {
        None => None,
        Some(libcoap) => Some(bytes(&libcoap, generator, counts)?),
    };
    let library = of_library(site, counts)?;
    let rows = counts.into_iter().zip(moat).zip(library).enumerate();
    let row = |(index, ((sessions, moat), library))| {
        let libcoap = libcoap.and_then(|bytes| bytes.get(index).copied());
        IdleMemory::new(sessions, moat, library, libcoap)
    };
    Ok(rows.map(row).collect())
}

/// Bytes for each session.
fn bytes(server: &Server, generator: &mut Generator, counts: [u32; 2]) -> Result<[u64; 2], Error> {
    // A server does not notice that its client is gone.
    let mut open = |count| {
        let forget = |_station| Ok(());
        generator.open(server.remote(), None, |begun| begun < count, forget)?;
        sleep(SETTLE);
        server.resident_bytes()
    };
    let empty = open(WARM_UP)?;
    let [few, many] = counts;
    let [with_few, with_many] = [open(few)?, open(many - few)?];
    let each = |size: u64, count: u32| size.saturating_sub(empty) / u64::from(count);
    Ok([each(with_few, few), each(with_many, many)])
}

fn of_library(site: &Site, counts: [u32; 2]) -> Result<[u64; 2], Error> {
    let mut command = this_program()?;
    command
        .args(["bench-helper", LIBRARY_MEMORY])
        .arg(site.folder())
        .args(counts.map(|count| count.to_string()))
        .stdin(Stdio::null());
    let failed = Error::system("start the bare library's process");
    let output = site
        .cores()
        .on_server(|| command.output().map_err(failed))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).map_err(|_| Error::Process {
        name: "bench-helper",
        problem: "has failed",
        tail: text + &String::from_utf8_lossy(&output.stderr),
    })
}
