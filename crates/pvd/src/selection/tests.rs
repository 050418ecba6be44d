//! A node with a broadband and a mobile uplink, on a virtual clock.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::bindings::router_advertisement::Preference;
use crate::evidence::LinkEvidence;
use crate::host::{Identity, NextHops};

const ROUND_TRIP: Duration = Duration::from_millis(30);

fn key(network: &str) -> Key {
    Key {
        interface: format!("{network}0").parse().unwrap(),
        identity: Identity::Explicit(format!("{network}.example").parse().unwrap()),
    }
}

fn candidate(network: &str) -> Candidate {
    let address: IpAddr = "2001:db8::7".parse().unwrap();
    Candidate {
        key: key(network),
        link: LinkEvidence::Wired,
        is_proved: false,
        has_no_internet: false,
        router: Some(Preference::Medium),
        addresses: vec![address.into()],
        resolvers: vec![
            "2001:db8::53".parse().unwrap(),
            "2001:db8::54".parse().unwrap(),
        ],
        next_hops: NextHops::default(),
    }
}

fn settings(wishes: &[&str]) -> Settings {
    Settings {
        wishes: wishes.iter().map(|text| text.parse().unwrap()).collect(),
        mode: Mode::Parallel,
        probes: true,
    }
}

/// The node, and the time.
struct Node {
    selection: Selection,
    candidates: Vec<Candidate>,
    now: Instant,
    under_way: Vec<(Instant, ProbeNumber, Answer)>,
    /// Who was preferred, and since when.
    history: Vec<(Instant, Option<Key>)>,
    asked: Vec<(Instant, Key, IpAddr)>,
}

impl Node {
    #[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
    fn new(settings: Settings, networks: &[&str]) -> Self {
        let random = fastrand::Rng::with_seed(7);
        let mut node = Self {
            selection: Selection::new(settings, random),
            candidates: networks.iter().map(|it| candidate(it)).collect(),
            now: Instant::now(),
            under_way: Vec::new(),
            history: Vec::new(),
            asked: Vec::new(),
        };
        node.tell();
        node
    }

    /// The usual one: broadband first.
    fn at_home() -> Self {
        let wishes = ["broadband.example", "mobile0"];
        Self::new(settings(&wishes), &["broadband", "mobile"])
    }

    fn tell(&mut self) {
        let candidates = self.candidates.clone();
        self.selection.handle_domains(candidates, self.now);
        self.note();
    }

    fn note(&mut self) {
        let preferred = self.selection.preferred().cloned();
        if self.history.last().map(|(_, it)| it) != Some(&preferred) {
            self.history.push((self.now, preferred));
        }
    }

    fn change(&mut self, network: &str, change: impl Fn(&mut Candidate)) {
        let of_it = self
            .candidates
            .iter_mut()
            .filter(|it| it.key == key(network));
        of_it.for_each(change);
        self.tell();
    }

    /// Goes on for so long; `answers` says what comes of each question, and when.
    fn run(&mut self, time: Duration, mut answers: impl FnMut(&Key, Instant) -> Answer) {
        let end = self.now + time;
        loop {
            while let Some(probe) = self.selection.poll_probe() {
                let answer = answers(&probe.key, self.now);
                let after = match answer {
                    Answer::Lost => PATIENCE,
                    _ => ROUND_TRIP,
                };
                self.under_way
                    .push((self.now + after, probe.number, answer));
                self.asked.push((self.now, probe.key, probe.resolver));
            }
            self.under_way.sort_by_key(|(at, ..)| *at);
            let answer = self.under_way.first().map(|(at, ..)| *at);
            let next = [answer, self.selection.poll_timeout()];
            let next = next.into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if answer.is_some_and(|at| at <= self.now) {
                let (_, number, answer) = self.under_way.remove(0);
                self.selection.handle_answer(number, answer, self.now);
            } else {
                self.selection.handle_timeout(self.now);
            }
            self.note();
        }
    }

    fn preferred(&self) -> String {
        let key = self.selection.preferred();
        key.map_or_else(String::new, |key| key.interface.to_string())
    }

    fn moves(&self) -> usize {
        self.history.len() - 1
    }
}

fn well(_: &Key, _: Instant) -> Answer {
    Answer::Heard
}

