//! What the suites share: a virtual clock's origin, one endpoint with a hand-driven peer.

use std::time::{Duration, Instant};

use coap::{
    Code, Delivery, Endpoint, Event, Exchange, Limits, Message, MessageId, MessageType,
    OptionNumber, Options, Request, Response, Token, TransmissionParameters,
};

pub(crate) const CON: MessageType = MessageType::Confirmable;
pub(crate) const NON: MessageType = MessageType::NonConfirmable;
pub(crate) const ACK: MessageType = MessageType::Acknowledgement;
pub(crate) const RST: MessageType = MessageType::Reset;

#[expect(
    clippy::disallowed_methods,
    reason = "any moment will do as the origin of a virtual clock"
)]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An endpoint under test; the test plays its peer.
pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(TransmissionParameters::default(), Limits::default())
    }

    pub(crate) fn with(parameters: TransmissionParameters, limits: Limits) -> Self {
        let now = origin();
        Self {
            endpoint: Endpoint::new(parameters, limits, 42),
            now,
            start: now,
        }
    }

    pub(crate) fn send(&mut self, request: Request) -> (Token, Message) {
        let token = self
            .endpoint
            .send_request(self.now, request)
            .expect("within limits");
        let message = self.sent();
        assert_eq!(message.token, token);
        (token, message)
    }

    pub(crate) fn receive(&mut self, message: &Message) {
        self.endpoint.handle_datagram(self.now, &message.encode());
    }

    /// Receives a request and takes its event.
    pub(crate) fn receive_request(&mut self, message: &Message) -> Exchange {
        self.receive(message);
        match self.endpoint.poll_event() {
            Some(Event::Request {
                exchange, token, ..
            }) if token == message.token => exchange,
            other => panic!("expected the request, got {other:?}"),
        }
    }

    pub(crate) fn respond(&mut self, exchange: Exchange, response: Response) {
        self.endpoint.respond(self.now, exchange, response);
    }

    /// The one datagram sent.
    pub(crate) fn sent(&mut self) -> Message {
        let mut all = self.all_sent();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub(crate) fn all_sent(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|datagram| Message::decode(&datagram).expect("well-formed"))
            .collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    /// Nothing to send and nothing to tell.
    pub(crate) fn assert_silent(&mut self) {
        assert_eq!(self.all_sent(), []);
        assert_eq!(self.events(), []);
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.endpoint.handle_timeout(self.now);
        assert!(
            self.endpoint
                .poll_timeout()
                .is_none_or(|next| next > self.now)
        );
    }

    /// Follows the timers until `end`; what was sent at which time after the start.
    pub(crate) fn run_until(&mut self, end: Duration) -> Vec<(Duration, Message)> {
        let mut sent = Vec::new();
        while let Some(next) = self.endpoint.poll_timeout()
            && next <= self.start + end
        {
            self.advance(next - self.now);
            let at = self.now - self.start;
            sent.extend(self.all_sent().into_iter().map(|message| (at, message)));
        }
        self.now = self.start + end;
        sent
    }
}

pub(crate) fn put(delivery: Delivery) -> Request {
    let mut options = Options::new();
    options.push(OptionNumber::URI_PATH, b"mitigate");
    Request {
        method: Code::PUT,
        options,
        payload: vec![0xa0],
        delivery,
    }
}

pub(crate) fn get(observe: Option<u32>, delivery: Delivery) -> Request {
    let mut options = Options::new();
    options.push(OptionNumber::URI_PATH, b"mitigate");
    if let Some(value) = observe {
        options.push_uint(OptionNumber::OBSERVE, value);
    }
    Request {
        method: Code::GET,
        options,
        payload: Vec::new(),
        delivery,
    }
}

pub(crate) fn response(code: Code) -> Response {
    Response {
        code,
        options: Options::new(),
        payload: Vec::new(),
    }
}

pub(crate) fn observed(value: u32) -> Response {
    let mut response = response(Code::CONTENT);
    response.options.push_uint(OptionNumber::OBSERVE, value);
    response
}

pub(crate) fn token(byte: u8) -> Token {
    Token::new(&[byte]).expect("one byte")
}

/// A request as the peer sends it.
pub(crate) fn request_message(message_type: MessageType, id: u16, token: Token) -> Message {
    let Request {
        method: code,
        options,
        payload,
        ..
    } = put(Delivery::NonOnce);
    Message {
        message_type,
        code,
        message_id: MessageId(id),
        token,
        options,
        payload,
    }
}

/// A block option's value, as RFC 7959 writes it: number/more/size.
pub(crate) fn block(number: u32, more: bool, size: usize) -> u32 {
    let exponent = size.trailing_zeros() - 4;
    number << 4 | u32::from(more) << 3 | exponent
}

/// Bytes of which no two blocks are alike.
pub(crate) fn body(length: usize) -> Vec<u8> {
    let words = (0_u16..).flat_map(u16::to_be_bytes);
    words.take(length).collect()
}

/// A response as the peer sends it.
pub(crate) fn response_message(
    message_type: MessageType,
    message_id: MessageId,
    token: Token,
    response: Response,
) -> Message {
    let Response {
        code,
        options,
        payload,
    } = response;
    Message {
        message_type,
        code,
        message_id,
        token,
        options,
        payload,
    }
}
