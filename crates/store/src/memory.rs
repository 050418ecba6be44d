//! State without durability, for simulations: a "crash" there drops the agent and keeps this.

use std::collections::BTreeMap;

use dots::identifiers::{Cuid, Mid};

use crate::{
    Change, ClientRequestKey, ClientRequestRecord, ClientSnapshot, CuidBinding, MitigationKey,
    MitigationRecord, ServerSnapshot, Store, StoreError,
};

/// A [`Store`] in memory. It never fails.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    mitigations: BTreeMap<MitigationKey, MitigationRecord>,
    cuids: BTreeMap<(String, Cuid), CuidBinding>,
    next_mids: BTreeMap<String, Mid>,
    requests: BTreeMap<ClientRequestKey, ClientRequestRecord>,
}

impl Store for MemoryStore {
    fn load_server(&mut self) -> Result<ServerSnapshot, StoreError> {
        Ok(ServerSnapshot {
            mitigations: self.mitigations.values().cloned().collect(),
            cuids: self.cuids.values().cloned().collect(),
        })
    }

    fn load_client(&mut self) -> Result<ClientSnapshot, StoreError> {
        Ok(ClientSnapshot {
            next_mids: self.next_mids.clone(),
            requests: self.requests.values().cloned().collect(),
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes.iter().cloned() {
            match change {
                Change::PutMitigation(record) => {
                    self.mitigations.insert(record.key.clone(), record);
                }
                Change::DeleteMitigation(key) => {
                    self.mitigations.remove(&key);
                }
                Change::BindCuid(binding) => {
                    self.cuids
                        .insert((binding.customer.clone(), binding.cuid.clone()), binding);
                }
                Change::ReserveMids { association, next } => {
                    self.next_mids.insert(association, next);
                }
                Change::PutClientRequest(record) => {
                    self.requests.insert(record.key.clone(), record);
                }
                Change::DeleteClientRequest(key) => {
                    self.requests.remove(&key);
                }
            }
        }
        Ok(())
    }
}
