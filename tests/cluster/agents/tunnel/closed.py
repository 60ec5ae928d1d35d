"""Ways to a host that are closed by iptables for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rke2_lab.host import LabHost

KUBELET = ("--protocol", "tcp", "--match", "multiport", "--dports", "10250,10010")
PODS = ("--protocol", "udp", "--dport", "8472")
"""VXLAN: packets for pods on other nodes are in it."""


@contextmanager
def closed(host: LabHost, packets: Sequence[str]) -> Iterator[None]:
    """Keep `packets` (matches of iptables) of other hosts from `host`; its own by loopback come through."""
    rule = ["INPUT", "!", "--in-interface", "lo", *packets, "--jump", "DROP"]
    host.exec(["iptables", "--wait", "--insert", *rule], check=True)
    try:
        yield
    finally:
        host.exec(["iptables", "--wait", "--delete", *rule], check=True)
