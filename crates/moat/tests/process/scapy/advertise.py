"""Router Advertisements with PvD options, built and read by scapy; of these it knows everything but the PvD option.

    advertise.py examples                    those of RFC 8801: a line `NAME OCTETS` for each
    advertise.py random SEED COUNT           others: a line `OCTETS` for each
    advertise.py send INTERFACE SOURCE NAME [HOPS]   sends the example of this name, with another hop limit than 255
    advertise.py read                        OCTETS on each line; what scapy finds in them, on a line
    advertise.py hear INTERFACE              the first with a PvD option that comes there, read

Octets are hexadecimal and begin with the ICMPv6 header, whose checksum is zero.
"""

import random
import sys

from scapy.fields import BitField, ByteField, ShortField, StrLenField
from scapy.layers.dns import dns_encode, dns_get_str
from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRouteInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    _ICMPv6NDGuessPayload,
    icmp6ndoptscls,
)
from scapy.packet import NoPayload, Packet, Raw


class PvD(_ICMPv6NDGuessPayload, Packet):
    """The PvD option; behind its fixed part are a name, padding, a header if R is set, and options (RFC 8801, Figure 1)."""

    name = "PvD option"
    fields_desc = [
        ByteField("type", 21),
        ByteField("len", None),
        BitField("H", 0, 1),
        BitField("L", 0, 1),
        BitField("R", 0, 1),
        BitField("reserved", 0, 9),
        BitField("delay", 0, 4),
        ShortField("sequence", 0),
        StrLenField("body", b"", length_from=lambda option: 8 * option.len - 6),
    ]

    def post_build(self, octets, payload):
        if self.len is None:
            octets = octets[:1] + bytes([len(octets) // 8]) + octets[2:]
        return octets + payload


icmp6ndoptscls[21] = PvD


def pvd(name, options=b"", header=None, **fields):
    """A PvD option."""
    body = dns_encode(name.encode())
    body += bytes(-(6 + len(body)) % 8)
    if header is not None:
        header.cksum = 0
        body += bytes(header)
    return PvD(R=int(header is not None), body=body + bytes(options), **fields)


def advertisement(**fields):
    return ICMPv6ND_RA(chlim=fields.pop("chlim", 0), prf=fields.pop("prf", 0), **fields)


def prefix(text, **fields):
    return ICMPv6NDOptPrefixInfo(prefix=text, **fields)


def resolvers(*addresses):
    return ICMPv6NDOptRDNSS(dns=list(addresses), lifetime=600)


def examples():
    cafe = prefix("2001:db8:cafe::")
    food = prefix("2001:db8:f00d::")
    cafe_resolver = resolvers("2001:db8:cafe::53")
    food_resolver = resolvers("2001:db8:f00d::53")
    everybody = advertisement(routerlifetime=6000)
    nobody = advertisement(routerlifetime=0)
    aware = advertisement(routerlifetime=1600)
    hidden = nobody / pvd("bar.example.org.", food / food_resolver, header=aware)
    yield "figure-2", nobody / pvd(
        "example.org.", resolvers("2001:db8:cafe::53", "2001:db8:f00d::53") / cafe, H=1, delay=1, sequence=123
    )
    both = resolvers("2001:db8:cafe::53", "2001:db8:f00d::53")
    yield "5.1", everybody / cafe / pvd("example.org.", both / food)
    yield "5.2-everybody", everybody / cafe / cafe_resolver / pvd("foo.example.org.", header=nobody)
    yield "5.2-aware", hidden
    yield "5.3-everybody", everybody / cafe / cafe_resolver / pvd("foo.example.org.")
    yield "5.3-aware", hidden
    yield "5.4", everybody / cafe / cafe_resolver / pvd("cafe.example.com.", H=1, sequence=7)


def octets(packet):
    """As IPv6 carries them, but for the checksum."""
    packed = bytes(IPv6(src="fe80::1", dst="ff02::1") / packet)[40:]
    return packed[:2] + bytes(2) + packed[4:]


LIFETIMES = [0, 1, 600, 86400, 0xFFFFFFFE, 0xFFFFFFFF]
PREFERENCES = [0, 1, 3]


def random_prefix(source, length):
    bits = source.getrandbits(128) >> (128 - length) << (128 - length) if length else 0
    return ":".join(f"{bits >> shift & 0xFFFF:x}" for shift in range(112, -16, -16))


def random_name(source):
    labels = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=source.randint(1, 12)))
              for _ in range(source.randint(2, 4))]
    return ".".join(labels) + "."


