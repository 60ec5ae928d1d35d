"""The helm controller: turns changes of charts, configs, jobs and secrets into work on charts."""

from __future__ import annotations

import asyncio
from functools import partial

from rke2.addons.apply import Applier
from rke2.addons.helm.access import withdraw_orphans
from rke2.addons.helm.failures import FailureTeller
from rke2.addons.helm.jobs import JobSettings
from rke2.addons.helm.names import CHART_LABEL, CONTROLLER
from rke2.addons.helm.placement import is_unschedulable
from rke2.addons.helm.reconcile import Reconciler
from rke2.kube.client import Client
from rke2.kube.discovery import Discovery
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Key, Object, key_of, labels_of
from rke2.kube.persistence import persist
from rke2.kube.resources import HELM_CHART_CONFIGS, HELM_CHARTS, JOBS, PODS, SECRETS
from rke2.kube.workqueue import WorkQueue

RESYNC_SECONDS = 10 * 3600.0
"""All charts are looked at again after this: a rollback by hand is no change of anything watched."""


class HelmController:
    """Installs, upgrades and removes the charts of all namespaces. Run it under leader election.

    Args:
        client: used as component ``helm-controller``; needs admin rights.
        settings: what all jobs have in common.
    """

    def __init__(self, client: Client, settings: JobSettings, *, node: str = "") -> None:
        client = client.named(CONTROLLER)
        self._events = EventRecorder(client, CONTROLLER, node)
        self._charts = Informer(client, HELM_CHARTS)
        self._configs = Informer(client, HELM_CHART_CONFIGS)
        self._jobs = Informer(client, JOBS, label_selector=CHART_LABEL, metadata_only=True)
        self._pods = Informer(client, PODS, label_selector=CHART_LABEL)
        self._secrets = Informer(
            client, SECRETS, field_selector="type!=helm.sh/release.v1", metadata_only=True
        )
        self._failures = FailureTeller(self._charts.objects, self._events)
        applier = Applier(client, Discovery(client))
        self._withdraw_orphans = partial(withdraw_orphans, client, self._charts.objects)
        reconciler = Reconciler(
            client, applier, self._events, settings, self._configs.objects.get, self._failures
        )
        self._queue = WorkQueue("chart", reconciler.reconcile)

    async def run(self) -> None:
        """Work until cancelled."""
        self._charts.listen(lambda change: self._queue.add(change.key))
        self._configs.listen(lambda change: self._queue.add(change.key))
        self._jobs.listen(lambda change: self._queue.add(_chart_of_job(change.latest)))
        self._secrets.listen(self._secret_changed)
        self._pods.listen(self._failures.pod_changed)
        self._pods.listen(self._pod_changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run(), name="helm events")
            tasks.create_task(self._configs.run(), name="watch helmchartconfigs")
            await self._configs.synced()
            tasks.create_task(self._queue.run(), name="helm queue")
            for informer in (self._charts, self._jobs, self._secrets):
                tasks.create_task(informer.run(), name="helm watch")
            await self._charts.synced()
            tasks.create_task(self._pods.run(), name="helm watch")
            await self._resync()

    async def _resync(self) -> None:
        while True:
            await persist("bindings of charts that are gone", self._withdraw_orphans)
            await asyncio.sleep(RESYNC_SECONDS)
            for key in self._charts.objects:
                self._queue.add(key)

    def _pod_changed(self, change: Change) -> None:
        """Of a pod without a node the job has to be looked at: the Job itself does not change."""
        if change.new and is_unschedulable(change.new):
            self._queue.add(_chart_of_job(change.new))

    def _secret_changed(self, change: Change) -> None:
        for informer in (self._charts, self._configs):
            for key, obj in informer.objects.items():
                if key.namespace == change.key.namespace and _uses_secret(obj, change.key.name):
                    self._queue.add(key)


def _chart_of_job(job: Object) -> Key:
    return Key(key_of(job).namespace, labels_of(job)[CHART_LABEL])


def _uses_secret(obj: Object, name: str) -> bool:
    """Whether a HelmChart or HelmChartConfig takes values from the Secret and wants to know of its changes."""
    entries = (obj.get("spec") or {}).get("valuesSecrets") or []
    return any(entry.get("name") == name and not entry.get("ignoreUpdates") for entry in entries)
