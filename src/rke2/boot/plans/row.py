"""A row of a plan: a phase, what it requires, how it is done, and which nodes have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from rke2.boot.node import Node
from rke2.config.model import NodeConfig
from rke2.lifecycle.phases import Phase

Step = Callable[[Node], Awaitable[None]]
When = Callable[[NodeConfig], bool]


def always(config: NodeConfig) -> bool:
    """The phase is part of every node's boot."""
    return True


def runs(component: str) -> When:
    """The phase is part of the boot of nodes on which `component` runs."""
    return lambda config: not config.component(component).disabled


def lacks(component: str) -> When:
    """The phase is part of the boot of nodes that use the `component` of another node."""
    return lambda config: config.component(component).disabled


@dataclass(frozen=True)
class Row:
    """A phase as a plan has it.

    Args:
        name: what the operator sees.
        requires: names of the phases that must be done first, where this node has them.
        waits_for: what the step waits for most of its time, in the operator's words.
        step: does it.
        when: whether a node with that configuration has the phase.
    """

    name: str
    requires: tuple[str, ...]
    waits_for: str
    step: Step
    when: When = always


def phases_of(plan: Iterable[Row], node: Node) -> list[Phase]:
    """The phases of `plan` that `node` has, each requiring only such as it has."""
    rows = [row for row in plan if row.when(node.config)]
    names = {row.name for row in rows}
    return [
        Phase(
            row.name,
            # `run_phases` refuses requirements that are not in the table.
            tuple(name for name in row.requires if name in names),
            row.waits_for,
            partial(row.step, node),
        )
        for row in rows
    ]
