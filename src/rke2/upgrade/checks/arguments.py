"""Arguments of components, on every node, that the new version of Kubernetes refuses."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.config import gone
from rke2.config.kubernetes import Minor
from rke2.upgrade.facts import Facts, NodeFacts
from rke2.upgrade.findings import Finding, stop, warning


def check(facts: Facts) -> Iterator[Finding]:
    """What would end a program of the new release at its start, and what would mean something else."""
    minor = Minor(facts.then.version.minor)
    for node in facts.nodes:
        yield from _of_node(node, minor)


def _of_node(node: NodeFacts, minor: Minor) -> Iterator[Finding]:
    for flag, item in _pairs(node.arguments):
        program = flag.removeprefix("--").removesuffix("-arg")
        if f"--{program}-arg" != flag or program not in gone.PROGRAMS:
            continue
        for reason, remedy in gone.problems(minor, program, item):
            yield stop(f"{node.name}: {flag[2:]} {item}: {reason}", remedy)
        if meaning := gone.other_meaning(minor, program, item):
            yield warning(
                f"{node.name}: {flag[2:]} {item}: with Kubernetes 1.{minor.number} this means {meaning}",
                "write the value that is meant",
            )


def _pairs(arguments: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Flag and value; the verb comes first."""
    yield from zip(arguments[1::2], arguments[2::2], strict=False)
