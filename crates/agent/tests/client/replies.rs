//! What servers are asked and what they reply.

use std::time::Duration;

use agent::client::PathId;
use coap::{Code, Message, MessageId, MessageType, OptionNumber, Options};
use dots::identifiers::Mid;
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{
    ConflictInformation, DroppedCounters, Granted, MitigationReport, MitigationRequest,
    MitigationStatus, Refusal, Status,
};
use dots::path::Resource;
use dots::target::Target;

use super::rig::Rig;
use super::wire;
use crate::world::{DATA, EPOCH};

/// A request that reached a server, each copy for itself.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Duration,
    pub(crate) path: PathId,
    pub(crate) message: Message,
}

impl Asked {
    pub(crate) fn queries(&self) -> Vec<String> {
        let options = self.message.options.get_all(OptionNumber::URI_QUERY);
        options
            .map(|query| String::from_utf8(query.to_vec()).unwrap())
            .collect()
    }

    pub(crate) fn resource(&self) -> (String, u32) {
        let segments: Result<Vec<&str>, _> = self.message.options.uri_path().collect();
        match Resource::parse(segments.unwrap()).unwrap() {
            Resource::Mitigate {
                cdid: None,
                cuid: Some(cuid),
                mid: Some(mid),
            } => (cuid.to_string(), mid.0),
            other => panic!("{other:?} was asked for"),
        }
    }

    pub(crate) fn mid(&self) -> u32 {
        self.resource().1
    }

    pub(crate) fn body(&self) -> MitigationRequest {
        MitigationRequest::decode(&self.message.payload).unwrap()
    }
}

impl Rig {
    /// A datagram from a server to the client.
    pub(crate) fn inject(&mut self, path: PathId, datagram: &[u8]) {
        if let Some((dice, percent)) = &mut self.inbound_loss
            && dice.u32(0..100) < *percent
        {
            return;
        }
        self.client.handle_datagram(self.now(), path, datagram);
    }

    /// A message from a server to the client.
    pub(crate) fn send(&mut self, path: PathId, message: &Message) {
        let octets = wire::encode(&self.paths[&path], message);
        self.inject(path, &[&[DATA][..], &octets].concat());
        self.settle();
    }

    pub(crate) fn answer(
        &mut self,
        asked: &Asked,
        code: Code,
        options: impl FnOnce(&mut Options),
        payload: &[u8],
    ) {
        self.next_id = self.next_id.wrapping_add(1);
        let mut message = Message {
            message_type: MessageType::NonConfirmable,
            code,
            message_id: MessageId(self.next_id),
            token: asked.message.token,
            options: Options::new(),
            payload: payload.to_vec(),
        };
        options(&mut message.options);
        self.send(asked.path, &message);
    }

    /// 2.01 or 2.04 with this lifetime.
    pub(crate) fn grant(&mut self, asked: &Asked, lifetime: u32) {
        let granted = Granted {
            mid: Mid(asked.mid()),
            lifetime: Lifetime::from_number(lifetime.into()).unwrap(),
            conflict: None,
        };
        self.answer(asked, Code::CREATED, |_| {}, &granted.encode());
    }

    /// 2.01 without an end.
    pub(crate) fn grant_for_ever(&mut self, asked: &Asked) {
        let granted = Granted {
            mid: Mid(asked.mid()),
            lifetime: Lifetime::Indefinite,
            conflict: None,
        };
        self.answer(asked, Code::CREATED, |_| {}, &granted.encode());
    }

    pub(crate) fn conflict(&mut self, asked: &Asked, conflict: ConflictInformation) {
        self.answer(
            asked,
            Code::CONFLICT,
            |_| {},
            &Refusal { conflict }.encode(),
        );
    }

    /// 2.05 for an observer, with the number of the notification.
    pub(crate) fn status(
        &mut self,
        asked: &Asked,
        observe: Option<u32>,
        status: Status,
        left: u32,
    ) {
        self.status_of(asked, observe, (asked.mid(), status, left));
    }

    pub(crate) fn status_of(
        &mut self,
        asked: &Asked,
        observe: Option<u32>,
        (mid, status, left): (u32, Status, u32),
    ) {
        self.report(
            asked,
            observe,
            MitigationStatus {
                mid: Mid(mid),
                target: Target::default(),
                trigger_mitigation: None,
                mitigation_start: Some(EPOCH),
                status,
                lifetime: RemainingLifetime::Seconds(left),
                counters: DroppedCounters {
                    pkts: Some(left.into()),
                    ..DroppedCounters::default()
                },
                conflict: None,
            },
        );
    }

    /// 2.05 with this status.
    pub(crate) fn report(&mut self, asked: &Asked, observe: Option<u32>, status: MitigationStatus) {
        self.tell(asked, observe, &MitigationReport(vec![status]));
    }

    pub(crate) fn tell(&mut self, asked: &Asked, observe: Option<u32>, report: &MitigationReport) {
        let number = observe.map(|number| {
            let told = self
                .told
                .entry((asked.path, asked.message.token))
                .or_default();
            told.0 = number;
            number + told.1
        });
        let options = |options: &mut Options| {
            if let Some(number) = number {
                options.push_uint(OptionNumber::OBSERVE, number);
            }
        };
        self.answer(asked, Code::CONTENT, options, &report.encode());
    }
}
