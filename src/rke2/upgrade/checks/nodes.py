"""The nodes: how far their versions are apart, and whether they are ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rke2.release_version import ReleaseVersion
from rke2.upgrade.facts import Facts, NodeFacts
from rke2.upgrade.findings import Finding, stop, warning

KUBELET_SKEW = 3
"""A kubelet may be that many minor versions older than its API server, and none newer (Kubernetes' skew policy)."""


def check(facts: Facts) -> Iterator[Finding]:
    """What the version skew of Kubernetes forbids; nodes that an upgrade would find in trouble."""
    then = facts.then.version
    for node in facts.nodes:
        if node.kubelet:
            yield from _skew(node, node.kubelet, then)
    yield from _newer_agents(facts.nodes)
    yield from _mixed_servers(facts.nodes)
    if late := [node.name for node in facts.nodes if not node.ready]:
        yield warning(f"not Ready: {', '.join(late)}", "an upgrade needs them: see `rke2 status` there")


def _skew(node: NodeFacts, kubelet: ReleaseVersion, then: ReleaseVersion) -> Iterator[Finding]:
    if kubelet.minor > then.minor:
        yield stop(
            f"the kubelet of {node.name} is {kubelet}, newer than the API servers would be",
            "a kubelet must not be newer than an API server: choose a release that is not older",
        )
    elif then.minor - kubelet.minor > KUBELET_SKEW:
        yield stop(
            f"the kubelet of {node.name} is {kubelet}, more than {KUBELET_SKEW} minor versions older than {then}",
            f"upgrade {node.name} first",
        )


def _newer_agents(nodes: Iterable[NodeFacts]) -> Iterator[Finding]:
    servers = [node.kubelet for node in nodes if node.server and node.kubelet]
    oldest = min(servers, key=lambda version: version.minor, default=None)
    for node in nodes:
        if oldest and node.kubelet and not node.server and node.kubelet.minor > oldest.minor:
            yield stop(
                f"agent {node.name} runs {node.kubelet}, and a server still {oldest}",
                "upgrade the servers before any agent",
            )


def _mixed_servers(nodes: Iterable[NodeFacts]) -> Iterator[Finding]:
    versions = {str(node.kubelet): node.name for node in nodes if node.server and node.kubelet}
    if len(versions) > 1:
        told = ", ".join(f"{name} {version}" for version, name in sorted(versions.items()))
        yield warning(
            f"servers run different versions ({told}): an upgrade is under way", "finish that one first"
        )
