"""The ingress controller a cluster has already. It stays where a server's configuration names none."""

from __future__ import annotations

from rke2.config.ingress import CONTROLLERS
from rke2.content.runtime.charts import DEFAULT_INGRESS_CLASS
from rke2.kube.client import Client
from rke2.kube.resources import HELM_CHARTS


async def controller_of_cluster(client: Client) -> str:
    """The cluster's default controller, as the first of the controllers' HelmCharts names it; empty without one.

    The server that staged a chart has injected it; a HelmChartConfig cannot change it. Mirrors RKE2, which reads the
    same entry of ``spec.set``.

    Raises:
        KubeError: the API refused or does not answer.
    """
    charts = (await client.list(HELM_CHARTS, "kube-system")).items
    names = {f"rke2-{name}" for name in CONTROLLERS}
    found = (
        (chart["spec"].get("set") or {}).get(DEFAULT_INGRESS_CLASS)
        for chart in sorted(charts, key=lambda chart: str(chart["metadata"]["name"]))
        if chart["metadata"]["name"] in names
    )
    return next((name for name in found if name in CONTROLLERS), "")
