//! Requests too large for one datagram, in pieces that each fit (RFC 9132 §7.3).
//!
//! The pieces are requests of their own: they must not overlap, or the server would take the later
//! for a replacement of the earlier (RFC 9132 §4.4.1.3). So only the prefixes are divided; ports and
//! protocols hold for each piece, and names go with the first.

use coap::{Message, MessageId, MessageType, Token};
use dots::identifiers::{Cuid, Mid};
use dots::target::{Target, TargetPrefix};

use super::Refusal;
use super::exchange::{self, Look};
use super::part::{Part, Want, Wish};
use crate::prefix_index::outermost;
use crate::server_selection::AssociationId;
use crate::time::Now;

/// Messages to one server for one request.
const PIECES: usize = 16;

/// Divides a wish into wishes each of whose messages has at most `limit` octets. What cannot be
/// divided further goes block by block (RFC 7959).
///
/// # Errors
/// [`Refusal::Unsayable`] if no message can express it, [`Refusal::TooManyTargets`] if it takes more
/// than [`PIECES`].
pub(super) fn divide(
    now: Now,
    (association, cuid): (&AssociationId, &Cuid),
    wish: &Wish,
    limit: usize,
) -> Result<Vec<Wish>, Refusal> {
    let of = |target| Wish {
        target,
        ..wish.clone()
    };
    let fits = |target: &Target| size(now, cuid, of(target.clone())).is_some_and(|it| it <= limit);
    let mut targets = Vec::new();
    if fits(&wish.target) {
        targets.push(wish.target.clone());
    } else {
        let target = Target {
            prefixes: outermost(&wish.target.prefixes)
                .into_iter()
                .filter_map(|net| TargetPrefix::try_from(net).ok())
                .collect(),
            ..wish.target.clone()
        };
        halve(target, &fits, &mut targets);
    }
    if targets.len() > PIECES {
        return Err(Refusal::TooManyTargets {
            association: association.clone(),
        });
    }
    let wishes: Vec<Wish> = targets.into_iter().map(of).collect();
    for wish in &wishes {
        let part = Part::new(now, Mid(0), wish.clone());
        if let Err(error) = part.request(now, None) {
            return Err(Refusal::Unsayable {
                association: association.clone(),
                error,
            });
        }
    }
    Ok(wishes)
}

fn halve(target: Target, fits: &impl Fn(&Target) -> bool, pieces: &mut Vec<Target>) {
    let middle = target.prefixes.len() / 2;
    if middle == 0 || pieces.len() > PIECES || fits(&target) {
        return pieces.push(target);
    }
    let (first, second) = target.prefixes.split_at(middle);
    let second = Target {
        prefixes: second.to_vec(),
        port_ranges: target.port_ranges.clone(),
        protocols: target.protocols.clone(),
        ..Target::default()
    };
    let first = Target {
        prefixes: first.to_vec(),
        ..target.clone()
    };
    halve(first, fits, pieces);
    halve(second, fits, pieces);
}

/// Octets of the largest message that a part sends, which is an efficacy update.
fn size(now: Now, cuid: &Cuid, wish: Wish) -> Option<usize> {
    let part = Part::new(now, Mid(u32::MAX), wish);
    let update = Want::Update(dots::mitigation::AttackStatus::UnderAttack);
    let look = Look {
        filters_content: false,
        observes: false,
    };
    let request = exchange::request(now, cuid, &part, (update, look))?;
    let message = Message {
        message_type: MessageType::NonConfirmable,
        code: request.method,
        message_id: MessageId(0),
        token: Token::EMPTY,
        options: request.options,
        payload: request.payload,
    };
    Some(message.encode().len() + Token::MAX_LENGTH)
}

/// Whether these are all the pieces of `target`.
pub(super) fn make_up(pieces: &[&Wish], target: &Target) -> bool {
    let Some(first) = pieces.first() else {
        return false;
    };
    let prefixes = pieces.iter().flat_map(|piece| &piece.target.prefixes);
    let whole = Target {
        prefixes: target.prefixes.clone(),
        ..first.target.clone()
    };
    whole == *target && outermost(prefixes) == outermost(&target.prefixes)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
mod tests {
    use super::*;
    use crate::client::RequestId;
    use proptest::prelude::*;

    const LIMIT: usize = 1152;

    fn wish(prefixes: &[String]) -> Wish {
        Wish {
            request: RequestId(1),
            target: Target {
                prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
                port_ranges: vec![dots::target::PortRange::single(443)],
                ..Target::default()
            },
            trigger_mitigation: true,
            until: None,
            relayed: Default::default(),
        }
    }

    fn divided(wish: &Wish) -> Result<Vec<Wish>, Refusal> {
        let now = Now {
            monotonic: std::time::Instant::now(),
            unix: 0,
        };
        let association = AssociationId {
            pvd: "fixed.example".parse().unwrap(),
            server: "dots.fixed.example".to_owned(),
        };
        let cuid: Cuid = "dz6pHjaADkaFTbjr0JGBpw".parse().unwrap();
        let pieces = divide(now, (&association, &cuid), wish, LIMIT)?;
        for piece in &pieces {
            assert!(size(now, &cuid, piece.clone()).unwrap() <= LIMIT);
        }
        Ok(pieces)
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let nested = ["203.0.113.0/28".to_owned(), "203.0.113.7/32".to_owned()];
        let wish = wish(&nested);
        assert_eq!(divided(&wish).unwrap(), [wish]);
    }

    #[test]
    fn more_pieces_than_a_server_is_to_bear_are_refused() {
        let many: Vec<String> = (0..5000).map(|n| format!("2001:db8::{n:x}/128")).collect();
        let refused = divided(&wish(&many));
        assert!(
            matches!(refused, Err(Refusal::TooManyTargets { .. })),
            "{refused:?}"
        );
    }

    proptest! {
        /// Covers: S-076, S-029. Each piece fits, none overlaps another, and nothing is left out.
        #[test]
        fn pieces_fit_and_make_up_the_whole_and_overlap_nowhere(
            hosts in proptest::collection::vec((0_u16..2000, 112_u8..=128), 1..400),
        ) {
            let prefixes: Vec<String> = hosts
                .iter()
                .map(|(host, length)| {
                    let net: ipnet::IpNet = format!("2001:db8::{host:x}/{length}").parse().unwrap();
                    net.trunc().to_string()
                })
                .collect();
            let wish = wish(&prefixes);
            let pieces = divided(&wish).unwrap();
            let refs: Vec<&Wish> = pieces.iter().collect();
            prop_assert!(make_up(&refs, &wish.target));
            for (place, piece) in pieces.iter().enumerate() {
                let mut others = pieces.iter().skip(place + 1);
                prop_assert!(others.all(|other| !other.target.overlaps(&piece.target)));
            }
        }
    }
}
