"""Who is connected through tunnels: the counters of RKE2's tunnel library, and gauges of ours.

RKE2 has its counters only with ``CATTLE_PROMETHEUS_METRICS=true`` in the environment; here they are always there.
"""

from __future__ import annotations

from collections.abc import Mapping

from rke2.metrics.families import Family, counter, gauge, labelled


def of_agents(opened: Mapping[str, int], open_now: Mapping[str, int]) -> tuple[Family, ...]:
    """Sessions that end at this server, by node: ever opened, and open now."""
    return (
        counter(
            "session_server_total_add_websocket_session",
            "Sessions that nodes have opened to this server.",
            {_key(node): count for node, count in opened.items()},
        ),
        counter(
            "session_server_total_remove_websocket_session",
            "Sessions to this server that have ended.",
            {_key(node): count - open_now.get(node, 0) for node, count in opened.items()},
        ),
        gauge(
            "rke2_tunnel_sessions",
            "Sessions that are open to this server, by node; 0 for a node that has had one.",
            {labelled(node=node): open_now.get(node, 0) for node in opened},
        ),
    )


def to_servers(connected: Mapping[str, bool]) -> tuple[Family, ...]:
    """Whether this node's tunnel to each server is open."""
    help = "Whether the tunnel of this node to a server is open."
    return (
        gauge(
            "rke2_tunnel_connected",
            help,
            {labelled(server=host): up for host, up in sorted(connected.items())},
        ),
    )


def _key(node: str) -> tuple[tuple[str, str], ...]:
    return labelled(clientkey=node, peer="false")
