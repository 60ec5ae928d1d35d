"""One step of work on one HelmChart: look at it, at its job and its release, and do what `decide` says.

Nothing here waits: whatever has to happen elsewhere (the Job controller, helm) comes back as a change of an
object that the controller watches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from rke2.addons.apply import Applier, ApplyError
from rke2.addons.helm import report
from rke2.addons.helm.access import has_ended, last_words, pods_of, remove_finished, withdraw
from rke2.addons.helm.decide import Action, decide, hash_of_job, is_installed
from rke2.addons.helm.failures import FailureTeller
from rke2.addons.helm.jobs import ChartPlan, JobSettings, launched, owned, plan
from rke2.addons.helm.kinds import awaited_chart
from rke2.addons.helm.model import Chart, ChartError, ConfigSpec, read_config
from rke2.addons.helm.names import (
    CONFIG_HASH,
    CONTROLLER,
    FINALIZER,
    MANAGED_BY,
    OWNED_KINDS,
    REMOVAL_SET_ID,
    SET_ID,
    UNMANAGED,
    WAITING,
)
from rke2.addons.helm.pace import RerunPace, UpgradePace
from rke2.addons.helm.placement import control_plane_nodes, let_in
from rke2.addons.helm.releases import Release, latest_release
from rke2.addons.helm.values import tracked_secrets
from rke2.addons.objectset import Owner
from rke2.errors import KubeError
from rke2.kube.client import Client, PatchType
from rke2.kube.events import EventRecorder
from rke2.kube.objects import Key, Object, annotations_of, condition_is_true, key_of, metadata
from rke2.kube.resources import HELM_CHARTS, JOBS, SECRETS

log = logging.getLogger(__name__)

STOPPING_SECONDS = 15.0
"""Looked at again after this, should the change of a stopped job be missed."""

UNPLACED_SECONDS = 2.0
"""While a job's pod has no node it is looked at again after this."""

KINDS_SECONDS = 1.0
"""While a chart waits for its kinds it is looked at again after this."""

UPGRADES_SECONDS = 1.0
"""While a chart waits for the upgrade of others it is looked at again after this."""

ConfigLookup = Callable[[Key], Object | None]
"""Finds the HelmChartConfig of a chart (in a local copy)."""


