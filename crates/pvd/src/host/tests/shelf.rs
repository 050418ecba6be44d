//! Signed objects that came by another way than from the server of their PvD.

use super::tunnels::{at_the_office, description};
use super::*;
use crate::evidence::{Insufficient, KeyBinding, TrustPolicy, Use};

const WIDE: &str = r#""2001:db8:1::/48""#;
const ID: &str = "pvd.example";

impl Rig {
    fn bring(&mut self, validity: u64) -> Result<(), NotShelved> {
        let object = self.signed(ID, WIDE, seconds(validity), Provenance::Given);
        let brought = self.host.handle_object(object, self.now);
        self.poll();
        brought
    }

    /// The same object as its server gives it.
    fn answer_signed(&mut self, validity: u64) {
        let object = self.signed(ID, WIDE, seconds(validity), Provenance::Fetched);
        self.answer(Fetched::Object {
            bytes: object.bytes,
            data: DataEvidence::Signed(object.binding),
            signed: Some(object.compact),
        });
    }

    /// How long what is known lasts, and who gave it.
    fn known(&self) -> Option<(u64, Origin)> {
        let information = self.view(ID).information?;
        let left = information.content.expires.duration_since(self.now.system);
        Some((left.unwrap().as_secs(), information.origin))
    }
}

/// Covers: P-036, P-039, P-040. The same object by every way: the same content, the same two evidences, the same signature kept.
#[test]
fn a_signed_object_is_worth_the_same_whichever_way_it_came() {
    let mut fetched = asking();
    fetched.answer_signed(600);
    let mut before = Rig::new(Settings::default(), 1);
    before.bring(600).unwrap();
    before.hear(ROUTER, &askable(ID, 7));
    let mut after = asking();
    after.bring(600).unwrap();
    let mut elsewhere = Rig::new(Settings::default(), 1);
    elsewhere.bring(600).unwrap();
    elsewhere.hear(ROUTER, &explicit(ID, None, &[prefix(PREFIX)]));
    let views = [fetched, before, after, elsewhere].map(|rig| {
        let view = rig.view(ID);
        assert_eq!(view.state, InformationState::Held);
        let information = view.information.unwrap();
        assert_eq!(information.evidence.link, LinkEvidence::Wired);
        let binding = DataEvidence::Signed(KeyBinding::Pinned);
        assert_eq!(information.evidence.data, binding);
        let signed = information.signed.unwrap();
        (information.content.to_json(), signed.len(), rig.kept)
    });
    assert_eq!(views[0].0, views[1].0);
    assert_eq!(views[0].1, views[3].1);
    assert_eq!(views[0].2, [(ID.to_owned(), Provenance::Fetched)]);
    for view in &views[1..] {
        assert_eq!(view.0, views[0].0);
        assert_eq!(view.2, [(ID.to_owned(), Provenance::Given)]);
    }
}

/// Covers: P-042, P-040
#[test]
fn what_holds_at_a_place_is_not_taken_from_the_shelf_alone() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.bring(600).unwrap();
    let shelf: Vec<_> = rig.host.shelf(rig.now).collect();
    assert_eq!(shelf[0].evidence.link, LinkEvidence::Absent);
    let policy = TrustPolicy::default();
    let place = shelf[0].trusted(&policy, Use::Attachment);
    assert_eq!(place.err(), Some(Insufficient::NoLink));
    assert!(shelf[0].trusted(&policy, Use::Names).is_ok());
    rig.hear(ROUTER, &askable(ID, 7));
    let here = rig.view(ID).information.unwrap();
    assert!(here.trusted(&policy, Use::Attachment).is_ok());
}

