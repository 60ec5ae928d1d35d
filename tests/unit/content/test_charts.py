from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rke2.config.model import ComponentSettings
from rke2.content.runtime.charts import DISABLED, INJECT_ANNOTATION, INJECT_VARIABLE, injected, stage
from tests.configs import paths_under, server_config

VALUES = {"global.clusterCIDR": "10.42.0.0/16,fd00::/56", "global.prime.enabled": "false"}


def chart(annotation: str | None, spec: dict[str, object] | None = None) -> str:
    metadata: dict[str, object] = {"name": "x"}
    if annotation is not None:
        metadata["annotations"] = {INJECT_ANNOTATION: annotation}
    document = {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChart",
        "metadata": metadata,
        "spec": spec or {},
    }
    return yaml.safe_dump(document)


def test_values_reach_a_chart_that_asks_and_what_is_there_stays() -> None:
    text = injected(chart("true", {"set": {"mine": "1"}, "chartContent": "A" * 5000}), VALUES, "f")
    spec = yaml.safe_load(text)["spec"]
    assert spec["set"] == {"mine": "1", **VALUES}
    assert spec["chartContent"] == "A" * 5000


def test_only_what_differs_is_written_and_absent_counts_as_empty() -> None:
    """As RKE2 does; a key more or less runs helm again when servers of both kinds take turns."""
    values = {"a": "", "b": "", "c": "c", "d": "1"}
    once = injected(chart("true", {"set": {"b": "another", "d": 1}}), values, "f")
    assert yaml.safe_load(once)["spec"]["set"] == {"b": "", "c": "c", "d": 1}
    assert injected(chart("true", {"set": {"d": 1}}), {"a": "", "d": "1"}, "f") == chart(
        "true", {"set": {"d": 1}}
    )
    assert injected(chart("true"), {"a": ""}, "f") == chart("true")


@pytest.mark.parametrize("kube_proxy", [True, False])
def test_a_packaged_chart_has_no_key_that_says_nothing(kube_proxy: bool, tmp_path: Path) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "rke2-cilium.yaml").write_text(chart("true"))
    components = {} if kube_proxy else {"kube-proxy": ComponentSettings(disabled=True)}
    config = server_config(paths_under(tmp_path), network={"cni": ("cilium",)}, components=components)
    stage(tmp_path / "charts", config)
    values = yaml.safe_load((config.paths.manifests / "rke2-cilium.yaml").read_text())["spec"]["set"]
    assert values.get("global.disableKubeProxy") == (None if kube_proxy else "true")
    assert "" not in values.values()
    assert "global.systemDefaultRegistry" not in values


def test_injecting_twice_changes_nothing() -> None:
    once = injected(chart("true"), VALUES, "f")
    assert injected(once, VALUES, "f") is once


@pytest.mark.parametrize(
    ("annotation", "variable", "asks"),
    [
        ("true", "", True),
        ("T", "", True),
        ("false", "true", False),
        (None, "", False),
        (None, "1", True),
        ("maybe", "true", True),
    ],
)
def test_who_asks(annotation: str | None, variable: str, asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INJECT_VARIABLE, variable)
    text = chart(annotation)
    assert (injected(text, VALUES, "f") != text) is asks


@pytest.mark.parametrize(
    "text", ["a: [", "# only a comment\n", "- 1\n", "kind: HelmChart\n", "", "a: b\n---\nc: d\n"]
)
def test_other_documents_stay_as_they_are(text: str) -> None:
    assert injected(text, VALUES, "f") == text


def test_the_other_documents_of_a_file_are_kept(tmp_path: Path) -> None:
    text = "kind: ConfigMap\napiVersion: v1\ndata: {a: b}\n---\n" + chart("true")
    documents = list(yaml.safe_load_all(injected(text, VALUES, "f")))
    assert documents[0] == {"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "b"}}
    assert documents[1]["spec"]["set"] == VALUES


@pytest.mark.parametrize(
    ("chosen", "installed", "default_class"),
    [
        (("ingress-nginx",), {"rke2-ingress-nginx"}, "ingress-nginx"),
        (("traefik", "ingress-nginx"), {"rke2-ingress-nginx", "rke2-traefik", "rke2-traefik-crd"}, "traefik"),
        ((), set(), "none"),
    ],
)
def test_only_chosen_ingress_controllers_are_installed(
    chosen: tuple[str, ...], installed: set[str], default_class: str, tmp_path: Path
) -> None:
    charts = tmp_path / "charts"
    charts.mkdir()
    for name in ("rke2-coredns", "rke2-ingress-nginx", "rke2-traefik", "rke2-traefik-crd"):
        (charts / f"{name}.yaml").write_text(chart("true"))
    config = server_config(paths_under(tmp_path), network={"ingress_controllers": chosen})
    stage(charts, config)
    staged = {path.stem: path.read_text() for path in config.paths.manifests.iterdir()}
    assert {name for name, text in staged.items() if text != DISABLED} == installed | {"rke2-coredns"}
    values = yaml.safe_load(staged["rke2-coredns"])["spec"]["set"]
    assert values["global.systemDefaultIngressClass"] == default_class


def test_a_file_of_the_operator_is_never_written_to(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    charts, mine = tmp_path / "charts", config.paths.manifests / "mine.yaml"
    charts.mkdir()
    mine.parent.mkdir(parents=True)
    text = "# mine\n" + chart("true") + "\n---\nports: 2222:22\n"
    mine.write_text(text)
    before = mine.stat()
    stage(charts, config)
    assert mine.read_text() == text
    assert mine.stat().st_mtime_ns == before.st_mtime_ns
