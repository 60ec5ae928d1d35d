"""Proxy variables for the jobs: those of this process, with the cluster's own networks excepted."""

from __future__ import annotations

from collections.abc import Mapping

from rke2.addons.helm.arguments import PROXY_VARIABLES
from rke2.config.model import NetworkSettings


def job_proxy(environment: Mapping[str, str], network: NetworkSettings) -> dict[str, str]:
    """`environment` with NO_PROXY extended by the cluster domain and networks; no_proxy is merged into it."""
    own = (".svc", f".{network.cluster_domain}", *network.cluster_cidrs, *network.service_cidrs)
    given = [environment.get(name, "").split(",") for name in ("NO_PROXY", "no_proxy")]
    hosts = dict.fromkeys(host for host in [*given[0], *given[1], *map(str, own)] if host)
    proxy = {name: environment[name] for name in PROXY_VARIABLES if environment.get(name)}
    proxy.pop("no_proxy", None)
    return {**proxy, "NO_PROXY": ",".join(hosts)}
