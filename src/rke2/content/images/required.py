"""Which images a node of a certain configuration needs: its static pods, its tools, its packaged charts.

The images of a chart are those its values name: a `repository` with a `tag`, unless what they belong to says
``enabled: false``. A HelmChartConfig is not looked at.
"""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config import ingress
from rke2.config.model import COMPONENTS, NodeConfig
from rke2.content.images.archives import decompress_layer, member_name, open_archive, verified
from rke2.content.images.names import normalize
from rke2.content.runtime.image import RuntimeContent, find_image
from rke2.content.runtime.references import image
from rke2.errors import ContentError

_CNI_CHARTS = ("canal", "calico", "cilium", "flannel", "multus")
_VALUES_LIMIT = 16 << 20


@dataclass(frozen=True)
class NeededImage:
    """An image, and what needs it."""

    reference: str
    needed_by: tuple[str, ...]


def needed_images(config: NodeConfig, charts: Mapping[str, str]) -> list[NeededImage]:
    """Every image that a node of this configuration runs.

    Args:
        charts: the packaged charts: the text of each HelmChart manifest by file name (`packaged_charts`).
    """
    found: dict[str, list[str]] = {}
    for name in _of_node(config):
        found.setdefault(normalize(image(config, name)), []).append(name)
    for name, text in charts.items():
        if _installed(config, name.partition(".")[0]):
            for reference in chart_images(text, config.images.system_default_registry):
                found.setdefault(reference, []).append(f"chart {name.partition('.')[0]}")
    return [NeededImage(reference, tuple(dict.fromkeys(users))) for reference, users in found.items()]


def _of_node(config: NodeConfig) -> Iterator[str]:
    yield from ("runtime", "pause")
    possible = COMPONENTS if config.server else ("kube-proxy",)
    yield from (name for name in possible if not config.component(name).disabled)
    if config.server:
        yield "helm-job"


def _installed(config: NodeConfig, chart: str) -> bool:
    """Whether a server installs the packaged chart; charts run on every node of the cluster."""
    name = chart.removeprefix("rke2-").removesuffix("-crd")
    if config.server and chart in config.server.disable:
        return False
    if name in _CNI_CHARTS:
        return name in config.network.cni
    return chart not in ingress.unselected_charts(config.network.ingress_controllers)


def chart_images(manifest: str, registry: str = "") -> list[str]:
    """The images that the HelmCharts in `manifest` run with their default values.

    Args:
        registry: ``system-default-registry``.
    """
    found: dict[str, None] = {}
    for document in goyaml.load_all(manifest):
        spec = (document.get("spec") if isinstance(document, dict) else None) or {}
        if content := spec.get("chartContent"):
            values = {
                **_default_values(base64.b64decode(content)),
                **_values(spec.get("valuesContent") or ""),
            }
            found.update(dict.fromkeys(_images_in(values, registry)))
    return list(found)


def _default_values(chart: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(chart), mode="r:gz") as tar:
        for member in tar:
            if (
                member.name.count("/") == 1
                and member.name.endswith("/values.yaml")
                and member.size < _VALUES_LIMIT
            ):
                file = tar.extractfile(member)
                return _values(file.read().decode()) if file else {}
    return {}


def _values(text: str) -> dict[str, Any]:
    found = goyaml.load(text)
    return found if isinstance(found, dict) else {}


def _images_in(value: object, registry: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _images_in(item, registry)
    if not isinstance(value, dict) or value.get("enabled") is False:
        return
    repository, tag = value.get("repository"), value.get("tag")
    if isinstance(repository, str) and repository and tag:
        yield normalize(f"{registry}/{repository}:{tag}" if registry else f"{repository}:{tag}")
    for item in value.values():
        yield from _images_in(item, registry)


def packaged_charts(config: NodeConfig) -> dict[str, str]:
    """The packaged charts of the runtime image, unpacked or still in an archive of ``agent/images``.

    Raises:
        ContentError: there is neither.
    """
    content = RuntimeContent.of(config.paths, image(config, "runtime"))
    if content.charts.is_dir():
        return {path.name: path.read_text() for path in sorted(content.charts.glob("*.y*ml"))}
    found = find_image(config.paths.images, content.reference)
    if found is None:
        raise ContentError(
            f"runtime image {content.reference} is neither unpacked nor in an archive in {config.paths.images}",
            "the charts are in it: put its archive there",
        )
    return charts_in(found[0], found[1].layers)


def charts_in(archive: Path, layers: tuple[str, ...]) -> dict[str, str]:
    """The charts in the layers of a runtime image."""
    charts: dict[str, str] = {}
    with open_archive(archive) as tar:
        for member in tar:
            if member_name(member) not in layers:
                continue
            with (
                verified(tar, member) as blob,
                tarfile.open(fileobj=decompress_layer(blob), mode="r|", bufsize=1 << 20) as inner,
            ):
                for file in inner:
                    directory, _, name = member_name(file).rpartition("/")
                    content = inner.extractfile(file) if directory == "charts" and file.isreg() else None
                    if content and file.size < _VALUES_LIMIT:
                        charts[name] = content.read().decode()
    return dict(sorted(charts.items()))
