"""docs/monitoring.md and its rules go by figures that exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/monitoring.md").read_text()
RULES = yaml.safe_load((ROOT / "docs/rke2.rules.yaml").read_text())["groups"][0]["rules"]
FIGURES = {line.split()[0]: line for line in (ROOT / "tests/unit/boot/figures.txt").read_text().splitlines()}
"""As a server and an agent have told them (tests/unit/boot/test_figures.py)."""
SUFFIX = re.compile(r"_(bucket|count|sum)$")


def test_rules_ask_for_figures_and_labels_that_there_are() -> None:
    for rule in RULES:
        for name, labels in re.findall(r"\b(rke2_\w+)(?:\{([^}]*)\})?", rule["expr"]):
            line = FIGURES[SUFFIX.sub("", name)]
            known = line.partition(" ")[2].split(",")
            assert set(re.findall(r"(\w+)[=!]~?", labels)) <= set(known), rule["alert"]


def test_texts_of_rules_name_labels_that_the_figure_has() -> None:
    for rule in RULES:
        name = re.findall(r"\brke2_\w+", rule["expr"])[0]
        known = {"instance", *FIGURES[SUFFIX.sub("", name)].partition(" ")[2].split(",")}
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert used <= known, rule["alert"]


def test_the_page_has_a_row_for_each_rule_and_no_other() -> None:
    assert re.findall(r"^\| `(RKE2\w+)`", PAGE, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_the_page_names_every_figure() -> None:
    shortened = (
        "process_",
        "rke2_etcd_snapshot_save",
        "rke2_etcd_snapshot_reconcile",
        "session_server_total_remove",
        "rke2_etcd_snapshot_newest_size_bytes",
    )
    assert [name for name in FIGURES if f"`{name}`" not in PAGE and not name.startswith(shortened)] == []
