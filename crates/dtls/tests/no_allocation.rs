//! What an unverified source costs: no memory, in Rust or in OpenSSL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(unsafe_code, reason = "counting allocations means being the allocator")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use common::pair::{SEED, client_address};
use common::pki::{self, SERVER_NAME};
use dtls::{Accept, Acceptor, Output, Session};
use libc::{c_char, c_int, c_void};

thread_local! {
    /// Of this thread: the harness has one of its own, which works beside the test.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

struct Counting;

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

type Malloc = unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *const c_char, c_int);

unsafe extern "C" {
    fn CRYPTO_set_mem_functions(malloc: Malloc, realloc: Realloc, free: Free) -> c_int;
}

unsafe extern "C" fn counting_malloc(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    count();
    // SAFETY: malloc takes any size.
    unsafe { libc::malloc(size) }
}

unsafe extern "C" fn counting_realloc(
    pointer: *mut c_void,
    size: usize,
    _: *const c_char,
    _: c_int,
) -> *mut c_void {
    count();
    // SAFETY: OpenSSL passes what came from the functions here.
    unsafe { libc::realloc(pointer, size) }
}

unsafe extern "C" fn plain_free(pointer: *mut c_void, _: *const c_char, _: c_int) {
    // SAFETY: OpenSSL passes what came from the functions here.
    unsafe { libc::free(pointer) }
}

#[test]
fn an_unverified_source_costs_no_allocation() {
    // SAFETY: nothing of OpenSSL has run yet in this process, and the functions go together.
    assert_eq!(
        unsafe { CRYPTO_set_mem_functions(counting_malloc, counting_realloc, plain_free) },
        1
    );

    let (server, client) = pki::server_and_client();
    let now = common::real_now();
    let mut acceptor = Acceptor::new(server.server_config(), &SEED, now);
    let mut client = client
        .client_config()
        .connect(now, SERVER_NAME, None)
        .unwrap();
    let Some(Output::Transmit(hello)) = client.poll_output() else {
        panic!("no ClientHello")
    };
    let Accept::Reply(reply) = acceptor.handle_datagram(now, client_address(), &hello) else {
        panic!("no reply")
    };
    client.handle_datagram(now, reply);
    let Some(Output::Transmit(with_cookie)) = client.poll_output() else {
        panic!("no ClientHello")
    };

    let elsewhere = "[2001:db8::1]:4646".parse().unwrap();
    let before = ALLOCATIONS.get();
    for (after, source, datagram) in [
        (0, client_address(), &hello[..]),
        (0, elsewhere, &with_cookie[..]),
        (1, client_address(), &hello[..hello.len() - 1]),
        (1, client_address(), b"noise"),
        (61, client_address(), &hello[..]),
        (300, client_address(), &with_cookie[..]),
    ] {
        let outcome = acceptor.handle_datagram(now + Duration::from_secs(after), source, datagram);
        assert!(!matches!(outcome, Accept::Session(_)));
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);

    // The count is not blind: a verified source does cost.
    let mut fresh = Acceptor::new(server.server_config(), &SEED, now);
    let before = ALLOCATIONS.get();
    assert!(matches!(
        fresh.handle_datagram(now, client_address(), &with_cookie),
        Accept::Session(_)
    ));
    assert!(ALLOCATIONS.get() > before);
}
