//! What stands in the table.

use mitigator::nftables::{Action, LimitPerSource, Nftables, NftablesConfig};
use mitigator::{Filter, FilterChange, Mitigator};

use crate::namespace::{Outcome, dropping, filter, id, isolated, limiting, nft, snapshot};

#[test]
fn withdrawing_removes_every_trace() -> Outcome {
    isolated(|| {
        let mut nftables = limiting(LimitPerSource::default());
        nftables.reconcile(&[])?;
        let empty = snapshot("moat")?;
        let both = filter(
            "both",
            &["203.0.113.0/24", "2001:db8::/48"],
            &[(53, 53)],
            &[17],
        );
        let other = filter("other", &["203.0.113.7/32"], &[], &[]);
        nftables.apply(&[FilterChange::Enforce(both), FilterChange::Enforce(other)])?;
        let text = nft("list table inet moat")?;
        for name in [
            "f_both",
            "c_both",
            "r4_both",
            "o6_both",
            "f_other",
            "203.0.113.0-203.0.113.6",
            "203.0.113.7 ",
            "2001:db8::/48",
        ] {
            assert!(text.contains(name), "{name} is not in {text}");
        }
        nftables.apply(&[
            FilterChange::Withdraw(id("both")),
            FilterChange::Withdraw(id("other")),
        ])?;
        assert_eq!(snapshot("moat")?, empty);
        // Withdrawing what is not there is no error.
        nftables.apply(&[FilterChange::Withdraw(id("both"))])?;
        assert_eq!(snapshot("moat")?, empty);
        Ok(())
    })
}

#[test]
fn the_last_change_of_a_batch_counts() -> Outcome {
    isolated(|| {
        let mut nftables = dropping();
        nftables.reconcile(&[])?;
        let empty = snapshot("moat")?;
        let wanted = filter("m", &["203.0.113.7/32"], &[], &[]);
        nftables.apply(&[
            FilterChange::Enforce(wanted.clone()),
            FilterChange::Withdraw(id("m")),
        ])?;
        assert_eq!(snapshot("moat")?, empty);
        nftables.apply(&[
            FilterChange::Withdraw(id("m")),
            FilterChange::Enforce(wanted),
        ])?;
        assert_ne!(snapshot("moat")?, empty);
        Ok(())
    })
}

/// The same table, made from nothing.
fn rebuilt(action: &Action, filters: &[Filter]) -> Outcome<impl PartialEq + std::fmt::Debug> {
    let table = "fresh".parse()?;
    let config = NftablesConfig {
        table,
        action: action.clone(),
        ..NftablesConfig::default()
    };
    Nftables::new(config).reconcile(filters)?;
    let fresh = snapshot("fresh")?;
    nft("delete table inet fresh")?;
    Ok(fresh)
}

fn many_changes(action: &Action) -> Outcome {
    const PREFIXES: [&str; 10] = [
        "0.0.0.0/0",
        "203.0.113.0/24",
        "203.0.113.0/25",
        "203.0.113.128/25",
        "203.0.113.7/32",
        "198.51.100.1/32",
        "2001:db8::/32",
        "2001:db8:f::/48",
        "2001:db8:f::7/128",
        "::/0",
    ];
    let mut seed = 0x6d6f_6174_u32;
    let mut below = |limit: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % limit
    };
    let mut nftables = Nftables::new(NftablesConfig {
        action: action.clone(),
        ..NftablesConfig::default()
    });
    nftables.reconcile(&[])?;
    let mut model = std::collections::BTreeMap::new();
    for step in 0..60 {
        let mut changes = Vec::new();
        for _ in 0..=below(4) {
            let name = format!("m{}", below(6));
            if below(3) == 0 {
                model.remove(&name);
                changes.push(FilterChange::Withdraw(id(&name)));
            } else {
                let prefixes: Vec<_> = PREFIXES.into_iter().filter(|_| below(5) == 0).collect();
                let ports = [(53, 53), (1000, 2000)];
                let protocols = [6, 17, 58];
                let filter = filter(
                    &name,
                    &prefixes,
                    &ports[..below(3) as usize],
                    &protocols[..below(4) as usize],
                );
                model.insert(name, filter.clone());
                changes.push(FilterChange::Enforce(filter));
            }
        }
        nftables
            .apply(&changes)
            .map_err(|error| format!("step {step}, {changes:?}: {error}"))?;
        let wanted: Vec<_> = model.values().cloned().collect();
        let (is, should) = (snapshot("moat")?, rebuilt(action, &wanted)?);
        // Two statements of one type, hidden behind `impl`.
        assert_eq!(
            format!("{is:?}"),
            format!("{should:?}"),
            "step {step}: {changes:?}"
        );
    }
    Ok(())
}

