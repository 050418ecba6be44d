//! A target cut into pieces, each with the owner of all its addresses.
//!
//! ```text
//! asked     |---------------------- 203.0.113.0/24 ----------------------|
//! assigned  |-- fixed: .0/25 ------------|     |-- mobile: .192/26 ------|
//!              |- mobile: .32/27 -|
//! pieces    fixed, mobile, fixed, fixed, nobody, mobile
//! ```
//!
//! The longest match owns an address, as it does in routing: an inner prefix is somebody else's even
//! where an outer one surrounds it.

use std::iter::Peekable;

use ipnet::IpNet;

use crate::prefix_map::PrefixMap;

/// The most pieces a target may fall into. A request has no room for more prefixes in one list, and
/// who asks for that much does not mean it.
pub const MAX_PIECES: usize = 128;

/// Whom the addresses of a prefix belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division<'a, T> {
    /// What belongs to somebody, in order and without overlap.
    pub pieces: Vec<Piece<'a, T>>,
    /// What belongs to nobody, likewise.
    pub unowned: Vec<IpNet>,
}

/// A part of the address space with one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a, T> {
    /// The part.
    pub part: IpNet,
    /// The prefix that decided: the longest that contains the part.
    pub prefix: IpNet,
    /// Whose it is.
    pub owner: &'a T,
}

/// A target that falls into more than [`MAX_PIECES`] pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it falls into more than {MAX_PIECES} pieces that are treated differently: ask for less")]
pub struct TooManyPieces;

/// Cuts `asked` by the owners that longest match finds.
///
/// # Errors
/// [`TooManyPieces`].
pub fn divide<T: PartialEq>(
    owners: &PrefixMap<T>,
    asked: IpNet,
) -> Result<Division<'_, T>, TooManyPieces> {
    let mut division = Division {
        pieces: Vec::new(),
        unowned: Vec::new(),
    };
    let outer = owners.longest(asked);
    let inner = owners.inside(asked);
    let mut inner = inner.filter(|(prefix, _)| *prefix != asked).peekable();
    cut(&mut division, asked, outer, &mut inner)?;
    Ok(division)
}

/// Cuts `part`, of which `outer` owns what the `inner` prefixes leave. These come by address and then
/// by length, so that those in the lower half of a part come before those in the upper.
fn cut<'a, T: PartialEq>(
    division: &mut Division<'a, T>,
    part: IpNet,
    mut outer: Option<(IpNet, &'a T)>,
    inner: &mut Peekable<impl Iterator<Item = (IpNet, &'a T)>>,
) -> Result<(), TooManyPieces> {
    // What belongs to the same owner as what surrounds it makes no piece of its own.
    while let Some(next) = inner.next_if(|(prefix, owner)| {
        let is_same = outer.is_some_and(|(_, around)| around == *owner);
        *prefix == part || (is_same && part.contains(prefix))
    }) {
        if next.0 == part {
            outer = Some(next);
        }
    }
    if inner.peek().is_some_and(|(next, _)| part.contains(next)) {
        let mut halves = part.subnets(part.prefix_len() + 1).into_iter().flatten();
        return halves.try_for_each(|half| cut(division, half, outer, inner));
    }
    if division.pieces.len() + division.unowned.len() == MAX_PIECES {
        return Err(TooManyPieces);
    }
    match outer {
        Some((prefix, owner)) => division.pieces.push(Piece {
            part,
            prefix,
            owner,
        }),
        None => division.unowned.push(part),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owners(prefixes: &[(&str, char)]) -> PrefixMap<char> {
        let mut owners = PrefixMap::default();
        for (prefix, owner) in prefixes {
            *owners.entry(prefix.parse().unwrap()) = *owner;
        }
        owners
    }

    fn pieces(owners: &PrefixMap<char>, asked: &str) -> Vec<(String, char)> {
        let division = divide(owners, asked.parse().unwrap()).unwrap();
        let owned = division.pieces.iter();
        let owned = owned.map(|piece| (piece.part.to_string(), *piece.owner));
        let left = division.unowned.iter().map(|part| (part.to_string(), '-'));
        owned.chain(left).collect()
    }

    fn piece(part: &str, owner: char) -> (String, char) {
        (part.to_owned(), owner)
    }

    /// Covers: M-005
    #[test]
    fn the_longest_prefix_decides() {
        let owners = owners(&[("203.0.113.0/24", 'f'), ("203.0.113.128/25", 'm')]);
        let inside = |part: &str, owner| assert_eq!(pieces(&owners, part), [piece(part, owner)]);
        inside("203.0.113.7/32", 'f');
        inside("203.0.113.200/32", 'm');
        inside("203.0.113.128/25", 'm');
        inside("192.0.2.1/32", '-');
        inside("2001:db8::/32", '-');
    }

    /// Covers: M-008
    #[test]
    fn a_wide_target_falls_apart_where_the_owner_changes() {
        let owners = owners(&[
            ("203.0.113.0/25", 'f'),
            ("203.0.113.32/27", 'm'),
            ("203.0.113.40/29", 'm'),
            ("203.0.113.48/28", 'f'),
            ("203.0.113.192/26", 'm'),
        ]);
        assert_eq!(
            pieces(&owners, "203.0.113.0/24"),
            [
                piece("203.0.113.0/27", 'f'),
                piece("203.0.113.32/28", 'm'),
                piece("203.0.113.48/28", 'f'),
                piece("203.0.113.64/26", 'f'),
                piece("203.0.113.192/26", 'm'),
                piece("203.0.113.128/26", '-'),
            ]
        );
    }

    #[test]
    fn a_target_in_too_many_pieces_is_refused_and_not_cut_short() {
        let mut checkered = PrefixMap::default();
        for number in 0..=u8::MAX {
            let prefix = IpNet::new(std::net::Ipv4Addr::new(203, 0, 113, number).into(), 32);
            *checkered.entry(prefix.unwrap()) = number % 2;
        }
        let asked = |text: &str| divide(&checkered, text.parse().unwrap());
        assert_eq!(asked("203.0.113.0/24"), Err(TooManyPieces));
        assert_eq!(asked("203.0.113.0/25").unwrap().pieces.len(), MAX_PIECES);
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        (0u8..64, 26u8..=32).prop_map(|(host, length)| {
            let address = std::net::Ipv4Addr::new(203, 0, 113, host);
            IpNet::new(address.into(), length).unwrap().trunc()
        })
    }

    proptest! {
        /// Covers: M-005, M-008. Each address is in one piece, that of the longest prefix around it.
        #[test]
        fn each_address_is_where_a_linear_search_puts_it(
            named in proptest::collection::btree_map(prefix(), 0u8..3, 0..12),
            asked in prefix(),
        ) {
            let mut owners = PrefixMap::default();
            for (prefix, owner) in &named {
                *owners.entry(*prefix) = *owner;
            }
            let division = divide(&owners, asked).unwrap();
            for host in asked.subnets(32).unwrap() {
                let longest = named.iter()
                    .filter(|(prefix, _)| prefix.contains(&host))
                    .max_by_key(|(prefix, _)| prefix.prefix_len());
                let mut found = division.pieces.iter().filter(|piece| piece.part.contains(&host));
                prop_assert_eq!(found.next().map(|piece| piece.owner), longest.map(|(_, owner)| owner));
                prop_assert_eq!(found.next(), None);
                let left = division.unowned.iter().filter(|part| part.contains(&host)).count();
                prop_assert_eq!(left, usize::from(longest.is_none()));
            }
        }
    }
}
