//! Advertisements that are too large for their link (RFC 8801 §3.2, RFC 6980 §5).

use super::{NdOption, PvdOption, RouterAdvertisement};

/// Octets of the IPv6 header before the message.
const IPV6_HEADER: usize = 40;
/// The longest option, in octets: its length is one octet, in units of eight.
const LONGEST_OPTION: usize = 255 * 8;

/// With one of its options alone an advertisement is too large, or an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has {octets} octets with one option alone, more than the {most} that fit")]
pub struct TooLarge {
    /// What it has.
    pub octets: usize,
    /// What fits.
    pub most: usize,
}

impl RouterAdvertisement {
    /// The same in as few advertisements as fit a link of this MTU, in octets: each has the headers and that of the PvD option,
    /// and each option is in one of them.
    ///
    /// # Errors
    /// [`TooLarge`]
    pub fn split(&self, mtu: usize) -> Result<Vec<Self>, TooLarge> {
        let most = mtu.saturating_sub(IPV6_HEADER);
        let bare = self.without_options();
        bare.check(most)?;
        let inner = self.pvd.iter().flat_map(|pvd| &pvd.options);
        let outer = self.outer_options.iter().map(|option| (option, false));
        let (mut parts, mut part) = (Vec::new(), bare.clone());
        for (option, is_inner) in outer.chain(inner.map(|option| (option, true))) {
            let fuller = part.with(option, is_inner);
            part = match fuller.check(most) {
                Ok(()) => fuller,
                Err(_) => {
                    let next = bare.with(option, is_inner);
                    next.check(most)?;
                    parts.push(part);
                    next
                }
            };
        }
        parts.push(part);
        Ok(parts)
    }

    fn without_options(&self) -> Self {
        Self {
            outer: self.outer,
            outer_options: Vec::new(),
            pvd: self.pvd.as_ref().map(|pvd| PvdOption {
                options: Vec::new(),
                ..pvd.clone()
            }),
        }
    }

    fn with(&self, option: &NdOption, is_inner: bool) -> Self {
        let mut fuller = self.clone();
        match fuller.pvd.as_mut().filter(|_| is_inner) {
            Some(pvd) => pvd.options.push(option.clone()),
            None => fuller.outer_options.push(option.clone()),
        }
        fuller
    }

    fn check(&self, most: usize) -> Result<(), TooLarge> {
        let fits = |octets: usize, most: usize| match octets <= most {
            true => Ok(()),
            false => Err(TooLarge { octets, most }),
        };
        let options = self.outer_options.iter().map(NdOption::length);
        let pvd = self.pvd.iter().map(PvdOption::length);
        for length in options.chain(pvd) {
            fits(length, LONGEST_OPTION)?;
        }
        fits(self.encode().len(), most)
    }
}
