//! What a stranger can send to a server: the ClientHello, and the cookie that is asked for.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use dtls::{CookieDoor, Verdict, is_initial_client_hello};

const SEED: [u8; 32] = [7; 32];
const COOKIE: usize = 32;
const RECORD_HEADER: usize = 13;
const MESSAGE_HEADER: usize = 12;
const VERSION: usize = RECORD_HEADER + MESSAGE_HEADER;
/// Behind version and random.
const SESSION_ID: usize = VERSION + 2 + 32;
/// How long a cookie given at the start is good.
const COOKIE_SECONDS: u8 = 120;

fn source(port: u16) -> SocketAddr {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), port).into()
}

/// Recognised or not, a datagram is judged alike by the door and by a session that it could replace.
pub fn client_hello(datagram: &[u8]) {
    let (mut door, now) = door();
    let recognised = is_initial_client_hello(datagram);
    let verdict = door.handle_datagram(now, source(1), datagram);
    assert_eq!(recognised, !matches!(verdict, Verdict::Dropped(_)));
    // Nobody is made to receive more than was sent in their name (RFC 6347 §4.2.1).
    if let Verdict::Reply(reply) = verdict {
        assert!(reply.len() <= datagram.len());
        assert!(!is_initial_client_hello(reply));
    }
}

/// The cookie opens the door to the hello and the source that it was made for, for as long as it should.
pub fn cookie_door(input: &[u8]) {
    let Some((&[when, place, flip], hello)) = input.split_first_chunk() else {
        return;
    };
    let (mut door, start) = door();
    let Verdict::Reply(reply) = door.handle_datagram(start, source(1), hello) else {
        return;
    };
    let cookie = reply.last_chunk::<COOKIE>().copied();
    let Some(second) = cookie.and_then(|cookie| with_cookie(hello, &cookie)) else {
        return;
    };
    let later = start + Duration::from_secs(when.into());
    let verdict = door.handle_datagram(later, source(2), &second);
    assert_ne!(verdict, Verdict::Verified, "another source");
    let verdict = door.handle_datagram(later, source(1), &second);
    assert_eq!(verdict == Verdict::Verified, when < COOKIE_SECONDS);

    // Everything from the version to the compression methods is covered.
    let Some(end) = compression_end(&second) else {
        return;
    };
    let mut changed = second;
    let at = VERSION + usize::from(place) * (end - VERSION) / 256;
    if let Some(octet) = changed.get_mut(at).filter(|_| flip != 0) {
        *octet ^= flip;
        let verdict = door.handle_datagram(later, source(1), &changed);
        assert_ne!(verdict, Verdict::Verified, "another hello");
    }
}

fn door() -> (CookieDoor, Instant) {
    thread_local! {
        static START: Instant = Instant::now();
    }
    START.with(|start| (CookieDoor::new(&SEED, *start), *start))
}

/// The second ClientHello: the first with a cookie, and the message number after its own.
fn with_cookie(hello: &[u8], cookie: &[u8; COOKIE]) -> Option<Vec<u8>> {
    let session_id = usize::from(*hello.get(SESSION_ID)?);
    let cookie_at = SESSION_ID + 1 + session_id;
    // A hello that has a cookie, and a wrong one, is answered as well.
    let old = usize::from(*hello.get(cookie_at)?);
    let mut second = hello.get(..cookie_at)?.to_vec();
    second.push(u8::try_from(COOKIE).ok()?);
    second.extend(cookie);
    second.extend(hello.get(cookie_at + 1 + old..)?);
    let message = second.len() - RECORD_HEADER;
    let body = u32::try_from(message - MESSAGE_HEADER).ok()?.to_be_bytes();
    second[11..13].copy_from_slice(&u16::try_from(message).ok()?.to_be_bytes());
    // Not a fragment, or as much of one as before.
    let total = u32::from_be_bytes([0, hello[14], hello[15], hello[16]]);
    let added = u32::try_from(COOKIE)
        .ok()?
        .checked_sub(u32::try_from(old).ok()?)?;
    let total = (total + added).to_be_bytes();
    if total[0] != 0 {
        return None;
    }
    second[14..17].copy_from_slice(&total[1..]);
    second[17..19].copy_from_slice(&1_u16.to_be_bytes());
    second[22..25].copy_from_slice(&body[1..]);
    Some(second)
}

/// Where the compression methods end.
fn compression_end(hello: &[u8]) -> Option<usize> {
    let cookie_at = SESSION_ID + 1 + usize::from(*hello.get(SESSION_ID)?);
    let suites_at = cookie_at + 1 + usize::from(*hello.get(cookie_at)?);
    let suites = u16::from_be_bytes([*hello.get(suites_at)?, *hello.get(suites_at + 1)?]);
    let methods_at = suites_at + 2 + usize::from(suites);
    Some(methods_at + 1 + usize::from(*hello.get(methods_at)?))
}
