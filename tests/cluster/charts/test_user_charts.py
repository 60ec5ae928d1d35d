"""A user's own HelmChart in ``server/manifests``: installed, changed by a HelmChartConfig, gone with its file."""

from __future__ import annotations

from typing import Any

from tests.cluster.charts.packing import chart_archive, helm_chart, helm_chart_config
from tests.cluster.eventually import eventually
from tests.cluster.manifest_files import Manifests
from tests.cluster.namespace import Namespace


def painted(namespace: Namespace, release: str, **wanted: str) -> None:
    """Wait until the chart's ConfigMap holds `wanted`."""

    def seen() -> Any:
        found = namespace.find("configmap", release)
        return found and found["data"]

    eventually(seen, f"release {release} has {wanted}", 90, ok=lambda data: data == wanted)


def releases(namespace: Namespace, name: str) -> dict[int, str]:
    """Helm's records of a release: revision to status."""
    found = namespace.list("secrets", "--selector", f"owner=helm,name={name}")
    labels = [secret["metadata"]["labels"] for secret in found]
    return {int(label["version"]): label["status"] for label in labels}


def test_a_chart_is_installed_changed_by_a_config_and_removed_with_its_file(
    manifests: Manifests, namespace: Namespace
) -> None:
    manifests.put("paint.yaml", helm_chart("paint", namespace.name, valuesContent="size: large\n"))
    painted(namespace, "paint", colour="chart", size="large")
    assert releases(namespace, "paint") == {1: "deployed"}

    manifests.put("paint-config.yaml", helm_chart_config("paint", "colour: green\n"))
    painted(namespace, "paint", colour="green", size="large")
    eventually(
        lambda: releases(namespace, "paint"),
        "the release is upgraded",
        ok={1: "superseded", 2: "deployed"}.__eq__,
    )

    manifests.remove("paint-config.yaml")
    painted(namespace, "paint", colour="chart", size="large")

    manifests.remove("paint.yaml")
    namespace.until_gone("configmap", "paint", 90)
    eventually(lambda: releases(namespace, "paint"), "no record of the release", ok=lambda found: found == {})
    manifests.system.until_gone("helmchart", "paint")
    manifests.system.until_gone("job", "helm-install-paint")
    manifests.system.until_gone("addon", "paint")


def test_set_wins_over_all_values(manifests: Manifests, namespace: Namespace) -> None:
    manifests.put(
        "winner.yaml",
        helm_chart("winner", namespace.name, valuesContent="colour: content\n", set={"colour": "set"}),
        helm_chart_config("winner", "colour: config\nsize: config\n"),
    )
    painted(namespace, "winner", colour="set", size="config")


def test_a_broken_chart_says_why_and_the_others_go_on(manifests: Manifests, namespace: Namespace) -> None:
    broken = {
        "a-no-archive": (b"this is no chart", "a-no-archive.tgz' does not appear to be a gzipped archive"),
        "a-template": (chart_archive("{{ .Values.none.at.all }}"), "paint/templates/object.yaml:1"),
        "a-refused": (
            chart_archive("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}"),
            'ConfigMap "Not_A_Name" is invalid',
        ),
    }
    for name, (content, _) in broken.items():
        manifests.put(f"{name}.yaml", helm_chart(name, namespace.name, content))
    manifests.put("whole.yaml", helm_chart("whole", namespace.name))
    painted(namespace, "whole", colour="chart", size="chart")
    for name, (_, why) in broken.items():
        assert why in manifests.event("HelmChart", name, "HelmFailed")

    manifests.put("a-template.yaml", helm_chart("a-template", namespace.name))
    painted(namespace, "a-template", colour="chart", size="chart")


def test_a_chart_that_used_up_its_retries_is_failed(manifests: Manifests, namespace: Namespace) -> None:
    manifests.put("limited.yaml", helm_chart("limited", namespace.name, b"no chart", backOffLimit=0))
    manifests.event("HelmChart", "limited", "JobFailed")
    manifests.system.until("condition=Failed", "helmchart/limited")
    assert "does not appear to be a gzipped archive" in manifests.event("HelmChart", "limited", "HelmFailed")
