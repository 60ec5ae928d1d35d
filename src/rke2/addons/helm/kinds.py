"""Which chart another one waits for: by custom the kinds of a chart are in a chart of its name with ``-crd``.

Without them helm fails, and tries again after the Job's back-off. Upstream does not wait, and neither does a chart here
once helm has failed to install its kinds: they may be there from before, and each chart says itself what is wrong.
"""

from __future__ import annotations

from rke2.addons.helm.access import has_ended, last_words, pods_of
from rke2.addons.helm.model import Chart
from rke2.addons.helm.names import INSTALL
from rke2.kube.client import Client
from rke2.kube.resources import JOBS

_SUFFIX = "-crd"


async def awaited_chart(client: Client, chart: Chart) -> str:
    """Name of the chart that is just installing the kinds of `chart`; empty if there is nothing to wait for.

    Bootstrap charts wait for nothing: their pods bear it, and everything else waits for them.

    Raises:
        KubeError: the job, or its pods, cannot be read.
    """
    if chart.spec.bootstrap:
        return ""
    name = f"{chart.name}{_SUFFIX}"
    job = await client.find(JOBS, f"{INSTALL}-{name}", chart.namespace)
    if job is None or has_ended(job) or last_words(await pods_of(client, job)):
        return ""
    return name
