//! The search list of DHCPv4, whose names are compressed against those before them (RFC 3397 §2, RFC 1035 §4.1.4).

use super::MOST_DOMAINS;
use pvd::DomainName;

/// Octets of a name, without the last one.
const LONGEST_NAME: usize = 254;
/// Two bits that say that the rest of a name is elsewhere.
const POINTER: u8 = 0xc0;

/// The first names, until one makes no sense.
pub(super) fn read(option: &[u8]) -> Vec<DomainName> {
    let mut names = Vec::new();
    let mut at = 0;
    while names.len() < MOST_DOMAINS {
        let Some((name, behind)) = name(option, at) else {
            break;
        };
        names.push(name);
        at = behind;
    }
    names
}

/// The name that begins there, and where the next one does. A pointer leads back, and what lies between two visits of one
/// makes the name longer, so it ends.
fn name(option: &[u8], start: usize) -> Option<(DomainName, usize)> {
    let mut whole = Vec::new();
    let mut behind = None;
    let mut at = start;
    loop {
        let &octet = option.get(at)?;
        if octet & POINTER == POINTER {
            let &low = option.get(at + 1)?;
            let to = usize::from(octet & !POINTER) << 8 | usize::from(low);
            behind.get_or_insert(at + 2);
            at = Some(to).filter(|to| *to < at)?;
            continue;
        }
        let end = at + 1 + usize::from(octet);
        whole.extend(option.get(at..end)?);
        if octet == 0 {
            let (name, _) = DomainName::read(&whole).ok()?;
            return Some((name, behind.unwrap_or(end)));
        }
        if whole.len() > LONGEST_NAME {
            return None;
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(option: &[u8]) -> Vec<String> {
        read(option).iter().map(ToString::to_string).collect()
    }

    /// Covers: P-012
    #[test]
    fn names_are_put_together_from_what_is_before_them() {
        let list = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04\xc0\x0a";
        assert_eq!(words(list), ["eng.apple.com", "marketing.apple.com", "com"]);
    }

    #[test]
    fn what_makes_no_sense_ends_the_list() {
        for end in [
            &b"\x04shor"[..],
            b"\x01b",
            b"\xc0",
            b"\xc0\x03",
            b"\xc0\xff",
            b"\x01b\xc0\x03",
            b"\x80abc\x00",
            b"\x00",
        ] {
            let list = [b"\x01a\x00", end].concat();
            assert_eq!(words(&list), ["a"], "{end:?}");
        }
        assert_eq!(words(b""), Vec::<String>::new());
    }
}
