"""The deploy controller on a real directory and a real API server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rke2.addons.deploy import DeployController
from rke2.addons.holdings import directories_of
from rke2.addons.objectset import Owner
from rke2.addons.records import GVKS_ANNOTATION
from rke2.content.runtime.charts import inject
from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import GVK, Object
from rke2.kube.resources import (
    ADDONS,
    CONFIG_MAPS,
    EVENTS,
    HELM_CHARTS,
    NAMESPACES,
    SERVICE_ACCOUNTS,
    Resource,
)
from tests.integration.running import running

from .eventually import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]

REACTION_SECONDS = 1.0


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def put(path: Path, *objects: Object | str) -> None:
    """Write a manifest as a person does with an editor or cp."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n---\n".join(o if isinstance(o, str) else json.dumps(o) for o in objects))


@asynccontextmanager
async def deploying(
    client: Client, root: Path, disables: Sequence[str] = (), **more: Any
) -> AsyncIterator[None]:
    async with running(DeployController(client, root, disables, node="node1", **more).run()):
        yield


async def data_of(client: Client, name: str) -> Any:
    found = await client.find(CONFIG_MAPS, name, "default")
    return found and found["data"]


async def applied(client: Client, name: str, data: dict[str, str]) -> None:
    async def look() -> bool:
        return bool(await data_of(client, name) == data)

    await eventually(look, f"ConfigMap {name} has {data}")


async def gone(client: Client, resource: Resource, name: str, namespace: str = "default") -> None:
    async def look() -> bool:
        return await client.find(resource, name, namespace) is None

    await eventually(look, f"{name} is gone")


async def event(client: Client, addon: str, reason: str) -> Object:
    selector = f"involvedObject.kind=Addon,involvedObject.name={addon},reason={reason}"

    async def look() -> Object | None:
        page = await client.list(EVENTS, "kube-system", field_selector=selector)
        return page.items[0] if page.items else None

    return await eventually(look, f"event {reason} on {addon}")


async def recorded(client: Client, addon: str, path: Path) -> Object:
    """The Addon once it has the checksum of the file."""
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()

    async def look() -> Object | None:
        found = await client.find(ADDONS, addon, "kube-system")
        return found if found and found["spec"].get("checksum") == checksum else None

    return await eventually(look, f"addon {addon} has the checksum of its file")


async def test_a_dropped_file_is_applied_within_a_second(client: Client, tmp_path: Path) -> None:
    async with deploying(client, tmp_path / "manifests"):
        await asyncio.sleep(0.3)
        begin = asyncio.get_running_loop().time()
        put(tmp_path / "manifests/fast.yaml", config_map("fast", a="1"))
        await applied(client, "fast", {"a": "1"})
        assert asyncio.get_running_loop().time() - begin < REACTION_SECONDS
        addon = await recorded(client, "fast", tmp_path / "manifests/fast.yaml")
        assert addon["spec"]["source"] == str(tmp_path / "manifests/fast.yaml")
        assert addon["metadata"]["annotations"][GVKS_ANNOTATION] == "/v1, Kind=ConfigMap"
        told = await event(client, "fast", "AppliedManifest")
    assert told["source"]["component"] == "deploy"
    assert told["message"] == f'Applied manifest at "{tmp_path}/manifests/fast.yaml"'
    live = await client.get(CONFIG_MAPS, "fast", "default")
    assert live["metadata"]["labels"]["objectset.rio.cattle.io/hash"] == Owner.of(addon).hash


async def test_a_changed_file_changes_and_prunes(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "sub/change.yaml"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "change"}}
    put(path, config_map("change-1", keep="1", drop="1"), config_map("change-2", a="1"), account)
    async with deploying(client, tmp_path):
        await recorded(client, "change", path)
        await client.patch(CONFIG_MAPS, "change-1", {"data": {"foreign": "1"}}, namespace="default")
        put(path, config_map("change-1", keep="2"))
        await applied(client, "change-1", {"keep": "2", "foreign": "1"})
        await gone(client, CONFIG_MAPS, "change-2")
        await gone(client, SERVICE_ACCOUNTS, "change")
        addon = await recorded(client, "change", path)
    assert addon["metadata"]["annotations"][GVKS_ANNOTATION] == "/v1, Kind=ConfigMap"


async def test_what_a_file_applied_goes_with_it(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "sub/goes.yaml", config_map("goes", a="1"))
    put(tmp_path / "stays.yaml", config_map("stays", a="1"))
    async with deploying(client, tmp_path):
        await recorded(client, "goes", tmp_path / "sub/goes.yaml")
        await recorded(client, "stays", tmp_path / "stays.yaml")
        (tmp_path / "sub/goes.yaml").unlink()
        await gone(client, CONFIG_MAPS, "goes")
        await gone(client, ADDONS, "goes", "kube-system")
        for reason in ("DeletingManifest", "DeletedManifest"):
            told = await event(client, "goes", reason)
            assert str(tmp_path / "sub/goes.yaml") in told["message"]
        assert await data_of(client, "stays") == {"a": "1"}
        put(tmp_path / "sub/goes.yaml", config_map("goes", a="2"))
        await applied(client, "goes", {"a": "2"})


