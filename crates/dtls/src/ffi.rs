//! The few calls that the `openssl` crate does not bind. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::ptr;
use std::time::Duration;

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_uchar, c_uint, timeval};
use openssl::ssl::{SslContextRef, SslRef, SslSessionRef, SslStream};
use openssl::x509::X509Ref;
use openssl_sys::{SSL, SSL_SESSION, X509};

const DTLS_CTRL_GET_TIMEOUT: c_int = 73;

#[repr(C)]
struct BioAddr {
    _opaque: [u8; 0],
}

#[repr(C)]
struct X509Pubkey {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn DTLSv1_listen(ssl: *mut SSL, client: *mut BioAddr) -> c_int;
    fn BIO_ADDR_new() -> *mut BioAddr;
    fn BIO_ADDR_free(addr: *mut BioAddr);
    fn DTLS_set_timer_cb(
        ssl: *mut SSL,
        callback: Option<extern "C" fn(*mut SSL, c_uint) -> c_uint>,
    );
    fn SSL_free_buffers(ssl: *mut SSL) -> c_int;
    fn SSL_SESSION_is_resumable(session: *const SSL_SESSION) -> c_int;
    fn X509_get_X509_PUBKEY(certificate: *const X509) -> *mut X509Pubkey;
    fn i2d_X509_PUBKEY(key: *const X509Pubkey, out: *mut *mut c_uchar) -> c_int;
}

/// Consumes a ClientHello whose cookie is valid and sets the sequence numbers of the handshake that follows it.
/// False if the stream holds no such ClientHello.
pub(crate) fn listen<S: Read + Write>(stream: &mut SslStream<S>) -> bool {
    // SAFETY: BIO_ADDR_new has no preconditions; its result is checked, used for this one call and freed once. The SSL
    // pointer is valid for as long as `stream` is borrowed, exclusively so, and has a BIO since `SslStream::new`.
    unsafe {
        let client = BIO_ADDR_new();
        if client.is_null() {
            return false;
        }
        let listened = DTLSv1_listen(stream.ssl().as_ptr(), client);
        BIO_ADDR_free(client);
        listened == 1
    }
}

/// The first wait for an answer to a flight, and the longest, in microseconds. RFC 6347 §4.2.4.1 lets waits double up to
/// 60 s; on a link under attack that is no session. Nothing of DOTS waits longer than this for an answer before it
/// repeats itself (RFC 9132 §4.4).
const WAITS: [c_uint; 2] = [1_000_000, 3_000_000];

/// The wait that follows one of so many microseconds; 0 before the first.
extern "C" fn next_wait(_: *mut SSL, before: c_uint) -> c_uint {
    let [first, longest] = WAITS;
    match before {
        0 => first,
        _ => before.saturating_mul(2).min(longest),
    }
}

/// Has OpenSSL repeat unanswered flights of a handshake over datagrams often enough for a link that loses many.
pub(crate) fn hasten_retransmission<S>(stream: &mut SslStream<S>) {
    // SAFETY: the SSL pointer is valid for as long as `stream` is borrowed, exclusively so; the callback reads nothing
    // behind the pointer that it is given and lives as long as the program.
    unsafe { DTLS_set_timer_cb(stream.ssl().as_ptr(), Some(next_wait)) }
}

/// How long OpenSSL waits before it retransmits its last flight; `None` if it waits for nothing.
pub(crate) fn retransmit_in(ssl: &SslRef) -> Option<Duration> {
    let mut left = timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    // SAFETY: the SSL pointer is valid while `ssl` is borrowed; for this command OpenSSL writes one timeval to the last
    // argument and keeps no pointer to it.
    let armed = unsafe {
        openssl_sys::SSL_ctrl(
            ssl.as_ptr(),
            DTLS_CTRL_GET_TIMEOUT,
            0,
            ptr::from_mut(&mut left).cast(),
        )
    };
    (armed == 1).then(|| {
        Duration::from_secs(u64::try_from(left.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(left.tv_usec).unwrap_or(0))
    })
}

/// Offers an earlier session to the server. False, and a full handshake follows, unless the session was made with
/// `context` and `ssl` has the same context.
pub(crate) fn resume(ssl: &mut SslRef, context: &SslContextRef, session: &SslSessionRef) -> bool {
    if ssl.ssl_context().as_ptr() != context.as_ptr() {
        return false;
    }
    // SAFETY: `set_session` asks that the session belong to the context of `ssl`. `ResumptionState` keeps the two
    // together, and the pointers were just compared.
    unsafe { ssl.set_session(session) }.is_ok()
}

/// Whether the server has given what it takes to resume the session.
pub(crate) fn is_resumable(session: &SslSessionRef) -> bool {
    // SAFETY: the session is valid while borrowed, and is only read.
    unsafe { SSL_SESSION_is_resumable(session.as_ptr()) == 1 }
}

/// Gives back the memory for records that OpenSSL does not need until the next one comes or goes.
pub(crate) fn free_buffers<S>(stream: &mut SslStream<S>) {
    // SAFETY: the SSL pointer is valid for as long as `stream` is borrowed, exclusively so. OpenSSL keeps buffers that
    // hold something and allocates the others anew.
    unsafe {
        SSL_free_buffers(stream.ssl().as_ptr());
    }
}

/// The SubjectPublicKeyInfo in DER, octet for octet as in the certificate.
pub(crate) fn spki_der(certificate: &X509Ref) -> Option<Vec<u8>> {
    // SAFETY: the certificate is valid while borrowed, and OpenSSL keeps ownership of the key that it returns. A null
    // output asks for the length alone; the second call writes that many octets to a buffer that has them and advances
    // a copy of the pointer.
    unsafe {
        let key = X509_get_X509_PUBKEY(certificate.as_ptr());
        if key.is_null() {
            return None;
        }
        let length = usize::try_from(i2d_X509_PUBKEY(key, ptr::null_mut())).ok()?;
        let mut der = vec![0; length];
        let mut end = der.as_mut_ptr();
        let written = i2d_X509_PUBKEY(key, &raw mut end);
        (usize::try_from(written) == Ok(length)).then_some(der)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: S-068
    #[test]
    fn flights_are_repeated_after_1_2_and_then_each_3_seconds() {
        let mut wait = 0;
        let waits = [(); 5].map(|()| {
            wait = next_wait(ptr::null_mut(), wait);
            wait / 1_000_000
        });
        assert_eq!(waits, [1, 2, 3, 3, 3]);
        assert_eq!(next_wait(ptr::null_mut(), c_uint::MAX), 3_000_000);
    }
}
