//! Where a program looks up names: in a mount namespace of its own, at the resolvers of one PvD and nobody else's (RFC 8801 §3.4.4).
//!
//! * `/etc/resolv.conf` names the PvD's resolvers and search list;
//! * `/etc/nsswitch.conf` leads nowhere but to files and these resolvers, as far as host names go;
//! * the sockets of services that look up names for others are covered: they would ask over whatever network they like.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::provisioning::watch::DomainView;
use crate::terminal::complain;

/// Where these two are.
const FOLDER: &str = "/etc";
const RESOLVERS: &str = "/etc/resolv.conf";
const SWITCH: &str = "/etc/nsswitch.conf";
/// Of nscd(8) and systemd-resolved(8).
const SERVICES: [&str; 2] = [
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
];
/// Sources of host names that ask nobody, and the one that asks [`RESOLVERS`].
const KEPT: [&str; 3] = ["files", "myhostname", "dns"];
/// Resolvers that the C library asks (resolv.conf(5)); it says so of longer lists.
const MOST_RESOLVERS: usize = 3;

/// Variables that would lead elsewhere (resolv.conf(5), hostname(7)).
pub(super) const VARIABLES: [&str; 3] = ["LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES"];

/// Why names would be looked up elsewhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No mount namespace.
    #[error("no mount namespace of its own: {0}")]
    Namespace(io::Error),
    /// A file cannot be covered.
    #[error("{path} cannot be covered by that of the PvD: {error}")]
    Covered {
        /// Which.
        path: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Changes what this process, and whatever it starts, finds in these places. Nobody else notices.
///
/// # Errors
/// [`Error`]; without CAP_SYS_ADMIN, or where there is no such file.
#[allow(unsafe_code)]
pub(super) fn enclose(view: &DomainView) -> Result<(), Error> {
    // SAFETY: nothing of this process counts on what other threads share with it; it has none.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
        .and_then(|()| {
            let kind = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
            mount_change("/", kind)
        })
        .map_err(|error| Error::Namespace(error.into()))?;
    let covered = |path| move |error| Error::Covered { path, error };
    let mut files = vec![(RESOLVERS, resolvers(view))];
    if let Ok(text) = fs::read_to_string(SWITCH) {
        files.push((SWITCH, switch(&text)));
    }
    if let Err(error) = overlay(&files) {
        complain!(
            "moat: {FOLDER} cannot be overlaid ({error}): once somebody replaces {RESOLVERS}, names are looked up where that says"
        );
        for (path, text) in &files {
            cover(path, text).map_err(covered(path))?;
        }
    }
    for path in SERVICES.into_iter().filter(|path| Path::new(path).exists()) {
        mount_bind("/dev/null", path).map_err(|error| covered(path)(error.into()))?;
    }
    Ok(())
}

/// Has these files in their folder in the place of others, whatever becomes of those: who renames one over a file uncovers that
/// everywhere (a new lease does), and does not uncover a folder. What else is there is seen as it changes.
fn overlay(files: &[(&str, String)]) -> io::Result<()> {
    let own = tempfile::tempdir()?;
    mount(
        "tmpfs",
        own.path(),
        "tmpfs",
        MountFlags::empty(),
        c"mode=0755",
    )?;
    let laid = lay(own.path(), files);
    unmount(own.path(), UnmountFlags::DETACH)?;
    laid
}

fn lay(own: &Path, files: &[(&str, String)]) -> io::Result<()> {
    let (upper, work) = (own.join("upper"), own.join("work"));
    for folder in [&upper, &work] {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    for (path, text) in files {
        let name = Path::new(path)
            .file_name()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let file = upper.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    }
    let (upper, work) = (upper.display(), work.display());
    let options = format!("lowerdir={FOLDER},upperdir={upper},workdir={work}");
    let options = CString::new(options)?;
    mount("overlay", FOLDER, "overlay", MountFlags::empty(), &*options)?;
    Ok(())
}

/// Puts a file over another, which has no name from then on but that one's.
fn cover(path: &str, text: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    fs::set_permissions(file.path(), Permissions::from_mode(0o644))?;
    mount_bind(file.path(), path)?;
    Ok(())
}

/// resolv.conf(5). Without a search list of the PvD the machine's own domain would be taken for one.
fn resolvers(view: &DomainView) -> String {
    let mut text = format!("# Of the provisioning domain {}.\n", view.name());
    for resolver in view.resolvers.iter().take(MOST_RESOLVERS) {
        let is_of_link = |address: &IpAddr| match address {
            IpAddr::V6(address) => address.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        let name = &resolver.name;
        let zone = match name.parse().is_ok_and(|address| is_of_link(&address)) {
            true => format!("%{}", view.interface),
            false => String::new(),
        };
        text += &format!("nameserver {name}{zone}\n");
    }
    let search: Vec<_> = view.search.iter().map(|it| it.name.as_str()).collect();
    let search = match search.is_empty() {
        true => ".".to_owned(),
        false => search.join(" "),
    };
    text + &format!("search {search}\n")
}

/// nsswitch.conf(5), with other host names left out.
fn switch(text: &str) -> String {
    let line = |line: &str| {
        let Some(sources) = line.trim_start().strip_prefix("hosts:") else {
            return format!("{line}\n");
        };
        let sources = sources.split('#').next().unwrap_or_default();
        let mut kept: Vec<_> = sources
            .split_whitespace()
            .filter(|source| KEPT.contains(source))
            .collect();
        if !kept.contains(&"dns") {
            kept.push("dns");
        }
        format!("hosts: {}\n", kept.join(" "))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioning::watch::NameView;

    /// Covers: P-014
    #[test]
    fn host_names_come_from_files_and_from_resolvers_alone() {
        let text = "passwd: files systemd\n hosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns # all\nnetworks: files\n";
        assert_eq!(
            switch(text),
            "passwd: files systemd\nhosts: files dns\nnetworks: files\n"
        );
        assert_eq!(
            switch("hosts: mymachines resolve myhostname"),
            "hosts: myhostname dns\n"
        );
    }

    /// Covers: P-014
    #[test]
    fn resolvers_and_search_list_are_those_of_the_pvd() {
        let mut view: DomainView = serde_json::from_value(serde_json::json!({
            "pvd": "fixed.example", "interface": "eth0", "link": "a cable", "routers": [], "prefixes": [], "routes": [],
            "addresses": [], "resolvers": [], "search": [], "nat64": [], "information": { "state": "known" }, "also_on": [],
        }))
        .unwrap();
        let name = |name: &str| NameView {
            name: name.to_owned(),
            until: None,
        };
        view.resolvers = ["2001:db8::53", "fe80::1", "192.0.2.53", "192.0.2.54"]
            .map(name)
            .to_vec();
        assert_eq!(
            resolvers(&view),
            "# Of the provisioning domain fixed.example.\nnameserver 2001:db8::53\nnameserver fe80::1%eth0\n\
             nameserver 192.0.2.53\nsearch .\n"
        );
        view.search = ["fixed.example", "home.arpa"].map(name).to_vec();
        assert!(resolvers(&view).ends_with("\nsearch fixed.example home.arpa\n"));
    }
}
