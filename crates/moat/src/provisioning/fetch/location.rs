//! Where an object is asked for, and where a server may send whoever asks (RFC 8801 §4.1).

use pvd::PvdId;
use url::{Host, Url};

/// Where the object of a PvD is, at the host that the PvD is named after (RFC 8801 §4.1).
const PATH: &str = "/.well-known/pvd";

/// Something at a host with a name, over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    url: Url,
    host: PvdId,
}

/// Why nobody goes where a server sends him.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Astray {
    /// It is no reference to anything.
    #[error("that is no URL")]
    NotAUrl,
    /// RFC 8801 §4.1 has everything over TLS.
    #[error("that is not https")]
    NotHttps,
    /// No certificate has a DNS-ID for an address.
    #[error("that is no host with a name")]
    NotAName,
    /// Nobody is to be logged in.
    #[error("there is a user in it")]
    User,
}

impl Location {
    /// That of the object of a PvD.
    ///
    /// # Errors
    /// [`Astray`], for an id that no host can have.
    pub(super) fn of(pvd: &PvdId) -> Result<Self, Astray> {
        let url = Url::parse(&format!("https://{pvd}{PATH}"));
        Self::new(url.map_err(|_| Astray::NotAUrl)?)
    }

    /// Where a redirect leads from here (RFC 9110 §10.2.2).
    ///
    /// # Errors
    /// [`Astray`]
    pub(super) fn redirected(&self, to: &str) -> Result<Self, Astray> {
        Self::new(self.url.join(to).map_err(|_| Astray::NotAUrl)?)
    }

    fn new(url: Url) -> Result<Self, Astray> {
        if url.scheme() != "https" {
            return Err(Astray::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Astray::User);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.parse().ok(),
            _ => None,
        };
        Ok(Self {
            host: host.ok_or(Astray::NotAName)?,
            url,
        })
    }

    /// The host, whose name the certificate must have.
    pub(super) fn host(&self) -> &PvdId {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// The host as a request names it, with a port that is not that of HTTPS.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// What of it is asked for: its path and query.
    pub(super) fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// Whether what is found here speaks for the PvD without a signature. Only administrators write at the well-known path
    /// (RFC 8615 §1), and only the PvD's own are those of its host and of hosts below it; elsewhere anybody's content may be.
    pub(super) fn is_authoritative_for(&self, pvd: &PvdId) -> bool {
        let host = self.host.as_str();
        let above = host.strip_suffix(pvd.as_str());
        let is_within = above.is_some_and(|labels| labels.is_empty() || labels.ends_with('.'));
        is_within && self.url.path() == PATH
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> PvdId {
        "fixed.example".parse().unwrap()
    }

    /// Covers: P-015, P-018, P-048
    #[test]
    fn redirects_lead_to_named_hosts_over_tls_and_nowhere_else() {
        let start = Location::of(&id()).unwrap();
        assert_eq!(start.to_string(), "https://fixed.example/.well-known/pvd");
        let cases = [
            ("/other", Ok("https://fixed.example/other")),
            (
                "other?x=1",
                Ok("https://fixed.example/.well-known/other?x=1"),
            ),
            ("//cdn.example/pvd", Ok("https://cdn.example/pvd")),
            (
                "https://CDN.example:8443/pvd#part",
                Ok("https://cdn.example:8443/pvd#part"),
            ),
            (
                "http://fixed.example/.well-known/pvd",
                Err(Astray::NotHttps),
            ),
            ("HTTP://fixed.example/", Err(Astray::NotHttps)),
            ("file:///etc/passwd", Err(Astray::NotHttps)),
            ("https://127.0.0.1/", Err(Astray::NotAName)),
            ("https://2130706433/", Err(Astray::NotAName)),
            ("https://0x7f.1/", Err(Astray::NotAName)),
            ("//[::1]/", Err(Astray::NotAName)),
            ("https://[fe80::1]/", Err(Astray::NotAName)),
            ("https://user@fixed.example/", Err(Astray::User)),
            ("https://:secret@fixed.example/", Err(Astray::User)),
            ("https://", Err(Astray::NotAUrl)),
            ("https://a b/", Err(Astray::NotAUrl)),
        ];
        for (to, wanted) in cases {
            let led = start.redirected(to).map(|location| location.to_string());
            assert_eq!(led, wanted.map(str::to_owned), "{to}");
        }
    }

    #[test]
    fn a_request_names_host_port_path_and_query() {
        let location = Location::of(&id()).unwrap();
        let location = location
            .redirected("https://a.example:8443/b?c=d#e")
            .unwrap();
        assert_eq!(location.authority(), "a.example:8443");
        assert_eq!(location.target(), "/b?c=d");
        assert_eq!(location.port(), 8443);
        let location = location.redirected("https://a.example:443").unwrap();
        assert_eq!(
            (location.authority().as_str(), location.port()),
            ("a.example", 443)
        );
        assert_eq!(location.target(), "/");
    }

    /// Covers: P-046
    #[test]
    fn only_the_well_known_path_of_the_pvds_hosts_speaks_for_it() {
        let start = Location::of(&id()).unwrap();
        for (to, speaks) in [
            ("https://fixed.example/.well-known/pvd", true),
            ("https://Fixed.Example./.well-known/pvd", true),
            ("https://a.fixed.example/.well-known/pvd?x", true),
            (
                "https://fixed.example:8443/.well-known/../.well-known/pvd",
                true,
            ),
            ("https://fixed.example/~mallory/.well-known/pvd", false),
            ("https://fixed.example/.well-known/pvd/", false),
            ("https://fixed.example/.well-known/pv%64", false),
            ("https://fixed.example/", false),
            ("https://example/.well-known/pvd", false),
            ("https://notfixed.example/.well-known/pvd", false),
            ("https://cdn.example/.well-known/pvd", false),
        ] {
            let location = start.redirected(to).unwrap();
            assert_eq!(location.is_authoritative_for(&id()), speaks, "{to}");
        }
    }

    proptest! {
        #[test]
        fn any_redirect_leads_to_a_name_over_tls_or_is_refused(to in ".{0,80}") {
            let start = Location::of(&id()).unwrap();
            if let Ok(location) = start.redirected(&to) {
                prop_assert!(location.to_string().starts_with("https://"));
                prop_assert!(location.host().as_str().parse::<std::net::IpAddr>().is_err());
                prop_assert!(location.target().starts_with('/'));
            }
        }
    }
}
