"""The helm controller with a real API server and the real Job controller.

There is no kubelet: the test says that a job's pod ended, and leaves the release record that helm would leave.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from rke2.addons.helm.controller import HelmController
from rke2.addons.helm.jobs import JobSettings
from rke2.addons.helm.names import CHART_LABEL, CONFIG_HASH, FINALIZER, MANAGED_BY, SET_ID, UNMANAGED
from rke2.addons.helm.pace import UpgradePace
from rke2.addons.helm.reconcile import UPGRADES_SECONDS
from rke2.addons.objectset import Owner, marked
from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.nodes import CONTROL_PLANE_ROLE
from rke2.kube.objects import GVK, Object, annotations_of, condition_is_true, key_of, metadata
from rke2.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CONFIG_MAPS,
    EVENTS,
    HELM_CHART_CONFIGS,
    HELM_CHARTS,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from tests.binaries import binary
from tests.control_plane import ControlPlane
from tests.integration.running import running

from .eventually import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]
_numbers = count()


class Charts:
    """HelmCharts in a namespace of their own, and the part of kubelet and helm in their life."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    async def create(self, name: str, **spec: Any) -> Object:
        return await self.client.create_custom(HELM_CHARTS, self._object("HelmChart", name, spec))

    async def configure(self, name: str, **spec: Any) -> Object:
        return await self.client.create_custom(
            HELM_CHART_CONFIGS, self._object("HelmChartConfig", name, spec)
        )

    def _object(self, kind: str, name: str, spec: dict[str, Any]) -> Object:
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "helm.cattle.io/v1", "kind": kind, "metadata": meta, "spec": spec}

    async def chart(self, name: str) -> Object:
        return await self.client.get(HELM_CHARTS, name, self.namespace)

    async def change(self, name: str, **patch: Any) -> None:
        await self.client.patch(HELM_CHARTS, name, patch, namespace=self.namespace)

    async def resumed(self, job: str, *, other_than: str = "") -> Object:
        """The job once it may run."""

        async def look() -> Object | None:
            found = await self.client.find(JOBS, job, self.namespace)
            if not found or found["metadata"]["uid"] == other_than or found["spec"]["suspend"]:
                return None
            return found

        return await eventually(look, f"job {job} is resumed")

    async def end(self, job: Object, phase: str = "Succeeded") -> None:
        """The job's pod ends, and with it the job."""
        await self._tell_of_pod(job, {"phase": phase})

    async def fail(self, job: Object, message: str) -> None:
        """The container of the job's pod ends with an error; the kubelet would start it again."""
        ended = {"exitCode": 1, "message": message}
        container: Object = {"name": "helm", "state": {"terminated": ended}}
        container |= {"image": "i", "imageID": "i", "ready": False, "restartCount": 0}
        await self._tell_of_pod(job, {"containerStatuses": [container]})

    async def _tell_of_pod(self, job: Object, pod_status: Object) -> None:
        """Set the status of the job's pod, as a kubelet does."""
        found = await self.pod(job)
        status = {"status": pod_status}
        pod_name = metadata(found)["name"]
        await self.client.patch(PODS, pod_name, status, namespace=self.namespace, subresource="status")

    async def pod(self, job: Object) -> Object:
        """The job's pod, once there is one."""

        async def look() -> Object | None:
            return next(iter(await self.pods(job)), None)

        return await eventually(look, f"pod of {metadata(job)['name']}")

    async def release(self, job: Object, revision: int, status: str = "deployed") -> None:
        """Helm's record of what the job did."""
        wanted = _env(job)["CONFIG_HASH"]
        labels = {"owner": "helm", "name": _env(job)["NAME"], "status": status, "version": str(revision)}
        meta = {
            "name": f"sh.helm.release.v1.{labels['name']}.v{revision}",
            "namespace": self.namespace,
            "labels": {**labels, CONFIG_HASH: wanted},
        }
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "metadata": meta}
        await self.client.create(SECRETS, secret)

    async def install(self, name: str, revision: int = 1) -> Object:
        """See a job through to a deployed release."""
        job = await self.resumed(f"helm-install-{name}")
        await self.release(job, revision)
        await self.end(job)
        await self.completed(job)
        return job

    async def access(self, name: str) -> list[str]:
        """What jobs of the chart have their rights from, as it is now."""
        found = [
            await self.client.find(SERVICE_ACCOUNTS, f"helm-{name}", self.namespace),
            await self.client.find(CLUSTER_ROLE_BINDINGS, f"helm:{self.namespace}:{name}"),
            await self.client.find(CLUSTER_ROLE_BINDINGS, f"helm-{self.namespace}-{name}"),
        ]
        return [each["kind"] for each in found if each]

    async def left_alone(self, job: Object) -> None:
        """Until neither rights nor pods are left of the job."""
        name = metadata(job)["labels"][CHART_LABEL]

        async def look() -> bool:
            return not await self.access(name) and not await self.pods(job)

        await eventually(look, f"nothing is left of {metadata(job)['name']}")

    async def pods(self, job: Object) -> list[Object]:
        selector = f"batch.kubernetes.io/controller-uid={metadata(job)['uid']}"
        return (await self.client.list(PODS, self.namespace, label_selector=selector)).items

    async def completed(self, job: Object) -> None:
        async def look() -> bool:
            found = await self.client.find(JOBS, metadata(job)["name"], self.namespace)
            return bool(found and condition_is_true(found, "Complete"))

        await eventually(look, "the job is complete")

    async def event(self, name: str, reason: str) -> Object:
        selector = f"involvedObject.name={name},reason={reason}"

        async def look() -> Object | None:
            page = await self.client.list(EVENTS, self.namespace, field_selector=selector)
            return page.items[0] if page.items else None

        return await eventually(look, f"event {reason} on {name}")

    async def condition(self, name: str, kind: str, status: str, reason: str = "") -> Object:
        async def look() -> Object | None:
            conditions = ((await self.chart(name)).get("status") or {}).get("conditions") or []
            wanted = {"type": kind, "status": status, **({"reason": reason} if reason else {})}
            return next((c for c in conditions if c.items() >= wanted.items()), None)

        return await eventually(look, f"condition {kind}={status} {reason} on {name}")


