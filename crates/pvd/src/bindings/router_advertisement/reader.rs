//! Reads a Router Advertisement option by option.

use super::header::{self, Header};
use super::neighbor_discovery::UNIT;
use super::{Ignored, MESSAGE_TYPE, Malformed, NdOption, PvdOption, Received, RouterAdvertisement};
use crate::bindings::router_advertisement::pvd_option::KIND;

pub(super) fn read(message: &[u8]) -> Result<Received, Malformed> {
    let header = message.split_first_chunk::<{ header::LENGTH }>();
    let is_one = |header: &[u8; header::LENGTH]| header[..2] == [MESSAGE_TYPE, 0];
    let (header, rest) = header
        .filter(|(header, _)| is_one(header))
        .ok_or(Malformed::Message)?;
    // RFC 4861 §6.1.2: each option has a length, or nothing of the message counts.
    let options: Vec<(u8, &[u8])> = options(rest).collect::<Result<_, _>>()?;
    let (mut outer_options, mut pvds, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, body) in options {
        match kind {
            KIND => pvds.push(body),
            _ => take(kind, body, &mut outer_options, &mut ignored),
        }
    }
    let mut pvds = pvds.into_iter();
    let first = pvds.next().map(|body| {
        let mut inner = Vec::new();
        let pvd = PvdOption::read(body, &mut inner)?;
        Ok((pvd, inner))
    });
    let (pvd, of_pvd) = match first {
        None => (None, Vec::new()),
        Some(Ok((pvd, inner))) => (Some(pvd), inner),
        // To a host it is as any option that it does not understand.
        Some(Err(reason)) => (None, vec![Ignored { kind: KIND, reason }]),
    };
    ignored.extend(of_pvd);
    ignored.extend(pvds.map(|_| Ignored {
        kind: KIND,
        reason: Malformed::Second,
    }));
    Ok(Received {
        advertisement: RouterAdvertisement {
            outer: Header::read(header),
            outer_options,
            pvd,
        },
        ignored,
    })
}

/// The options in these octets: the type of each, and what follows its length. The last item is an error if they end in the midst
/// of one.
pub(in crate::bindings) fn options(
    mut octets: &[u8],
) -> impl Iterator<Item = Result<(u8, &[u8]), Malformed>> {
    std::iter::from_fn(move || {
        let &[kind, ref rest @ ..] = octets else {
            return None;
        };
        let units = rest.first().copied().map_or(0, usize::from);
        let whole = octets.split_at_checked(units * UNIT);
        let Some((option, behind)) = whole.filter(|_| units > 0) else {
            octets = &[];
            return Some(Err(Malformed::Length));
        };
        octets = behind;
        Some(Ok((kind, option.get(2..).unwrap_or_default())))
    })
}

/// Takes an option, or the reason why not.
pub(super) fn take(kind: u8, body: &[u8], taken: &mut Vec<NdOption>, ignored: &mut Vec<Ignored>) {
    match NdOption::read(kind, body) {
        Ok(option) => taken.push(option),
        Err(reason) => ignored.push(Ignored { kind, reason }),
    }
}
