//! How much a customer may have looked up at a time (RFC 9132 §11).

use agent::server::{Input, Policy, ResolutionError};
use coap::Code;
use dots::target::DomainName;

use super::names::{ALSO_OWNED, OWNED, PATH, WWW, found, named};
use super::rig::{Ask, BRANCH, HOME, Rig, policy};
use crate::world::seconds;

///
#[test]
fn waiting_requests_are_bounded() {
    let mut rig = Rig::with(Policy {
        max_waiting: 3,
        max_waiting_of_customer: 2,
        ..policy()
    });
    let ask = |cuid: &str, mid: u32, name: &str| {
        named(&format!("mitigate/cuid={cuid}/mid={mid}"), &[name])
    };
    rig.ask_and_wait(HOME, ask("one", 1, "a.example"));
    rig.ask_and_wait(HOME, ask("one", 2, "b.example"));
    let refused = rig.expect(HOME, ask("one", 3, "c.example"), Code::SERVICE_UNAVAILABLE);
    assert!(refused.options.max_age().is_some());
    // A repetition takes the place of the first, which is never answered.
    rig.ask_and_wait(HOME, ask("one", 2, "b.example"));
    assert_eq!(rig.ignored, 1);
    rig.ask_and_wait(BRANCH, ask("b", 1, "d.example"));
    rig.expect(BRANCH, ask("b", 2, "e.example"), Code::SERVICE_UNAVAILABLE);
    // The end of a session makes room.
    rig.input(Input::SessionClosed(HOME));
    rig.ask_and_wait(BRANCH, ask("b", 2, "e.example"));
    assert_eq!(rig.resolve("a.example", found(&[OWNED], 60)), None);
    assert!(rig.stored.is_empty());
}

/// A lookup goes on when its request is withdrawn, and takes room as long.
#[test]
fn lookups_of_one_customer_leave_room_for_others() {
    let mut rig = Rig::with(Policy {
        max_lookups_of_customer: 2,
        ..policy()
    });
    let path = |mid: u32| format!("mitigate/cuid=one/mid={mid}");
    let ask = |mid: u32, name: &str| named(&path(mid), &[name]);
    rig.ask_and_wait(HOME, ask(1, "a.example"));
    rig.ask_and_wait(HOME, ask(2, "b.example"));
    for mid in [1, 2] {
        rig.expect(HOME, Ask::delete(&path(mid)), Code::DELETED);
    }
    let refused = rig.expect(HOME, ask(3, "c.example"), Code::SERVICE_UNAVAILABLE);
    assert!(refused.options.max_age().is_some());
    rig.ask_and_wait(BRANCH, named("mitigate/cuid=b/mid=1", &["d.example"]));
    // What is looked up already takes no room of its own, and is not looked up twice.
    rig.ask_and_wait(HOME, ask(4, "a.example"));
    assert_eq!(rig.asked_names, ["a.example", "b.example", "d.example"]);
    // An answer makes room; that nobody waits for it any more does not, because the resolver is still at work.
    rig.resolve("b.example", found(&[OWNED], 60));
    rig.ask_and_wait(HOME, ask(5, "c.example"));
    rig.advance(seconds(5));
    rig.late.clear();
    rig.expect(HOME, ask(6, "e.example"), Code::SERVICE_UNAVAILABLE);
    for name in ["a.example", "c.example"] {
        let late = "no name server answered in time".to_owned();
        rig.resolve(name, Err(ResolutionError::Unavailable(late)));
    }
    rig.ask_and_wait(HOME, ask(6, "e.example"));
    rig.ask_and_wait(HOME, ask(7, "f.example"));
}

/// Covers: X-013, S-019. What is in force is followed as soon as there is room.
#[test]
fn names_in_use_are_looked_up_one_after_the_other() {
    let mut rig = Rig::with(Policy {
        max_lookups_of_customer: 1,
        ..policy()
    });
    rig.ask_and_wait(HOME, named(PATH, &[WWW, "b.example"]));
    rig.resolve(WWW, found(&[OWNED], 60));
    rig.resolve("b.example", found(&[ALSO_OWNED], 60));
    assert_eq!(rig.mids(), [1]);
    rig.asked_names.clear();
    rig.advance(seconds(60));
    let first: DomainName = rig.asked_names.remove(0).parse().unwrap();
    assert!(rig.asked_names.is_empty());
    rig.input(Input::Resolved(first, found(&[OWNED], 3600)));
    rig.advance(seconds(1));
    assert_eq!(rig.asked_names.len(), 1);
}

///
#[test]
fn a_request_names_a_bounded_number_of_names() {
    let names: Vec<String> = (0..9).map(|number| format!("n{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rig = Rig::new();
    rig.expect(HOME, named(PATH, &names), Code::BAD_REQUEST);
    rig.ask_and_wait(HOME, named(PATH, &names[..8]));
}