def _env(job: Object) -> dict[str, str]:
    container = job["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


@pytest.fixture
async def charts(client: Client) -> AsyncIterator[Charts]:
    namespace = f"charts-{next(_numbers)}"
    await client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    )
    controller = HelmController(client, JobSettings("docker.io/rke2py/helm-job:test"), node="node1")
    async with running(controller.run()):
        yield Charts(client, namespace)
    await _forget(client, namespace)


async def _forget(client: Client, namespace: str) -> None:
    """Remove the charts without an uninstall, so that no later controller works on them."""
    for chart in (await client.list(HELM_CHARTS, namespace)).items:
        name = str(metadata(chart)["name"])
        if metadata(chart).get("finalizers"):
            await client.patch(HELM_CHARTS, name, {"metadata": {"finalizers": None}}, namespace=namespace)
        await client.delete(HELM_CHARTS, name, namespace)


async def test_a_chart_becomes_a_job_that_is_resumed(charts: Charts) -> None:
    begin = asyncio.get_running_loop().time()
    await charts.create("demo", chartContent="QUJD", bootstrap=True, set={"a": "x,y"}, valuesContent="k: v\n")

    async def created() -> Object | None:
        return await charts.client.find(JOBS, "helm-install-demo", charts.namespace)

    await eventually(created, "the job is created")
    assert asyncio.get_running_loop().time() - begin < 1
    job = await charts.resumed("helm-install-demo")
    assert metadata(job)["labels"][CHART_LABEL] == "demo"
    pod = job["spec"]["template"]["spec"]
    assert pod["hostNetwork"] is True
    assert pod["containers"][0]["args"] == ["install", "--set-string", "a=x\\,y"]
    assert (_env(job)["EXPECTED_RELEASE_REVISION"], _env(job)["KUBERNETES_SERVICE_HOST"]) == (
        "0",
        "127.0.0.1",
    )
    chart = await charts.chart("demo")
    assert annotations_of(chart)[MANAGED_BY] == "helm-controller"
    assert FINALIZER in metadata(chart)["finalizers"]
    assert (await charts.condition("demo", "JobCreated", "True"))["reason"] == "Job created"
    secret = await charts.client.get(SECRETS, "chart-values-demo", charts.namespace)
    assert base64.b64decode(secret["data"]["HelmChartValuesContent"]) == b"k: v\n"
    for resource, name, namespace in (
        (CONFIG_MAPS, "chart-content-demo", charts.namespace),
        (SERVICE_ACCOUNTS, "helm-demo", charts.namespace),
        (CLUSTER_ROLE_BINDINGS, f"helm:{charts.namespace}:demo", ""),
    ):
        live = await charts.client.get(resource, name, namespace)
        assert annotations_of(live)["objectset.rio.cattle.io/id"] == "helm-controller-chart-registration"
    applied = await charts.event("demo", "ApplyJob")
    assert "inline spec.chartContent" in applied["message"]
    assert annotations_of(applied)[CONFIG_HASH].startswith("SHA256=")
    await charts.event("demo", "ResumeJob")


