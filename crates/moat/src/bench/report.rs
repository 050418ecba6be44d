//! What was measured. Ratios say how moat compares: above 1, it does better than the other.

use serde::Serialize;

use super::cores::Cores;
use super::driver::Rate;

/// All of a run; as JSON, what `moat bench signal --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) setup: Setup,
    pub(super) round_trips: Vec<RoundTrips>,
    pub(super) durable_puts: DurablePuts,
    pub(super) handshakes: [Handshakes; 2],
    pub(super) idle_memory: Vec<IdleMemory>,
    /// What the door alone takes for a ClientHello of an unverified source, in microseconds of a core.
    pub(super) hello_microseconds: f64,
    pub(super) flood: Flood,
    /// What is missing in this run, and why.
    pub(super) not_run: Vec<String>,
}

/// Under which conditions.
#[derive(Debug, Serialize)]
pub(super) struct Setup {
    pub(super) version: &'static str,
    /// Whether the compiler optimised this program.
    pub(super) optimised: bool,
    pub(super) openssl: &'static str,
    pub(super) cores: Cores,
    /// Where the servers' state was.
    pub(super) folder: String,
    /// False where that folder is in memory only, and an fsync does nothing.
    pub(super) on_disk: bool,
    /// Of each measurement.
    pub(super) seconds: f64,
}

/// Requests that are answered at once.
#[derive(Debug, Serialize)]
pub(super) struct RoundTrips {
    pub(super) what: &'static str,
    pub(super) sessions: u32,
    /// Requests under way at a time.
    pub(super) in_flight: usize,
    pub(super) moat: Rate,
    pub(super) udp_echo: Rate,
    pub(super) libcoap: Option<Rate>,
    /// Of the rates.
    pub(super) ratio_to_udp_echo: f64,
    /// Of the rates.
    pub(super) ratio_to_libcoap: Option<f64>,
    /// Of what the servers spent of their core: tells them apart where the generator is the slower one.
    pub(super) core_ratio_to_libcoap: Option<f64>,
}

impl RoundTrips {
    pub(super) fn new(
        what: &'static str,
        sessions: u32,
        in_flight: usize,
        moat: Rate,
        udp_echo: Rate,
        libcoap: Option<Rate>,
    ) -> Self {
        let core = |other: Rate| other.server_microseconds / moat.server_microseconds;
        RoundTrips {
            what,
            sessions,
            in_flight,
            moat,
            udp_echo,
            libcoap,
            ratio_to_udp_echo: moat.per_second / udp_echo.per_second,
            ratio_to_libcoap: libcoap.map(|other| moat.per_second / other.per_second),
            core_ratio_to_libcoap: libcoap.map(core),
        }
    }
}

/// Mitigation requests, each acknowledged after an fsync.
#[derive(Debug, Serialize)]
pub(super) struct DurablePuts {
    /// What the disk does without a server: a page appended to a file and made durable, one after the other.
    pub(super) appends_per_second: f64,
    /// The same with the page written over the one before, as in a log that is used again.
    pub(super) overwrites_per_second: f64,
    pub(super) kinds: Vec<Puts>,
}

/// One kind of mitigation request. The whole server process is measured, and not `nft`, which it starts for filters.
#[derive(Debug, Serialize)]
pub(super) struct Puts {
    pub(super) what: &'static str,
    pub(super) sessions: u32,
    pub(super) in_flight: u32,
    pub(super) moat: Rate,
    /// Commits of the store, an fsync each.
    pub(super) commits: u64,
    /// Changes in these commits.
    pub(super) changes_committed: u64,
}

/// Handshakes with mutual certificates.
#[derive(Debug, Serialize)]
pub(super) struct Handshakes {
    pub(super) what: &'static str,
    /// The generator, a single core, is the slower side of these.
    pub(super) moat: Rate,
    pub(super) libcoap: Option<Rate>,
    /// What one takes the server's end of the bare library, in memory and without cookies; in microseconds of a core.
    pub(super) library_microseconds: f64,
    /// How many a core can do: by what moat spent of it.
    pub(super) moat_per_core_second: f64,
    /// How many a core can do with the bare library.
    pub(super) library_per_core_second: f64,
    /// Of these two.
    pub(super) ratio_to_library: f64,
    /// Of what the servers spent of their core.
    pub(super) core_ratio_to_libcoap: Option<f64>,
}

impl Handshakes {
    pub(super) fn new(
        what: &'static str,
        moat: Rate,
        libcoap: Option<Rate>,
        library_microseconds: f64,
    ) -> Self {
        let core = |other: Rate| other.server_microseconds / moat.server_microseconds;
        Handshakes {
            what,
            moat,
            libcoap,
            library_microseconds,
            moat_per_core_second: 1e6 / moat.server_microseconds,
            library_per_core_second: 1e6 / library_microseconds,
            ratio_to_library: library_microseconds / moat.server_microseconds,
            core_ratio_to_libcoap: libcoap.map(core),
        }
    }
}

/// Memory of a server for each established session on which nothing happens.
#[derive(Debug, Serialize)]
pub(super) struct IdleMemory {
    pub(super) sessions: u32,
    pub(super) moat_bytes: u64,
    /// The bare library's end of a session.
    pub(super) library_bytes: u64,
    pub(super) libcoap_bytes: Option<u64>,
    /// What moat takes more than the bare library; negative where it takes less.
    pub(super) moat_more_bytes: i64,
}

impl IdleMemory {
    pub(super) fn new(
        sessions: u32,
        moat_bytes: u64,
        library_bytes: u64,
        libcoap_bytes: Option<u64>,
    ) -> Self {
        IdleMemory {
            sessions,
            moat_bytes,
            library_bytes,
            libcoap_bytes,
            moat_more_bytes: moat_bytes.cast_signed() - library_bytes.cast_signed(),
        }
    }
}

/// Heartbeats under a flood of ClientHellos.
#[derive(Debug, Serialize)]
pub(super) struct Flood {
    pub(super) sessions: u32,
    pub(super) heartbeats: u64,
    pub(super) heartbeats_lost: u64,
    pub(super) slowest_answer_milliseconds: f64,
    /// Hellos and heartbeats that the kernel dropped at the server's socket, which was full.
    pub(super) datagrams_dropped: u64,
    /// The hellos sent, and what the server spent on them together with the heartbeats.
    pub(super) hellos: Rate,
}
