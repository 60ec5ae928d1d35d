"""Whether a server that joins is configured as the cluster is."""

from __future__ import annotations

from typing import Any

from rke2.config.cni import CNIS
from rke2.config.model import NodeConfig
from rke2.join.cluster_config.encode import disables, encode_critical
from rke2.join.cluster_config.keys import CRITICAL, Answer
from rke2.join.gonet import decode_network


def critical_mismatches(config: NodeConfig, answer: Answer) -> list[str]:
    """The flags in which this server and the one that gave `answer` differ; the servers must not be mixed then.

    A server that does not tell its EgressSelectorMode is of an old release and fits all.
    """
    own = encode_critical(config)
    differing = [
        CRITICAL[key] for key, value in own.items() if _comparable(answer.get(key)) != _comparable(value)
    ]
    if not answer.get("EgressSelectorMode"):
        differing = [flag for flag in differing if flag != CRITICAL["EgressSelectorMode"]]
    theirs, ours = _network_plugin(answer), _network_plugin(disables(config))
    if None not in (theirs, ours) and theirs != ours:
        differing.append("cni")
    # Each flag once: a list of networks and the first one of it are two keys of the same flag.
    return list(dict.fromkeys(differing))


def _network_plugin(answer: Answer) -> str | None:
    """The CNI plugin a server deploys, empty for none; None if it cannot be told.

    RKE2 compares no ``cni``, and servers that differ deploy two networks. Its servers, too, disable the charts of
    all plugins that were not chosen.
    """
    disables = answer.get("Disables")
    if not isinstance(disables, dict):
        return None
    left = [cni.name for cni in CNIS if cni.charts and f"rke2-{cni.name}" not in disables]
    return None if len(left) > 1 else "".join(left)


def _comparable(value: Any) -> Any:
    """`value` without differences that Go does not see: zero values, and ways to write a mask."""
    if isinstance(value, list):
        return [_comparable(item) for item in value] or None
    if isinstance(value, dict):
        try:
            return decode_network(value)
        except ValueError:
            return value
    return value or None
