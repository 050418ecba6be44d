//! HMAC-SHA256 (RFC 2104) on the stack: OpenSSL's own HMAC allocates for each message, which the cookie door may not.

use openssl::sha::Sha256;

const BLOCK: usize = 64;

/// A key, with its two padded blocks hashed already.
#[derive(Clone)]
pub(crate) struct HmacKey {
    inner: Sha256,
    outer: Sha256,
}

/// A message on its way through HMAC.
pub(crate) struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl HmacKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (octet, key_octet) in block.iter_mut().zip(key) {
                *octet ^= key_octet;
            }
            let mut state = Sha256::new();
            state.update(&block);
            state
        };
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
        }
    }

    pub(crate) fn start(&self) -> Hmac {
        Hmac {
            inner: self.inner.clone(),
            outer: self.outer.clone(),
        }
    }
}

impl Hmac {
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut outer = self.outer;
        outer.update(&self.inner.finish());
        outer.finish()
    }
}

#[cfg(test)]
mod tests {
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::sign::Signer;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_openssl(key: [u8; 32], first: Vec<u8>, second: Vec<u8>) {
            let mut ours = HmacKey::new(&key).start();
            ours.update(&first);
            ours.update(&second);

            let pkey = PKey::hmac(&key).unwrap();
            let mut theirs = Signer::new(MessageDigest::sha256(), &pkey).unwrap();
            theirs.update(&first).unwrap();
            theirs.update(&second).unwrap();
            prop_assert_eq!(ours.finish().to_vec(), theirs.sign_to_vec().unwrap());
        }
    }
}
