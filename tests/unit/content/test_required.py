from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import yaml

from rke2.config.model import ComponentSettings
from rke2.content.images.required import charts_in, needed_images
from tests.configs import agent_config, paths_under, server_config
from tests.unit.content.archive_maker import image_members, layer, write_archive

VALUES = {
    "image": {"repository": "rke2py/main", "tag": "v1"},
    "sidecars": [{"repository": "rke2py/side", "tag": "v2"}],
    "autoscaler": {"enabled": False, "image": {"repository": "rke2py/never", "tag": "v3"}},
    "empty": {"image": {"repository": "", "tag": ""}},
}


def chart(name: str, values: object = VALUES) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        content = yaml.safe_dump(values).encode()
        info = tarfile.TarInfo(f"{name}/values.yaml")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    spec = {"chartContent": base64.b64encode(packed.getvalue()).decode()}
    return yaml.safe_dump({"kind": "HelmChart", "metadata": {"name": name}, "spec": spec})


def test_a_servers_images_with_what_needs_them(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    charts = {name: chart(name) for name in ("rke2-canal.yaml", "rke2-cilium.yaml", "rke2-other.yaml")}
    found = {image.reference: image.needed_by for image in needed_images(config, charts)}
    assert found["docker.io/rke2py/main:v1"] == ("chart rke2-canal", "chart rke2-other")
    assert "docker.io/rke2py/side:v2" in found
    assert "docker.io/rke2py/never:v3" not in found
    kubernetes = [users for name, users in found.items() if "hardened-kubernetes" in name]
    assert set(kubernetes[0]) >= {"kube-apiserver", "kube-proxy"}


def test_the_default_registry_is_in_front(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), images={"system_default_registry": "reg.example:5000/x"})
    found = [image.reference for image in needed_images(config, {"rke2-other.yaml": chart("rke2-other")})]
    assert "reg.example:5000/x/rke2py/main:v1" in found
    assert all(reference.startswith("reg.example:5000/x/") for reference in found)


def test_an_agent_runs_kube_proxy_only(tmp_path: Path) -> None:
    config = agent_config(paths_under(tmp_path), components={"kube-proxy": ComponentSettings(image="a/b:1")})
    assert [image.needed_by for image in needed_images(config, {})] == [
        ("runtime",),
        ("pause",),
        ("kube-proxy",),
    ]


def test_charts_are_read_from_an_archive(tmp_path: Path) -> None:
    content = layer(
        {"bin/x": b"", "charts/b.yaml": b"b: 1", "charts/a.yaml": b"a: 1", "etc/charts/c.yaml": b""}
    )
    members = image_members("reg.example/runtime:v1", [content])
    archive = write_archive(tmp_path / "x.tar.zst", members)
    layers = tuple(name for name, blob in members.items() if blob == content)
    assert charts_in(archive, layers) == {"a.yaml": "a: 1", "b.yaml": "b: 1"}
