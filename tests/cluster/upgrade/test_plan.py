"""`rke2 upgrade plan` on a running server: what it asks is answered, and nothing is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.unit.content.archive_maker import image_members, layer, write_archive
from tests.unit.content.test_required import chart

RUNTIME = "docker.io/rke2py/rke2-runtime:v1.99.0-rke2py1"
PLACE = Path("/root/release")


@pytest.fixture(scope="module")
def release(cluster: LabNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A release far ahead, on the server's disk."""
    made = tmp_path_factory.mktemp("release")
    archive = made / "rke2-images-runtime.linux-amd64.tar.zst"
    content = layer({"charts/rke2-coredns.yaml": chart("rke2-coredns").encode()})
    write_archive(archive, image_members(RUNTIME, [content]))
    lists = f"{RUNTIME}\ndocker.io/rke2py/hardened-etcd:v3.99.0\n"
    cluster.host.exec(["mkdir", "-p", str(PLACE)])
    cluster.host.place_file(archive, PLACE / archive.name)
    cluster.host.write_file(PLACE / "rke2-images-all.linux-amd64.txt", lists)
    yield str(PLACE)
    cluster.host.exec(["rm", "-rf", str(PLACE)])


def plan(cluster: LabNode, to: str, code: int) -> dict[str, Any]:
    done = cluster.rke2("upgrade", "plan", "--to", to, "-o", "json")
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_everything_that_is_asked_is_answered(cluster: LabNode, release: str) -> None:
    found = plan(cluster, release, 3)
    messages = [each["message"] for findings in found["checks"].values() for each in findings]
    assert not [text for text in messages if "cannot be looked at" in text]
    assert "is skipped" in found["checks"]["version"][0]["message"]
    assert any("etcd v3.99.0 after v3" in each["message"] for each in found["checks"]["etcd"])
    assert found["checks"]["disk"] == [], "its kubelet tells how much room there is"
    changes = {change["name"]: change for change in found["changes"]}
    assert changes["hardened-etcd"]["then"] == "v3.99.0"
    assert changes["hardened-etcd"]["now"].startswith("v3.")
    assert changes["chart rke2-coredns"]["now"]


def test_a_deprecated_api_that_is_used_is_named(cluster: LabNode, release: str) -> None:
    """Endpoints are deprecated, and will not be removed."""
    cluster.kubectl("get", "endpoints", "--all-namespaces")

    def notes() -> list[str]:
        return [each["message"] for each in plan(cluster, release, 3)["checks"]["apis"]]

    eventually(
        notes, "the API server counts it", 90, ok=lambda found: any("endpoints.v1" in n for n in found)
    )


def test_the_node_s_own_arguments_are_seen(cluster: LabNode) -> None:
    """The shared server has none that is refused."""
    assert plan(cluster, "v1.37.2", 3)["checks"]["arguments"] == []


def test_nothing_is_touched(cluster: LabNode, release: str) -> None:
    listing = ["find", "/var/lib/rancher/rke2/server/manifests", "/var/lib/rancher/rke2/agent/images", "-ls"]
    before = cluster.host.exec(listing).stdout
    plan(cluster, release, 3)
    assert cluster.host.exec(listing).stdout == before


def test_a_place_that_is_no_release_is_told(cluster: LabNode) -> None:
    done = cluster.rke2("upgrade", "plan", "--to", "/etc")
    assert done.returncode == 1
    assert "/etc is not a release" in done.stderr
