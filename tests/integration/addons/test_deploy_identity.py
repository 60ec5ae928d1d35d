"""Files are told apart by their paths: no file's objects are deleted because another file has a similar name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rke2.addons.objectset import Owner, marked
from rke2.kube.client import Client
from rke2.kube.objects import Object, name_of
from rke2.kube.resources import ADDONS, CONFIG_MAPS, EVENTS, NAMESPACES

from .eventually import eventually
from .test_deploy import applied, config_map, data_of, deploying, event, gone, put

pytestmark = [pytest.mark.root, pytest.mark.content]


async def addon_with(client: Client, path: Path) -> Object:
    """The Addon that says that it applied the file."""

    async def look() -> Object | None:
        addons = (await client.list(ADDONS, "kube-system")).items
        return next(
            (a for a in addons if a["spec"].get("source") == str(path) and a["spec"].get("checksum")), None
        )

    return await eventually(look, f"an Addon has applied {path}")


async def uid(client: Client, name: str) -> str:
    return str((await client.get(CONFIG_MAPS, name, "default"))["metadata"]["uid"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("team-a/space.yaml", "team-b/space.yaml"),
        ("storage.classes.yaml", "storage.volumes.yaml"),
        ("json.json", "json.yaml"),
    ],
)
async def test_files_that_are_equal_up_to_the_first_dot_are_two(
    client: Client, tmp_path: Path, first: str, second: str
) -> None:
    plain = Path(first).name.split(".")[0]
    put(tmp_path / first, config_map(f"{plain}-1", a="1"))
    put(tmp_path / second, config_map(f"{plain}-2", a="1"))
    async with deploying(client, tmp_path):
        await addon_with(client, tmp_path / first)
        other = name_of(await addon_with(client, tmp_path / second))
        assert name_of(await addon_with(client, tmp_path / first)) == plain
        assert other.startswith(f"{plain}-")
        told = await event(client, other, "AddonNameTaken")
        assert first in told["message"] and second in told["message"]
        before = [await uid(client, f"{plain}-{n}") for n in (1, 2)]
    async with deploying(client, tmp_path):
        put(tmp_path / f"z-{plain}.yaml", config_map(f"z-{plain}", a="1"))
        await applied(client, f"z-{plain}", {"a": "1"})  # the last one: the others are done
        assert [await uid(client, f"{plain}-{n}") for n in (1, 2)] == before
        (tmp_path / first).unlink()
        await gone(client, CONFIG_MAPS, f"{plain}-1")
        assert await uid(client, f"{plain}-2") == before[1]
    async with deploying(client, tmp_path):
        put(tmp_path / second, config_map(f"{plain}-2", a="2"))
        await applied(client, f"{plain}-2", {"a": "2"})
        assert name_of(await addon_with(client, tmp_path / second)) == other
        (tmp_path / second).unlink()
        await gone(client, CONFIG_MAPS, f"{plain}-2")
        await gone(client, ADDONS, other, "kube-system")


async def test_an_addon_that_two_files_shared_loses_no_object(client: Client, tmp_path: Path) -> None:
    """As an earlier release or RKE2 left it: one set holds the objects of both, the last file is the source."""
    for team in ("a", "b"):
        put(tmp_path / f"team-{team}/shared.yaml", config_map(f"shared-{team}", a="1"))
    addon: Object = {
        "apiVersion": ADDONS.gvk.api_version,
        "kind": ADDONS.gvk.kind,
        "metadata": {
            "name": "shared",
            "namespace": "kube-system",
            "annotations": {"addon.k3s.cattle.io/gvks": "/v1, Kind=ConfigMap"},
        },
        "spec": {"source": str(tmp_path / "team-b/shared.yaml"), "checksum": "0"},
    }
    await client.create(ADDONS, addon)
    for name in ("shared-a", "shared-b", "shared-stale"):
        meta = {"name": name, "namespace": "default"}
        await client.create(
            CONFIG_MAPS, marked({**config_map(name, a="1"), "metadata": meta}, Owner.of(addon))
        )
    before = [await uid(client, name) for name in ("shared-a", "shared-b")]
    async with deploying(client, tmp_path):
        assert name_of(await addon_with(client, tmp_path / "team-b/shared.yaml")) == "shared"
        assert name_of(await addon_with(client, tmp_path / "team-a/shared.yaml")) != "shared"
        await gone(client, CONFIG_MAPS, "shared-stale")
        assert [await uid(client, name) for name in ("shared-a", "shared-b")] == before


async def test_an_object_that_moves_to_another_file_stays(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "b-from.yaml", config_map("moves", a="1"), config_map("remains", a="1"))
    put(tmp_path / "c-to.yaml", config_map("there", a="1"))
    async with deploying(client, tmp_path):
        await addon_with(client, tmp_path / "b-from.yaml")
        await addon_with(client, tmp_path / "c-to.yaml")
        before = await uid(client, "moves")
    put(tmp_path / "b-from.yaml", config_map("remains", a="1"))
    put(tmp_path / "c-to.yaml", config_map("there", a="1"), config_map("moves", a="2"))
    async with deploying(client, tmp_path):
        await applied(client, "moves", {"a": "2"})
        assert await uid(client, "moves") == before


async def test_another_suffix_is_the_same_addon(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "suffix.yaml", config_map("suffix", a="1"))
    async with deploying(client, tmp_path):
        await addon_with(client, tmp_path / "suffix.yaml")
        before = await uid(client, "suffix")
        (tmp_path / "suffix.yaml").rename(tmp_path / "suffix.json")
        assert name_of(await addon_with(client, tmp_path / "suffix.json")) == "suffix"
        await asyncio.sleep(4)  # longer than a missing file is waited for
        assert await uid(client, "suffix") == before


async def test_a_users_file_named_like_a_packaged_one(client: Client, tmp_path: Path) -> None:
    """It has its own Addon, is removed with its file, and `disable` does not take it for the packaged one."""
    put(tmp_path / "mine/rke2-pack.yaml", config_map("pack-mine", a="1"))
    put(tmp_path / "rke2-pack.yaml", config_map("pack-packaged", a="1"))
    async with deploying(client, tmp_path, packaged=["rke2-pack.yaml"]):
        await addon_with(client, tmp_path / "mine/rke2-pack.yaml")
        assert name_of(await addon_with(client, tmp_path / "rke2-pack.yaml")) == "rke2-pack"
    async with deploying(client, tmp_path, ["rke2-pack"], packaged=["rke2-pack.yaml"]):
        await gone(client, CONFIG_MAPS, "pack-packaged")
        assert await data_of(client, "pack-mine") == {"a": "1"}
        assert (tmp_path / "mine/rke2-pack.yaml").exists()
        (tmp_path / "mine/rke2-pack.yaml").unlink()
        await gone(client, CONFIG_MAPS, "pack-mine")


async def test_one_file_that_is_reached_twice_is_one(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "real/linked.yaml", config_map("linked", a="1"))
    (tmp_path / "a-link").symlink_to("real")
    async with deploying(client, tmp_path):
        await addon_with(client, tmp_path / "real/linked.yaml")
        put(tmp_path / "z-linked.yaml", config_map("z-linked", a="1"))
        await applied(client, "z-linked", {"a": "1"})
        addons = (await client.list(ADDONS, "kube-system")).items
    assert [name_of(a) for a in addons if a["spec"]["source"].endswith("/linked.yaml")] == ["linked"]


async def test_a_name_that_no_object_can_have(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "My_App.yaml", config_map("my-app", a="1"))
    async with deploying(client, tmp_path):
        assert name_of(await addon_with(client, tmp_path / "My_App.yaml")).startswith("my-app-")


async def test_two_servers_with_files_of_one_name(client: Client, tmp_path: Path) -> None:
    put(tmp_path / "1/manifests/x/servers.yaml", config_map("servers-1", a="1"))
    put(tmp_path / "2/manifests/y/servers.yaml", config_map("servers-2", a="1"))
    async with deploying(client, tmp_path / "1/manifests"), deploying(client, tmp_path / "2/manifests"):
        await addon_with(client, tmp_path / "1/manifests/x/servers.yaml")
        await addon_with(client, tmp_path / "2/manifests/y/servers.yaml")
    assert await data_of(client, "servers-1") and await data_of(client, "servers-2")


async def test_what_is_being_deleted_is_not_applied(client: Client, tmp_path: Path) -> None:
    """Until its finalizers are done an object answers like any other; then it is gone."""
    meta = {"name": "ending", "namespace": "default", "finalizers": ["example.com/slow"]}
    await client.create(CONFIG_MAPS, {**config_map("ending", a="1"), "metadata": meta})
    old = await uid(client, "ending")
    await client.delete(CONFIG_MAPS, "ending", "default")
    put(tmp_path / "ending.yaml", config_map("ending", a="1"))
    async with deploying(client, tmp_path):
        told = await event(client, "ending", "ApplyManifestFailed")
        assert "is being deleted" in told["message"]
        await client.patch(CONFIG_MAPS, "ending", {"metadata": {"finalizers": None}}, namespace="default")
        await addon_with(client, tmp_path / "ending.yaml")
        assert await uid(client, "ending") != old


async def test_an_apply_into_a_namespace_that_ends_is_not_applied(client: Client, tmp_path: Path) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ending"}}
    slow = {"name": "slow", "namespace": "ending", "finalizers": ["example.com/slow"]}
    inside = {**config_map("inside", a="1"), "metadata": {"name": "inside", "namespace": "ending"}}
    await client.create(NAMESPACES, space)
    await client.create(CONFIG_MAPS, {**config_map("slow"), "metadata": slow})
    old = (await client.get(NAMESPACES, "ending"))["metadata"]["uid"]
    await client.delete(NAMESPACES, "ending")
    put(tmp_path / "into.yaml", space)
    async with deploying(client, tmp_path):
        assert "is being deleted" in (await event(client, "into", "ApplyManifestFailed"))["message"]
        put(tmp_path / "into.yaml", space, inside)
        await client.patch(CONFIG_MAPS, "slow", {"metadata": {"finalizers": None}}, namespace="ending")
        await addon_with(client, tmp_path / "into.yaml")
        assert (await client.get(NAMESPACES, "ending"))["metadata"]["uid"] != old
        assert await client.find(CONFIG_MAPS, "inside", "ending")


async def test_a_refusal_is_told_once_and_until_it_is_over(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, troubles = tmp_path / "refusal.yaml", {}
    put(path, config_map("Not_A_Name"))

    def tell(about: str, words: str) -> None:
        troubles[about] = words

    async with deploying(client, tmp_path, tell=tell):
        await event(client, "refusal", "ApplyManifestFailed")
        for number in range(4):
            put(tmp_path / "fine.yaml", config_map("fine", a=str(number)))
            await applied(client, "fine", {"a": str(number)})
            await asyncio.sleep(0.6)  # meanwhile the refused file is tried again
        selector = "involvedObject.name=refusal,reason=ApplyManifestFailed"
        events = (await client.list(EVENTS, "kube-system", field_selector=selector)).items
        assert [e["count"] for e in events] == [1]
        assert "Not_A_Name" in troubles[f"manifest {path}"]
        assert "works again" not in caplog.text
        assert sum("Not_A_Name" in record.getMessage() for record in caplog.records) == 1
        put(path, config_map("refusal", a="1"))
        await applied(client, "refusal", {"a": "1"})
        await eventually(lambda: _is(troubles[f"manifest {path}"] == ""), "the trouble is over")


async def _is(value: bool) -> bool:
    return value