/// Covers: P-039. Over a VPN as over any other link; nothing announces it there.
#[test]
fn it_counts_in_a_tunnel_and_describes_one() {
    let mut rig = at_the_office();
    let object = rig.signed("office.example", "", seconds(600), Provenance::Given);
    rig.host.handle_object(object, rig.now).unwrap();
    let view = rig.view("office.example");
    assert_eq!(view.state, InformationState::Held);
    let information = view.information.unwrap();
    assert_eq!(information.evidence.link, LinkEvidence::Vpn);
    let binding = DataEvidence::Signed(KeyBinding::Pinned);
    assert_eq!(information.evidence.data, binding);

    let elsewhere = description("192.0.2.99", "office.example", "");
    let mut object = rig.signed("home.example", WIDE, seconds(600), Provenance::Given);
    let more = format!(r#","vendor-moat":{{"vpn":{elsewhere}}}}}"#);
    object.bytes.pop();
    object.bytes.extend(more.into_bytes());
    rig.host.handle_object(object, rig.now).unwrap();
    assert_eq!(rig.state("home.example"), InformationState::Held);
    assert_eq!(rig.state("office.example"), InformationState::Refused);
}

/// Covers: P-021, P-039
#[test]
fn it_is_checked_as_one_that_was_fetched() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.hear(ROUTER, &askable(ID, 7));
    let other = rig.signed("other.example", WIDE, seconds(600), Provenance::Given);
    rig.host.handle_object(other, rig.now).unwrap();
    assert_eq!(rig.known(), None);
    let narrow = rig.signed(ID, r#""2001:db8:2::/48""#, seconds(600), Provenance::Given);
    rig.host.handle_object(narrow, rig.now).unwrap();
    assert_eq!(rig.known(), None);
    let prefix = PREFIX.parse().unwrap();
    assert_eq!(rig.state(ID), InformationState::Contradicted(prefix));
    let mut broken = rig.signed(ID, WIDE, seconds(600), Provenance::Given);
    broken.bytes.pop();
    let refused = rig.host.handle_object(broken, rig.now);
    assert!(matches!(refused, Err(NotShelved::Refused(_))));
    let mut late = Rig::new(Settings::default(), 1);
    let object = late.signed(ID, WIDE, seconds(10), Provenance::Given);
    late.now.system += seconds(10);
    let refused = late.host.handle_object(object, late.now);
    assert!(matches!(refused, Err(NotShelved::Refused(_))));
}

/// Covers: P-023, P-039
#[test]
fn what_the_server_gave_under_the_announced_number_counts_before_the_shelf() {
    let mut rig = asking();
    rig.bring(600).unwrap();
    assert_eq!(rig.known(), Some((600, Origin::Elsewhere)));
    rig.answer_signed(300);
    assert_eq!(rig.known(), Some((300, Origin::Server)));
    // What is on the shelf by now is older than the number.
    rig.hear(ROUTER, &askable(ID, 8));
    assert_eq!(rig.known(), None);
    rig.bring(500).unwrap_err();
    // The stick is pulled and put in again.
    rig.bring(600).unwrap();
    assert_eq!(rig.known(), None);
    rig.bring(700).unwrap();
    assert_eq!(rig.known(), Some((700, Origin::Elsewhere)));
    rig.hear(ROUTER, &explicit(ID, None, &[]));
    assert_eq!(rig.known(), None);
}

/// Covers: P-023. RFC 8801 §4.1 has the last number remembered while attached.
#[test]
fn what_a_number_outdated_stays_so_when_the_router_was_away_for_a_moment() {
    let mut rig = asking();
    rig.answer_signed(600);
    let gone = delayed(
        ID,
        Some((7, 0)),
        &[prefix_for(PREFIX, Lifetime::Seconds(0))],
    );
    let gone = RouterAdvertisement {
        outer: Header::default(),
        ..gone
    };
    let none = NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(0),
        addresses: vec![RESOLVER.parse().unwrap()],
    };
    let mut gone_too = gone;
    gone_too.pvd.as_mut().unwrap().options.push(none);
    rig.hear(ROUTER, &gone_too);
    assert!(rig.identities().is_empty());
    let asked = rig.orders.len();
    rig.wait(seconds(20));
    let options = [prefix(PREFIX), resolver(RESOLVER)];
    rig.hear(ROUTER, &delayed(ID, Some((8, 10)), &options));
    assert_eq!((rig.known(), rig.orders.len()), (None, asked));
    rig.wait(seconds(1100));
    assert_eq!(rig.orders.len(), asked + 1);
}

