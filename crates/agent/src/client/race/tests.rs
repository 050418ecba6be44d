use super::*;
use proptest::prelude::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server with an address of each family; the port is the place in the order of RFC 9132 §4.3.
fn machine() -> (Instant, Race) {
    let start = Instant::now();
    let candidate = |transport, address: &str| Candidate {
        transport,
        address: address.parse().unwrap(),
        source: None,
    };
    let candidates = vec![
        candidate(Transport::Stream, "192.0.2.1:3"),
        candidate(Transport::Datagram, "192.0.2.1:1"),
        candidate(Transport::Stream, "[2001:db8::1]:2"),
        candidate(Transport::Datagram, "[2001:db8::1]:0"),
    ];
    (start, Race::new(start, candidates))
}

/// Lets attempts begin until `end`, and returns when each began.
fn begun(
    race: &mut Race,
    (start, end): (Instant, Duration),
    goal: Goal,
    is_urgent: bool,
) -> Vec<(u16, Duration)> {
    let mut begun = Vec::new();
    while let Some(at) = race.due(goal, is_urgent).filter(|at| *at <= start + end) {
        let now = at.max(start);
        if let Some((index, candidate)) = race.begin(now, goal, is_urgent) {
            assert_eq!(usize::from(candidate.address.port()), index);
            begun.push((candidate.address.port(), now - start));
        }
    }
    begun
}

/// Covers: S-072
#[test]
fn kinds_follow_each_other_in_order_after_the_delay() {
    for (is_urgent, delay) in [(true, URGENT_DELAY), (false, IDLE_DELAY)] {
        let (start, mut race) = machine();
        let begun = begun(&mut race, (start, seconds(59)), Goal::Session, is_urgent);
        let expected: Vec<_> = (0..4).map(|n: u16| (n, delay * u32::from(n))).collect();
        assert_eq!(begun, expected);
    }
}

/// Covers: S-072, S-067
#[test]
fn after_a_failure_the_next_begins_at_once_and_a_new_round_after_60_s() {
    let (start, mut race) = machine();
    for expected in 0..4 {
        let (index, _) = race.begin(start, Goal::Session, false).unwrap();
        assert_eq!(index, expected);
        assert_eq!(
            race.failed(index, "refused".to_owned(), true),
            expected == 3
        );
    }
    assert_eq!(race.last_failure(), Some("refused"));
    assert_eq!(race.due(Goal::Session, true), Some(start + seconds(60)));
}

/// Covers: S-072
#[test]
fn the_kind_that_won_goes_first_for_ten_minutes() {
    for (later, first) in [(599, 3), (601, 0)] {
        let (start, mut race) = machine();
        begun(&mut race, (start, seconds(10)), Goal::Session, true);
        race.established(start, 3, false);
        race.ended("gone".to_owned());
        let now = start + seconds(later);
        let (index, _) = race.begin(now, Goal::Session, true).unwrap();
        assert_eq!(index, first);
    }
}

/// Covers: S-073
#[test]
fn udp_is_looked_for_once_a_day_and_under_attack_every_five_minutes() {
    for (is_urgent, pause) in [(false, 86_400), (true, 300)] {
        let (start, mut race) = machine();
        begun(&mut race, (start, seconds(10)), Goal::Session, true);
        race.established(start, 2, false);
        let mut due = start;
        for _ in 0..3 {
            due += seconds(pause);
            assert_eq!(race.due(Goal::Datagram, is_urgent), Some(due));
            for expected in [0, 1] {
                let (index, _) = race.begin(due, Goal::Datagram, is_urgent).unwrap();
                assert_eq!(index, expected);
                race.failed(index, "silent".to_owned(), false);
            }
            assert_eq!(race.begin(due, Goal::Datagram, is_urgent), None);
        }
    }
}

/// Covers: S-067, S-068
#[test]
fn only_the_first_replacement_of_a_session_begins_at_once() {
    let (start, mut race) = machine();
    race.begin(start, Goal::Session, true).unwrap();
    race.established(start, 0, false);
    let now = start + seconds(10);
    assert_eq!(race.begin(now, Goal::Beside, true).unwrap().0, 0);
    race.established(now, 0, true);
    assert_eq!(race.due(Goal::Beside, true), Some(start + seconds(70)));
}

#[test]
fn a_server_without_a_usable_address_is_not_tried() {
    let race = Race::new(Instant::now(), vec![]);
    assert_eq!(race.due(Goal::Session, true), None);
    assert!(race.last_failure().is_some());
}

