//! Somebody on the link forges Router Advertisements under ever new names, 100,000 of them in a minute.

use super::*;

const FORGED: u32 = 100_000;

fn forged(number: u32) -> RouterAdvertisement {
    let options = [prefix("2001:db8:bad::/64"), resolver("2001:db8:bad::53")];
    explicit(&format!("f{number}.example"), Some(1), &options)
}

/// A minute of it. `real` says what the real router sends, for the second.
fn flood(rig: &mut Rig, mut real: impl FnMut(&mut Rig, u64)) {
    let start = rig.now.instant;
    let mut solicited = 0;
    let mut second = u64::MAX;
    for number in 0..FORGED {
        rig.hear(&format!("fe80::bad:{:x}", number % 7), &forged(number));
        rig.wait(milliseconds(60_000) / FORGED);
        let now = (rig.now.instant - start).as_secs();
        if now != second {
            second = now;
            real(rig, now);
        }
        // A router answers when it is asked.
        if rig.solicited > solicited {
            solicited = rig.solicited;
            real(rig, 0);
        }
    }
    assert!((5..=6).contains(&rig.solicited), "{}", rig.solicited);
    assert_eq!(rig.host.domains(rig.now).len(), 32);
}

/// Covers: P-047
#[test]
fn who_was_there_before_stays_and_who_has_proved_himself_even_if_he_is_silent() {
    let mut rig = holding(seconds(7200));
    let plain = implicit(&[prefix("2001:db8:3::/64")]);
    rig.hear("fe80::3", &plain);
    flood(&mut rig, |rig, second| {
        if second == 0 {
            rig.hear("fe80::3", &plain);
        }
    });
    assert_eq!(rig.state("pvd.example"), InformationState::Held);
    assert_eq!(rig.view("implicit, of fe80::3").prefixes.len(), 1);
}

/// Covers: P-047
#[test]
fn who_comes_during_it_and_goes_on_gets_a_place() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS]);
    flood(&mut rig, |rig, second| {
        if second > 20 && second % 5 == 0 {
            rig.hear(ROUTER, &askable("real.example", 1));
        }
    });
    assert_eq!(rig.view("real.example").addresses, [own(ADDRESS)]);
}

/// Covers: P-025, P-026, P-047, P-048
#[test]
fn it_sends_the_host_against_nobody() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&["2001:db8:bad::5"]);
    let mut answered = 0;
    flood(&mut rig, |rig, _| {
        while answered < rig.orders.len() {
            let number = rig.orders[answered].1.number;
            answered += 1;
            rig.host
                .handle_fetched(number, failed(FailureKind::Tls), rig.now);
            rig.poll();
        }
    });
    assert!(rig.orders.len() <= 10, "{}", rig.orders.len());
    for (at, _) in &rig.orders {
        let window = rig
            .orders
            .iter()
            .filter(|(other, _)| *other >= *at && *other - *at < seconds(10));
        assert!(window.count() <= 5);
    }
}

/// Covers: P-047. A stranger that has only just appeared takes nobody's place.
#[test]
fn where_there_is_no_room_nobody_gives_way_to_who_was_heard_once() {
    let mut rig = Rig::new(Settings::default(), 1);
    for number in 0..32 {
        rig.hear(
            ROUTER,
            &explicit(&format!("p{number}.example"), None, &[prefix(PREFIX)]),
        );
    }
    let before = rig.identities();
    rig.wait(seconds(600));
    for number in 0..1000 {
        rig.hear(ROUTER, &forged(number));
        rig.hear(ROUTER, &forged(number));
        rig.wait(milliseconds(100));
    }
    assert_eq!(rig.identities(), before);
}