async def test_a_file_removed_while_nobody_looked(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "unseen.yaml", config_map("unseen", a="1"))
    async with deploying(client, tmp_path):
        await recorded(client, "unseen", tmp_path / "unseen.yaml")
    (tmp_path / "unseen.yaml").unlink()
    async with deploying(client, tmp_path):
        await gone(client, CONFIG_MAPS, "unseen")
        await gone(client, ADDONS, "unseen", "kube-system")


async def test_what_a_broken_file_did_apply_goes_with_it_too(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "partly.yaml", config_map("Not_A_Name"), config_map("partly", a="1"))
    async with deploying(client, tmp_path):
        await applied(client, "partly", {"a": "1"})
        await event(client, "partly", "ApplyManifestFailed")
        (tmp_path / "partly.yaml").unlink()
        await gone(client, CONFIG_MAPS, "partly")
        await gone(client, ADDONS, "partly", "kube-system")


async def test_of_two_directories_the_last_one_to_lose_the_file_removes(
    client: Client, tmp_path: Path
) -> None:
    """Two servers; both have the file."""
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        put(root / "both.yaml", config_map("both", a="1"))

    async def held_by(count: int) -> None:
        async def look() -> bool:
            addon = await client.find(ADDONS, "both", "kube-system")
            return addon is not None and len(directories_of(addon)) == count

        await eventually(look, f"{count} directories hold the file")

    async with deploying(client, first), deploying(client, second):
        await held_by(2)
        (second / "both.yaml").unlink()
        await held_by(1)
        assert await data_of(client, "both") == {"a": "1"}
        (first / "both.yaml").unlink()
        await gone(client, CONFIG_MAPS, "both")
        await gone(client, ADDONS, "both", "kube-system")


async def test_an_empty_directory_in_its_place_removes_nothing(client: Client, tmp_path: Path) -> None:
    """A disk that is not mounted; a server reinstalled."""
    root = tmp_path / "manifests"
    put(root / "lost.yaml", config_map("lost", a="1"))
    async with deploying(client, root):
        await recorded(client, "lost", root / "lost.yaml")
    root.rename(tmp_path / "away")
    put(root / "brief.yaml", config_map("brief", a="1"))
    async with deploying(client, root):
        await recorded(client, "brief", root / "brief.yaml")
        (root / "brief.yaml").unlink()
        await gone(client, ADDONS, "brief", "kube-system")
        assert await data_of(client, "lost") == {"a": "1"}
        assert await client.find(ADDONS, "lost", "kube-system")


async def test_a_renamed_file_keeps_its_objects(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "old-name.yaml", config_map("renamed", a="1"))
    async with deploying(client, tmp_path):
        await recorded(client, "old-name", tmp_path / "old-name.yaml")
        before = await client.get(CONFIG_MAPS, "renamed", "default")
        (tmp_path / "old-name.yaml").rename(tmp_path / "new-name.yaml")
        await gone(client, ADDONS, "old-name", "kube-system")
        after = await client.get(CONFIG_MAPS, "renamed", "default")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_a_disabled_file_goes_with_what_it_applied(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "off.yaml", config_map("off", a="1"))
    put(tmp_path / "dir/in.yaml", config_map("off-dir", a="1"))
    async with deploying(client, tmp_path):
        await recorded(client, "off", tmp_path / "off.yaml")
        await recorded(client, "in", tmp_path / "dir/in.yaml")
    put(tmp_path / "off.yaml.skip")
    async with deploying(client, tmp_path, ["off", "dir", "never-there"]):
        for name, addon in (("off", "off"), ("off-dir", "in")):
            await gone(client, CONFIG_MAPS, name)
            await gone(client, ADDONS, addon, "kube-system")
        assert not (tmp_path / "off.yaml").exists()
        assert not (tmp_path / "dir/in.yaml").exists()
        await event(client, "off", "DeletingManifest")


async def test_a_skipped_file_is_left_alone(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "skipped.yaml", config_map("skipped", a="1"))
    put(tmp_path / "skipped.yaml.skip")
    put(tmp_path / "other.yaml", config_map("other", a="1"))
    async with deploying(client, tmp_path):
        await recorded(client, "other", tmp_path / "other.yaml")
        assert await client.find(ADDONS, "skipped", "kube-system") is None
        (tmp_path / "skipped.yaml.skip").unlink()
        await applied(client, "skipped", {"a": "1"})


@pytest.mark.parametrize(
    ("name", "broken", "reason"),
    [
        ("no-yaml", "a: [", "ParseManifestFailed"),
        ("no-object", "just text", "ParseManifestFailed"),
        ("refused", json.dumps(config_map("Not_A_Name")), "ApplyManifestFailed"),
    ],
)
async def test_a_broken_file_is_told_and_the_others_go_on(
    client: Client, tmp_path: Path, name: str, broken: str, reason: str
) -> None:
    path, other = tmp_path / f"{name}.yaml", f"{name}-other"
    path.write_text(broken)
    put(tmp_path / f"z-{name}.yaml", config_map(other, a="1"))
    async with deploying(client, tmp_path):
        await applied(client, other, {"a": "1"})
        told = await event(client, name, reason)
        assert (told["type"], str(path) in told["message"]) == ("Warning", True)
        put(path, config_map(name, a="1"))
        await applied(client, name, {"a": "1"})


