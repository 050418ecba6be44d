//! An uplink of the host, with a router, a resolver and a site at its other end.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;

use crate::support::{MOAT, Neighbour, Outcome, reply};

/// Both networks lead to it, each to another.
pub(super) const SITE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x1234, 0, 0, 0, 0, 0x80);

/// An uplink, as it is seen from its other end.
pub(super) struct Uplink {
    pub(super) router: Neighbour,
    /// Every frame that came there.
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    /// From where the resolver was asked for names, and the site for its page.
    askers: Arc<Mutex<BTreeSet<IpAddr>>>,
}

impl Uplink {
    /// `name` is what the site says, too; its PvDs are these, each with its number in 2001:db8:NUMBER::/64.
    pub(super) fn new(folder: &TempDir, name: &str, pvds: &[(&str, u16)]) -> Outcome<Self> {
        let own = folder.path().join(name);
        fs::create_dir(&own)?;
        let mut router = Neighbour::behind(&format!("{name}0"), &own.join("log"))?;
        router.run("sysctl -qw net.ipv6.conf.all.forwarding=1")?;
        router.run(&format!("ip address add {SITE}/128 dev lo nodad"))?;
        let frames = Arc::new(Mutex::new(Vec::new()));
        let every = i32::from(u16::try_from(libc::ETH_P_ALL)?.to_be());
        let ear = router.within(|| {
            let ear = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(every)))?;
            Ok(ear)
        })?;
        let heard = Arc::clone(&frames);
        thread::spawn(move || listen(ear, &heard));
        let askers = Arc::new(Mutex::new(BTreeSet::new()));
        let mut config = "state = \"state.json\"\n".to_owned();
        for (pvd, number) in pvds {
            let resolver = Ipv6Addr::new(0x2001, 0xdb8, *number, 0, 0, 0, 0, 0x53);
            router.run(&format!("ip address add {resolver}/64 dev home nodad"))?;
            config += &format!(
                "[[pvd]]\nid = \"{pvd}\"\ninterface = \"home\"\nrouter_lifetime = 1800\ndns = [\"{resolver}\"]\n\
                 search = [\"{pvd}\"]\n[[pvd.prefix]]\nprefix = \"2001:db8:{number:x}::/64\"\n"
            );
            let socket = router.within(|| Ok(UdpSocket::bind((resolver, 53))?))?;
            let askers = Arc::clone(&askers);
            thread::spawn(move || resolve(&socket, &askers));
        }
        let site = router.within(|| Ok(TcpListener::bind((SITE, 80))?))?;
        let (page, visitors) = (name.to_owned(), Arc::clone(&askers));
        thread::spawn(move || serve(&site, &page, &visitors));
        let file = own.join("advertise.toml");
        fs::write(&file, config)?;
        router.start(&format!("{MOAT} pvd advertise --config {}", file.display()))?;
        Ok(Self {
            router,
            frames,
            askers,
        })
    }

    /// Whether this was ever seen there.
    pub(super) fn has_seen(&self, octets: &[u8]) -> Outcome<bool> {
        let frames = self.frames.lock().map_err(|_| "the ear panicked")?;
        let is_in = |frame: &Vec<u8>| frame.windows(octets.len()).any(|part| part == octets);
        Ok(frames.iter().any(is_in))
    }

    /// Who asked since the last time.
    pub(super) fn take_askers(&self) -> Outcome<BTreeSet<IpAddr>> {
        Ok(std::mem::take(
            &mut *self.askers.lock().map_err(|_| "a server panicked")?,
        ))
    }
}

fn listen(mut ear: Socket, heard: &Mutex<Vec<Vec<u8>>>) {
    let mut frame = [0; 4096];
    while let Ok(length) = ear.read(&mut frame) {
        if let Ok(mut heard) = heard.lock() {
            heard.push(frame[..length].to_vec());
        }
    }
}

fn resolve(socket: &UdpSocket, askers: &Mutex<BTreeSet<IpAddr>>) {
    let mut datagram = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut datagram) {
        note(askers, from.ip());
        let reply = reply(&datagram[..length], |_| Some(SITE.into()));
        drop(socket.send_to(&reply, from));
    }
}

fn serve(listener: &TcpListener, page: &str, visitors: &Mutex<BTreeSet<IpAddr>>) {
    for mut stream in listener.incoming().flatten() {
        if let Ok(from) = stream.peer_addr() {
            note(visitors, from.ip());
        }
        drop(stream.read(&mut [0; 1024]));
        let length = page.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{page}"
        );
        drop(stream.write_all(answer.as_bytes()));
    }
}

fn note(seen: &Mutex<BTreeSet<IpAddr>>, from: IpAddr) {
    if let Ok(mut seen) = seen.lock() {
        seen.insert(from);
    }
}
