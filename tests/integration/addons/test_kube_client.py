"""The client layer against a real API server."""

from __future__ import annotations

import asyncio
import copy
import signal
import time
from typing import Any

import pytest

from rke2.addons.crds import ensure_crds
from rke2.addons.schemas import ADDON_CRD
from rke2.errors import KubeError
from rke2.kube import client as client_module
from rke2.kube.client import Client, PatchType
from rke2.kube.discovery import Discovery, NotServedError
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change, Informer
from rke2.kube.lease import Election, LeaseTiming
from rke2.kube.objects import GVK, Key
from rke2.kube.resources import CONFIG_MAPS, EVENTS, HELM_CHARTS, LEASES, NAMESPACES, Resource
from rke2.kube.watch import watch
from tests.control_plane import ControlPlane
from tests.integration.running import running

from .eventually import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]


def config_map(name: str, **data: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", "labels": {"test": name.split("-")[0]}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


async def test_an_object_through_its_life(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, config_map("life", a="1"))
    assert (await client.get(CONFIG_MAPS, "life", "default"))["data"] == {"a": "1"}
    await client.update(CONFIG_MAPS, {**made, "data": {"a": "2"}})
    with pytest.raises(KubeError) as stale:
        await client.update(CONFIG_MAPS, {**made, "data": {"a": "3"}})
    assert (stale.value.status, stale.value.reason) == (409, "Conflict")
    assert await client.delete(CONFIG_MAPS, "life", "default", uid=made["metadata"]["uid"])
    assert not await client.delete(CONFIG_MAPS, "life", "default")
    assert await client.find(CONFIG_MAPS, "life", "default") is None


async def test_patches(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map("patched", a="1", b="1"))
    for patch, kind in [
        ({"data": {"a": None}}, PatchType.MERGE),
        ([{"op": "replace", "path": "/data/b", "value": "2"}], PatchType.JSON),
        ({"data": {"c": "3"}}, PatchType.STRATEGIC),
    ]:
        await client.patch(CONFIG_MAPS, "patched", patch, kind, namespace="default")
    applied = await client.apply(CONFIG_MAPS, config_map("patched", d="4"), manager="me")
    assert applied["data"] == {"b": "2", "c": "3", "d": "4"}


async def test_errors_say_what_was_refused(client: Client) -> None:
    with pytest.raises(KubeError, match=r'GET .*/configmaps/none: configmaps "none" not found') as missing:
        await client.get(CONFIG_MAPS, "none", "default")
    assert (missing.value.status, missing.value.reason) == (404, "NotFound")
    with pytest.raises(KubeError) as unserved:
        await client.find(Resource(GVK("none.example", "v1", "None"), "nones"), "x", "default")
    assert (unserved.value.status, unserved.value.reason) == (404, "NotServed")
    with pytest.raises(KubeError, match=r"spec\.driver") as invalid:
        spec = {"driver": "paper"}
        meta = {"name": "bad", "namespace": "default"}
        chart = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": meta, "spec": spec}
        await client.create(HELM_CHARTS, chart)
    assert invalid.value.reason == "Invalid"


async def test_lists_come_in_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE_SIZE", 2)
    for number in range(5):
        await client.create(CONFIG_MAPS, config_map(f"page-{number}", k="v"))
    page = await client.list(CONFIG_MAPS, label_selector="test=page")
    assert sorted(item["metadata"]["name"] for item in page.items) == [f"page-{n}" for n in range(5)]
    slim = await client.list(CONFIG_MAPS, "default", label_selector="test=page", metadata_only=True)
    assert len(slim.items) == 5
    assert all("data" not in item and item["kind"] == "ConfigMap" for item in slim.items)


async def test_readiness(client: Client) -> None:
    assert await client.raw("/readyz") == "ok"


async def test_the_component_is_the_field_manager(client: Client) -> None:
    made = await client.named("deploy").create(CONFIG_MAPS, config_map("managed", a="1"))
    assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["deploy@node1"]


async def test_a_watch_tells_what_is_there_and_what_comes(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map("seen-1", big="x" * 300_000))
    async with asyncio.timeout(10), watch(client, CONFIG_MAPS, label_selector="test=seen") as events:
        objects = ((kind, obj) async for kind, obj in events if kind != "BOOKMARK")
        told = [await anext(objects)]
        await client.create(CONFIG_MAPS, config_map("seen-2"))
        told.append(await anext(objects))
    assert [(kind, obj["metadata"]["name"]) for kind, obj in told] == [
        ("ADDED", "seen-1"),
        ("ADDED", "seen-2"),
    ]


async def test_a_version_that_is_gone_is_told(cluster: ControlPlane, client: Client) -> None:
    """After compaction and a restart, the server has the old versions neither stored nor in memory."""
    made = await client.create(CONFIG_MAPS, config_map("old"))
    newer = await client.patch(CONFIG_MAPS, "old", {"data": {"a": "1"}}, namespace="default")
    cluster.etcdctl("compact", newer["metadata"]["resourceVersion"])
    await restart_apiserver(cluster, client)
    version = made["metadata"]["resourceVersion"]
    with pytest.raises(KubeError) as expired:
        async with asyncio.timeout(10), watch(client, CONFIG_MAPS, resource_version=version) as events:
            await anext(events)
    assert expired.value.status == 410


async def restart_apiserver(cluster: ControlPlane, client: Client) -> None:
    cluster.restart("kube-apiserver", signal.SIGKILL)
    await eventually(lambda: _is_ready(client), "the API server is back", 60)


async def _is_ready(client: Client) -> bool:
    try:
        return await client.raw("/readyz") == "ok"
    except KubeError:
        return False


async def test_creating_does_not_wait_for_a_young_definition(client: Client) -> None:
    """The API server holds up POST for two seconds while a CRD is younger than that."""
    definition = copy.deepcopy(ADDON_CRD)
    definition["metadata"]["name"] = "youngs.test.example"
    names = {"kind": "Young", "listKind": "YoungList", "plural": "youngs", "singular": "young"}
    definition["spec"].update(group="test.example", names=names)
    young = Resource(GVK("test.example", "v1", "Young"), "youngs")
    await ensure_crds(client, [definition])
    begin = time.monotonic()
    meta = {"name": "a", "namespace": "default"}
    made = await client.create_custom(
        young, {"apiVersion": "test.example/v1", "kind": "Young", "metadata": meta, "spec": {"source": "x"}}
    )
    assert made["spec"] == {"source": "x"}
    assert time.monotonic() - begin < 1


async def test_discovery(client: Client) -> None:
    discovery = Discovery(client)
    chart = await discovery.resource(GVK("helm.cattle.io", "v1", "HelmChart"))
    assert (chart.plural, chart.namespaced) == ("helmcharts", True)
    assert (await discovery.resource(GVK("", "v1", "Namespace"))).path(name="x") == "/api/v1/namespaces/x"
    with pytest.raises(NotServedError, match=r"no kind Missing in helm\.cattle\.io/v1"):
        await discovery.resource(GVK("helm.cattle.io", "v1", "Missing"))
    assert not await discovery.serves(GVK("none.example", "v1", "None"))


async def test_an_informer_survives_the_api_server(cluster: ControlPlane, client: Client) -> None:
    """kube-apiserver is killed and started again while objects are watched."""
    informer, changes = Informer(client, CONFIG_MAPS, label_selector="test=kept"), list[Change]()
    informer.listen(changes.append)
    await client.create(CONFIG_MAPS, config_map("kept-1", a="1"))
    async with running(informer.run()):
        await informer.synced()
        await restart_apiserver(cluster, client)
        await client.create(CONFIG_MAPS, config_map("kept-2"))
        await client.delete(CONFIG_MAPS, "kept-1", "default")
        await eventually(
            lambda: _is(informer.objects.keys() == {Key("default", "kept-2")}), "the copy follows"
        )
    assert [(c.key.name, c.old is None, c.new is None) for c in changes] == [
        ("kept-1", True, False),
        ("kept-2", True, False),
        ("kept-1", False, True),
    ]


async def _is(value: bool) -> bool:
    return value


async def test_events_are_counted(client: Client) -> None:
    namespace = await client.get(NAMESPACES, "default")
    recorder = EventRecorder(client, "tester", "node1")
    async with running(recorder.run()):
        for _ in range(3):
            recorder.emit(namespace, "Normal", "Tested", "it was tested")

        async def counted() -> dict[str, Any] | None:
            page = await client.list(EVENTS, "default", field_selector="reason=Tested")
            return next((event for event in page.items if event["count"] == 3), None)

        event = await eventually(counted, "three events as one")
    assert event["source"] == {"component": "tester", "host": "node1"}
    assert event["involvedObject"]["kind"] == "Namespace"


FAST = LeaseTiming(lease=1.0, renew_deadline=0.6, retry=0.05)


class Worker:
    """Counts its terms of leadership."""

    def __init__(self) -> None:
        self.terms = 0
        self.active = False

    async def work(self) -> None:
        self.terms += 1
        self.active = True
        try:
            await asyncio.Event().wait()
        finally:
            self.active = False


async def test_one_candidate_leads_and_hands_over(client: Client) -> None:
    first, second = Worker(), Worker()
    async with running(Election(client, "handover", "b", timing=FAST).run(second.work)):
        await eventually(lambda: _is(second.active), "the first candidate leads")
        async with running(Election(client, "handover", "a", timing=FAST).run(first.work)):
            await asyncio.sleep(0.3)
            assert (first.active, second.active) == (False, True)
            lease = await client.get(LEASES, "handover", "kube-system")
            assert lease["spec"]["holderIdentity"] == "b"
    assert (first.terms, second.active) == (0, False)
    assert (await client.get(LEASES, "handover", "kube-system"))["spec"]["holderIdentity"] == ""


async def test_a_lost_lease_stops_the_work_until_it_is_won_again(client: Client) -> None:
    worker = Worker()
    async with running(Election(client, "stolen", "a", timing=FAST).run(worker.work)):
        await eventually(lambda: _is(worker.active), "leading")
        await client.patch(LEASES, "stolen", {"spec": {"holderIdentity": "thief"}}, namespace="kube-system")
        await eventually(lambda: _is(not worker.active), "stopped", 5)
        await eventually(lambda: _is(worker.active), "leading again when the thief does not renew", 10)
    assert worker.terms == 2


async def test_a_restarted_holder_goes_on_at_once(client: Client) -> None:
    meta = {"name": "mine", "namespace": "kube-system"}
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 3600}
    await client.create(
        LEASES, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
    )
    worker = Worker()
    async with running(Election(client, "mine", "a", timing=FAST).run(worker.work)):
        await eventually(lambda: _is(worker.active), "leading", 5)
