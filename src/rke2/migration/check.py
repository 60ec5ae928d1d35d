"""All checks of a node, in the order in which an operator would correct what they find."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.config.model import NodeConfig
from rke2.migration import charts, configuration, control_plane, data, program
from rke2.migration.findings import MigrationFinding, Severity
from rke2.migration.node import ExistingNode


def check(node: ExistingNode, location: str) -> list[MigrationFinding]:
    """Look at everything; writes nothing and starts nothing.

    Args:
        location: of the configuration file.
    """
    return list(_check(node, location))


def _check(node: ExistingNode, location: str) -> Iterator[MigrationFinding]:
    pid = program.running(node.proc)
    environ = configuration.environment(node, pid)
    findings = list(data.check(node))
    yield from findings
    found = configuration.read(node, location, environ)
    yield from found.findings
    whole = not any(finding.severity is Severity.STOP for finding in findings)
    if node.is_server:
        if found.config and whole:
            yield from _control_plane(node, found.config, environ)
        yield from charts.check(node)
    yield from program.check(node, pid)


def _control_plane(
    node: ExistingNode, config: NodeConfig, environ: dict[str, str]
) -> Iterator[MigrationFinding]:
    certificates = list(control_plane.check_certificates(config))
    yield from certificates
    if not any(finding.severity is Severity.STOP for finding in certificates):
        yield from control_plane.check_pods(node, config, environ)