class Reconciler:
    """Works on charts one step at a time.

    Args:
        config_of: finds the HelmChartConfig of a chart.
        settings: what all jobs have in common.
        failures: remembers what helm said.
    """

    def __init__(
        self,
        client: Client,
        applier: Applier,
        events: EventRecorder,
        settings: JobSettings,
        config_of: ConfigLookup,
        failures: FailureTeller,
    ) -> None:
        self._client, self._applier, self._events = client, applier, events
        self._settings, self._config_of = settings, config_of
        self._failures, self._pace, self._upgrades = failures, RerunPace(), UpgradePace()

    async def reconcile(self, key: Key) -> float | None:
        """Bring the chart one step forward.

        Returns:
            Seconds after which to come again even if nothing changes, or None.

        Raises:
            KubeError: to be tried again later.
        """
        obj = await self._client.find(HELM_CHARTS, key.name, key.namespace)
        if obj is None:
            self._pace.forget(key)
            self._failures.forget(key)
            self._upgrades.ended(key)
            await withdraw(self._applier, key)
            return None
        try:
            return await self._step(obj, key)
        except ChartError as error:
            # Only a change of the object can help, and that calls again.
            await self._set_status(obj, report.ungenerated_status(error))
            log.warning("%s", error)
            return None

    async def _step(self, obj: Object, key: Key) -> float | None:
        if "deletionTimestamp" in metadata(obj):
            return await self._remove(obj, key)
        if not _is_handled(obj):
            await self._disown(obj)
            return None
        obj = await self._claim(obj)
        chart = Chart.read(obj)
        if not chart.supported:
            await self._refuse(obj, chart)
            return None
        return await self._install(obj, chart, key)

    # --- install and upgrade -------------------------------------------------------------------
    async def _install(self, obj: Object, chart: Chart, key: Key) -> float | None:
        job = await self._client.find(JOBS, chart.job_name, chart.namespace)
        if job is not None and condition_is_true(job, "Failed"):
            await self._report_failure(obj, chart, await self._why(obj, job))
        wanted = await self._plan(obj, chart, key)
        release: Release | None = None
        if job is None or condition_is_true(job, "Complete") or hash_of_job(job) != wanted.config_hash:
            release = await latest_release(self._client, chart)
        action = decide(job, wanted.config_hash, achieved=is_installed(release, wanted.config_hash))
        if action is Action.RESUME and await self._wait_for_kinds(obj, chart):
            # What it waits for needs its turn, too.
            self._upgrades.ended(key)
            return KINDS_SECONDS
        if action is Action.WAIT and job is not None:
            if report.is_queued(obj):
                # What was to be upgraded was taken back before its turn: it is as installed, and waits for nobody.
                await self._set_status(obj, report.applying_status(chart))
            return await self._attend(key, job, SET_ID)
        if action is Action.RUN and release is not None and not self._upgrades.begin(key):
            # Said, because its job, the earlier one, is complete: nothing else tells that there is more to come.
            await self._set_status(obj, report.queued_status(chart))
            return UPGRADES_SECONDS
        return await self._act(action, obj, chart, wanted, job, release)

    async def _attend(self, key: Key, job: Object, set_id: str) -> float | None:
        """A job that works gets onto a node; what one that ended leaves is cleared away."""
        if has_ended(job):
            self._upgrades.ended(key)
            await self._clear_away(key, job, set_id)
            return None
        pods = await pods_of(self._client, job)
        if last_words(pods):
            # Helm has failed, and is tried again for minutes with growing pauses: nobody waits for the end of that.
            self._upgrades.ended(key)
        return UNPLACED_SECONDS if await let_in(self._client, pods, self._failures.without_node) else None

    async def _clear_away(self, key: Key, job: Object, set_id: str) -> None:
        """What is not needed until the next job: its rights, then its pods."""
        await withdraw(self._applier, key, (set_id,))
        await remove_finished(self._client, await pods_of(self._client, job))

    async def _why(self, obj: Object, job: Object) -> str:
        """What helm said when it failed last: the job's pods know, we remember, or the status has kept it."""
        words = last_words(await pods_of(self._client, job))
        return words or self._failures.said(key_of(obj)) or report.kept_words(obj)

    async def _wait_for_kinds(self, obj: Object, chart: Chart) -> bool:
        """Whether the chart has to wait for the one with its kinds; its status says for which."""
        awaited = await awaited_chart(self._client, chart)
        status = report.waiting_status(chart, awaited) if awaited else report.applying_status(chart)
        if await self._set_status(obj, status) and awaited:
            self._events.emit(obj, "Normal", WAITING, report.waiting_message(chart, awaited))
        return bool(awaited)

    async def _plan(self, obj: Object, chart: Chart, key: Key) -> ChartPlan:
        """The wanted objects; what goes wrong is told in the status."""
        try:
            config = read_config(self._config_of(key))
            return plan(chart, config, self._settings, await self._tracked(chart, config))
        except KubeError as error:
            if error.status:
                await self._set_status(obj, report.ungenerated_status(error))
            raise

    async def _tracked(self, chart: Chart, config: ConfigSpec) -> list[Object]:
        names = tracked_secrets(chart, config)
        found = [await self._client.find(SECRETS, name, chart.namespace) for name in names]
        return [secret for secret in found if secret is not None]

    async def _act(
        self,
        action: Action,
        obj: Object,
        chart: Chart,
        wanted: ChartPlan,
        job: Object | None,
        release: Release | None,
    ) -> float | None:
        if job is not None and action is Action.RESUME:
            await self._switch(obj, job, suspend=False)
        elif job is not None and action is Action.STOP:
            await self._switch(obj, job, suspend=True)
            return STOPPING_SECONDS
        elif action is Action.RUN:
            return await self._run(obj, chart, wanted, job, release)
        return None

    async def _run(
        self, obj: Object, chart: Chart, wanted: ChartPlan, job: Object | None, release: Release | None
    ) -> float | None:
        """Put a new job in place of the old one."""
        repeated = job is not None and hash_of_job(job) == wanted.config_hash
        pause = self._pace.remaining(key_of(obj), wanted.config_hash) if repeated else 0.0
        if pause and job is not None:
            why = await self._why(obj, job)
            await self._set_status(obj, report.repeating_status(chart, release, why))
            await self._clear_away(key_of(obj), job, _set_of(chart))
            return pause
        self._failures.forget(key_of(obj))
        if job is not None:
            await self._client.delete(JOBS, chart.job_name, chart.namespace, uid=metadata(job)["uid"])
        await self._apply(obj, chart, wanted, release)
        if repeated:
            self._pace.started(key_of(obj), wanted.config_hash)
        await self._set_status(obj, report.applying_status(chart))
        self._announce(obj, chart, wanted)
        return None

    async def _apply(self, obj: Object, chart: Chart, wanted: ChartPlan, release: Release | None) -> None:
        nodes = await control_plane_nodes(self._client)
        new = launched(wanted.job, wanted.config_hash, release.revision if release else 0, nodes)
        owner = Owner.of(obj, _set_of(chart))
        objects = (*wanted.helpers, new)
        await self._applier.apply(owner, objects if chart.deleting else owned(objects, obj), OWNED_KINDS)

    def _announce(self, obj: Object, chart: Chart, wanted: ChartPlan) -> None:
        where = f"using Job {chart.namespace}/{chart.job_name}"
        if chart.deleting:
            self._events.emit(obj, "Normal", "RemoveJob", f"Uninstalling HelmChart {where}")
            return
        text = f"Applying HelmChart from {report.source_of(chart)} {where}"
        self._events.emit(obj, "Normal", "ApplyJob", text, {CONFIG_HASH: f"SHA256={wanted.config_hash}"})
        log.info("chart %s: %s", chart.name, text)

    async def _switch(self, obj: Object, job: Object, *, suspend: bool) -> None:
        """Suspend or resume a job; if it changed meanwhile, that change calls again."""
        if bool(job["spec"].get("suspend")) == suspend:
            return
        namespace, name = key_of(job)
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata(job)["uid"]},
            {"op": "replace", "path": "/spec/suspend", "value": suspend},
        ]
        try:
            await self._client.patch(JOBS, name, patch, PatchType.JSON, namespace=namespace)
        except KubeError as error:
            if error.status not in (404, 409, 422):
                raise
            log.debug("job %s changed meanwhile: %s", name, error)
            return
        reason, text = report.switched(f"{namespace}/{name}", suspended=suspend)
        self._events.emit(obj, "Normal", reason, text)

    # --- telling -------------------------------------------------------------------------------
    async def _refuse(self, obj: Object, chart: Chart) -> None:
        text = f"Unsupported Helm version {chart.spec.helm_version}: only v3 charts are supported"
        if await self._set_status(obj, report.unsupported_status()):
            self._events.emit(obj, "Warning", "UnsupportedVersion", text)
            await self._prune(obj, SET_ID)

    async def _report_failure(self, obj: Object, chart: Chart, why: str) -> None:
        if await self._set_status(obj, report.failed_status(chart, why)):
            self._events.emit(obj, "Warning", "JobFailed", report.failed_message(why))

    async def _set_status(self, obj: Object, status: Object) -> bool:
        """Patch the status if it differs; True if it did."""
        current = obj.get("status") or {}
        if all(current.get(field) == value for field, value in status.items()):
            return False
        namespace, name = key_of(obj)
        patch = {"status": status}
        await self._client.patch(HELM_CHARTS, name, patch, namespace=namespace, subresource="status")
        return True

    # --- ownership -----------------------------------------------------------------------------
    async def _claim(self, obj: Object) -> Object:
        """The chart with our annotation and finalizer on it."""
        finalizers = metadata(obj).get("finalizers") or []
        if FINALIZER in finalizers and annotations_of(obj).get(MANAGED_BY) == CONTROLLER:
            return obj
        patch = {"annotations": {MANAGED_BY: CONTROLLER}, "finalizers": [*finalizers, FINALIZER]}
        return await self._patch_metadata(obj, patch)

    async def _disown(self, obj: Object) -> None:
        """A chart users took out of our hands: remove the helpers, leave the release."""
        if annotations_of(obj).get(MANAGED_BY) == CONTROLLER:
            await self._prune(obj, SET_ID)

    async def _prune(self, obj: Object, set_id: str) -> None:
        await self._applier.apply(Owner.of(obj, set_id), (), OWNED_KINDS)

    async def _patch_metadata(self, obj: Object, patch: Object) -> Object:
        namespace, name = key_of(obj)
        guarded = {"metadata": {**patch, "resourceVersion": metadata(obj)["resourceVersion"]}}
        return await self._client.patch(HELM_CHARTS, name, guarded, namespace=namespace)

    # --- removal -------------------------------------------------------------------------------
    async def _remove(self, obj: Object, key: Key) -> float | None:
        if FINALIZER not in (metadata(obj).get("finalizers") or []):
            return None
        try:
            return await self._uninstall(obj, key)
        except KubeError as error:
            if not _namespace_is_terminating(error):
                raise
            # The namespace takes the ServiceAccount with it, but not the binding.
            await withdraw(self._applier, key)
            await self._drop_finalizer(obj)
            return None

    async def _uninstall(self, obj: Object, key: Key) -> float | None:
        chart = Chart.read(obj)
        if not _is_handled(obj) or not chart.supported:
            await withdraw(self._applier, key)
            await self._drop_finalizer(obj)
            return None
        wanted = plan(chart, read_config(self._config_of(key)), self._settings)
        job = await self._client.find(JOBS, chart.job_name, chart.namespace)
        release = await latest_release(self._client, chart)
        if job is not None and release is None and condition_is_true(job, "Complete"):
            await self._finish(obj, chart)
            return None
        action = decide(job, wanted.config_hash, achieved=False)
        if action is Action.WAIT and job is not None:
            if report.is_queued(obj):
                # What was to be upgraded was taken back before its turn: it is as installed, and waits for nobody.
                await self._set_status(obj, report.applying_status(chart))
            return await self._attend(key, job, REMOVAL_SET_ID)
        return await self._act(action, obj, chart, wanted, job, release)

    async def _finish(self, obj: Object, chart: Chart) -> None:
        where = f"{chart.namespace}/{chart.job_name}"
        text = f"Uninstalled HelmChart using Job {where}, removing resources"
        self._events.emit(obj, "Normal", "RemoveJob", text)
        await self._prune(obj, SET_ID)
        await self._prune(obj, REMOVAL_SET_ID)
        await self._drop_finalizer(obj)
        log.info("chart %s: %s", chart.name, text)

    async def _drop_finalizer(self, obj: Object) -> None:
        kept = [name for name in metadata(obj).get("finalizers") or [] if name != FINALIZER]
        await self._patch_metadata(obj, {"finalizers": kept})


def _set_of(chart: Chart) -> str:
    """The object set of the chart's job and its helpers."""
    return REMOVAL_SET_ID if chart.deleting else SET_ID


def _is_handled(obj: Object) -> bool:
    """Whether the chart names something to install and is (or may become) ours."""
    spec, annotations = obj.get("spec") or {}, annotations_of(obj)
    return (
        bool(spec.get("chart") or spec.get("chartContent"))
        and UNMANAGED not in annotations
        and annotations.get(MANAGED_BY, CONTROLLER) == CONTROLLER
    )


def _namespace_is_terminating(error: KubeError) -> bool:
    errors = error.errors if isinstance(error, ApplyError) else (error,)
    return any(e.status == 403 and "being terminated" in str(e) for e in errors)
