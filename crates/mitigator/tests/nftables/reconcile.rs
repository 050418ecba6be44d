//! After a reconciliation the table is what it should be, whatever it was.

use mitigator::nftables::LimitPerSource;
use mitigator::{FilterChange, Mitigator, Reconciled};

use crate::namespace::{
    Outcome, Path, addresses, dropping, filter, id, isolated, limiting, nft, snapshot,
};

fn wanted() -> [mitigator::Filter; 2] {
    [
        filter("a", &["203.0.113.7/32"], &[(53, 53)], &[17]),
        filter("b", &["203.0.113.0/24", "2001:db8:f::/48"], &[], &[]),
    ]
}

#[test]
fn whatever_others_did_to_the_table_is_repaired() -> Outcome {
    isolated(|| {
        let mut nftables = limiting(LimitPerSource::default());
        nftables.reconcile(&wanted())?;
        let right = snapshot("moat")?;
        for damage in [
            "list ruleset",
            "flush ruleset",
            "flush table inet moat",
            "flush chain inet moat prerouting",
            "flush chain inet moat f_a",
            "flush map inet moat dispatch4",
            "delete element inet moat dispatch6 { 2001:db8:f::/48 }",
            "add element inet moat dispatch4 { 192.0.2.0/24 : jump f_a }",
            "insert rule inet moat f_a accept",
            "insert rule inet moat prerouting ip saddr 192.0.2.66 accept comment \"mine\"",
            "add chain inet moat f_stray; add counter inet moat c_stray; add rule inet moat f_stray counter name c_stray",
            "add chain inet moat forward { type filter hook forward priority 0; policy drop; }",
            "add chain inet moat prerouting { policy drop; }",
            "add set inet moat stray { type inet_service; }",
            "add map inet moat stray { type ipv4_addr : mark; }",
            "add quota inet moat stray { over 1 mbytes; }",
            "add chain inet moat Stray_1",
            "add table inet moat { flags dormant; }",
            "flush chain inet moat f_a; delete counter inet moat c_a; delete set inet moat r4_a",
            "flush chain inet moat f_a; delete set inet moat r4_a; \
             add set inet moat r4_a { type ipv6_addr; size 65536; flags dynamic, timeout; timeout 60s; }",
            "flush chain inet moat f_a; delete set inet moat r4_a; add set inet moat r4_a { type ipv4_addr; }",
            "delete table inet moat; add table inet moat; add chain inet moat prerouting",
            "delete table inet moat; add table inet moat; add set inet moat dispatch4 { type ipv4_addr; }",
        ] {
            nft(damage)?;
            nftables
                .reconcile(&wanted())
                .map_err(|error| format!("{damage}: {error}"))?;
            assert_eq!(snapshot("moat")?, right, "{damage}");
            assert!(
                !nft("list table inet moat")?.contains("dormant"),
                "{damage}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_restart_keeps_what_was_counted_and_learnt() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.66/32", "203.0.113.7/32"])?;
        let a = filter("a", &["203.0.113.7/32"], &[(53, 53)], &[17]);
        let b = filter("b", &["198.51.100.0/24"], &[], &[]);
        limiting(LimitPerSource::default()).reconcile(&[a.clone(), b])?;
        assert!(Path::new("192.0.2.66", "203.0.113.7", 53)?.arriving(2000)? < 200);
        let before = limiting(LimitPerSource::default()).counters()?;
        assert!(before[&id("a")].packets > 1000);

        // A new process, one filter fewer, one more, and somebody has tampered with a rule.
        nft("insert rule inet moat f_a accept")?;
        let mut nftables = limiting(LimitPerSource::default());
        let reconciled = nftables.reconcile(&[a, filter("c", &["192.0.2.1/32"], &[], &[])])?;
        let expected = Reconciled {
            added: vec![id("c")],
            removed: vec![id("b")],
            kept: vec![id("a")],
        };
        assert_eq!(reconciled, expected);
        assert_eq!(nftables.counters()?[&id("a")], before[&id("a")]);
        assert_eq!(
            Path::new("192.0.2.66", "203.0.113.7", 53)?.arriving(5)?,
            0,
            "still blocked"
        );
        Ok(())
    })
}

#[test]
fn a_changed_scope_keeps_what_was_counted_and_learnt() -> Outcome {
    isolated(|| {
        addresses(&["192.0.2.66/32", "203.0.113.7/32"])?;
        let mut nftables = limiting(LimitPerSource::default());
        nftables.reconcile(&[filter("a", &["203.0.113.7/32"], &[(53, 53)], &[17])])?;
        assert!(Path::new("192.0.2.66", "203.0.113.7", 53)?.arriving(2000)? < 200);
        let before = nftables.counters()?[&id("a")];
        let wider = filter("a", &["203.0.113.7/32", "2001:db8::/32"], &[], &[]);
        nftables.apply(&[FilterChange::Enforce(wider)])?;
        assert_eq!(Path::new("192.0.2.66", "203.0.113.7", 80)?.arriving(5)?, 0);
        assert_eq!(nftables.counters()?[&id("a")].packets, before.packets + 5);
        Ok(())
    })
}

#[test]
fn changed_limits_make_the_table_anew() -> Outcome {
    isolated(|| {
        limiting(LimitPerSource::default()).reconcile(&wanted())?;
        let reconciled = dropping().reconcile(&wanted())?;
        assert_eq!(
            reconciled,
            Reconciled {
                added: vec![id("a"), id("b")],
                ..Reconciled::default()
            }
        );
        assert!(!nft("list table inet moat")?.contains("set r4_a"));
        Ok(())
    })
}

#[test]
fn the_next_change_repairs_what_others_have_taken_away() -> Outcome {
    isolated(|| {
        let [a, b] = wanted();
        let mut nftables = limiting(LimitPerSource::default());
        nftables.reconcile(&wanted())?;
        let right = snapshot("moat")?;
        nftables.apply(&[FilterChange::Withdraw(id("b"))])?;
        nft("flush ruleset")?;
        nftables.apply(&[FilterChange::Enforce(b)])?;
        assert_eq!(snapshot("moat")?, right);
        nft("flush ruleset")?;
        nftables.apply(&[FilterChange::Enforce(a.clone())])?;
        nftables.apply(&[FilterChange::Withdraw(id("a"))])?;
        nftables.apply(&[FilterChange::Enforce(a)])?;
        assert_eq!(snapshot("moat")?, right);
        Ok(())
    })
}

#[test]
fn a_change_before_any_reconciliation_starts_from_nothing() -> Outcome {
    isolated(|| {
        let [a, b] = wanted();
        dropping().reconcile(&[b])?;
        let mut nftables = dropping();
        nftables.apply(&[FilterChange::Enforce(a)])?;
        assert_eq!(
            nftables.counters()?.into_keys().collect::<Vec<_>>(),
            [id("a")]
        );
        Ok(())
    })
}
