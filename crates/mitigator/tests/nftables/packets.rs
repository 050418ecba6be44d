//! What happens to packets.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use mitigator::nftables::LimitPerSource;
use mitigator::{FilterChange, Mitigator};

use crate::namespace::{Outcome, Path, addresses, dropping, filter, id, isolated, limiting};

const FLOOD: usize = 2000;
/// The most that passes of a flood: the burst, and what the rate allows while it is sent.
const LEAK: usize = FLOOD / 10;
/// A block of one second, by a clock of the kernel that is less fine.
const BLOCKED: Duration = Duration::from_millis(900);

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
}

fn a_flood_is_blocked_and_a_client_is_not(
    flooder: &str,
    client: &str,
    target: &str,
    scope: &str,
) -> Outcome {
    let mut nftables = limiting(LimitPerSource::default());
    nftables.reconcile(&[])?;
    let flood = Path::new(flooder, target, 5353)?;
    assert!(flood.passes(FLOOD)?, "without a mitigation all pass");
    drop(flood);

    nftables.apply(&[FilterChange::Enforce(filter("m", &[scope], &[], &[]))])?;
    let flood = Path::new(flooder, target, 5353)?;
    let passed = flood.arriving(FLOOD)?;
    assert!((1..LEAK).contains(&passed), "{passed} of the flood passed");
    assert_eq!(flood.arriving(1)?, 0, "it is blocked, not just slowed down");
    drop(flood);
    let visit = Path::new(client, target, 5353)?;
    assert!(visit.passes(10)?, "a client passes");
    drop(visit);
    let dropped = nftables.counters()?[&id("m")];
    assert_eq!(dropped.packets, u64::try_from(FLOOD + 1 - passed)?);
    assert!(dropped.bytes >= dropped.packets * 29, "{dropped:?}");

    nftables.apply(&[FilterChange::Withdraw(id("m"))])?;
    let flood = Path::new(flooder, target, 5353)?;
    assert!(flood.passes(FLOOD)?, "after the withdrawal all pass");
    assert!(nftables.counters()?.is_empty());
    Ok(())
}

#[test]
fn an_ipv4_flood_is_blocked_and_a_client_is_not() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.66/32", "192.0.2.10/32", "203.0.113.7/32"])?;
        a_flood_is_blocked_and_a_client_is_not(
            "192.0.2.66",
            "192.0.2.10",
            "203.0.113.7",
            "203.0.113.7/32",
        )
    })
}

#[test]
fn an_ipv6_flood_is_blocked_and_a_client_is_not() -> Outcome {
    isolated(|| {
        addresses(&[
            "2001:db8:66::1/128",
            "2001:db8:10::1/128",
            "2001:db8:f::7/128",
        ])?;
        a_flood_is_blocked_and_a_client_is_not(
            "2001:db8:66::1",
            "2001:db8:10::1",
            "2001:db8:f::7",
            "2001:db8:f::/48",
        )
    })
}

#[test]
fn an_ipv6_flooder_gains_nothing_by_changing_its_address_within_its_64() -> Outcome {
    isolated(|| {
        addresses(&[
            "2001:db8:66::1/128",
            "2001:db8:66::2/128",
            "2001:db8:66:1::1/128",
            "2001:db8:f::7/128",
        ])?;
        let mut nftables = limiting(LimitPerSource::default());
        nftables.reconcile(&[filter("m", &["2001:db8:f::/48"], &[], &[])])?;
        assert!(Path::new("2001:db8:66::1", "2001:db8:f::7", 53)?.arriving(FLOOD)? < LEAK);
        assert_eq!(
            Path::new("2001:db8:66::2", "2001:db8:f::7", 53)?.arriving(5)?,
            0
        );
        assert!(Path::new("2001:db8:66:1::1", "2001:db8:f::7", 53)?.passes(5)?);
        Ok(())
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the kernel blocks in real time")]
fn a_blocked_source_stays_blocked_while_it_floods_and_passes_when_it_has_stopped() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.66/32", "203.0.113.7/32"])?;
        let mut nftables = limiting(LimitPerSource {
            block_seconds: number(1),
            ..LimitPerSource::default()
        });
        nftables.reconcile(&[filter("m", &["203.0.113.7/32"], &[], &[])])?;
        let path = Path::new("192.0.2.66", "203.0.113.7", 53)?;
        let mut flooded = Instant::now();
        assert!(path.arriving(FLOOD)? < LEAK);
        // Each round ends with 100 ms of silence: 2 s of flooding in all.
        for _ in 0..20 {
            let before = std::mem::replace(&mut flooded, Instant::now());
            let passed = path.arriving(100)?;
            // Unless this very test was held up for so long that the block has ended.
            assert!(passed == 0 || before.elapsed() >= BLOCKED, "{passed}");
        }
        // Ten packets a second keep to the rate.
        let mut waited = 0;
        while path.arriving(1)? == 0 {
            waited += 1;
            assert!(waited < 50, "still blocked after 5 s");
        }
        let blocked = flooded.elapsed();
        assert!(blocked >= BLOCKED, "blocked for {blocked:?} only");
        Ok(())
    })
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a rate of the kernel is of real time"
)]
fn when_the_table_of_sources_is_full_strangers_share_a_rate_and_acquaintances_pass() -> Outcome {
    isolated(|| {
        addresses(&["198.18.0.1/16", "203.0.113.7/32"])?;
        let limit = LimitPerSource {
            sources: number(4),
            untracked_packets_per_second: number(50),
            ..LimitPerSource::default()
        };
        let mut nftables = limiting(limit);
        nftables.reconcile(&[filter("m", &["203.0.113.7/32"], &[], &[])])?;
        let send = |host: usize, packets| {
            Path::new(&format!("198.18.1.{host}"), "203.0.113.7", 53)?.arriving(packets)
        };
        for acquaintance in 1..=4 {
            assert_eq!(send(acquaintance, 5)?, 5);
        }
        let begun = Instant::now();
        let strangers = (5..45)
            .map(|host| send(host, 15))
            .sum::<Result<usize, _>>()?;
        // One packet in 20 ms, a burst of 20, and room for the coarser clock of the kernel.
        let most = begun.elapsed().as_millis() / 20 + 40;
        let most = usize::try_from(most)?;
        assert!(
            (1..=most).contains(&strangers),
            "{strangers} of 600 passed, {most} at most"
        );
        for acquaintance in 1..=4 {
            assert_eq!(send(acquaintance, 5)?, 5);
        }
        Ok(())
    })
}

