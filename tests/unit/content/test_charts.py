from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rke2.content.charts import INJECT_ANNOTATION, INJECT_VARIABLE, injected

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
