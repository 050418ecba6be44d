//! A report for people.

use std::fmt;

use super::driver::Rate;
use super::report::{DurablePuts, Flood, Handshakes, IdleMemory, Report, RoundTrips, Setup};

/// Prints a report as tables.
pub(super) struct Table<'a>(pub(super) &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        setup(f, &report.setup)?;
        round_trips(f, &report.round_trips)?;
        handshakes(f, &report.handshakes)?;
        durable_puts(f, &report.durable_puts)?;
        idle_memory(f, &report.idle_memory)?;
        flood(f, &report.flood, report.hello_microseconds)?;
        for missing in &report.not_run {
            write!(f, "\nNot run: {missing}")?;
        }
        Ok(())
    }
}

fn setup(f: &mut fmt::Formatter<'_>, setup: &Setup) -> fmt::Result {
    writeln!(f, "moat {}, {}", setup.version, setup.openssl)?;
    if !setup.optimised {
        writeln!(
            f,
            "built without optimisation: cargo run --release is what to compare"
        )?;
    }
    let cores = setup.cores;
    if cores.server == cores.generator {
        writeln!(f, "servers and generator share core {}", cores.server)?;
    } else {
        writeln!(
            f,
            "servers on core {}, generator on core {} (sched_setaffinity), each server alone in its turn",
            cores.server, cores.generator
        )?;
    }
    let disk = if setup.on_disk {
        "on a disk"
    } else {
        "IN MEMORY: nothing is durable there"
    };
    writeln!(
        f,
        "state in {}, {disk}; {} s each",
        setup.folder, setup.seconds
    )?;
    writeln!(
        f,
        "us: microseconds of the servers' core for each; ratios above 1 are in moat's favour"
    )
}

fn round_trips(f: &mut fmt::Formatter<'_>, rows: &[RoundTrips]) -> fmt::Result {
    writeln!(
        f,
        "\n{:30} {:>17} {:>17} {:>17}   {:>8} {:>8} {:>8}",
        "Round trips a second",
        "moat      us",
        "UDP echo      us",
        "libcoap      us",
        "/echo",
        "/libcoap",
        "core"
    )?;
    for row in rows {
        let label = format!("{}, {}", row.what, sessions(row.sessions));
        writeln!(
            f,
            "{label:30} {} {} {}   {:>8.2} {} {}",
            rate(&row.moat),
            rate(&row.udp_echo),
            maybe_rate(row.libcoap.as_ref()),
            row.ratio_to_udp_echo,
            maybe_ratio(row.ratio_to_libcoap),
            maybe_ratio(row.core_ratio_to_libcoap),
        )?;
        for (name, lost) in [
            ("moat", row.moat.answers.lost),
            ("UDP echo", row.udp_echo.answers.lost),
            ("libcoap", row.libcoap.map_or(0, |rate| rate.answers.lost)),
        ] {
            if lost > 0 {
                writeln!(f, "  {name} left {lost} unanswered")?;
            }
        }
    }
    Ok(())
}

fn handshakes(f: &mut fmt::Formatter<'_>, rows: &[Handshakes]) -> fmt::Result {
    writeln!(
        f,
        "\n{:30} {:>17} {:>17} {:>17}   {:>8} {:>8}",
        "Handshakes a second",
        "moat      us",
        "a core of its own",
        "bare library   us",
        "/library",
        "/libcoap"
    )?;
    for row in rows {
        let library = format!(
            "{:.0} {:7.1}",
            row.library_per_core_second, row.library_microseconds
        );
        writeln!(
            f,
            "{:30} {} {:>17.0} {library:>17}   {:>8.2} {}",
            row.what,
            rate(&row.moat),
            row.moat_per_core_second,
            row.ratio_to_library,
            maybe_ratio(row.core_ratio_to_libcoap),
        )?;
    }
    Ok(())
}

fn durable_puts(f: &mut fmt::Formatter<'_>, puts: &DurablePuts) -> fmt::Result {
    writeln!(
        f,
        "\n{:38} {:>17} {:>17} {:>17} {:>11} {:>8}",
        "Durable PUTs a second", "moat      us", "fsyncs", "PUTs per fsync", "slowest, ms", "lost"
    )?;
    for row in &puts.kinds {
        let label = format!("{}, {}", row.what, sessions(row.sessions));
        #[allow(clippy::cast_precision_loss, reason = "they are far below 2^52")]
        let each = row.changes_committed as f64 / row.commits.max(1) as f64;
        writeln!(
            f,
            "{label:38} {} {:>17} {each:>17.1} {:>11.1} {:>8}",
            rate(&row.moat),
            row.commits,
            row.moat.answers.slowest_milliseconds,
            row.moat.answers.lost
        )?;
    }
    for (what, rate) in [
        ("append and fsync, no server", puts.appends_per_second),
        ("overwrite and fsync, no server", puts.overwrites_per_second),
    ] {
        writeln!(f, "{what:38} {rate:>9.0}")?;
    }
    Ok(())
}

fn idle_memory(f: &mut fmt::Formatter<'_>, rows: &[IdleMemory]) -> fmt::Result {
    writeln!(
        f,
        "\n{:30} {:>17} {:>17} {:>17} {:>17}",
        "Bytes for an idle session", "moat", "bare library", "more", "libcoap"
    )?;
    for row in rows {
        let libcoap = row
            .libcoap_bytes
            .map_or("-".to_owned(), |bytes| bytes.to_string());
        writeln!(
            f,
            "{:30} {:>17} {:>17} {:>17} {libcoap:>17}",
            sessions(row.sessions),
            row.moat_bytes,
            row.library_bytes,
            row.moat_more_bytes
        )?;
    }
    Ok(())
}

fn flood(f: &mut fmt::Formatter<'_>, flood: &Flood, door: f64) -> fmt::Result {
    writeln!(
        f,
        "\nA ClientHello of an unverified source takes the door {door:.3} us, which is {:.0} a second.",
        1e6 / door
    )?;
    write!(
        f,
        "While {:.0} of them were sent a second, {} sent {} heartbeats: {} lost, the slowest answered after {:.1} ms, the server's \
         core {:.0} % busy. The kernel dropped {} of these datagrams at its socket.",
        flood.hellos.per_second,
        sessions(flood.sessions),
        flood.heartbeats,
        flood.heartbeats_lost,
        flood.slowest_answer_milliseconds,
        flood.hellos.server_load * 100.0,
        flood.datagrams_dropped
    )
}

fn sessions(count: u32) -> String {
    match count {
        1 => "1 session".to_owned(),
        many => format!("{many} sessions"),
    }
}

fn rate(rate: &Rate) -> String {
    format!("{:>9.0} {:>7.1}", rate.per_second, rate.server_microseconds)
}

fn maybe_rate(rates: Option<&Rate>) -> String {
    rates.map_or(format!("{:>17}", "-"), rate)
}

fn maybe_ratio(ratio: Option<f64>) -> String {
    ratio.map_or(format!("{:>8}", "-"), |ratio| format!("{ratio:>8.2}"))
}
