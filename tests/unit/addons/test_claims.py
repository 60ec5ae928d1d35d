"""What other files want is not pruned."""

from __future__ import annotations

import os
from pathlib import Path

from rke2.addons.claims import DeployClaims
from rke2.addons.manifests import list_manifests
from rke2.kube.objects import GVK, Key

MAP = GVK("", "v1", "ConfigMap")


def put(path: Path, *names: str, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    documents = [f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}" for name in names]
    path.write_text(text or "\n---\n".join(documents))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def others(
    claims: DeployClaims, root: Path, path: str, name: str, namespace: str = "default", gvk: GVK = MAP
) -> list[str]:
    claims.look(list_manifests(root).manifests())
    found = claims.of_others(root / path, gvk, Key(namespace, name))
    return [str(other.relative_to(root)) for other in found]


def test_an_object_of_another_file_is_found_in_any_version_of_its_api(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", "one", "two")
    put(tmp_path / "b.yaml", "two")
    claims = DeployClaims()
    assert others(claims, tmp_path, "a.yaml", "one") == []
    assert others(claims, tmp_path, "a.yaml", "two") == ["b.yaml"]
    assert others(claims, tmp_path, "a.yaml", "two", gvk=GVK("", "v2", "ConfigMap")) == ["b.yaml"]
    assert others(claims, tmp_path, "a.yaml", "two", namespace="other") == []
    put(tmp_path / "b.yaml", "three")
    assert others(claims, tmp_path, "a.yaml", "two") == []
    put(tmp_path / "b.yaml", "two")
    (tmp_path / "b.yaml.skip").touch()
    assert others(claims, tmp_path, "a.yaml", "two") == ["b.yaml"]
    (tmp_path / "b.yaml").unlink()
    assert others(claims, tmp_path, "a.yaml", "two") == []


def test_a_file_that_breaks_keeps_what_it_wanted(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", "one")
    put(tmp_path / "b.yaml", "two")
    claims = DeployClaims()
    assert others(claims, tmp_path, "a.yaml", "two") == ["b.yaml"]
    put(tmp_path / "b.yaml", text="a: [")
    assert others(claims, tmp_path, "a.yaml", "two") == ["b.yaml"]


def test_a_broken_file_of_the_same_name_may_want_anything(tmp_path: Path) -> None:
    put(tmp_path / "x/a.yaml", "one")
    put(tmp_path / "y/a.yaml", text="a: [")
    put(tmp_path / "b.yaml", text="a: [")
    assert others(DeployClaims(), tmp_path, "x/a.yaml", "two") == ["y/a.yaml"]
