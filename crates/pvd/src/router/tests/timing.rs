use proptest::prelude::*;

use super::*;

/// RFC 4861 §6.2.1, §6.2.4.
#[test]
fn the_first_three_come_within_16_s_of_each_other_and_the_others_within_the_interval() {
    let now = start();
    let mut router = router(vec![visible(SHARED, 1800, None)], now).unwrap();
    let times: Vec<Instant> = (0..50).map(|_| next(&mut router).0).collect();
    assert_eq!(times[0], now);
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..2], [seconds(16), seconds(16)]);
    for gap in &gaps[2..] {
        assert!((seconds(200)..=seconds(600)).contains(gap), "{gap:?}");
    }
    assert!(gaps[2..].iter().any(|gap| gap != &gaps[2]));
    let most = seconds(1801);
    assert_eq!(Intervals::new(seconds(200), most), None);
    assert_eq!(Intervals::new(seconds(2), seconds(600)), None);
    assert_eq!(Intervals::new(seconds(451), seconds(600)), None);
    assert!(Intervals::new(seconds(3), seconds(4)).is_some());
}

/// RFC 4861 §6.2.6: 0 s to 0.5 s after the question, and 3 s or more after the last; a flood puts off nothing.
#[test]
fn solicitations_are_answered_soon_and_not_more_often_than_every_3_s() {
    let now = start();
    let mut router = router(vec![visible(SHARED, 1800, None)], now).unwrap();
    let host = "fe80::7".parse().unwrap();
    let solicitation = RouterSolicitation.encode();
    let mut last = next(&mut router).0;
    let mut now = last + seconds(100);
    router.on_timeout(now);
    last = if sent(&mut router).is_empty() {
        last
    } else {
        now
    };
    now += seconds(10);
    router.handle_solicitation(&solicitation, host, now);
    let soon = router.next_timeout().unwrap();
    assert!(soon >= now && soon <= now + Duration::from_millis(500));
    assert!(soon >= last + seconds(3));
    router.on_timeout(soon);
    assert_eq!(sent(&mut router).len(), 1);
    let (mut at, mut answers) = (soon, 0);
    while at < soon + seconds(30) {
        at += Duration::from_millis(10);
        router.handle_solicitation(&solicitation, host, at);
        router.on_timeout(at);
        answers += sent(&mut router).len();
    }
    assert!((8..=10).contains(&answers), "{answers}");
    // What is no solicitation is not answered.
    let before = router.next_timeout();
    router.handle_solicitation(&solicitation[..7], host, at);
    assert_eq!(router.next_timeout(), before);
}

/// Covers: P-027
#[test]
fn another_object_has_the_next_number_and_hosts_are_told_three_times() {
    let now = start();
    let mut router = router(vec![visible(SHARED, 1800, Some("foo.example"))], now).unwrap();
    let id: PvdId = "foo.example".parse().unwrap();
    while router.next_timeout().unwrap() < now + seconds(3000) {
        next(&mut router);
    }
    let mut now = now + seconds(3000);
    let mut numbers = SequenceNumbers::remembered([(
        id.clone(),
        Numbered {
            digest: [1; 32],
            sequence_number: u16::MAX,
        },
    )]);
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(numbers.number(&id, [1; 32], &mut random), (u16::MAX, false));
    for (digest, expected) in [([2; 32], 0), ([1; 32], 1)] {
        let (sequence_number, is_new) = numbers.number(&id, digest, &mut random);
        assert_eq!((sequence_number, is_new), (expected, true));
        let announced = Some(Announced {
            delay: Delay::new(3).unwrap(),
            sequence_number,
        });
        router.announce(&id, announced, now);
        let (mut last, mut times) = (now, Vec::new());
        for _ in 0..3 {
            let (at, sent) = next(&mut router);
            let pvd = sent[0].1.pvd.clone().unwrap();
            assert_eq!(pvd.additional_information, announced);
            times.push(at - last);
            last = at;
        }
        assert_eq!(times, [seconds(0), seconds(16), seconds(16)]);
        // The same again is nothing new.
        router.announce(&id, announced, last);
        assert!(router.next_timeout().unwrap() >= last + seconds(200));
        now = last + seconds(3);
    }
    // Without an object there is no H-flag, and 3 s are between two advertisements in any case.
    router.announce(&id, None, now - seconds(2));
    let (at, sent) = next(&mut router);
    assert_eq!(at, now);
    let pvd = sent[0].1.pvd.as_ref().unwrap();
    assert_eq!(pvd.additional_information, None);
    let remembered = numbers.iter().map(|(id, it)| (id.clone(), *it));
    assert_eq!(SequenceNumbers::remembered(remembered), numbers);
}

proptest! {
    /// Whatever comes: at most one batch in 3 s, never later than the interval, and nothing unbounded.
    #[test]
    fn any_link_is_survived(
        events in prop::collection::vec((0_u8..5, 0_u64..700_000, prop::collection::vec(any::<u8>(), 0..64)), 0..60),
        seed in any::<u64>(),
    ) {
        let mut now = start();
        let domains = vec![visible(SHARED, 0, Some("foo.example")), hidden(OWN, "bar.example")];
        let random = fastrand::Rng::with_seed(seed);
        let mut router = Router::new(link(), domains, random, now).unwrap();
        let id: PvdId = "bar.example".parse().unwrap();
        let mut last: Option<Instant> = None;
        for (event, milliseconds, octets) in events {
            let until = now + Duration::from_millis(milliseconds);
            while let Some(at) = router.next_timeout().filter(|at| *at <= until) {
                router.on_timeout(at);
                prop_assert_eq!(sent(&mut router).len(), 2);
                prop_assert!(last.is_none_or(|last| at >= last + seconds(3) && at <= last + seconds(600)));
                last = Some(at);
            }
            now = until;
            let octets = |kind: u8| [&[kind, 0][..], &octets].concat();
            let own = [SHARED, OWN, "fe80::9"].map(|it| it.parse::<Ipv6Addr>().unwrap());
            match event {
                0 => router.handle_solicitation(&octets(133), own[2], now),
                1 => own.iter().for_each(|from| router.handle_advertisement(&octets(134), *from, now)),
                2 => hear(&mut router, u16::try_from(milliseconds % 9000).unwrap(), now),
                3 => router.announce(&id, Some(Announced { delay: Delay::default(), sequence_number: u16::try_from(milliseconds % 3).unwrap() }), now),
                _ => router.handle_solicitation(&RouterSolicitation.encode(), own[2], now),
            }
            drop(sent(&mut router));
        }
    }
}