#[test]
fn many_changes_of_limiting_filters_lead_to_the_table_that_a_fresh_start_makes() -> Outcome {
    isolated(|| many_changes(&Action::default()))
}

#[test]
fn many_changes_of_dropping_filters_lead_to_the_table_that_a_fresh_start_makes() -> Outcome {
    isolated(|| many_changes(&Action::Drop))
}

/// Deleting so many elements one by one from so many takes nft far longer than writing all anew.
#[test]
fn a_large_map_that_changes_much_is_written_anew_and_holds_what_it_should() -> Outcome {
    isolated(|| {
        let wanted = |name: &str, hosts: std::ops::Range<u16>| {
            let prefixes: Vec<_> = hosts
                .map(|host| format!("198.18.{}.{}/32", host >> 8, host & 0xff))
                .collect();
            let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
            filter(name, &prefixes, &[], &[])
        };
        let around = filter("around", &["198.18.0.0/15"], &[], &[]);
        let mut nftables = dropping();
        nftables.reconcile(&[around.clone(), wanted("a", 0..500), wanted("b", 500..1000)])?;
        nftables.apply(&[
            FilterChange::Withdraw(id("a")),
            FilterChange::Enforce(wanted("c", 900..1200)),
        ])?;
        let all = [around, wanted("b", 500..1000), wanted("c", 900..1200)];
        let (is, should) = (snapshot("moat")?, rebuilt(&Action::Drop, &all)?);
        assert!(
            format!("{is:?}") == format!("{should:?}"),
            "the table is not what a fresh start makes"
        );
        Ok(())
    })
}

#[test]
fn other_tables_are_never_touched() -> Outcome {
    isolated(|| {
        nft(
            "add table inet other; add counter inet other c_m; add set inet other r4_m { type ipv4_addr; }",
        )?;
        nft("add chain inet other prerouting { type filter hook prerouting priority -300; }")?;
        nft(
            "add table ip moat; add chain ip moat f_m; add rule ip moat f_m counter comment \"ours\"",
        )?;
        let others = || {
            Ok::<_, Box<dyn std::error::Error>>((
                nft("list table inet other")?,
                nft("list table ip moat")?,
            ))
        };
        let before = others()?;
        let mut nftables = limiting(LimitPerSource::default());
        let wanted = filter("m", &["203.0.113.7/32"], &[], &[]);
        nftables.apply(&[FilterChange::Enforce(wanted.clone())])?;
        nftables.reconcile(&[wanted])?;
        nft("delete table inet moat")?;
        nftables.reconcile(&[])?;
        nftables.apply(&[FilterChange::Withdraw(id("m"))])?;
        assert_eq!(others()?, before);
        Ok(())
    })
}

#[test]
fn the_deepest_nesting_there_is_fits_the_kernel_and_leaves_no_trace() -> Outcome {
    isolated(|| {
        let nested = |address: &str, name: &str, longest: u8| -> Vec<Filter> {
            let prefix = |length| format!("{address}/{length}");
            let filter = |length| filter(&format!("{name}{length}"), &[&prefix(length)], &[], &[]);
            (0..=longest).map(filter).collect()
        };
        let mut nftables = dropping();
        nftables.reconcile(&[])?;
        let empty = snapshot("moat")?;
        let filters = [
            nested("203.0.113.7", "v4_", 32),
            nested("2001:db8::7", "v6_", 128),
        ]
        .concat();
        let changes = |change: fn(&Filter) -> FilterChange| -> Vec<_> {
            filters.iter().map(change).collect()
        };
        nftables.apply(&changes(|filter| FilterChange::Enforce(filter.clone())))?;
        assert_eq!(format!("{:?}", snapshot("moat")?), {
            format!("{:?}", rebuilt(&Action::Drop, &filters)?)
        });
        nftables.apply(&changes(|filter| FilterChange::Withdraw(filter.id.clone())))?;
        assert_eq!(snapshot("moat")?, empty);
        Ok(())
    })
}

#[test]
fn many_filters_are_one_transaction() -> Outcome {
    isolated(|| {
        let filters: Vec<_> = (0..100)
            .map(|i| {
                filter(
                    &format!("m{i}"),
                    &[&format!("198.18.{}.{}/32", i / 256, i % 256)],
                    &[],
                    &[],
                )
            })
            .collect();
        let mut nftables = dropping();
        assert_eq!(nftables.reconcile(&filters)?.added.len(), 100);
        let more = filter("more", &["198.18.0.0/15"], &[], &[]);
        nftables.apply(&[FilterChange::Enforce(more)])?;
        assert_eq!(nftables.counters()?.len(), 101);
        assert_eq!(dropping().reconcile(&filters)?.removed, [id("more")]);
        Ok(())
    })
}
