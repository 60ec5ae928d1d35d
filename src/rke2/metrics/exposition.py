"""The text format of Prometheus, version 0.0.4, which kube-apiserver answers with, too."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rke2.metrics.families import Family, Labels, Sample, merged

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(families: Iterable[Family]) -> str:
    """`families` by name; one without samples is left out, as a client of Prometheus leaves it out."""
    filled = (family for family in merged(families) if family.samples)
    return "".join(_family(family) for family in sorted(filled, key=lambda family: family.name))


def _family(family: Family) -> str:
    head = f"# HELP {family.name} {_escaped(family.help)}\n# TYPE {family.name} {family.kind}\n"
    return head + "".join(_line(family.name, sample) for sample in family.samples)


def _line(name: str, sample: Sample) -> str:
    return f"{name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_quoted(value)}"' for name, value in labels)
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    value = int(value) if isinstance(value, bool) else value
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)
