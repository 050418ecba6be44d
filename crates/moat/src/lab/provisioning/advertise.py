"""Advertises a PvD beside a router of the same address that knows none, with scapy.

usage: advertise.py INTERFACE PVD ROUTER-LIFETIME RESOLVER PREFIX...

Hosts without PvDs see the outer header alone, which is the other router's. All else is inside the PvD option (RFC 8801 section 3.1).
"""

import ipaddress
import struct
import sys
import time

from scapy.arch import get_if_hwaddr, in6_getifaddr
from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.sendrecv import sendp

H_FLAG, R_FLAG = 0x8000, 0x2000
SEQUENCE_NUMBER = 7


def pvd_option(pvd, lifetime, resolver, prefixes):
    """Type 21: flags, sequence number, the name and its padding, an inner header, and options."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in pvd.split(".")) + b"\0"
    body = struct.pack("!HH", H_FLAG | R_FLAG, SEQUENCE_NUMBER) + name
    body += bytes(-(len(body) + 2) % 8)
    body += bytes(ICMPv6ND_RA(cksum=0, chlim=64, routerlifetime=lifetime))
    for prefix in map(ipaddress.ip_network, prefixes):
        address = str(prefix.network_address)
        body += bytes(ICMPv6NDOptPrefixInfo(
            prefix=address, prefixlen=prefix.prefixlen, L=1, A=1, validlifetime=7200, preferredlifetime=3600
        ))
    body += bytes(ICMPv6NDOptRDNSS(dns=[resolver], lifetime=1800))
    return struct.pack("!BB", 21, (len(body) + 2) // 8) + body


def main():
    interface, pvd, lifetime, resolver, *prefixes = sys.argv[1:]
    own = next(
        address
        for address, _, name in in6_getifaddr()
        if name == interface and address.startswith("fe80:")
    )
    hardware = get_if_hwaddr(interface)
    packet = (
        Ether(src=hardware, dst="33:33:00:00:00:01")
        / IPv6(src=own, dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(chlim=64, routerlifetime=int(lifetime))
        / ICMPv6NDOptSrcLLAddr(lladdr=hardware)
        / Raw(pvd_option(pvd, int(lifetime), resolver, prefixes))
    )
    while True:
        sendp(packet, iface=interface, verbose=False)
        time.sleep(1)


main()
