//! What is answered to whom, without a socket.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderName, IF_NONE_MATCH,
};
use hyper::{Method, StatusCode, Uri, Version};
use pvd::PvdId;

use super::accept::Form::{Plain, Signed};
use super::answer::{Asked, Refusal, Verdict, judge, response};
use super::document::{Document, Unfit};

/// 2030-01-01T00:00:00Z
const EXPIRES: u64 = 1_893_456_000;

const OBJECT: &str = r#"{"identifier": "fixed.example.", "expires": "2030-01-01T00:00:00Z",
 "prefixes": ["2001:db8:f::/48"], "vendor-moat": {"ipv4Prefixes": ["203.0.113.0/28"]}}"#;

fn id() -> PvdId {
    "fixed.example".parse().unwrap()
}

fn compact(payload: &str) -> String {
    let [header, payload, signature] =
        ["{}", payload, "x"].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{payload}.{signature}\n")
}

fn document(is_signed: bool) -> Document {
    let signed = is_signed.then(|| compact(OBJECT).into_bytes());
    Document::read(&id(), OBJECT.into(), signed.as_deref()).unwrap()
}

fn before_expiry(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(EXPIRES - seconds)
}

/// A request that is served, unless something is changed in it.
struct Request {
    method: Method,
    uri: &'static str,
    version: Version,
    headers: HeaderMap,
    has_body: bool,
    from: &'static str,
    now: SystemTime,
    is_signed: bool,
}

impl Request {
    fn new() -> Self {
        let mut request = Self {
            method: Method::GET,
            uri: "/.well-known/pvd",
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            has_body: false,
            from: "2001:db8:f::1",
            now: before_expiry(100),
            is_signed: true,
        };
        request.add(HOST, "fixed.example");
        request
    }

    fn add(&mut self, name: HeaderName, value: &str) {
        self.headers.append(name, value.parse().unwrap());
    }

    fn host(&mut self, value: &str) {
        self.headers.insert(HOST, value.parse().unwrap());
    }

    fn verdict(&self) -> Verdict {
        let asked = Asked {
            method: &self.method,
            uri: &Uri::from_static(self.uri),
            version: self.version,
            headers: &self.headers,
            has_body: self.has_body,
            pvd: &id(),
            from: self.from.parse().unwrap(),
        };
        judge(&asked, &document(self.is_signed), self.now)
    }
}

fn verdict(change: impl FnOnce(&mut Request)) -> Verdict {
    let mut request = Request::new();
    change(&mut request);
    request.verdict()
}

/// Covers: P-018, P-027, P-046
#[test]
fn what_is_not_asked_as_it_should_be_gets_nothing() {
    type Change = fn(&mut Request);
    let cases: [(Change, Refusal); 21] = [
        (|it| it.has_body = true, Refusal::BadRequest),
        (|it| it.headers.clear(), Refusal::BadRequest),
        (|it| it.add(HOST, "fixed.example"), Refusal::BadRequest),
        (|it| it.host("mobile.example"), Refusal::Misdirected),
        (|it| it.host("a.fixed.example"), Refusal::Misdirected),
        (|it| it.host("[2001:db8:f::2]:443"), Refusal::Misdirected),
        (|it| it.host(""), Refusal::Misdirected),
        (
            |it| it.uri = "https://mobile.example/.well-known/pvd",
            Refusal::Misdirected,
        ),
        (|it| it.uri = "/", Refusal::NotFound),
        (|it| it.uri = "/.well-known/pvd/", Refusal::NotFound),
        (|it| it.uri = "/.well-known/pv%64", Refusal::NotFound),
        (|it| it.method = Method::POST, Refusal::MethodNotAllowed),
        (|it| it.method = Method::OPTIONS, Refusal::MethodNotAllowed),
        (|it| it.from = "2001:db8:e::1", Refusal::Forbidden),
        (|it| it.from = "203.0.113.16", Refusal::Forbidden),
        (|it| it.from = "::1", Refusal::Forbidden),
        (|it| it.now = before_expiry(0), Refusal::Expired),
        (|it| it.add(ACCEPT, "text/html"), Refusal::NotAcceptable),
        (
            |it| {
                it.add(ACCEPT, "application/jose");
                it.is_signed = false;
            },
            Refusal::NotAcceptable,
        ),
        // Who is not in the PvD learns nothing of its object, not even that it has expired.
        (
            |it| {
                it.now = before_expiry(0);
                it.from = "2001:db8:e::1";
            },
            Refusal::Forbidden,
        ),
        (
            |it| {
                it.add(IF_NONE_MATCH, "*");
                it.now = before_expiry(0);
            },
            Refusal::Expired,
        ),
    ];
    for (number, (change, refusal)) in cases.into_iter().enumerate() {
        let wanted = Verdict::Refused(refusal);
        assert_eq!(verdict(change), wanted, "case {number}");
    }
}

