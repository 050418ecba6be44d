//! The two framings of CoAP messages. Both are unambiguous: there is one way to write a message.

use coap::{Frame, Message};

/// Longer messages are refused by the stream framing here, so that the limit is met.
const LIMIT: usize = 1000;

/// One datagram.
pub fn coap_message(datagram: &[u8]) {
    let Ok(message) = Message::decode(datagram) else {
        return;
    };
    assert_eq!(message.encode(), datagram);
    // What a handler would look at first.
    let _path: Vec<_> = message.options.uri_path().collect();
    let _query: Vec<_> = message.options.uri_query().collect();
    let _numbers = (
        message.options.observe(),
        message.options.content_format(),
        message.options.max_age(),
        message.options.hop_limit(),
    );
    let _printed = format!("{message:?}");
}

/// The start of a stream: a message is there or not, however little of it has come.
pub fn coap_stream(stream: &[u8]) {
    let mut rest = stream;
    while let Ok(Some((frame, length))) = Frame::decode(rest, LIMIT) {
        assert!(length <= LIMIT);
        let (taken, others) = rest.split_at(length);
        assert_eq!(frame.encode(), taken);
        assert_eq!(Frame::decode(taken, LIMIT), Ok(Some((frame, length))));
        if let Some((_last, cut)) = taken.split_last() {
            assert_eq!(Frame::decode(cut, LIMIT), Ok(None));
        }
        rest = others;
    }
}
