"""A metric with all its samples, as it is at the moment it is asked for.

Most figures are looked at when somebody asks, in the object that has them anyway; only what happens in between, such
as durations, is counted (`rke2.metrics.counting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """One line.

    Args:
        labels: name and value, in the order in which they are written.
        suffix: of its name, such as ``_bucket``.
    """

    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """A metric.

    Args:
        help: one sentence, for whoever finds it.
    """

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...] = field(default=())


def gauge(name: str, help: str, values: Mapping[Labels, float] | float) -> Family:
    """What goes up and down: a value for each set of labels, or one without labels."""
    return Family(name, "gauge", help, _samples(values))


def counter(name: str, help: str, values: Mapping[Labels, float] | float) -> Family:
    """What only grows while the process runs; its name ends in ``_total``, but where upstream's does not."""
    return Family(name, "counter", help, _samples(values))


def _samples(values: Mapping[Labels, float] | float) -> tuple[Sample, ...]:
    if isinstance(values, Mapping):
        return tuple(Sample(value, labels) for labels, value in values.items())
    return (Sample(values),)


def labelled(**labels: str) -> Labels:
    """`labels` as a sample has them."""
    return tuple(labels.items())


def merged(families: Iterable[Family]) -> tuple[Family, ...]:
    """Families of the same name as one: a name may stand in an answer only once."""
    found: dict[str, Family] = {}
    for family in families:
        before = found.get(family.name)
        samples = (*before.samples, *family.samples) if before else family.samples
        found[family.name] = Family(family.name, family.kind, family.help, samples)
    return tuple(found.values())
