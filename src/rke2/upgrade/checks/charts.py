"""Packaged charts that end, and values of HelmChartConfigs that the new chart does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rke2.upgrade.facts import Facts
from rke2.upgrade.findings import Finding, warning


def check(facts: Facts) -> Iterator[Finding]:
    """Charts that are applied here and not in the new release; values that were known and are not any more."""
    if facts.now.charts is None or facts.then.charts is None:
        return
    for name, chart in facts.now.charts.items():
        new = facts.then.charts.get(name)
        if new is None:
            yield warning(f"chart {name} is not in {facts.then.version}", "choose what takes its place first")
            continue
        for path in _gone(facts.chart_values.get(name, {}), chart.values, new.values):
            yield warning(
                f"HelmChartConfig {name} sets {path}, which chart version {new.version} does not have any more",
                "look up in the new chart's values.yaml what takes its place",
            )


def _gone(
    given: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any], above: str = ""
) -> Iterator[str]:
    """Paths of values that are given, were in the old chart's values and are not in the new one's.

    Values that neither has by default are the templates' own business: nothing can be said of them.
    """
    for key, value in given.items():
        if key not in old:
            continue
        if key not in new:
            yield above + key
        elif all(isinstance(each, Mapping) and each for each in (value, old[key], new[key])):
            yield from _gone(value, old[key], new[key], f"{above}{key}.")
