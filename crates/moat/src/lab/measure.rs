//! Counters at the edges, and the arithmetic from counts to the report's numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::Error;
use super::netns::Netns;
use super::topology::edge::Counter;
use super::traffic::{Received, Visits};
use super::{monotonic_nanoseconds, process};

/// All counters of an attachment's table at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// CLOCK_MONOTONIC, in nanoseconds.
    at: u64,
    /// All there are.
    packets: BTreeMap<Counter, u64>,
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    counter: Option<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    packets: u64,
}

impl Snapshot {
    /// Reads the counters of a table at an edge.
    pub(crate) fn take(edge: &Netns, table: &str) -> Result<Self, Error> {
        let before = monotonic_nanoseconds();
        let listing = list(edge, table)?;
        let after = monotonic_nanoseconds();
        Self::parse(&listing, before.midpoint(after))
    }

    fn parse(listing: &str, at: u64) -> Result<Self, Error> {
        let listed = parse(listing)?;
        let packets = Counter::ALL.into_iter().map(|counter| {
            let name = counter.name();
            let packets = listed.get(name).copied();
            let packets = packets.ok_or(Error::NoCounter { name })?;
            Ok((counter, packets))
        });
        let packets = packets.collect::<Result<_, Error>>()?;
        Ok(Snapshot { at, packets })
    }

    /// Packets counted so far.
    pub(crate) fn packets(&self, counter: Counter) -> u64 {
        self.packets.get(&counter).copied().unwrap_or_default()
    }

    /// Packets per second since an earlier snapshot.
    pub(crate) fn rate_since(&self, earlier: &Snapshot, counter: Counter) -> f64 {
        let packets = self
            .packets(counter)
            .saturating_sub(earlier.packets(counter));
        per_second(packets, self.at.saturating_sub(earlier.at))
    }
}

/// The packets that each counter of a table at an edge has counted.
pub(crate) fn counters(edge: &Netns, table: &str) -> Result<BTreeMap<String, u64>, Error> {
    parse(&list(edge, table)?)
}

fn list(edge: &Netns, table: &str) -> Result<String, Error> {
    let words = ["-j", "list", "counters", "table", "inet", table];
    edge.output_of("nft", &words, "")
}

fn parse(listing: &str) -> Result<BTreeMap<String, u64>, Error> {
    let listing: Listing = process::parse("nft -j list counters", listing)?;
    let listed = listing.nftables.into_iter().filter_map(|item| item.counter);
    Ok(listed.map(|one| (one.name, one.packets)).collect())
}

fn per_second(packets: u64, nanoseconds: u64) -> f64 {
    if nanoseconds == 0 {
        0.0
    } else {
        packets as f64 * 1e9 / nanoseconds as f64
    }
}

/// Requests without response in percent. Without any request nothing is known to have arrived: 100.
pub(crate) fn loss_percent<'a>(visits: impl IntoIterator<Item = &'a Visits>) -> f64 {
    let (sent, answered) = visits.into_iter().fold((0, 0), |(sent, answered), visit| {
        (sent + visit.sent, answered + visit.answered)
    });
    if sent == 0 {
        100.0
    } else {
        (sent - answered.min(sent)) as f64 * 100.0 / sent as f64
    }
}

/// When a flood stopped, in milliseconds after the alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stopped {
    /// When the first packet was sent that did not arrive any more, of the flow that stopped first.
    pub(crate) first: f64,
    /// The same of the flow that stopped last.
    pub(crate) last: f64,
}

impl Stopped {
    /// From what had arrived of each flow when it had stopped, in a flood with `interval` nanoseconds between packets of a flow.
    /// `None` without flows.
    pub(crate) fn from_record(received: &[Received], interval: u64, alarm: u64) -> Option<Self> {
        let stops = received
            .iter()
            .map(|received| received.last_sent_at + interval);
        let (first, last) = (stops.clone().min()?, stops.max()?);
        Some(Stopped {
            first: milliseconds_between(alarm, first),
            last: milliseconds_between(alarm, last),
        })
    }
}

/// Negative when `later` is not later.
fn milliseconds_between(earlier: u64, later: u64) -> f64 {
    if later >= earlier {
        (later - earlier) as f64 / 1e6
    } else {
        -((earlier - later) as f64) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use serde_json::json;

    use super::*;
    use crate::lab::traffic::Flow;

    /// What `nft` lists where each counter has seen so many packets.
    fn listing(counters: &[Counter], packets: u64) -> String {
        let items = counters.iter().map(|counter| {
            json!({ "counter": { "family": "inet", "name": counter.name(), "table": "lab", "packets": packets, "bytes": 9 }})
        });
        let metainfo = json!({ "metainfo": { "version": "1.0.6", "json_schema_version": 1 }});
        let items: Vec<_> = std::iter::once(metainfo).chain(items).collect();
        json!({ "nftables": items }).to_string()
    }

    fn visits(sent: u64, answered: u64) -> Visits {
        Visits {
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
            to: IpAddr::V4(Ipv4Addr::LOCALHOST),
            sent,
            answered,
        }
    }

    #[test]
    fn a_rate_is_the_difference_of_two_listings_over_their_time() {
        let snapshot = |packets, at| Snapshot::parse(&listing(&Counter::ALL, packets), at).unwrap();
        let earlier = snapshot(500, 2_000_000_000);
        let later = snapshot(1500, 2_500_000_000);
        for counter in Counter::ALL {
            assert_eq!(later.packets(counter), 1500);
            assert_eq!(later.rate_since(&earlier, counter), 2000.0);
            assert_eq!(later.rate_since(&later, counter), 0.0);
        }
    }

    #[test]
    fn a_counter_that_is_not_there_is_an_error_and_no_zero() {
        for missing in Counter::ALL {
            let others: Vec<_> = Counter::ALL
                .into_iter()
                .filter(|one| *one != missing)
                .collect();
            let error = Snapshot::parse(&listing(&others, 0), 0).unwrap_err();
            assert!(error.to_string().contains(missing.name()), "{error}");
        }
    }

    #[test]
    fn loss_is_over_all_paths_and_total_when_nothing_was_sent() {
        assert_eq!(loss_percent(&[visits(100, 100), visits(100, 98)]), 1.0);
        assert_eq!(loss_percent(&[visits(10, 10)]), 0.0);
        assert_eq!(loss_percent(&[visits(0, 0)]), 100.0);
    }

    #[test]
    fn a_flow_stops_one_interval_after_the_last_packet_that_arrived() {
        let received = |number, last_sent_at| Received {
            flow: Flow(number),
            packets: 1,
            last_sent_at,
        };
        let record = [received(0, 13_800_000), received(1, 12_800_000)];
        let stopped = Stopped::from_record(&record, 200_000, 3_000_000).unwrap();
        assert_eq!((stopped.first, stopped.last), (10.0, 11.0));
        assert_eq!(Stopped::from_record(&[], 200_000, 0), None);
    }
}
