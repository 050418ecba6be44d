use std::collections::VecDeque;

use crate::counters::Counters;
use crate::identifier::{Identifiers, MessageId};
use crate::message::{Message, MessageType};
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::parameters::{Limits, TransmissionParameters};
use crate::request::{Event, SendError};

/// The critical options that this crate deals with itself.
const TRANSFER: [OptionNumber; 2] = [OptionNumber::BLOCK2, OptionNumber::BLOCK1];

/// What the two sides of an endpoint share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) parameters: TransmissionParameters,
    pub(crate) limits: Limits,
    pub(crate) identifiers: Identifiers,
    pub(crate) counters: Counters,
    transmits: VecDeque<Vec<u8>>,
    /// What messages and timers made, on its way through the block-wise transfers.
    raised: VecDeque<Event>,
    events: VecDeque<Event>,
}

impl Context {
    pub(crate) fn new(parameters: TransmissionParameters, limits: Limits, seed: u64) -> Self {
        Self {
            parameters,
            limits,
            identifiers: Identifiers::new(seed),
            counters: Counters::default(),
            transmits: VecDeque::new(),
            raised: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Queues a datagram, or loses it if nobody takes them: the network would do no other.
    pub(crate) fn transmit(&mut self, datagram: Vec<u8>) {
        if self.is_congested() {
            self.counters.overflows += 1;
        } else {
            self.transmits.push_back(datagram);
        }
    }

    /// Whether so much waits to be sent that more would be lost.
    pub(crate) fn is_congested(&self) -> bool {
        self.transmits.len() >= self.limits.queued_datagrams
    }

    /// Queues the last message of a connection, even if too many wait.
    pub(crate) fn transmit_last(&mut self, message: Vec<u8>) {
        self.transmits.push_back(message);
    }

    pub(crate) fn acknowledge(&mut self, message_id: MessageId) {
        self.transmit(Message::empty(MessageType::Acknowledgement, message_id).encode());
    }

    pub(crate) fn reset(&mut self, message_id: MessageId) {
        self.counters.resets_sent += 1;
        self.transmit(Message::empty(MessageType::Reset, message_id).encode());
    }

    /// Raises an event, for the block-wise transfers to look at first.
    pub(crate) fn emit(&mut self, event: Event) {
        self.raised.push_back(event);
    }

    pub(crate) fn take_raised(&mut self) -> Option<Event> {
        self.raised.pop_front()
    }

    /// Queues an event for the application. Those that a message makes are bounded by
    /// [`Context::has_room`], the others by the state they are the end of.
    pub(crate) fn deliver(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// The first critical option that neither the application nor this crate understands.
    pub(crate) fn unrecognised_critical(&self, options: &Options) -> Option<OptionNumber> {
        options.unrecognised_critical(|number| {
            TRANSFER.contains(&number) || self.limits.recognised_critical.contains(&number)
        })
    }

    /// Whether a message that makes an event may be looked at.
    pub(crate) fn has_room(&self) -> bool {
        self.events.len() + self.raised.len() < self.limits.queued_events
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The message as a datagram, if it may be that large.
    pub(crate) fn encode(&self, message: &Message) -> Result<Vec<u8>, SendError> {
        let (datagram, limit) = (message.encode(), self.limits.max_message_size);
        if datagram.len() <= limit {
            Ok(datagram)
        } else {
            Err(SendError::TooLarge {
                size: datagram.len(),
                limit,
            })
        }
    }
}