def random_option(source):
    kind = source.randrange(6)
    if kind == 0:
        preferred, valid = sorted(source.choices(LIFETIMES, k=2))
        length = source.randint(0, 128)
        return prefix(random_prefix(source, length), prefixlen=length, L=source.getrandbits(1), A=source.getrandbits(1),
                      validlifetime=valid, preferredlifetime=preferred)
    if kind == 1:
        # scapy leaves out what is behind the last octet of the prefix that is not zero, so lengths are said.
        length = source.choice([0, 1, 32, 48, 64, 65, 96, 128])
        octets_of_prefix = 0 if length == 0 else 8 if length <= 64 else 16
        head = bytes([24, 1 + octets_of_prefix // 8, length, source.choice(PREFERENCES) << 3])
        network = int.to_bytes(source.getrandbits(128) >> (128 - length) << (128 - length) if length else 0, 16, "big")
        lifetime = source.choice(LIFETIMES).to_bytes(4, "big")
        return ICMPv6NDOptRouteInfo(head + lifetime + network[:octets_of_prefix])
    if kind == 2:
        addresses = [random_prefix(source, 128) for _ in range(source.randint(1, 3))]
        return ICMPv6NDOptRDNSS(dns=addresses, lifetime=source.choice(LIFETIMES))
    if kind == 3:
        names = [random_name(source) for _ in range(source.randint(1, 3))]
        return ICMPv6NDOptDNSSL(searchlist=names, lifetime=source.choice(LIFETIMES))
    if kind == 4:
        return ICMPv6NDOptMTU(mtu=source.randint(1280, 9000))
    return ICMPv6NDOptSrcLLAddr(lladdr=":".join(f"{source.randrange(256):02x}" for _ in range(6)))


def random_header(source):
    lifetime = source.choice([0, 1, 1800, 65535])
    # Who is no default router has no preference among them (RFC 4191 §2.2).
    preference = source.choice(PREFERENCES) if lifetime else 0
    return advertisement(chlim=source.randrange(256), M=source.getrandbits(1), O=source.getrandbits(1), prf=preference,
                         routerlifetime=lifetime, reachabletime=source.getrandbits(32), retranstimer=source.getrandbits(32))


def random_advertisement(source):
    packet = random_header(source)
    for _ in range(source.randrange(4)):
        packet = packet / random_option(source)
    if source.randrange(4) == 0:
        return packet
    options = b"".join(bytes(random_option(source)) for _ in range(source.randrange(4)))
    header = random_header(source) if source.getrandbits(1) else None
    has_more = source.getrandbits(1)
    return packet / pvd(
        random_name(source), options, header, H=has_more, L=source.getrandbits(1),
        delay=source.randrange(16) * has_more, sequence=source.randrange(65536) * has_more,
    )


def chain(packet):
    """The layers of a packet, as words."""
    words = []
    while not isinstance(packet, NoPayload):
        words.append(word(packet))
        packet = packet.payload
    return " ".join(words)


def word(layer):
    if isinstance(layer, ICMPv6ND_RA):
        flags = "".join(flag for flag in "MO" if getattr(layer, flag))
        return f"RA({layer.routerlifetime}{flags})"
    if isinstance(layer, PvD):
        name, end, *_ = dns_get_str(layer.body)
        inner = layer.body[end + -(6 + end) % 8:]
        header = ""
        if layer.R:
            header, inner = word(ICMPv6ND_RA(inner[:16])) + ": ", inner[16:]
        kind = icmp6ndoptscls.get(inner[0], Raw) if inner else None
        flags = "".join(flag for flag in "HLR" if getattr(layer, flag))
        options = chain(kind(inner)) if kind else ""
        return f"PvD({name.decode()} {flags} {layer.delay} {layer.sequence} {header}{options})"
    if isinstance(layer, ICMPv6NDOptPrefixInfo):
        return f"{layer.prefix}/{layer.prefixlen}"
    if isinstance(layer, ICMPv6NDOptRDNSS):
        return "DNS(" + " ".join(layer.dns) + ")"
    if isinstance(layer, ICMPv6NDOptDNSSL):
        return "search(" + " ".join(layer.searchlist) + ")"
    if isinstance(layer, ICMPv6NDOptRouteInfo):
        return f"route({layer.prefix}/{layer.plen})"
    if isinstance(layer, ICMPv6NDOptSrcLLAddr):
        return "link-layer"
    return layer.__class__.__name__


def main(command, *words):
    if command == "examples":
        for name, packet in examples():
            print(name, octets(packet).hex())
    elif command == "random":
        source = random.Random(int(words[0]))
        for _ in range(int(words[1])):
            print(octets(random_advertisement(source)).hex())
    elif command == "send":
        from scapy.layers.l2 import Ether
        from scapy.sendrecv import sendp

        interface, source, name, *hop_limit = words
        headers = Ether(dst="33:33:00:00:00:01") / IPv6(src=source, dst="ff02::1")
        headers[IPv6].hlim = int(hop_limit[0]) if hop_limit else 255
        sendp(headers / dict(examples())[name], iface=interface, verbose=False)
    elif command == "read":
        for line in sys.stdin:
            print(chain(ICMPv6ND_RA(bytes.fromhex(line.strip()))))
    elif command == "hear":
        from scapy.sendrecv import sniff

        print("listens", flush=True)
        has_pvd = lambda packet: ICMPv6ND_RA in packet and PvD in packet
        heard = sniff(iface=words[0], lfilter=has_pvd, count=1, timeout=60)
        print(heard[0][IPv6].src, heard[0][IPv6].hlim, chain(heard[0][ICMPv6ND_RA]), flush=True)


main(*sys.argv[1:])
