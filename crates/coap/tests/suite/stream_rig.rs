//! One endpoint over a stream, with a hand-driven peer.

use std::time::Instant;

use coap::{
    Code, Delivery, EndCause, Endpoint, Event, Exchange, Frame, Limits, OptionNumber, Request,
    Response, SendError, StreamError, Token, TransmissionParameters,
};

use crate::rig::{origin, put, response};

/// Max-Message-Size and Block-Wise-Transfer.
pub(crate) const SIZE: OptionNumber = OptionNumber(2);
pub(crate) const BLOCKS: OptionNumber = OptionNumber(4);

/// An endpoint under test; the test plays its peer.
pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
}

impl Bench {
    /// Before the peer's CSM.
    pub(crate) fn fresh(limits: Limits) -> Self {
        let mut bench = Self {
            endpoint: Endpoint::over_stream(TransmissionParameters::default(), limits, 42),
            now: origin(),
        };
        let csm = bench.sent();
        assert_eq!(csm.code, Code::CSM);
        bench
    }

    pub(crate) fn with(limits: Limits, options: &[(OptionNumber, u32)]) -> Self {
        let mut bench = Self::fresh(limits);
        bench.receive(&signal(Code::CSM, options));
        bench
    }

    pub(crate) fn new() -> Self {
        Self::with(Limits::default(), &[(BLOCKS, 0)])
    }

    pub(crate) fn receive(&mut self, frame: &Frame) {
        self.endpoint.handle_datagram(self.now, &frame.encode());
    }

    pub(crate) fn receive_request(&mut self, frame: &Frame) -> Exchange {
        self.receive(frame);
        match self.events().pop() {
            Some(Event::Request { exchange, .. }) => exchange,
            other => panic!("expected the request, got {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, request: Request) -> (Token, Frame) {
        let token = self.endpoint.send_request(self.now, request);
        let frame = self.sent();
        assert_eq!(token, Ok(frame.token));
        (frame.token, frame)
    }

    pub(crate) fn answer(&mut self, token: Token, response: Response) {
        self.receive(&frame(response.code, token, response));
    }

    pub(crate) fn respond(&mut self, exchange: Exchange, response: Response) {
        self.endpoint.respond(self.now, exchange, response);
    }

    pub(crate) fn all_sent(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(bytes) = self.endpoint.poll_transmit() {
            let (frame, length) = Frame::decode(&bytes, usize::MAX)
                .expect("well-formed")
                .expect("complete");
            assert_eq!(length, bytes.len());
            frames.push(frame);
        }
        frames
    }

    pub(crate) fn sent(&mut self) -> Frame {
        let mut all = self.all_sent();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    pub(crate) fn assert_silent(&mut self) {
        assert_eq!(self.all_sent(), []);
        assert_eq!(self.events(), []);
    }

    pub(crate) fn assert_aborted(&mut self, error: StreamError) {
        let abort = self.all_sent().pop().expect("an Abort message");
        assert_eq!(abort.code, Code::ABORT);
        assert_eq!(String::from_utf8(abort.payload), Ok(error.to_string()));
        let cause = EndCause::Misbehaviour(error);
        assert_eq!(self.events().pop(), Some(Event::Ended { cause }));
        self.assert_over();
    }

    pub(crate) fn assert_over(&mut self) {
        self.receive(&signal(Code::PING, &[]));
        let refused = self.endpoint.send_request(self.now, put(Delivery::NonOnce));
        assert_eq!(refused, Err(SendError::Ended));
        self.assert_silent();
    }
}

pub(crate) fn frame(code: Code, token: Token, content: Response) -> Frame {
    Frame {
        code,
        token,
        options: content.options,
        payload: content.payload,
    }
}

pub(crate) fn signal(code: Code, options: &[(OptionNumber, u32)]) -> Frame {
    let mut frame = frame(code, Token::EMPTY, response(code));
    for (number, value) in options {
        frame.options.push_uint(*number, *value);
    }
    frame
}

pub(crate) fn request(token: Token, request: Request) -> Frame {
    Frame {
        code: request.method,
        token,
        options: request.options,
        payload: request.payload,
    }
}
