from __future__ import annotations

import base64
import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest
import yaml

from distribution.builder import charts
from distribution.builder.charts import Chart
from distribution.builder.errors import DistributionError

FILES = {
    "templates/a.yaml": b"a: {{ .Values.a }}\n",
    "Chart.yaml": b"apiVersion: v2\nname: demo\nversion: 1.2.3\nkubeVersion: '>= 1.30'\nannotations: {a: b}\n",
    "values.yaml": b"a: 1\n",
}


def unpack(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def content(manifest: str) -> dict[str, bytes]:
    return unpack(base64.b64decode(yaml.safe_load(manifest)["spec"]["chartContent"], validate=True))


def test_the_same_files_give_the_same_archive_in_any_order() -> None:
    archive = charts.pack("demo", FILES)
    assert archive == charts.pack("demo", dict(reversed(FILES.items())))
    assert archive[4:8] == bytes(4), "no time in the gzip header"


def test_archive_members() -> None:
    archive = charts.pack("demo", FILES)
    assert unpack(archive) == {f"demo/{path}": text for path, text in FILES.items()}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        members = tar.getmembers()
    assert [each.name for each in members] == sorted(f"demo/{path}" for path in FILES)
    assert {(each.uid, each.gid, each.mode, each.uname, each.gname) for each in members} == {
        (0, 0, 0o644, "", "")
    }


def test_manifest_is_the_helm_chart_rke2_ships() -> None:
    text = charts.manifest(Chart("demo", bootstrap=True, take_ownership=True), FILES, "v1.36.4")
    manifest = yaml.safe_load(text)
    encoded = manifest["spec"].pop("chartContent")
    assert f"chartContent: {encoded}\n" in text, "on one line"
    assert manifest == {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChart",
        "metadata": {
            "name": "demo",
            "namespace": "kube-system",
            "annotations": {
                "helm.cattle.io/chart-url": "urn:rke2py:chart:demo:1.2.3",
                "rke2.cattle.io/inject-cluster-config": "true",
            },
        },
        "spec": {
            "bootstrap": True,
            "failurePolicy": "retry",
            "forceConflicts": True,
            "takeOwnership": True,
        },
    }


def test_the_packed_chart_demands_the_release_s_kubernetes() -> None:
    packed = content(charts.manifest(Chart("demo"), FILES, "v1.36.4"))
    assert yaml.safe_load(packed["demo/Chart.yaml"]) == {
        "apiVersion": "v2",
        "name": "demo",
        "version": "1.2.3",
        "kubeVersion": ">= v1.36.4",
        "annotations": {"a": "b", "fleet.cattle.io/bundle-id": "rke2"},
    }
    assert packed["demo/values.yaml"] == FILES["values.yaml"]


def test_a_chart_too_large_for_kubernetes_is_refused() -> None:
    incompressible = random.Random(1).randbytes(800_000)
    with pytest.raises(DistributionError, match=r"chart demo: its HelmChart has 10\d{5} bytes"):
        charts.manifest(Chart("demo"), FILES | {"crds/big.yaml": incompressible}, "v1.36.4")


@pytest.mark.parametrize("chart_yaml", [b"", b"- a list", b"name: other\nversion: 1.2.3\n", b"name: demo\n"])
def test_an_unusable_chart_yaml_is_named(chart_yaml: bytes) -> None:
    with pytest.raises(DistributionError, match=r"chart demo: Chart\.yaml"):
        charts.manifest(Chart("demo"), FILES | {"Chart.yaml": chart_yaml}, "v1.36.4")


RECIPE = """
name = "kubernetes"
version = "v1.36.4"
purpose = "a test"
license = "Apache-2.0"
module = "k8s.io/kubernetes"
[[binary]]
name = "kubelet"
package = "k8s.io/kubernetes/cmd/kubelet"
"""


@pytest.fixture
def charts_dir(tmp_path: Path) -> Path:
    """A distribution with the chart `demo`."""
    recipe = tmp_path / "components/kubernetes/recipe.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(RECIPE)
    for name, text in FILES.items():
        path = tmp_path / "charts/demo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    (tmp_path / "charts/charts.toml").write_text('[[chart]]\nname = "demo"\nbootstrap = true\n')
    return tmp_path / "charts"


def test_write_manifests(charts_dir: Path, tmp_path: Path) -> None:
    written = charts.write_manifests(charts_dir, tmp_path / "out", tmp_path / "modules")
    assert written == [tmp_path / "out/demo.yaml"]
    text = written[0].read_text()
    assert yaml.safe_load(text)["spec"]["bootstrap"] is True
    assert sorted(content(text)) == ["demo/Chart.yaml", "demo/templates/a.yaml", "demo/values.yaml"]
    assert b">= v1.36.4" in content(text)["demo/Chart.yaml"]


def test_a_chart_missing_in_the_table_is_named(charts_dir: Path, tmp_path: Path) -> None:
    (charts_dir / "forgotten").mkdir()
    (charts_dir / "forgotten/Chart.yaml").touch()
    with pytest.raises(DistributionError, match=r"charts\.toml .* disagree about forgotten"):
        charts.write_manifests(charts_dir, tmp_path / "out", tmp_path / "modules")


def test_a_chart_missing_as_a_directory_is_named(charts_dir: Path, tmp_path: Path) -> None:
    with (charts_dir / "charts.toml").open("a") as table:
        table.write('[[chart]]\nname = "planned"\n')
    with pytest.raises(DistributionError, match="disagree about planned"):
        charts.write_manifests(charts_dir, tmp_path / "out", tmp_path / "modules")
