//! Many clients behind one gateway.

use std::collections::BTreeSet;

use coap::Code;
use dots::mitigation::Status;

use super::net::*;

/// Inside clients, and what each asks for.
const CLIENTS: u64 = 20;
const EACH: u32 = 10;

fn client(number: u64) -> Inside {
    Inside {
        customer: "home",
        number: number + 1,
    }
}

/// Every tenth mitigation is for both providers.
fn prefix(number: u64, mid: u32) -> String {
    let index = number * u64::from(EACH) + u64::from(mid);
    let [.., high, low] = index.to_be_bytes();
    match mid % 10 {
        0 => format!("192.0.2.{low}/32"),
        odd if odd % 2 == 1 => format!("203.0.113.{}/32", low ^ high),
        _ => format!("198.51.100.{}/32", low ^ high),
    }
}

/// Every status reaches its owner, and a killed gateway loses none.
#[test]
fn every_status_of_many_clients_reaches_its_owner_also_after_a_restart() {
    let mut net = Net::new();
    let mut questions = Vec::new();
    for number in 0..CLIENTS {
        for mid in 1..=EACH {
            let ask = put(client(number), mid, &[&prefix(number, mid)]);
            questions.push(net.send("g1", client(number), ask));
        }
    }
    net.advance(5);
    for question in questions {
        let response = net.answer("g1", question).expect("an answer");
        assert_eq!(response.code, Code::CREATED, "{}", text_of(&response));
    }
    let wanted: BTreeSet<String> = (0..CLIENTS)
        .flat_map(|number| (1..=EACH).map(move |mid| prefix(number, mid)))
        .collect();
    for step in ["", "after a restart"] {
        if !step.is_empty() {
            net.restart("g1");
        }
        net.advance(30);
        let enforced = ["fixed", "mobile"].map(|name| net.nodes[name].protected());
        let enforced: BTreeSet<String> = enforced.into_iter().flatten().collect();
        assert_eq!(enforced, wanted, "{step}");
        for number in 0..CLIENTS {
            for mid in 1..=EACH {
                let status = net.status(client(number), mid);
                let own = prefix(number, mid).parse().unwrap();
                assert_eq!(status.target.prefixes, [own]);
                assert_eq!(status.status, Status::AttackSuccessfullyMitigated, "{step}");
            }
        }
    }
}
