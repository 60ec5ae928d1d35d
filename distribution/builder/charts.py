"""Charts: each directory under ``distribution/charts`` becomes one HelmChart manifest with the archive inside.

Mirrors how RKE2 builds ``/charts`` of its runtime image: the archive's Chart.yaml is made to demand the release's
own Kubernetes version and marked for Fleet, then the archive goes base64-encoded into ``spec.chartContent``.
The annotation ``helm.cattle.io/chart-url``, which upstream points at the archive's place in its chart repository,
holds a URN here: these charts are not published anywhere else. The helm controller's events show it.
"""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from distribution.builder import modulefiles, recipes, tarstream
from distribution.builder.errors import DistributionError
from distribution.builder.layers import Entry

TABLE = "charts.toml"
FLEET_BUNDLE = {"fleet.cattle.io/bundle-id": "rke2"}
SIZE_LIMIT = 1 << 20
"""Kubernetes' limit for the HelmChart and for the ConfigMap the helm controller copies the content into."""


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One line of ``charts.toml``.

    Attributes:
        name: directory, chart, release and HelmChart.
        bootstrap: installed from the host network, before there is a CNI or a cluster DNS.
        take_ownership: adopt objects that exist already without Helm's labels.
    """

    name: str
    bootstrap: bool = False
    take_ownership: bool = False


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``charts.toml``."""

    charts: tuple[Chart, ...] = msgspec.field(name="chart")


def write_manifests(charts_dir: Path, out: Path, gomodcache: Path) -> list[Path]:
    """Pack every chart and write its manifest ``<out>/<name>.yaml``.

    The recipes are expected beside the charts, in ``components``.

    Args:
        gomodcache: Go module cache that ``from-modules.toml`` files take from; missing modules are fetched into it.

    Returns:
        The manifests, in the order of the table.

    Raises:
        DistributionError: table and directories disagree, a chart is incomplete or too large.
    """
    components = charts_dir.parent / "components"
    kubernetes = recipes.load(components / "kubernetes").version
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in _load_table(charts_dir):
        directory = charts_dir / chart.name
        files = _own_files(directory) | modulefiles.collect(directory, components, gomodcache)
        path = out / f"{chart.name}.yaml"
        path.write_text(manifest(chart, files, kubernetes))
        written.append(path)
    return written


def manifest(chart: Chart, files: dict[str, bytes], kubernetes: str) -> str:
    """The HelmChart of `chart` as YAML.

    Args:
        files: content of the chart by path relative to its directory.
        kubernetes: the oldest version the chart may be rendered for, such as ``v1.36.4``.

    Raises:
        DistributionError: Chart.yaml is missing or names another chart, or the result exceeds `SIZE_LIMIT`.
    """
    metadata = _metadata(chart.name, files)
    about = {
        **metadata,
        "kubeVersion": f">= {kubernetes}",
        "annotations": metadata.get("annotations", {}) | FLEET_BUNDLE,
    }
    archive = pack(chart.name, files | {"Chart.yaml": _yaml(about).encode()})
    text = _yaml(_helm_chart(chart, str(metadata["version"]), base64.b64encode(archive).decode()))
    if len(text) >= SIZE_LIMIT:
        raise DistributionError(
            f"chart {chart.name}: its HelmChart has {len(text)} bytes, Kubernetes takes less than {SIZE_LIMIT}; "
            "move large files (CRDs) into a chart of their own"
        )
    return text


def pack(name: str, files: dict[str, bytes]) -> bytes:
    """A chart archive as ``helm package`` lays it out, the same bytes for the same files.

    Args:
        name: first directory in the archive.
    """
    tar = io.BytesIO()
    for path, content in sorted(files.items()):
        entry = Entry(f"{name}/{path}", 0o644, content=content)
        member = tarfile.TarInfo(entry.name)
        member.size, member.mode = entry.size, entry.mode
        tarstream.add(tar, member, entry.write_to)
    tarstream.end(tar)
    zipped = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=zipped, compresslevel=9, mtime=0) as stream:
        stream.write(tar.getvalue())
    return zipped.getvalue()


def _load_table(charts_dir: Path) -> tuple[Chart, ...]:
    charts = recipes.read_toml(charts_dir / TABLE, Table).charts
    named = {chart.name for chart in charts}
    present = {path.parent.name for path in charts_dir.glob("*/Chart.yaml")}
    if named != present:
        raise DistributionError(
            f"{charts_dir / TABLE} and the chart directories disagree about {', '.join(sorted(named ^ present))}"
        )
    return charts


def _own_files(directory: Path) -> dict[str, bytes]:
    skipped = (modulefiles.LISTING, ".helmignore")
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in skipped)
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def _metadata(name: str, files: dict[str, bytes]) -> dict[str, Any]:
    found = yaml.safe_load(files.get("Chart.yaml", b""))
    if not isinstance(found, dict) or found.get("name") != name or "version" not in found:
        raise DistributionError(f"chart {name}: Chart.yaml must give `name: {name}` and a `version`")
    return found


def _helm_chart(chart: Chart, version: str, content: str) -> dict[str, Any]:
    return {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChart",
        "metadata": {
            "name": chart.name,
            "namespace": "kube-system",
            "annotations": {
                "helm.cattle.io/chart-url": f"urn:rke2py:chart:{chart.name}:{version}",
                "rke2.cattle.io/inject-cluster-config": "true",
            },
        },
        "spec": {
            "bootstrap": chart.bootstrap,
            "failurePolicy": "retry",
            "forceConflicts": True,
            "takeOwnership": chart.take_ownership,
            "chartContent": content,
        },
    }


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=SIZE_LIMIT)