fn without(network: &'static str) -> impl Fn(&Key, Instant) -> Answer {
    move |asked, _| match *asked == key(network) {
        true => Answer::Lost,
        false => Answer::Heard,
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Covers: P-032
#[test]
fn what_is_new_moves_to_the_mobile_network_when_broadband_dies_and_back_when_it_works_again() {
    let mut node = Node::at_home();
    node.run(seconds(600), well);
    assert_eq!((node.preferred().as_str(), node.moves()), ("broadband0", 0));

    let died = node.now;
    node.run(seconds(40), without("broadband"));
    assert_eq!(node.preferred(), "mobile0");
    let unanswered = node.asked.iter().filter(|(at, asked, _)| {
        *at >= died && *at <= node.history[1].0 && *asked == key("broadband")
    });
    assert_eq!(unanswered.count(), usize::from(LOST_IN_A_ROW));
    // At most one pause in use, and then a few seconds.
    assert!(
        node.history[1].0 - died < seconds(25),
        "{:?}",
        node.history[1].0 - died
    );
    let places = node.selection.ranking();
    assert_eq!(
        (places[0].health, places[1].health),
        (Health::Good, Health::Silent)
    );
    assert_eq!(places[1].reason, Reason::After(Criterion::Health));

    node.run(seconds(600), without("broadband"));
    let returned = node.now;
    node.run(seconds(20), well);
    assert_eq!(node.preferred(), "mobile0", "it has to work for a while");
    let places = node.selection.ranking();
    assert_eq!(
        [places[0].reason, places[1].reason],
        [Reason::InUse, Reason::Returns]
    );
    node.run(seconds(60), well);
    assert_eq!(node.preferred(), "broadband0");
    assert!(node.history[2].0 - returned >= RETURN_AFTER);
    assert_eq!(node.moves(), 2);
}

#[test]
fn a_link_or_a_router_that_is_gone_is_left_at_once_and_returned_to_after_a_while() {
    let mut node = Node::at_home();
    node.run(seconds(60), well);
    node.change("broadband", |it| it.router = None);
    assert_eq!(node.preferred(), "mobile0");
    assert_eq!(node.selection.ranking()[1].health, Health::NoRouter);
    node.change("broadband", |it| it.router = Some(Preference::Medium));
    node.run(RETURN_AFTER - seconds(1), well);
    assert_eq!(node.preferred(), "mobile0");
    node.run(seconds(2), well);
    assert_eq!(node.preferred(), "broadband0");

    // The link goes, and with it the PvD.
    let all = node.candidates.clone();
    node.candidates.remove(0);
    node.tell();
    assert_eq!(node.preferred(), "mobile0");
    node.candidates = all;
    node.tell();
    // It is the second failure.
    node.run(RETURN_AFTER * 2 - seconds(1), well);
    assert_eq!(node.preferred(), "mobile0");
    node.run(seconds(2), well);
    assert_eq!(node.preferred(), "broadband0");
}

#[test]
fn a_probe_that_is_answered_every_other_time_moves_nothing() {
    for alternating in ["broadband", "mobile"] {
        let mut node = Node::at_home();
        let mut lost = false;
        node.run(seconds(7200), |asked, _| match *asked == key(alternating) {
            true => {
                lost = !lost;
                if lost { Answer::Lost } else { Answer::Heard }
            }
            false => Answer::Heard,
        });
        assert_eq!((node.preferred().as_str(), node.moves()), ("broadband0", 0));
    }
    // Nor does it take over what works.
    let mut node = Node::at_home();
    node.run(seconds(60), without("broadband"));
    let mut lost = false;
    node.run(seconds(7200), |asked, _| {
        lost ^= *asked == key("broadband");
        match *asked == key("broadband") && lost {
            true => Answer::Lost,
            false => Answer::Heard,
        }
    });
    assert_eq!((node.preferred().as_str(), node.moves()), ("mobile0", 1));
}

#[test]
fn when_all_are_silent_nothing_moves_until_one_answers() {
    let mut node = Node::at_home();
    node.run(seconds(60), without("broadband"));
    assert_eq!(node.preferred(), "mobile0");
    node.run(seconds(600), |_, _| Answer::Lost);
    assert_eq!((node.preferred().as_str(), node.moves()), ("mobile0", 1));
    node.run(seconds(20), without("mobile"));
    assert_eq!(node.preferred(), "broadband0");
}

#[test]
fn what_cannot_be_asked_is_used_like_what_answers() {
    let mut node = Node::at_home();
    node.run(seconds(600), |_, _| Answer::Unasked);
    assert_eq!((node.preferred().as_str(), node.moves()), ("broadband0", 0));
    assert_eq!(node.selection.ranking()[0].health, Health::Unchecked);
    // Who was silent, and now has nobody to be asked, is not silent for ever.
    node.run(seconds(60), without("broadband"));
    node.change("broadband", |it| it.resolvers.clear());
    node.run(seconds(60), well);
    assert_eq!(node.preferred(), "broadband0");
}

#[test]
fn with_probes_off_nobody_is_asked() {
    let off = Settings {
        probes: false,
        ..settings(&[])
    };
    let mut node = Node::new(off, &["broadband", "mobile"]);
    node.run(seconds(600), well);
    assert!(node.asked.is_empty());
    node.candidates.remove(0);
    node.tell();
    assert_eq!(node.preferred(), "mobile0");
}

#[test]
fn questions_are_few_and_go_to_each_resolver_in_turn() {
    let mut node = Node::at_home();
    node.run(seconds(3600), well);
    let count = |network| node.asked.iter().filter(|it| it.1 == key(network)).count();
    assert!(
        (280..=480).contains(&count("broadband")),
        "{}",
        count("broadband")
    );
    assert!((9..=17).contains(&count("mobile")), "{}", count("mobile"));
    let first: Vec<_> = node
        .asked
        .iter()
        .filter(|it| it.1 == key("mobile"))
        .collect();
    assert_ne!(first[0].2, first[1].2);
    // Whoever advertises many PvDs makes nobody ask more than these.
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut node = Node::new(settings(&[]), &names);
    node.run(seconds(2), |_, _| Answer::Lost);
    assert_eq!(node.asked.len(), MOST_PROBED);
}

#[test]
fn a_better_network_that_comes_second_at_the_start_is_taken_at_once_and_later_after_a_while() {
    let wishes = settings(&["broadband0"]);
    for (pause, comes_first) in [(seconds(2), "broadband0"), (seconds(20), "mobile0")] {
        let mut node = Node::new(wishes.clone(), &["mobile"]);
        node.run(pause, well);
        node.candidates.push(candidate("broadband"));
        node.tell();
        assert_eq!(node.preferred(), comes_first);
        node.run(RETURN_AFTER + seconds(1), well);
        assert_eq!(node.preferred(), "broadband0");
    }
}

#[test]
fn what_says_that_it_leads_nowhere_is_no_default() {
    let mut node = Node::at_home();
    node.change("broadband", |it| it.has_no_internet = true);
    assert_eq!(node.preferred(), "mobile0");
    node.change("mobile", |it| it.addresses.clear());
    assert_eq!(node.preferred(), "");
    let places = node.selection.ranking();
    assert!(places.iter().all(|place| !place.is_preferred));
}

#[test]
fn the_order_is_wish_link_proof_router_and_name() {
    let mut all: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(candidate).into();
    all[4].router = Some(Preference::High);
    all[3].is_proved = true;
    all[2].link = LinkEvidence::Vpn;
    let mut node = Node::new(settings(&["f.example", "b0"]), &[]);
    node.candidates = all;
    node.tell();
    let places = node.selection.ranking();
    let found: Vec<_> = places
        .iter()
        .map(|place| (place.key.interface.as_str(), place.reason))
        .collect();
    let after = Reason::After(Criterion::Wish);
    let expected = [
        ("f0", Reason::Before(Criterion::Wish)),
        ("b0", after),
        ("c0", after),
        ("d0", after),
        ("e0", after),
        ("a0", after),
    ];
    assert_eq!(found, expected);
}

/// Anybody can advertise any name.
#[test]
fn a_name_that_is_wished_for_counts_where_it_is_hard_to_forge() {
    let mut node = Node::new(settings(&["broadband.example"]), &["mobile"]);
    let mut forged = candidate("broadband");
    forged.link = LinkEvidence::OpenWireless;
    node.candidates.push(forged);
    node.tell();
    node.run(seconds(60), well);
    assert_eq!(node.preferred(), "mobile0");
    node.change("broadband", |it| it.is_proved = true);
    node.run(seconds(60), well);
    assert_eq!(node.preferred(), "broadband0");
}

#[test]
fn where_one_network_is_used_at_a_time_the_others_wait() {
    let mut node = Node::at_home();
    let waiting = |node: &Node| {
        let places = node.selection.ranking();
        places.iter().map(|it| it.is_in_reserve).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&node), [false, false]);
    node.selection.settings.mode = Mode::Sequential;
    assert_eq!(waiting(&node), [false, true]);
}

/// Each return takes longer than the one before, up to 8 minutes.
const MOST_MOVES_IN_AN_HOUR: usize = 22;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Covers: P-032. Whatever broadband does, as long as mobile works.
    #[test]
    fn one_network_however_it_behaves_moves_nothing_often(
        script in proptest::collection::vec((0u8..8, 1u16..90), 1..200),
        advertised in proptest::collection::vec(0u8..4, 1..60),
    ) {
        let mut node = Node::at_home();
        let mut fates = script.iter().cycle();
        let mut rest = (false, 0);
        let start = node.now;
        for change in advertised.iter().cycle() {
            if node.now - start >= seconds(3600) {
                break;
            }
            node.change("broadband", |it| {
                it.router = match change {
                    0 => None,
                    1 => Some(Preference::Low),
                    _ => Some(Preference::High),
                };
            });
            node.run(seconds(7 * u64::from(*change) + 3), |asked, _| {
                if *asked == key("mobile") {
                    return Answer::Heard;
                }
                if rest.1 == 0 {
                    let (fate, times) = fates.next().unwrap();
                    rest = (*fate < 4, *times);
                }
                rest.1 -= 1;
                if rest.0 { Answer::Lost } else { Answer::Heard }
            });
            // Never one that leads nowhere while another does.
            let preferred = node.selection.preferred();
            let places = node.selection.ranking();
            let place = places.iter().find(|it| Some(&it.key) == preferred).unwrap();
            prop_assert!(place.health.tier() == Tier::Good, "{:?}", places);
            prop_assert_eq!(&places[0].key, &place.key);
            prop_assert_eq!(places.len(), 2);
        }
        prop_assert!(node.moves() <= MOST_MOVES_IN_AN_HOUR, "{} moves", node.moves());
    }
}