proptest! {
    /// Covers: S-067, S-073. Whatever happens in between, no address is tried within 60 s of an
    /// attempt with it that failed, nor more than twice within 60 s, nor UDP beside a TCP
    /// session that does more often than every 5 minutes.
    #[test]
    fn an_address_that_failed_is_left_in_peace(
        steps in proptest::collection::vec((0_u8..8, 0_u64..90), 1..200),
    ) {
        let (start, mut race) = machine();
        let mut now = start;
        let mut up: Option<usize> = None;
        let mut is_unwell = false;
        let mut running: Vec<(usize, Instant)> = Vec::new();
        let mut failed: [Option<Instant>; 4] = [None; 4];
        let mut begun: [Vec<Instant>; 4] = Default::default();
        let mut probes: Vec<Instant> = Vec::new();
        for (step, wait) in steps {
            now += seconds(wait);
            let goal = match up {
                None => Goal::Session,
                Some(_) if is_unwell => Goal::Beside,
                Some(index) if index >= 2 => Goal::Datagram,
                Some(_) => Goal::Rest,
            };
            let is_new = running.is_empty();
            let mut any = false;
            while let Some((index, _)) = race.begin(now, goal, true) {
                prop_assert!(failed[index].is_none_or(|at| now - at >= SHORTEST_RETRY));
                begun[index].push(now);
                running.push((index, now));
                any = true;
            }
            if any && is_new && goal == Goal::Datagram && race.started == Some(now) {
                prop_assert!(running.iter().all(|(index, _)| *index < 2));
                probes.push(now);
            }
            match (step, running.first().copied()) {
                (0..=3, Some((index, at))) => {
                    failed[index] = Some(at);
                    running.remove(0);
                    race.failed(index, String::new(), false);
                }
                (4 | 5, Some((index, _))) => {
                    race.established(now, index, up.is_some());
                    running.clear();
                    (up, is_unwell) = (Some(index), false);
                }
                (6, _) if up.is_some() => {
                    up = None;
                    race.ended(String::new());
                }
                (7, _) => is_unwell = true,
                _ => {}
            }
        }
        for tries in begun {
            for three in tries.windows(3) {
                prop_assert!(three[2] - three[0] >= SHORTEST_RETRY);
            }
        }
        probes.dedup();
        for two in probes.windows(2) {
            prop_assert!(two[1] - two[0] >= URGENT_PROBE_INTERVAL);
        }
    }
}

/// Covers: S-067, S-073. A probe of UDP is no way to a session where only TCP works.
#[test]
fn a_probe_does_not_stand_in_for_a_session() {
    let (start, mut race) = machine();
    let (probe, _) = race
        .begin(start + PROBE_INTERVAL, Goal::Datagram, false)
        .unwrap();
    assert_eq!(probe, 0);
    let lost = start + PROBE_INTERVAL + seconds(1);
    let begun = begun(&mut race, (lost, seconds(10)), Goal::Session, true);
    let kinds: Vec<u16> = begun.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [1, 2, 3], "beside the one that is under way");
}

/// Covers: S-064, S-067
#[test]
fn after_its_attempts_were_given_up_a_round_begins_in_time() {
    let (start, mut race) = machine();
    begun(&mut race, (start, seconds(9)), Goal::Session, false);
    assert_eq!(race.due(Goal::Session, false), None);
    race.given_up();
    assert_eq!(race.due(Goal::Session, false), Some(start + seconds(60)));
}

/// Over UDP nothing may come back where TCP says why.
#[test]
fn silence_hides_no_reason_that_was_told_in_the_same_round() {
    let (start, mut race) = machine();
    let attempts = begun(&mut race, (start, seconds(10)), Goal::Session, false);
    assert_eq!(attempts.len(), 4);
    race.failed(2, "alert: decrypt error".to_owned(), true);
    race.failed(0, "nothing came back".to_owned(), false);
    assert_eq!(race.last_failure(), Some("alert: decrypt error"));
    race.failed(3, "port closed".to_owned(), true);
    race.failed(1, "nothing came back".to_owned(), false);
    assert_eq!(race.last_failure(), Some("port closed"));
    // In the next round it may be different.
    begun(&mut race, (start, seconds(70)), Goal::Session, false);
    race.failed(0, "nothing came back".to_owned(), false);
    assert_eq!(race.last_failure(), Some("nothing came back"));
}
