"""What rke2 renders the packed charts with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

KUBERNETES = "1.36.4"
INJECTED = {
    "global.clusterCIDR": "10.42.0.0/16",
    "global.clusterCIDRv4": "10.42.0.0/16",
    "global.clusterDNS": "10.43.0.10",
    "global.clusterDomain": "cluster.local",
    "global.rke2DataDir": "/var/lib/rancher/rke2",
    "global.serviceCIDR": "10.43.0.0/16",
    "global.systemDefaultIngressClass": "ingress-nginx",
}
DUAL_STACK = {
    "global.clusterCIDR": r"10.42.0.0/16\,fd00:42::/56",
    "global.clusterCIDRv6": "fd00:42::/56",
    "global.clusterDNS": r"10.43.0.10\,fd00:43::a",
    "global.serviceCIDR": r"10.43.0.0/16\,fd00:43::/112",
    "global.systemDefaultRegistry": "registry.example:5000",
    "global.cattle.systemDefaultRegistry": "registry.example:5000",
}

Helm = Callable[..., subprocess.CompletedProcess[str]]
"""Runs Helm: verb, chart, ``sets``, HelmChartConfig ``values``, Kubernetes ``version``."""
