"""Versions of releases as Plans and Nodes name them."""

from __future__ import annotations

from rke2.release_version import ReleaseVersion, Succession


def munged(version: str) -> str:
    """`version` as ``status.latestVersion`` has it: a tag may not contain ``+``."""
    return version.replace("+", "-")


def hindrance(node: ReleaseVersion, target: ReleaseVersion) -> str:
    """Why a node that runs `node` must not go to `target`; empty if it may.

    Stricter than upstream, which runs whatever a Plan names.
    """
    match Succession.of(node, target):
        case Succession.DOWNGRADE:
            return f"{target} is older than {node}: a downgrade, which Kubernetes and etcd do not support"
        case Succession.SKIPPED_MINOR:
            following = f"v{node.major}.{node.minor + 1}"
            return f"from {node} to {target} a minor version is skipped: upgrade to {following} first"
        case Succession.SUPPORTED:
            return ""
