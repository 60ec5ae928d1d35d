"""Files in ``server/manifests``: what is in them is in the cluster, what is taken out of them is not."""

from __future__ import annotations

import os
from typing import Any

from tests.cluster.eventually import eventually
from tests.cluster.manifest_files import Manifests
from tests.cluster.namespace import Namespace
from tests.cluster.objects import Object, config_map


def data(namespace: Namespace, name: str) -> Any:
    """What the ConfigMap holds; None if there is none."""
    found = namespace.find("configmap", name)
    return found and found["data"]


def has(namespace: Namespace, name: str, wanted: dict[str, str] | None) -> None:
    """Wait until the ConfigMap holds `wanted`; None for until it is gone."""
    eventually(lambda: data(namespace, name), f"ConfigMap {name} has {wanted}", 30, ok=lambda d: d == wanted)


def test_objects_follow_their_file(manifests: Manifests, namespace: Namespace) -> None:
    def own(name: str, **values: str) -> Object:
        return config_map(name, namespace.name, **values)

    manifests.put("own.yaml", own("first", a="1"), "# only a comment", own("second", a="1"))
    has(namespace, "first", {"a": "1"})
    has(namespace, "second", {"a": "1"})
    manifests.put("own.yaml", own("first", a="2"))
    has(namespace, "first", {"a": "2"})
    has(namespace, "second", None)
    manifests.remove("own.yaml")
    has(namespace, "first", None)
    manifests.system.until_gone("addon", "own")
    assert "own.yaml" in manifests.event("Addon", "own", "DeletedManifest")


def test_a_file_in_a_directory_of_the_user(manifests: Manifests, namespace: Namespace) -> None:
    manifests.put("team/app/nested.json", config_map("nested", namespace.name, a="1"))
    has(namespace, "nested", {"a": "1"})
    manifests.remove("team/app/nested.json")
    has(namespace, "nested", None)


def test_invalid_yaml_is_told_and_the_others_go_on(manifests: Manifests, namespace: Namespace) -> None:
    manifests.put("a-broken.yaml", "kind: [ConfigMap\n")
    manifests.put("b-whole.yaml", config_map("whole", namespace.name, a="1"))
    has(namespace, "whole", {"a": "1"})
    message = manifests.event("Addon", "a-broken", "ParseManifestFailed")
    assert str(manifests.addon("a-broken")["spec"]["source"]) in message
    assert "line " in message
    manifests.put("a-broken.yaml", config_map("mended", namespace.name, a="1"))
    has(namespace, "mended", {"a": "1"})


def test_what_the_api_refuses_is_told(manifests: Manifests, namespace: Namespace) -> None:
    manifests.put(
        "refused.yaml", config_map("Not_A_Name", namespace.name), config_map("good", namespace.name, a="1")
    )
    has(namespace, "good", {"a": "1"})
    assert "Not_A_Name" in manifests.event("Addon", "refused", "ApplyManifestFailed")


def test_a_skip_file_holds_changes_back(manifests: Manifests, namespace: Namespace) -> None:
    manifests.put("held.yaml", config_map("held", namespace.name, a="1"))
    has(namespace, "held", {"a": "1"})
    manifests.put("held.yaml.skip", "")
    manifests.put("held.yaml", config_map("held", namespace.name, a="2"))
    manifests.put("witness.yaml", config_map("witness", namespace.name, a="1"))
    has(namespace, "witness", {"a": "1"})
    assert data(namespace, "held") == {"a": "1"}
    manifests.remove("held.yaml.skip")
    has(namespace, "held", {"a": "2"})


def test_only_a_stale_checksum_makes_a_touched_file_apply_again(
    manifests: Manifests, namespace: Namespace
) -> None:
    """What people changed by hand stays until the file changes, or the Addon says another one was applied."""
    manifests.put("touched.yaml", config_map("touched", namespace.name, a="file"))
    eventually(lambda: (manifests.addon("touched") or {}).get("spec", {}).get("checksum"), "it is applied")
    namespace.kubectl("patch", "configmap", "touched", "--patch", '{"data": {"a": "by hand"}}')
    os.utime(manifests.path("touched.yaml"))
    manifests.put("witness-2.yaml", config_map("witness-2", namespace.name, a="1"))
    has(namespace, "witness-2", {"a": "1"})
    assert data(namespace, "touched") == {"a": "by hand"}
    stale = '{"spec": {"checksum": "stale"}}'
    manifests.system.kubectl("patch", "addon", "touched", "--type=merge", "--patch", stale)
    os.utime(manifests.path("touched.yaml"))
    has(namespace, "touched", {"a": "file"})


def test_files_of_one_name_in_two_directories_are_two(manifests: Manifests, namespace: Namespace) -> None:
    for team in ("a", "b"):
        manifests.put(f"team-{team}/twin.yaml", config_map(f"twin-{team}", namespace.name, a="1"))
    has(namespace, "twin-a", {"a": "1"})
    has(namespace, "twin-b", {"a": "1"})
    uids = [namespace.find("configmap", f"twin-{team}")["metadata"]["uid"] for team in ("a", "b")]
    for team in ("a", "b"):
        manifests.put(f"team-{team}/twin.yaml", config_map(f"twin-{team}", namespace.name, a="2"))
        has(namespace, f"twin-{team}", {"a": "2"})
    assert [namespace.find("configmap", f"twin-{team}")["metadata"]["uid"] for team in ("a", "b")] == uids
    manifests.remove("team-a/twin.yaml")
    has(namespace, "twin-a", None)
    assert data(namespace, "twin-b") == {"a": "2"}
    manifests.remove("team-b/twin.yaml")
    has(namespace, "twin-b", None)


def test_status_names_a_refused_file_until_it_is_mended(manifests: Manifests, namespace: Namespace) -> None:
    node = namespace.node

    def status() -> str:
        return node.rke2("status", timeout=60).stdout

    manifests.put("told.yaml", config_map("Not_A_Name", namespace.name))
    said = eventually(status, "status names the file", 30, ok=lambda text: "told.yaml" in text)
    assert "Not_A_Name" in said
    manifests.put("told.yaml", config_map("told", namespace.name, a="1"))
    eventually(status, "status is silent about the file", 30, ok=lambda text: "told.yaml" not in text)
