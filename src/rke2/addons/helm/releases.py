"""Helm's own records of a release: what was installed last, and how that ended."""

from __future__ import annotations

from typing import NamedTuple

from rke2.addons.helm.model import Chart
from rke2.addons.helm.names import CONFIG_HASH
from rke2.kube.client import Client
from rke2.kube.objects import labels_of
from rke2.kube.resources import CONFIG_MAPS, SECRETS


class Release(NamedTuple):
    """The latest revision of a release, from the labels of its record."""

    revision: int
    status: str
    config_hash: str


async def latest_release(client: Client, chart: Chart) -> Release | None:
    """The record with the highest revision.

    Upstream looks in all namespaces when the chart has no targetNamespace; helm itself only looks in the chart's
    own, and so do we: a release of the same name elsewhere is another release.

    Raises:
        KubeError: the records cannot be listed.
    """
    in_config_maps = chart.spec.driver == "configmap"
    page = await client.list(
        CONFIG_MAPS if in_config_maps else SECRETS,
        chart.release_namespace,
        label_selector=f"owner=helm,name={chart.name}",
        field_selector="" if in_config_maps else "type=helm.sh/release.v1",
        metadata_only=True,
    )
    records = [labels_of(item) for item in page.items if labels_of(item).get("version", "").isdecimal()]
    if not records:
        return None
    latest = max(records, key=lambda labels: int(labels["version"]))
    return Release(int(latest["version"]), latest.get("status", ""), latest.get(CONFIG_HASH, ""))