/// Covers: P-009, P-015, P-018, P-027, P-036
#[test]
fn who_is_in_the_pvd_gets_its_object() {
    type Change = fn(&mut Request);
    let cases: [(Change, Verdict); 13] = [
        (|_| {}, Verdict::Served(Plain)),
        (|it| it.method = Method::HEAD, Verdict::Served(Plain)),
        (|it| it.host("Fixed.Example.:8443"), Verdict::Served(Plain)),
        (
            |it| it.uri = "/.well-known/pvd?anything",
            Verdict::Served(Plain),
        ),
        (
            |it| it.uri = "https://fixed.example/.well-known/pvd",
            Verdict::Served(Plain),
        ),
        (|it| it.from = "203.0.113.15", Verdict::Served(Plain)),
        (|it| it.from = "::ffff:203.0.113.1", Verdict::Served(Plain)),
        (
            |it| {
                it.version = Version::HTTP_10;
                it.headers.clear();
            },
            Verdict::Served(Plain),
        ),
        (
            |it| it.add(ACCEPT, "application/pvd+json"),
            Verdict::Served(Plain),
        ),
        (
            |it| it.add(ACCEPT, "application/jose"),
            Verdict::Served(Signed),
        ),
        (|it| it.now = before_expiry(1), Verdict::Served(Plain)),
        (|it| it.add(IF_NONE_MATCH, "*"), Verdict::NotModified(Plain)),
        (
            |it| it.add(IF_NONE_MATCH, "\"another\""),
            Verdict::Served(Plain),
        ),
    ];
    for (number, (change, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(verdict(change), wanted, "case {number}");
    }
}

#[test]
fn each_form_has_its_own_tag_and_is_not_sent_twice() {
    let document = document(true);
    let tag = |form| document.in_form(form).unwrap().tag.clone();
    let (plain, signed) = (tag(Plain), tag(Signed));
    assert_ne!(plain, signed);
    let with = |accept: &str, tags: &str| {
        verdict(|it| {
            it.add(ACCEPT, accept);
            it.add(IF_NONE_MATCH, tags);
        })
    };
    assert_eq!(with("*/*", &plain), Verdict::NotModified(Plain));
    let weak = format!("\"a\", W/{plain}");
    assert_eq!(with("*/*", &weak), Verdict::NotModified(Plain));
    assert_eq!(with("*/*", &signed), Verdict::Served(Plain));
    assert_eq!(
        with("application/jose", &signed),
        Verdict::NotModified(Signed)
    );
}

/// Covers: P-018
#[test]
fn nobody_keeps_an_answer_for_longer_than_the_object_lasts() {
    let document = document(true);
    for (left, caching) in [(100, "private, max-age=10"), (3, "private, max-age=3")] {
        let answer = response(Verdict::Served(Signed), &document, before_expiry(left));
        assert_eq!(answer.headers()[CACHE_CONTROL], caching);
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/jose");
    }
    let answer = response(Verdict::NotModified(Plain), &document, before_expiry(100));
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert!(answer.headers().contains_key(ETAG) && !answer.headers().contains_key(CONTENT_TYPE));
    let refused = Verdict::Refused(Refusal::Expired);
    let answer = response(refused, &document, before_expiry(0));
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
}

/// Covers: P-020, P-022, P-037
#[test]
fn files_that_hosts_would_refuse_are_refused_here() {
    let read = |object: &str, signed: Option<String>| {
        let signed = signed.map(String::into_bytes);
        Document::read(&id(), object.into(), signed.as_deref())
    };
    let other = OBJECT.replace("fixed", "mobile");
    assert!(matches!(read(&other, None), Err(Unfit::OtherPvd(_))));
    let twice = OBJECT.replace("{\"id", "{\"prefixes\": [], \"id");
    assert!(matches!(read(&twice, None), Err(Unfit::Object(_))));
    let signed = |text: &str| read(OBJECT, Some(text.to_owned()));
    for text in ["", "a.b", "a.b.c.d", "?.?.?", "e30.e30=.e30"] {
        assert!(matches!(signed(text), Err(Unfit::NotCompact)), "{text}");
    }
    assert!(matches!(signed(&compact("{}")), Err(Unfit::Signed(_))));
    let older = OBJECT.replace("2030", "2029");
    let older = signed(&compact(&older));
    assert!(matches!(older, Err(Unfit::OtherObject)));
    // Written otherwise, and the same.
    let spaced = OBJECT.replace("\n", "\n\n");
    assert!(signed(&compact(&spaced)).is_ok());
}

/// Covers: P-051
#[test]
fn credentials_are_not_published_sealed_or_not() {
    let sealed =
        "\"vendor-moat\": {\"networks\": \"e30..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA\",";
    // What is not sealed no host reads; who fetches it does.
    let open = "\"vendor-moat\": {\"networks\": [{\"ssid\": \"home\", \"psk\": \"secret\"}],";
    for networks in [sealed, open] {
        let object = OBJECT.replace("\"vendor-moat\": {", networks);
        let refused = Document::read(&id(), object.clone().into(), None);
        assert!(matches!(refused, Err(Unfit::Credentials)), "{refused:?}");
        let signed = Document::read(&id(), OBJECT.into(), Some(compact(&object).as_bytes()));
        assert!(matches!(signed, Err(Unfit::OtherObject)), "{signed:?}");
    }
}