/// Covers: P-032. Anybody on a link can have a PvD there come and go.
#[test]
fn a_better_one_that_comes_and_goes_keeps_no_other_from_its_place() {
    let wishes = ["cafe.example", "broadband.example", "mobile.example"];
    let mut node = Node::new(settings(&wishes), &["mobile"]);
    node.run(Duration::from_secs(60), |_, _| Answer::Heard);
    node.candidates.push(candidate("broadband"));
    node.tell();
    for _ in 0..4 {
        node.candidates.push(candidate("cafe"));
        node.tell();
        node.run(Duration::from_secs(20), |_, _| Answer::Heard);
        node.candidates.retain(|it| it.key != key("cafe"));
        node.tell();
        node.run(Duration::from_secs(5), |_, _| Answer::Heard);
    }
    assert_eq!(node.selection.preferred(), Some(&key("broadband")));
}

/// Covers: P-048. Of names that are ever new so many are asked as are fetched from.
#[test]
fn whoever_advertises_ever_other_names_has_nobody_asked_more() {
    let mut node = Node::new(settings(&[]), &["mobile"]);
    for number in 0..100 {
        node.candidates.truncate(1);
        for other in 0..6 {
            let mut forged = candidate("broadband");
            let name = format!("p{number}-{other}.example");
            forged.key.identity = Identity::Explicit(name.parse().unwrap());
            node.candidates.push(forged);
        }
        node.tell();
        node.run(Duration::from_secs(1), |_, _| Answer::Lost);
    }
    let forged = node
        .asked
        .iter()
        .filter(|(_, asked, _)| *asked != key("mobile"));
    let forged: Vec<Instant> = forged.map(|(at, ..)| *at).collect();
    assert!(forged.len() > 20);
    let most = forged.iter().map(|from| {
        let until = *from + Duration::from_secs(10);
        forged
            .iter()
            .filter(|at| (*from..until).contains(*at))
            .count()
    });
    assert_eq!(most.max(), Some(5));
}
