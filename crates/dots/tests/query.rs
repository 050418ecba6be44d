//! Which part of a status a client asks for.
#![allow(clippy::unwrap_used)] // test helpers may panic

use dots::identifiers::Mid;
use dots::lifetime::RemainingLifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, DroppedCounters, MitigationReport, MitigationStatus, Status,
};
use dots::query::{Content, QueryError};
use dots::target::{Protocol, Target};

/// Covers: S-040
#[test]
fn the_c_parameter_selects_a_part_and_everything_by_default() {
    for (queries, content) in [
        (&["c=c"][..], Content::Config),
        (&["c=n"], Content::NonConfig),
        (&["c=a"], Content::All),
        (&[], Content::All),
        (&["target-prefix=192.0.2.0/24", "c=n"], Content::NonConfig),
        (&["cc=c", "C=c", ""], Content::All),
    ] {
        assert_eq!(Content::parse(queries.iter().copied()), Ok(content));
    }
    for content in [Content::Config, Content::NonConfig, Content::All] {
        assert_eq!(Content::parse([content.query()]), Ok(content));
    }
    for query in ["c", "c=", "c=x", "c=cc", "c=C", "c=c="] {
        assert_eq!(Content::parse([query]), Err(QueryError::NotContent));
    }
    assert_eq!(Content::parse(["c=c", "c=n"]), Err(QueryError::Repeated));
    assert_eq!(Content::parse(["c=c", "c=c"]), Err(QueryError::Repeated));
}

/// Covers: S-040, S-041
#[test]
fn each_part_has_what_the_other_has_not_and_both_say_mid_status_and_lifetime() {
    let all = MitigationStatus {
        mid: Mid(7),
        target: Target {
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            protocols: vec![Protocol::UDP],
            ..Target::default()
        },
        trigger_mitigation: Some(false),
        mitigation_start: Some(1_507_818_434),
        status: Status::AttackSuccessfullyMitigated,
        lifetime: RemainingLifetime::Seconds(60),
        counters: DroppedCounters {
            bytes: Some(1),
            bps: Some(2),
            pkts: Some(3),
            pps: Some(4),
        },
        conflict: Some(ConflictInformation {
            cause: Some(ConflictCause::OverlappingTargets),
            ..ConflictInformation::default()
        }),
    };
    let config = MitigationStatus {
        mitigation_start: None,
        counters: DroppedCounters::default(),
        conflict: None,
        ..all.clone()
    };
    let non_config = MitigationStatus {
        target: Target::default(),
        trigger_mitigation: None,
        ..all.clone()
    };
    let report = |status: &MitigationStatus| MitigationReport(vec![status.clone(); 2]);
    for (content, part) in [
        (Content::Config, &config),
        (Content::NonConfig, &non_config),
        (Content::All, &all),
    ] {
        assert_eq!(content.of(all.clone()), *part);
        let selected = report(part);
        assert_eq!(MitigationReport::decode(&selected.encode()), Ok(selected));
    }
}

///
#[test]
fn a_report_that_gets_too_long_is_put_together_no_further() {
    let entry = MitigationStatus {
        mid: Mid(1),
        target: Target::default(),
        trigger_mitigation: Some(true),
        mitigation_start: None,
        status: Status::AttackMitigationInProgress,
        lifetime: RemainingLifetime::Indefinite,
        counters: DroppedCounters::default(),
        conflict: None,
    };
    let whole = MitigationReport(vec![entry.clone(); 3]).encode();
    let mut looked_at = 0;
    let mut encode = |limit| {
        looked_at = 0;
        let entries = std::iter::repeat_n(entry.clone(), 3).inspect(|_| looked_at += 1);
        (MitigationReport::encode_up_to(limit, entries), looked_at)
    };
    assert_eq!(encode(whole.len()), (Some(whole.clone()), 3));
    assert_eq!(encode(whole.len() - 1).0, None);
    assert_eq!(encode(whole.len() / 3), (None, 2));
    assert_eq!(encode(1), (None, 1));
}
