"""The rights of a job, and its pods: there while it works, gone afterwards.

A job is cluster administrator, whatever its chart is. What is left of one that ended is its Job, which people look for.
Upstream leaves ServiceAccount, binding and pods: whoever may make pods in the namespace is an administrator, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from rke2.addons.apply import Applier
from rke2.addons.helm.names import REMOVAL_SET_ID, SET_ID
from rke2.addons.helm.termination import last_failure, told_in_a_line
from rke2.addons.objectset import ID, LABEL_HASH, OWNER_GVK, OWNER_NAME, OWNER_NAMESPACE, Owner
from rke2.kube.client import Client
from rke2.kube.objects import Key, Object, annotations_of, condition_is_true, metadata, name_of
from rke2.kube.resources import CLUSTER_ROLE_BINDINGS, HELM_CHARTS, PODS, SERVICE_ACCOUNTS

log = logging.getLogger(__name__)

_SETS = (SET_ID, REMOVAL_SET_ID)
_KINDS = (CLUSTER_ROLE_BINDINGS.gvk, SERVICE_ACCOUNTS.gvk)
_FINISHED = ("Succeeded", "Failed")


def has_ended(job: Object) -> bool:
    """Whether no pod of the job runs any more, or will."""
    return condition_is_true(job, "Complete") or condition_is_true(job, "Failed")


async def withdraw(applier: Applier, chart: Key, set_ids: Iterable[str] = _SETS) -> None:
    """Remove ServiceAccount and bindings of a chart's jobs, also those that earlier releases named otherwise.

    Raises:
        ApplyError: one could not be removed.
    """
    for set_id in set_ids:
        await applier.apply(Owner(HELM_CHARTS.gvk, *chart, set_id), (), _KINDS)


async def withdraw_orphans(client: Client, charts: Mapping[Key, Object]) -> None:
    """Remove bindings of charts that went while nobody looked: a namespace takes only what is inside with it.

    Args:
        charts: the HelmCharts there are (a local copy).

    Raises:
        KubeError: they cannot be listed or removed.
    """
    found = await client.list(CLUSTER_ROLE_BINDINGS, label_selector=LABEL_HASH, metadata_only=True)
    for each in found.items:
        chart = _chart_of(each)
        # The copy may be behind; what is deleted here, a job may need.
        if chart is None or chart in charts or await client.find(HELM_CHARTS, chart.name, chart.namespace):
            continue
        log.info("deleting ClusterRoleBinding %s: there is no HelmChart %s", name_of(each), chart)
        await client.delete(CLUSTER_ROLE_BINDINGS, name_of(each), uid=metadata(each)["uid"])


def _chart_of(binding: Object) -> Key | None:
    """The HelmChart whose jobs have the binding; None if it is another owner's."""
    marks = annotations_of(binding)
    if marks.get(OWNER_GVK) != str(HELM_CHARTS.gvk) or marks.get(ID) not in _SETS:
        return None
    return Key(marks.get(OWNER_NAMESPACE, ""), marks.get(OWNER_NAME, ""))


async def pods_of(client: Client, job: Object) -> list[Object]:
    """The pods of a job.

    Raises:
        KubeError: they cannot be listed.
    """
    meta = metadata(job)
    selector = f"batch.kubernetes.io/controller-uid={meta['uid']}"
    return (await client.list(PODS, meta["namespace"], label_selector=selector)).items


def last_words(pods: Iterable[Object]) -> str:
    """What helm said when it failed last; empty if no pod tells of a failure."""
    newest_first = sorted(pods, key=lambda pod: str(metadata(pod).get("creationTimestamp")), reverse=True)
    return next((told_in_a_line(failure) for pod in newest_first if (failure := last_failure(pod))), "")


async def remove_finished(client: Client, pods: Iterable[Object]) -> None:
    """Delete those of the pods that have ended.

    Raises:
        KubeError: one could not be deleted.
    """
    for pod in pods:
        if (pod.get("status") or {}).get("phase") in _FINISHED:
            meta = metadata(pod)
            await client.delete(PODS, meta["name"], meta["namespace"], uid=meta["uid"])