async def test_a_job_runs_where_a_quota_rules(charts: Charts) -> None:
    """A quota refuses a pod that does not say what it needs."""
    quotas = Resource(GVK("", "v1", "ResourceQuota"), "resourcequotas")
    hard = {f"{which}.{what}": "100" for which in ("requests", "limits") for what in ("cpu",)}
    hard |= {"requests.memory": "100G", "limits.memory": "100G"}
    meta = {"name": "all", "namespace": charts.namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    await charts.client.create(quotas, quota)
    # The part of the quota controller.
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    await charts.client.patch(quotas, "all", status, namespace=charts.namespace, subresource="status")
    await charts.create("demo", chart="demo", repo="https://r.example")
    pod = await charts.pod(await charts.resumed("helm-install-demo"))
    assert pod["status"]["qosClass"] == "Burstable"


async def test_a_chart_that_is_deleted_in_the_foreground_is_uninstalled(charts: Charts) -> None:
    """The garbage collector takes what the HelmChart owns meanwhile, but not what uninstalling needs."""
    chart = await charts.create("demo", chart="demo", repo="https://r.example")
    installed = await charts.install("demo")
    owner = metadata(await charts.client.get(JOBS, "helm-install-demo", charts.namespace))["ownerReferences"]
    assert [(each["kind"], each["uid"]) for each in owner] == [("HelmChart", metadata(chart)["uid"])]
    await charts.left_alone(installed)
    await charts.client.delete(HELM_CHARTS, "demo", charts.namespace, propagation="Foreground")
    job = await charts.resumed("helm-delete-demo")

    async def taken() -> bool:
        return await charts.client.find(JOBS, "helm-install-demo", charts.namespace) is None

    await eventually(taken, "the garbage collector has taken the old job")
    pod = await charts.pod(job)
    await charts.client.delete(SECRETS, "sh.helm.release.v1.demo.v1", charts.namespace)
    assert metadata(await charts.pod(job))["uid"] == metadata(pod)["uid"]
    assert await charts.access("demo") == ["ServiceAccount", "ClusterRoleBinding"]
    await charts.end(job)

    async def gone() -> bool:
        return await charts.client.find(HELM_CHARTS, "demo", charts.namespace) is None

    await eventually(gone, "the chart is gone")


async def test_a_job_has_its_rights_while_it_works(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    job = await charts.resumed("helm-install-demo")
    assert await charts.access("demo") == ["ServiceAccount", "ClusterRoleBinding"]
    await charts.release(job, 1)
    await charts.end(job)
    await charts.left_alone(job)
    assert condition_is_true(await charts.client.get(JOBS, "helm-install-demo", charts.namespace), "Complete")
    await charts.change("demo", spec={"version": "2"})
    again = await charts.resumed("helm-install-demo", other_than=metadata(job)["uid"])
    assert await charts.access("demo") == ["ServiceAccount", "ClusterRoleBinding"]
    await charts.release(again, 2)
    await charts.end(again)
    await charts.left_alone(again)


async def test_rights_that_an_earlier_release_left_are_taken_away(charts: Charts) -> None:
    """The chart is installed, so nothing runs again; its job was given a binding of another name."""
    chart = await charts.create("demo", chart="demo", repo="https://r.example")
    job = await charts.install("demo")
    await charts.left_alone(job)
    name = {"name": f"helm-{charts.namespace}-demo"}
    account = {"name": "helm-demo", "namespace": charts.namespace}
    owner = Owner.of(chart | {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart"}, SET_ID)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    kinds = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
    old = {**kinds, "metadata": name, "roleRef": role, "subjects": [{"kind": "ServiceAccount", **account}]}
    await charts.client.create(CLUSTER_ROLE_BINDINGS, marked(old, owner))
    accounts: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    await charts.client.create(SERVICE_ACCOUNTS, marked(accounts, owner))
    controller = HelmController(charts.client, JobSettings("docker.io/rke2py/helm-job:test"), node="node2")
    async with running(controller.run()):
        await charts.left_alone(job)
    same = await charts.client.get(JOBS, "helm-install-demo", charts.namespace)
    assert metadata(same)["uid"] == metadata(job)["uid"]


async def test_charts_whose_names_run_together_have_bindings_of_their_own(charts: Charts) -> None:
    other = Charts(charts.client, f"{charts.namespace}-a")
    meta = {"name": other.namespace}
    await charts.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    await charts.create("a-b", chart="demo", repo="https://r.example")
    await other.create("b", chart="demo", repo="https://r.example")
    first, second = await charts.resumed("helm-install-a-b"), await other.resumed("helm-install-b")
    await charts.release(first, 1)
    await charts.end(first)
    await charts.left_alone(first)
    assert await other.access("b") == ["ServiceAccount", "ClusterRoleBinding"]
    found = await charts.client.get(CLUSTER_ROLE_BINDINGS, f"helm:{other.namespace}:b")
    assert [each["namespace"] for each in found["subjects"]] == [other.namespace]
    await other.release(second, 1)
    await other.end(second)
    await other.left_alone(second)


async def test_a_binding_of_a_chart_that_is_gone_is_removed(charts: Charts) -> None:
    owner = Owner(HELM_CHARTS.gvk, charts.namespace, "never-seen", SET_ID)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    kinds = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
    name = f"helm-{charts.namespace}-never-seen"
    orphan = {**kinds, "metadata": {"name": name}, "roleRef": role, "subjects": []}
    await charts.client.create(CLUSTER_ROLE_BINDINGS, marked(orphan, owner))
    controller = HelmController(charts.client, JobSettings("docker.io/rke2py/helm-job:test"), node="node2")

    async def gone() -> bool:
        return await charts.client.find(CLUSTER_ROLE_BINDINGS, name) is None

    async with running(controller.run()):
        await eventually(gone, "the binding is gone")


DEDICATED = {"key": "dedicated", "value": "cp", "effect": "NoSchedule"}
TOLERATED = {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}


@pytest.fixture
async def server_node(charts: Charts) -> AsyncIterator[str]:
    """A tainted node of the control plane, without a kubelet."""
    meta: Object = {"name": f"{charts.namespace}-server", "labels": {CONTROL_PLANE_ROLE: "true"}}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"taints": [DEDICATED]}}
    await charts.client.create(NODES, node)
    yield str(meta["name"])
    await charts.client.delete(NODES, str(meta["name"]))


async def test_a_job_runs_on_a_tainted_control_plane(charts: Charts, server_node: str) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    job = await charts.resumed("helm-install-demo")
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeSelector"][CONTROL_PLANE_ROLE] == "true"
    assert pod["tolerations"] == [TOLERATED]


async def test_a_pod_gets_onto_a_node_that_is_tainted_after_its_job_was_made(
    charts: Charts, server_node: str
) -> None:
    await charts.client.patch(NODES, server_node, {"spec": {"taints": []}})
    await charts.create("demo", chart="demo", repo="https://r.example")
    job = await charts.resumed("helm-install-demo")
    assert "tolerations" not in job["spec"]["template"]["spec"]
    pod = await charts.pod(job)
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pending = {"status": {"phase": "Pending", "conditions": [unschedulable]}}
    namespace, name = key_of(pod)
    await charts.client.patch(PODS, name, pending, namespace=namespace, subresource="status")
    await charts.client.patch(NODES, server_node, {"spec": {"taints": [DEDICATED]}})

    async def tolerated() -> bool:
        return TOLERATED in (await charts.pod(job))["spec"]["tolerations"]

    await eventually(tolerated, "the pod tolerates the taint")
    assert (await charts.pod(job))["metadata"]["uid"] == pod["metadata"]["uid"]


@pytest.fixture
def scheduler(cluster: ControlPlane) -> Iterator[None]:
    """The real scheduler."""
    program, kubeconfig = str(binary("kube-scheduler")), f"--kubeconfig={cluster.kubeconfig}"
    cluster.start("kube-scheduler", program, kubeconfig, "--leader-elect=false", "--secure-port=0")
    yield
    cluster.stop("kube-scheduler")


async def register(client: Client, name: str, taints: list[Object], **labels: str) -> None:
    """A node that takes pods, as far as a scheduler sees."""
    meta = {"name": name, "labels": labels | {"kubernetes.io/os": "linux"}}
    await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": meta})
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "100"}
    ready = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "capacity": capacity,
        "allocatable": capacity,
    }
    await client.patch(NODES, name, {"status": ready}, subresource="status")
    # Without the taint not-ready, with which a new Node comes.
    await client.patch(NODES, name, {"spec": {"taints": taints}})


