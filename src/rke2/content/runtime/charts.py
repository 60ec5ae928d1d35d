"""The packaged charts on their way from the runtime image to ``<dd>/server/manifests``.

Every HelmChart that asks for it (annotation ``rke2.cattle.io/inject-cluster-config``) is given the cluster's
facts as ``global.*`` entries of ``spec.set``, the values with the highest precedence. Those in files of the operator
get them when they are applied: a file that is not ours is never written to.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config import cni, immutable, ingress
from rke2.config.addresses import comma
from rke2.config.model import IPNetwork, NodeConfig
from rke2.errors import ContentError
from rke2.host.files import ensure_dir, write_atomic

log = logging.getLogger(__name__)

INJECT_ANNOTATION = "rke2.cattle.io/inject-cluster-config"
INJECT_VARIABLE = "RKE2_INJECT_CLUSTER_CONFIG"
DEFAULT_INGRESS_CLASS = "global.systemDefaultIngressClass"
"""The value that names the cluster's default ingress controller to every packaged chart."""
DISABLED = "# disabled by configuration\n"

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


def stage(charts: Path, config: NodeConfig) -> None:
    """Put the charts of the runtime image into the manifests directory.

    Existing files of the same name are replaced, others stay. Of the CNI plugins only the chosen one's charts are
    put there; one that is there nevertheless is in `disable`, so the deploy controller removes it. The charts of
    ingress controllers that were not chosen become empty manifests, so that what they installed is removed.

    Raises:
        ContentError: the manifests directory cannot be written.
    """
    immutable.record(config)
    manifests, values = ensure_dir(config.paths.manifests, 0o700), cluster_values(config)
    emptied = ingress.unselected_charts(config.network.ingress_controllers)
    try:
        for chart in wanted(packaged(charts), config):
            text = DISABLED if chart.stem in emptied else injected(chart.read_text(), values, str(chart))
            write_atomic(manifests / chart.name, text)
    except OSError as error:
        raise ContentError(f"cannot put the packaged charts into {manifests}: {error}") from error


def packaged(charts: Path) -> list[Path]:
    """The manifests of the runtime image, by name."""
    return sorted(charts.glob("*.y*ml"))


def wanted(charts: Iterable[Path], config: NodeConfig) -> list[Path]:
    """Those of `charts` that are not of a CNI plugin which was not chosen."""
    left_out = cni.unselected_charts(config.network.cni)
    return [chart for chart in charts if chart.stem not in left_out]


def cluster_values(config: NodeConfig) -> dict[str, str]:
    """The ``global.*`` values, all strings (the reference's table 1.3); an empty one only takes another one's place.

    ``global.disableKubeProxy`` is ours: a network that can replace kube-proxy does so where there is none. RKE2 does
    not know it, so it is there only where it says something.
    """
    network, registry = config.network, config.images.system_default_registry
    return {
        "global.clusterCIDR": _comma(network.cluster_cidrs),
        "global.clusterCIDRv4": _comma(network.cluster_cidrs, version=4),
        "global.clusterCIDRv6": _comma(network.cluster_cidrs, version=6),
        "global.clusterDNS": comma(network.cluster_dns),
        "global.clusterDomain": network.cluster_domain,
        "global.disableKubeProxy": "true" if config.component("kube-proxy").disabled else "",
        "global.rke2DataDir": str(config.paths.data_dir),
        "global.serviceCIDR": _comma(network.service_cidrs),
        DEFAULT_INGRESS_CLASS: next(iter(network.ingress_controllers), ingress.NONE),
        "global.prime.enabled": "false",
        "global.systemDefaultRegistry": registry,
        "global.cattle.systemDefaultRegistry": registry,
    }


def injected(text: str, values: Mapping[str, str], name: str) -> str:
    """`text` with the values in every HelmChart that wants them; `text` itself where nothing changes.

    A file that is not YAML is returned as it is, with a warning that names it: the deploy controller
    reports it where the operator looks.
    """
    try:
        documents = goyaml.load_all(text)
    except goyaml.Error as error:
        log.warning("%s is not valid YAML, nothing was injected: %s", name, error)
        return text
    return goyaml.dump_all(documents, width=1 << 30) if inject(documents, values) else text


def inject(objects: Iterable[Any], values: Mapping[str, str]) -> bool:
    """Set the values in every HelmChart of `objects` that wants them; whether that changed any."""
    charts = [document for document in _helm_charts(objects) if _wants_values(document)]
    changed = [_set_values(chart, values) for chart in charts]
    return any(changed)


def _helm_charts(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for document in documents:
        if (
            isinstance(document, dict)
            and document.get("kind") == "HelmChart"
            and str(document.get("apiVersion", "")).startswith("helm.cattle.io/")
        ):
            yield document


def _wants_values(chart: dict[str, Any]) -> bool:
    annotations = (chart.get("metadata") or {}).get("annotations") or {}
    answer = str(annotations.get(INJECT_ANNOTATION, "")).lower()
    if answer not in _TRUE + _FALSE:
        answer = os.environ.get(INJECT_VARIABLE, "").lower()
    return answer in _TRUE


def _set_values(chart: dict[str, Any], values: Mapping[str, str]) -> bool:
    """As RKE2 does: a key is written where its value is another one than is there, and absent counts as empty.

    One key more or less and helm runs again for every chart, each time a server of RKE2 and one of ours take turns.
    """
    present = (chart.get("spec") or {}).get("set") or {}
    changed = {key: value for key, value in values.items() if str(present.get(key, "")) != value}
    if changed:
        chart["spec"] = {**(chart.get("spec") or {}), "set": {**present, **changed}}
    return bool(changed)


def _comma(networks: tuple[IPNetwork, ...], version: int | None = None) -> str:
    return comma(network for network in networks if version in (None, network.version))