/// Covers: P-016, P-018. What is on the shelf is no way around that.
#[test]
fn a_pvd_whose_server_cannot_prove_itself_or_has_none_has_none() {
    for kind in [FailureKind::Tls, FailureKind::Http, FailureKind::Object] {
        let mut rig = asking();
        rig.bring(600).unwrap();
        assert_eq!(rig.known(), Some((600, Origin::Elsewhere)));
        rig.answer(failed(kind));
        assert!(matches!(rig.state(ID), InformationState::GivenUp(_)));
        assert_eq!(rig.known(), None);
        rig.attach("fixed0", LinkEvidence::Wired);
        rig.hear(ROUTER, &askable(ID, 7));
        assert_eq!(rig.known(), Some((600, Origin::Elsewhere)));
    }
}

/// Covers: P-039. Of what its server gave later the later counts, though the earlier one would last longer.
#[test]
fn a_server_can_shorten_what_it_said() {
    let mut rig = asking();
    rig.answer_signed(600);
    rig.hear(ROUTER, &askable(ID, 8));
    rig.wait(seconds(11));
    rig.answer_signed(300);
    rig.attach("fixed0", LinkEvidence::Wired);
    rig.hear(ROUTER, &explicit(ID, None, &[prefix(PREFIX)]));
    assert_eq!(rig.known(), Some((300, Origin::Elsewhere)));
}

#[test]
fn the_shelf_serves_where_nobody_reaches_the_server_until_the_object_expires() {
    let mut rig = asking();
    rig.answer(failed(FailureKind::Unreachable));
    rig.bring(600).unwrap();
    assert_eq!(rig.known(), Some((600, Origin::Elsewhere)));
    // Another network with the PvD, whose server nobody answers.
    rig.attach("fixed0", LinkEvidence::Wired);
    rig.hear(ROUTER, &askable(ID, 9));
    assert_eq!(rig.known(), Some((600, Origin::Elsewhere)));
    let before = rig.host.shelf_revision();
    rig.bring(600 - 10).unwrap_err();
    assert_eq!(rig.host.shelf_revision(), before);
    rig.wait(seconds(601));
    assert_eq!(rig.known(), None);
    assert_eq!(rig.host.shelf(rig.now).count(), 0);
    assert_ne!(rig.host.shelf_revision(), before);
}

#[test]
fn of_two_the_one_that_lasts_longer_counts() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.hear(ROUTER, &explicit(ID, None, &[prefix(PREFIX)]));
    rig.bring(600).unwrap();
    let kept = rig.signed(ID, WIDE, seconds(700), Provenance::Fetched);
    rig.host.handle_object(kept, rig.now).unwrap();
    assert_eq!(rig.known(), Some((700, Origin::Elsewhere)));
    let outlasted = rig.bring(599);
    assert_eq!(outlasted, Err(NotShelved::Outlasted(ID.parse().unwrap())));
    rig.bring(800).unwrap();
    assert_eq!(rig.known(), Some((800, Origin::Elsewhere)));
}

/// Covers: P-047
#[test]
fn servers_take_no_place_from_each_other_for_long_and_none_from_the_administrator() {
    let limits = HostLimits {
        shelf: 2,
        ..HostLimits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, 1);
    let mut bring = |id: &str, provenance| {
        let object = rig.signed(id, WIDE, seconds(600), provenance);
        let brought = rig.host.handle_object(object, rig.now);
        let shelf = rig.host.shelf(rig.now);
        let names: Vec<_> = shelf.map(|it| it.content.identifier.to_string()).collect();
        (brought.is_ok(), names.join(" "))
    };
    bring("a.example", Provenance::Given);
    bring("b.example", Provenance::Given);
    assert!(!bring("c.example", Provenance::Given).0);
    for id in ["d.example", "e.example"] {
        assert!(bring(id, Provenance::Fetched).0);
    }
    let (_, names) = bring("f.example", Provenance::Fetched);
    assert_eq!(names, "a.example b.example e.example f.example");
}

/// Covers: P-030. A signature says who wrote it; that this network is the PvD it does not say.
#[test]
fn a_signature_alone_makes_no_two_networks_one() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.attach("mobile0", LinkEvidence::OpenWireless);
    rig.bring(600).unwrap();
    rig.hear(ROUTER, &askable(ID, 7));
    rig.hear_on("mobile0", ROUTER, &askable(ID, 7));
    for view in rig.host.domains(rig.now) {
        assert_eq!(view.state, InformationState::Held);
        assert!(view.also_on.is_empty());
    }
}
