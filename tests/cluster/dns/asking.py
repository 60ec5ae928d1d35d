"""A name that every cluster has, and what a node's cache counts of the questions."""

from __future__ import annotations

import re

from rke2_lab.host import LabHost
from tests.cluster.namespace import Namespace

NAME = "kubernetes.default.svc.cluster.local"
ANSWER = "Address: 10.43.0.1"
PORT = 9253
ASKED = "coredns_dns_requests_total"
CACHED = "coredns_cache_hits_total"


def ask(namespace: Namespace, pod: str, server: str = "") -> str:
    """What a pod is told about `NAME`, by its own server if none is named."""
    done = namespace.exec(pod, *f"timeout 10 nslookup {NAME} {server}".split())
    return done.stdout + done.stderr


def count(host: LabHost, metric: str, address: str, listener: str) -> float:
    """The sum of a metric over all kinds of questions.

    Args:
        host: asks.
        address: where the cache answers for its metrics.
        listener: the address whose questions count, as the cache knows it.
    """
    command = ["busybox", "wget", "-q", "-O", "-", f"http://{address}:{PORT}/metrics"]
    text = host.exec(command, check=True).stdout
    server = re.escape(f'server="dns://{listener}:53"')
    return sum(map(float, re.findall(rf"^{metric}{{.*{server}.*}} (\S+)$", text, re.MULTILINE)))