#[test]
fn where_no_places_are_left_all_sources_of_a_mitigation_share_a_rate() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.66/32", "203.0.113.7/32", "203.0.113.8/32"])?;
        let mut nftables = limiting(LimitPerSource {
            all_sources: number(63),
            untracked_packets_per_second: number(50),
            ..LimitPerSource::default()
        });
        nftables.reconcile(&[filter("m", &["203.0.113.7/32"], &[], &[])])?;
        let passed = Path::new("192.0.2.66", "203.0.113.7", 53)?.arriving(FLOOD)?;
        assert!((1..LEAK).contains(&passed), "{passed} of the flood passed");
        assert!(Path::new("192.0.2.66", "203.0.113.8", 53)?.passes(FLOOD)?);
        Ok(())
    })
}

#[test]
fn filters_nested_deeper_than_the_kernel_follows_chains_are_all_visited() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.1/32", "203.0.113.7/32"])?;
        let mut nftables = dropping();
        let nested: Vec<_> = (1..=32_u8)
            .map(|length| {
                let (prefix, port) = (format!("203.0.113.7/{length}"), u16::from(length) + 1000);
                filter(&format!("m{length}"), &[&prefix], &[(port, port)], &[17])
            })
            .collect();
        nftables.reconcile(&nested)?;
        for length in [1, 2, 8, 9, 16, 17, 31, 32] {
            let path = Path::new("192.0.2.1", "203.0.113.7", 1000 + length)?;
            assert_eq!(path.arriving(3)?, 0, "the filter of /{length}");
        }
        assert!(Path::new("192.0.2.1", "203.0.113.7", 1033)?.passes(3)?);
        Ok(())
    })
}

#[test]
fn only_the_ports_and_protocols_in_scope_are_dropped() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.1/32", "203.0.113.7/32", "203.0.113.8/32"])?;
        let udp = |target, port| {
            Ok::<_, Box<dyn std::error::Error>>(
                Path::new("192.0.2.1", target, port)?.arriving(3)? == 3,
            )
        };
        let tcp = |port: u16| -> Outcome<bool> {
            let address = SocketAddr::new("203.0.113.7".parse()?, port);
            let _listener = TcpListener::bind(address)?;
            Ok(TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok())
        };
        let mut nftables = dropping();
        for (ports, protocols, passing) in [
            // UDP 53, UDP 60, UDP 100, TCP 53, TCP 100
            (&[][..], &[][..], [false, false, false, false, false]),
            (
                &[(53, 53), (55, 60)],
                &[17],
                [false, false, true, true, true],
            ),
            (&[(53, 53)], &[], [false, true, true, false, true]),
            (&[], &[6], [true, true, true, false, false]),
            (&[(100, 200)], &[6, 1], [true, true, true, true, false]),
            (&[(0, 65535)], &[47], [true, true, true, true, true]),
        ] {
            let enforced = filter("m", &["203.0.113.7/32"], ports, protocols);
            nftables.apply(&[FilterChange::Enforce(enforced)])?;
            let target = "203.0.113.7";
            let seen = [
                udp(target, 53)?,
                udp(target, 60)?,
                udp(target, 100)?,
                tcp(53)?,
                tcp(100)?,
            ];
            assert_eq!(seen, passing, "ports {ports:?}, protocols {protocols:?}");
            assert!(udp("203.0.113.8", 53)?, "another address is never in scope");
        }
        Ok(())
    })
}

#[test]
fn a_filter_without_prefixes_drops_nothing() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.1/32", "203.0.113.7/32"])?;
        let mut nftables = dropping();
        nftables.reconcile(&[filter("m", &[], &[], &[])])?;
        assert!(Path::new("192.0.2.1", "203.0.113.7", 53)?.passes(10)?);
        Ok(())
    })
}

#[test]
fn overlapping_filters_are_all_visited() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.1/32", "203.0.113.7/32"])?;
        let mut nftables = dropping();
        nftables.reconcile(&[
            filter("narrow", &["203.0.113.7/32"], &[(53, 53)], &[17]),
            filter("wide", &["203.0.113.0/24"], &[(80, 80)], &[17]),
        ])?;
        let arriving = |port| Path::new("192.0.2.1", "203.0.113.7", port)?.arriving(3);
        assert_eq!((arriving(53)?, arriving(80)?, arriving(90)?), (0, 0, 3));
        nftables.apply(&[FilterChange::Withdraw(id("wide"))])?;
        assert_eq!((arriving(53)?, arriving(80)?, arriving(90)?), (0, 3, 3));
        let dropped = nftables.counters()?;
        assert_eq!(dropped.keys().collect::<Vec<_>>(), [&id("narrow")]);
        assert_eq!(dropped[&id("narrow")].packets, 6);
        Ok(())
    })
}
