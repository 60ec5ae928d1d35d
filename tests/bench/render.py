"""The packaged charts as plain manifests, rendered by Helm, for a cluster without a helm controller."""

from __future__ import annotations

import base64
import subprocess
import tarfile
import tempfile
from pathlib import Path

import yaml

from rke2.content.images.archives import decompress_layer, open_archive, read_member, verified
from rke2.content.images.tables import list_images
from rke2.version import KUBERNETES_VERSION

VALUES = {
    "global.clusterCIDRv4": "10.42.0.0/16",
    "global.clusterDNS": "10.43.0.10",
    "global.clusterDomain": "cluster.local",
}


def render_charts(dist: Path, target: Path) -> Path:
    """Write every packaged chart, rendered with the default cluster's values, to `target`."""
    with target.open("w") as output:
        for name, chart in _charts(dist):
            output.write(f"---\n{_render(dist / 'bin' / 'helm', name, chart)}\n")
    return target


def _render(helm: Path, name: str, chart: bytes) -> str:
    settings = [word for key, value in VALUES.items() for word in ("--set-string", f"{key}={value}")]
    with tempfile.NamedTemporaryFile(suffix=".tgz") as file:
        file.write(chart)
        file.flush()
        command = [
            str(helm.absolute()),
            "template",
            name,
            file.name,
            "--namespace",
            "kube-system",
            "--include-crds",
        ]
        command += ["--kube-version", KUBERNETES_VERSION, *settings]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _charts(dist: Path) -> list[tuple[str, bytes]]:
    (archive,) = dist.glob("rke2-images-runtime.*.tar.zst")
    (image,) = list_images(archive)
    charts = []
    with open_archive(archive) as tar:
        for member in tar:
            if member.name in image.layers:
                with (
                    verified(tar, member) as blob,
                    tarfile.open(fileobj=decompress_layer(blob), mode="r|") as layer,
                ):
                    charts += [
                        _chart(read_member(layer, file).decode())
                        for file in layer
                        if file.isfile() and file.name.lstrip("./").startswith("charts/")
                    ]
    return charts


def _chart(manifest: str) -> tuple[str, bytes]:
    document = yaml.safe_load(manifest)
    return document["metadata"]["name"], base64.b64decode(document["spec"]["chartContent"])
