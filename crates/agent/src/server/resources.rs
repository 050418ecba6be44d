//! What clients set up over the data channel and mitigation requests refer to: aliases and
//! accept-lists (RFC 8783 §6, §7).

use std::collections::BTreeMap;

use dots::identifiers::Cuid;
use dots::limits;
use dots::mitigation::{
    AclName, AclType, ConflictCause, ConflictInformation, ConflictScope, ConflictStatus,
    ConflictingAcl,
};
use dots::target::{AliasName, Target};
use ipnet::IpNet;

use super::conflict::ConflictPolicy;
use super::record::MitigationKey;
use super::{Action, Change, Server};

/// How many accept-lists a `conflict-scope` names.
const CONFLICTING_LISTS: usize = 4;

/// A client, to whom aliases and accept-lists belong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientKey {
    /// The customer that it authenticates as.
    pub customer: String,
    /// Which client of that customer.
    pub cuid: Cuid,
}

impl From<&MitigationKey> for ClientKey {
    fn from(key: &MitigationKey) -> Self {
        Self {
            customer: key.customer.clone(),
            cuid: key.cuid.clone(),
        }
    }
}

/// Why aliases or accept-lists are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourcesError {
    /// An alias stands for no prefix, FQDN or URI (RFC 8783 §6.1).
    #[error("an alias needs a prefix, FQDN or URI")]
    EmptyAlias,
    /// An alias stands for another alias.
    #[error("an alias cannot stand for another alias")]
    NestedAlias,
    /// A list of an alias or an accept-list is too long.
    #[error("more than {} entries in one list", limits::LIST_ENTRIES)]
    TooLong,
    /// More aliases or accept-lists than one client may have.
    #[error("more than {} aliases or accept-lists", ClientResources::MOST)]
    TooMany,
}

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias(Target);

impl Alias {
    /// Refuses what names no resource, another alias, or too much.
    ///
    /// # Errors
    /// [`ResourcesError`] but [`ResourcesError::TooMany`].
    pub fn new(target: Target) -> Result<Self, ResourcesError> {
        if !target.aliases.is_empty() {
            return Err(ResourcesError::NestedAlias);
        }
        if !target.is_resource_named() {
            return Err(ResourcesError::EmptyAlias);
        }
        if target.longest_list() > limits::LIST_ENTRIES {
            return Err(ResourcesError::TooLong);
        }
        Ok(Self(target))
    }

    /// The resources.
    pub fn target(&self) -> &Target {
        &self.0
    }
}

/// A list of what is to be let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptList {
    /// Its name on the data channel.
    pub name: AclName,
    /// Its type, as the client gave it.
    pub acl_type: Option<AclType>,
    /// The destinations to which traffic is let through.
    pub prefixes: Vec<IpNet>,
}

/// All that one client has set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientResources {
    aliases: BTreeMap<AliasName, Alias>,
    accept_lists: Vec<AcceptList>,
}

impl ClientResources {
    /// How many aliases, and how many accept-lists, one client may have.
    pub const MOST: usize = 128;

    /// Refuses too many of them.
    ///
    /// # Errors
    /// [`ResourcesError::TooMany`] and [`ResourcesError::TooLong`].
    pub fn new(
        aliases: BTreeMap<AliasName, Alias>,
        accept_lists: Vec<AcceptList>,
    ) -> Result<Self, ResourcesError> {
        if aliases.len().max(accept_lists.len()) > Self::MOST {
            return Err(ResourcesError::TooMany);
        }
        let mut lists = accept_lists.iter();
        if lists.any(|list| list.prefixes.len() > limits::LIST_ENTRIES) {
            return Err(ResourcesError::TooLong);
        }
        Ok(Self {
            aliases,
            accept_lists,
        })
    }

    /// What each alias stands for.
    pub fn aliases(&self) -> &BTreeMap<AliasName, Alias> {
        &self.aliases
    }

    /// The accept-lists, in the client's order.
    pub fn accept_lists(&self) -> &[AcceptList] {
        &self.accept_lists
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.aliases.is_empty() && self.accept_lists.is_empty()
    }
}

impl Server {
    /// Takes what a client has set up, in place of what it had. Mitigations that are there stay as
    /// they were authorised.
    pub(super) fn set_resources(&mut self, client: ClientKey, resources: ClientResources) {
        self.act(Action::Persist(Change::PutResources(
            client.clone(),
            resources.clone(),
        )));
        if resources.is_empty() {
            self.resources.remove(&client);
        } else {
            self.resources.insert(client, resources);
        }
    }

    /// The conflict of a request with the client's own accept-lists (RFC 9132 §4.4.1.3).
    pub(super) fn accept_list_conflict(
        &self,
        key: &MitigationKey,
        nets: &[IpNet],
    ) -> Option<ConflictInformation> {
        let is_met = |prefix: &IpNet| {
            let mut nets = nets.iter();
            nets.any(|net| net.contains(prefix) || prefix.contains(net))
        };
        let lists = &self.resources.get(&key.into())?.accept_lists;
        let met = lists.iter().filter(|list| list.prefixes.iter().any(is_met));
        let acl_list: Vec<ConflictingAcl> = met
            .take(CONFLICTING_LISTS)
            .map(|list| ConflictingAcl {
                acl_name: list.name.clone(),
                acl_type: list.acl_type.clone(),
            })
            .collect();
        let is_refused = self.policy.on_conflict == ConflictPolicy::First;
        (!acl_list.is_empty()).then(|| ConflictInformation {
            status: Some(match is_refused {
                true => ConflictStatus::RequestInactiveOtherActive,
                false => ConflictStatus::RequestActive,
            }),
            cause: Some(ConflictCause::ConflictWithAcceptlist),
            scope: Some(ConflictScope {
                acl_list,
                ..ConflictScope::default()
            }),
            retry_timer: None,
        })
    }
}
