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
        let selected = content.of(report(&all));
        assert_eq!(selected, report(part));
        assert_eq!(MitigationReport::decode(&selected.encode()), Ok(selected));
    }
}
