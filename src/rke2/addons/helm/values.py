"""Where a chart's values come from: the managed Secret, users' Secrets, and the volume that shows both to helm.

The files in the volume are named so that their lexical order, in which the job passes them to helm, is their
precedence: HelmChart before HelmChartConfig, and in each valuesContent, values, valuesSecrets.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from rke2 import goyaml
from rke2.addons.helm.model import Chart, ConfigSpec, Overridable, SecretValues
from rke2.addons.helm.names import content_config_map_name, values_secret_name
from rke2.kube.objects import Object

MODE = 0o644
SECRET_TYPE = "helmcharts.helm.cattle.io/values"
_RANKS = (("HelmChart", 0), ("HelmChartConfig", 1))


def values_secret(chart: Chart, config: ConfigSpec) -> Object:
    """The Secret with all inline values; keys are there only when they have content."""
    data = {
        "HelmChartValuesContent": chart.spec.values_content,
        "HelmChartValues": _as_yaml(chart.spec.values),
        "RepoCA": chart.spec.repo_ca,
        "HelmChartConfigValuesContent": config.values_content,
        "HelmChartConfigValues": _as_yaml(config.values),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": values_secret_name(chart.name), "namespace": chart.namespace},
        "type": SECRET_TYPE,
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items() if text},
    }


def content_config_map(chart: Chart) -> Object:
    """The ConfigMap with the inline chart archive; there even without one."""
    content = chart.spec.chart_content
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": content_config_map_name(chart.name), "namespace": chart.namespace},
        "data": {f"{chart.name}.tgz.base64": content} if content else {},
    }


def values_volume(chart: Chart, config: ConfigSpec) -> Object:
    """The projected volume of values files and the repository CA."""
    managed = values_secret(chart, config)["data"]
    own: list[Object] = []
    sources: list[Object] = []
    for (origin, rank), spec in zip(_RANKS, (chart.spec, config), strict=True):
        paths = {
            f"{origin}ValuesContent": f"values-{rank}-000-{origin}-ValuesContent.yaml",
            f"{origin}Values": f"values-{rank}-001-{origin}-Values.yaml",
        }
        if rank == 0:
            paths["RepoCA"] = "ca-file.pem"
        items = [{"key": key, "path": path} for key, path in paths.items() if key in managed]
        own += items
        sources += _secret_sources(chart, spec, origin, rank)
    # The managed Secret is there even when it is empty, as upstream has it.
    first = {"name": values_secret_name(chart.name), **({"items": own} if own else {})}
    return {"name": "values", "projected": {"defaultMode": MODE, "sources": [{"secret": first}, *sources]}}


def _secret_sources(chart: Chart, spec: Overridable, origin: str, rank: int) -> Iterator[Object]:
    number = 2
    for entry in user_secrets(chart, spec):
        items = [
            {"key": key, "path": f"values-{rank}-{number + index:03d}-{origin}-ValuesSecret.yaml"}
            for index, key in enumerate(entry.keys)
        ]
        number += len(items)
        yield {"secret": {"name": entry.name, "items": items, "optional": entry.ignore_updates}}


def user_secrets(chart: Chart, spec: Overridable) -> list[SecretValues]:
    """Entries of valuesSecrets that count: with keys, and not the managed Secret itself."""
    return [s for s in spec.values_secrets if s.keys and s.name != values_secret_name(chart.name)]


def tracked_secrets(chart: Chart, config: ConfigSpec) -> list[str]:
    """Names of Secrets whose change runs the chart again."""
    entries = [*user_secrets(chart, chart.spec), *user_secrets(chart, config)]
    return [entry.name for entry in entries if not entry.ignore_updates]


def _as_yaml(values: Any) -> str:
    """Strings stay strings and numbers numbers when Helm reads them."""
    style = {"default_flow_style": False, "width": 2**20, "allow_unicode": True, "sort_keys": True}
    return "" if values is None else goyaml.dump(values, **style)