async def test_the_scheduler_puts_jobs_on_servers_also_on_one_that_comes_later(
    charts: Charts, scheduler: None
) -> None:
    """For the first chart there is no node when its job is made; the second one could have an untainted agent."""
    server, agent = f"{charts.namespace}-server", f"{charts.namespace}-agent"

    async def placed(job: Object) -> str:
        async def look() -> str:
            return str((await charts.pod(job))["spec"].get("nodeName") or "")

        return await eventually(look, "the pod has a node", 30)

    try:
        await charts.create("first", chart="demo", repo="https://r.example")
        first = await charts.resumed("helm-install-first")
        await register(charts.client, server, [DEDICATED], **{CONTROL_PLANE_ROLE: "true"})
        assert await placed(first) == server
        await register(charts.client, agent, [])
        await charts.create("second", chart="demo", repo="https://r.example")
        assert await placed(await charts.resumed("helm-install-second")) == server
    finally:
        for name in (server, agent):
            await charts.client.delete(NODES, name)


async def test_a_finished_chart_is_left_alone_until_it_changes(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    first = await charts.install("demo")
    await charts.change("demo", metadata={"labels": {"touched": "yes"}})
    await asyncio.sleep(0.3)
    same = await charts.client.get(JOBS, "helm-install-demo", charts.namespace)
    assert metadata(same)["uid"] == metadata(first)["uid"]
    await charts.change("demo", spec={"version": "2"})
    second = await charts.resumed("helm-install-demo", other_than=metadata(first)["uid"])
    assert _env(second)["EXPECTED_RELEASE_REVISION"] == "1"
    assert _env(second)["VERSION"] == "2"


@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
async def test_a_chart_waits_for_the_end_of_the_chart_with_its_kinds(charts: Charts, end: str) -> None:
    await charts.create("demo-crd", chart="demo-crd", repo="https://r.example", backOffLimit=0)
    kinds = await charts.resumed("helm-install-demo-crd")
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.create("other", chart="other", repo="https://r.example")
    await charts.resumed("helm-install-other")
    job = await charts.client.get(JOBS, "helm-install-demo", charts.namespace)
    assert job["spec"]["suspend"]
    told = await charts.condition("demo", "Failed", "False", "WaitForChart")
    assert f"HelmChart {charts.namespace}/demo-crd" in told["message"]
    assert (await charts.event("demo", "WaitForChart"))["message"] == told["message"]
    if end == "Succeeded":
        await charts.release(kinds, 1)
    await charts.end(kinds, end)
    await charts.resumed("helm-install-demo")
    assert "reason" not in await charts.condition("demo", "Failed", "False")


async def test_charts_that_are_installed_are_upgraded_two_at_a_time(charts: Charts) -> None:
    """The jobs of all would not fit on a small node, and push other pods off it."""
    names = ("one", "two", "three")
    for name in names:
        await charts.create(name, chart="demo", repo="https://r.example")
    first = {name: metadata(await charts.install(name))["uid"] for name in names}
    for name in names:
        await charts.change(name, spec={"version": "2"})

    async def again() -> dict[str, Object]:
        found = {
            name: await charts.client.find(JOBS, f"helm-install-{name}", charts.namespace) for name in names
        }
        return {name: job for name, job in found.items() if job and metadata(job)["uid"] != first[name]}

    async def two() -> dict[str, Object]:
        jobs = await again()
        return jobs if len(jobs) >= 2 else {}

    working = await eventually(two, "two jobs are made again")
    (waiting,) = set(names) - set(working)
    told = await charts.condition(waiting, "Failed", "False", "WaitForChart")
    assert told["message"] == "Waiting for the upgrade of other charts"
    await asyncio.sleep(2 * UPGRADES_SECONDS)
    assert set(await again()) == set(working)
    ended = next(iter(working))
    job = await charts.resumed(f"helm-install-{ended}", other_than=first[ended])
    await charts.release(job, 2)
    await charts.end(job)
    await charts.resumed(f"helm-install-{waiting}", other_than=first[waiting])
    assert "reason" not in await charts.condition(waiting, "Failed", "False")


async def test_an_upgrade_that_is_taken_back_before_its_turn_waits_no_longer(charts: Charts) -> None:
    names = ("one", "two", "three")
    for name in names:
        await charts.create(name, chart="demo", repo="https://r.example")
    first = {name: metadata(await charts.install(name))["uid"] for name in names}
    for name in names[:2]:
        await charts.change(name, spec={"version": "2"})
        await charts.resumed(f"helm-install-{name}", other_than=first[name])
    await charts.change("three", spec={"version": "2"})
    await charts.condition("three", "Failed", "False", "WaitForChart")
    await charts.change("three", spec={"version": None})

    async def settled() -> Object | None:
        conditions = (await charts.chart("three"))["status"]["conditions"]
        return next(
            (each for each in conditions if each["type"] == "Failed" and not each.get("reason")), None
        )

    await eventually(settled, "the chart waits no longer")


async def test_upgrades_that_fail_hold_up_no_other(charts: Charts) -> None:
    names = ("one", "two", "three")
    for name in names:
        await charts.create(name, chart="demo", repo="https://r.example")
    first = {name: metadata(await charts.install(name))["uid"] for name in names}
    for name in names[:2]:
        await charts.change(name, spec={"version": "2"})
        job = await charts.resumed(f"helm-install-{name}", other_than=first[name])
        await charts.fail(job, "helm-job: helm upgrade failed: no such chart\n")
    began = asyncio.get_running_loop().time()
    await charts.change("three", spec={"version": "2"})
    await charts.resumed("helm-install-three", other_than=first["three"])
    assert asyncio.get_running_loop().time() - began < UpgradePace.LONGEST / 2


async def test_a_chart_does_not_wait_for_kinds_that_helm_fails_to_install(charts: Charts) -> None:
    """Harmful values of the one chart would hold up the other for good."""
    await charts.create("demo-crd", chart="demo-crd", repo="https://r.example")
    kinds = await charts.resumed("helm-install-demo-crd")
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.condition("demo", "Failed", "False", "WaitForChart")
    await charts.fail(kinds, "helm-job: no release found\nhelm-job: helm install failed: no such chart\n")
    await charts.resumed("helm-install-demo")
    assert not (await charts.client.get(JOBS, "helm-install-demo-crd", charts.namespace))["spec"]["suspend"]


async def test_a_bootstrap_chart_waits_for_no_kinds(charts: Charts) -> None:
    await charts.create("demo-crd", chart="demo-crd", repo="https://r.example")
    await charts.resumed("helm-install-demo-crd")
    await charts.create("demo", chart="demo", repo="https://r.example", bootstrap=True)
    await charts.resumed("helm-install-demo")


async def test_a_config_changes_a_running_job(charts: Charts) -> None:
    """The running job is suspended, and replaced as soon as its pod is gone."""
    await charts.create("demo", chart="demo", repo="https://r.example")
    first = await charts.resumed("helm-install-demo")
    await charts.configure("demo", valuesContent="k: changed\n", failurePolicy="abort")
    second = await charts.resumed("helm-install-demo", other_than=metadata(first)["uid"])
    assert _env(second)["FAILURE_POLICY"] == "abort"
    secret = await charts.client.get(SECRETS, "chart-values-demo", charts.namespace)
    assert base64.b64decode(secret["data"]["HelmChartConfigValuesContent"]) == b"k: changed\n"
    await charts.event("demo", "SuspendJob")
    await charts.client.delete(HELM_CHART_CONFIGS, "demo", charts.namespace)
    third = await charts.resumed("helm-install-demo", other_than=metadata(second)["uid"])
    assert _env(third)["FAILURE_POLICY"] == "reinstall"


async def test_a_config_leaves_the_failure_policy_of_the_chart(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example", failurePolicy="retry")
    first = await charts.resumed("helm-install-demo")
    await charts.configure("demo", valuesContent="k: changed\n")
    second = await charts.resumed("helm-install-demo", other_than=metadata(first)["uid"])
    assert _env(second)["FAILURE_POLICY"] == "retry"


async def test_a_changed_secret_runs_the_chart_again_unless_its_updates_are_ignored(charts: Charts) -> None:
    for name in ("tracked", "ignored"):
        meta = {"name": name, "namespace": charts.namespace}
        data = {"k": base64.b64encode(b"a: 1").decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
        await charts.client.create(SECRETS, secret)
    entries = [{"name": "tracked", "keys": ["k"]}, {"name": "ignored", "keys": ["k"], "ignoreUpdates": True}]
    await charts.create("demo", chart="demo", repo="https://r.example", valuesSecrets=entries)
    first = await charts.install("demo")
    changed = {"data": {"k": base64.b64encode(b"a: 2").decode()}}
    await charts.client.patch(SECRETS, "ignored", changed, namespace=charts.namespace)
    await asyncio.sleep(0.3)
    same = await charts.client.get(JOBS, "helm-install-demo", charts.namespace)
    assert metadata(same)["uid"] == metadata(first)["uid"]
    await charts.client.patch(SECRETS, "tracked", changed, namespace=charts.namespace)
    await charts.resumed("helm-install-demo", other_than=metadata(first)["uid"])


async def test_the_reason_of_a_failure_is_told_while_the_job_tries_again(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    job = await charts.resumed("helm-install-demo")
    await charts.fail(job, "helm-job: no release found\nhelm-job: helm install failed: no such chart\n")
    told = await charts.event("demo", "HelmFailed")
    assert told["type"] == "Warning"
    assert told["message"].endswith(": helm install failed: no such chart")


async def test_a_failed_release_is_run_again(charts: Charts) -> None:
    """The job completed, but what helm left is not deployed: again at once, then more slowly."""
    await charts.create("demo", chart="demo", repo="https://r.example", failurePolicy="retry")
    first = await charts.resumed("helm-install-demo")
    await charts.release(first, 1, "failed")
    await charts.end(first)
    second = await charts.resumed("helm-install-demo", other_than=metadata(first)["uid"])
    assert _env(second)["EXPECTED_RELEASE_REVISION"] == "1"
    await charts.release(second, 2, "deployed")
    await charts.end(second)
    await charts.completed(second)
    await asyncio.sleep(0.3)
    same = await charts.client.get(JOBS, "helm-install-demo", charts.namespace)
    assert metadata(same)["uid"] == metadata(second)["uid"]


async def test_a_job_that_gave_up_is_told(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example", backOffLimit=0)
    job = await charts.resumed("helm-install-demo")
    await charts.fail(job, "helm-job: no release found\nhelm-job: helm install failed: no such chart\n")
    await charts.event("demo", "HelmFailed")
    await charts.end(job, "Failed")
    failed = await charts.condition("demo", "Failed", "True", "Job failed")
    assert failed["message"].startswith("Job has reached configured number of retries")
    assert failed["message"].endswith("The last try: helm install failed: no such chart")
    await charts.left_alone(job)
    assert await charts.condition("demo", "Failed", "True", "Job failed") == failed
    await charts.event("demo", "JobFailed")
    await charts.change("demo", spec={"version": "2"})
    await charts.resumed("helm-install-demo", other_than=metadata(job)["uid"])
    await charts.condition("demo", "Failed", "False")


async def test_what_no_job_can_be_made_of_is_told_and_the_others_go_on(charts: Charts) -> None:
    await charts.create("bad", chart="demo", timeout="soon")
    await charts.create("old", chart="demo", helmVersion="v2")
    await charts.create("good", chart="demo", repo="https://r.example")
    failed = await charts.condition("bad", "Failed", "True", "Job create failed")
    assert "spec.timeout" in failed["message"]
    await charts.condition("old", "Failed", "True", "Unsupported version")
    await charts.event("old", "UnsupportedVersion")
    await charts.resumed("helm-install-good")
    assert await charts.client.find(JOBS, "helm-install-bad", charts.namespace) is None


async def test_deleting_a_chart_uninstalls_it(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.install("demo")
    await charts.client.delete(HELM_CHARTS, "demo", charts.namespace)
    job = await charts.resumed("helm-delete-demo")
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["delete"]
    assert _env(job)["EXPECTED_RELEASE_REVISION"] == "1"
    await charts.client.delete(SECRETS, "sh.helm.release.v1.demo.v1", charts.namespace)
    await charts.end(job)
    await charts.event("demo", "RemoveJob")

    async def gone() -> bool:
        return await charts.client.find(HELM_CHARTS, "demo", charts.namespace) is None

    await eventually(gone, "the chart is gone")
    for resource, name, namespace in (
        (JOBS, "helm-install-demo", charts.namespace),
        (JOBS, "helm-delete-demo", charts.namespace),
        (SECRETS, "chart-values-demo", charts.namespace),
        (CONFIG_MAPS, "chart-content-demo", charts.namespace),
        (SERVICE_ACCOUNTS, "helm-demo", charts.namespace),
        (CLUSTER_ROLE_BINDINGS, f"helm:{charts.namespace}:demo", ""),
    ):
        assert await charts.client.find(resource, name, namespace) is None, name


async def test_an_uninstall_that_left_the_release_is_repeated(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.install("demo")
    await charts.client.delete(HELM_CHARTS, "demo", charts.namespace)
    first = await charts.resumed("helm-delete-demo")
    await charts.end(first)
    await charts.resumed("helm-delete-demo", other_than=metadata(first)["uid"])
    assert await charts.client.find(HELM_CHARTS, "demo", charts.namespace)


async def test_a_namespace_can_be_deleted_with_its_charts(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.install("demo")
    await charts.client.delete(NAMESPACES, charts.namespace)

    async def gone() -> bool:
        return await charts.client.find(NAMESPACES, charts.namespace) is None

    await eventually(gone, "the namespace is gone", 30)
    assert await charts.access("demo") == []


async def test_a_namespace_that_goes_takes_the_binding_of_a_working_job_with_it(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.resumed("helm-install-demo")
    await charts.client.delete(NAMESPACES, charts.namespace)

    async def gone() -> bool:
        return await charts.client.find(NAMESPACES, charts.namespace) is None

    await eventually(gone, "the namespace is gone", 30)
    assert await charts.access("demo") == []


async def test_an_unmanaged_chart_is_let_go(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    await charts.install("demo")
    await charts.change("demo", metadata={"annotations": {UNMANAGED: "true"}})

    async def gone() -> bool:
        return await charts.client.find(JOBS, "helm-install-demo", charts.namespace) is None

    await eventually(gone, "the helpers are gone")
    assert await charts.client.find(SECRETS, "sh.helm.release.v1.demo.v1", charts.namespace)
    await charts.client.delete(HELM_CHARTS, "demo", charts.namespace)

    async def chart_gone() -> bool:
        return await charts.client.find(HELM_CHARTS, "demo", charts.namespace) is None

    await eventually(chart_gone, "the chart is gone without an uninstall")
    assert await charts.client.find(JOBS, "helm-delete-demo", charts.namespace) is None


async def test_the_storage_driver_cannot_be_changed(charts: Charts) -> None:
    await charts.create("demo", chart="demo", repo="https://r.example")
    with pytest.raises(KubeError, match="driver is immutable"):
        await charts.change("demo", spec={"driver": "configmap"})