async def test_one_refused_object_does_not_stop_the_others_of_its_file(
    client: Client, tmp_path: Path
) -> None:
    put(tmp_path / "half.yaml", config_map("Not_A_Name"), config_map("half", a="1"))
    async with deploying(client, tmp_path):
        await applied(client, "half", {"a": "1"})
        told = await event(client, "half", "ApplyManifestFailed")
    assert "Not_A_Name" in told["message"]


def definition(kind: str) -> Object:
    plural = kind.lower() + "s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.late.example"},
        "spec": {
            "group": "late.example",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.mark.parametrize("together", [True, False], ids=["in one file", "in two files, the resource first"])
async def test_a_custom_resource_follows_its_definition_soon(
    client: Client, tmp_path: Path, together: bool
) -> None:
    kind = "Together" if together else "Apart"
    custom = {"apiVersion": "late.example/v1", "kind": kind, "metadata": {"name": "a"}, "spec": {"x": 1}}
    if together:
        put(tmp_path / "both.yaml", definition(kind), custom)
    else:
        put(tmp_path / "a-resource.yaml", custom)
        put(tmp_path / "b-definition.yaml", definition(kind))
    resource = Resource(GVK("late.example", "v1", kind), kind.lower() + "s")

    async def look() -> bool:
        try:
            return bool(await client.find(resource, "a", "default"))
        except KubeError as error:
            assert error.reason == "NotServed"
            return False

    async with deploying(client, tmp_path):
        await eventually(look, "the custom resource is there", 4)


async def test_a_restart_brings_back_what_was_changed_by_hand(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "reset.yaml", config_map("reset", a="1"))
    async with deploying(client, tmp_path):
        await recorded(client, "reset", tmp_path / "reset.yaml")
    await client.patch(CONFIG_MAPS, "reset", {"data": {"a": "by hand"}}, namespace="default")
    async with deploying(client, tmp_path):
        await applied(client, "reset", {"a": "1"})


async def test_touching_a_file_writes_nothing(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "touched.yaml", config_map("touched", a="1"))
    async with deploying(client, tmp_path):
        before = await recorded(client, "touched", tmp_path / "touched.yaml")
        os.utime(tmp_path / "touched.yaml")
        put(tmp_path / "witness.yaml", config_map("witness", a="1"))
        await recorded(client, "witness", tmp_path / "witness.yaml")
        assert await client.get(ADDONS, "touched", "kube-system") == before


async def test_an_object_that_is_there_already_is_taken_over(client: Client, tmp_path: Path) -> None:
    meta = {"name": "taken", "namespace": "default"}
    await client.create(CONFIG_MAPS, {**config_map("taken", theirs="1"), "metadata": meta})
    put(tmp_path / "taken.yaml", config_map("taken", a="1"))
    async with deploying(client, tmp_path):
        await applied(client, "taken", {"theirs": "1", "a": "1"})


async def test_kinds_are_applied_in_the_order_of_the_file(client: Client, tmp_path: Path) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ordered"}}
    inside = {**config_map("inside", a="1"), "metadata": {"name": "inside", "namespace": "ordered"}}
    put(tmp_path / "ordered.yaml", space, inside)
    async with deploying(client, tmp_path):
        await recorded(client, "ordered", tmp_path / "ordered.yaml")
        assert await client.find(NAMESPACES, "ordered")
        assert await client.find(CONFIG_MAPS, "inside", "ordered")
        page = await client.list(
            EVENTS, "kube-system", field_selector="involvedObject.name=ordered,type=Warning"
        )
    assert page.items == []


async def test_a_chart_is_given_the_clusters_facts_and_its_file_stays_as_it_is(
    client: Client, tmp_path: Path
) -> None:
    annotations = {"rke2.cattle.io/inject-cluster-config": "true"}
    meta = {"name": "asks", "namespace": "default", "annotations": annotations}
    chart = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": meta, "spec": {}}
    ports = "# mine\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: asks}\ndata: {port: 2222:22, date: 2001-01-01}\n"
    put(tmp_path / "asks.yaml", chart, ports)
    text = (tmp_path / "asks.yaml").read_bytes()
    async with deploying(client, tmp_path, adapt=partial(inject, values={"global.clusterDNS": "10.43.0.10"})):
        await applied(client, "asks", {"port": "2222:22", "date": "2001-01-01"})
        made = await client.get(HELM_CHARTS, "asks", "default")
    assert made["spec"]["set"] == {"global.clusterDNS": "10.43.0.10"}
    assert (tmp_path / "asks.yaml").read_bytes() == text
