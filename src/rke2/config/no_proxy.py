"""What a server of a cluster never reaches through an HTTP proxy: names of services, pods and services themselves."""

from __future__ import annotations

from collections.abc import MutableMapping

from rke2.config.model import NetworkSettings


def except_cluster(environ: MutableMapping[str, str], network: NetworkSettings) -> None:
    """Extend ``NO_PROXY`` in `environ` by the cluster's names and networks, as RKE2 does in its servers.

    Its children and the static pods inherit it, whether there is a proxy or not; their manifests are RKE2's text only
    with it, so nothing is left out that is named twice. ``no_proxy`` is merged into it. A second call changes nothing.
    """
    own = ".svc", f".{network.cluster_domain}", *map(str, (*network.cluster_cidrs, *network.service_cidrs))
    given = [host for name in ("NO_PROXY", "no_proxy") for host in environ.pop(name, "").split(",") if host]
    if tuple(given[-len(own) :]) != own:
        given += own
    environ["NO_PROXY"] = ",".join(given)
