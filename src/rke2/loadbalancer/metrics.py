"""What the load balancers of a node tell: RKE2's names and labels (day2 reference §12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rke2.loadbalancer.balancer import ServerStatus, State
from rke2.metrics.counting import Histogram, exponential
from rke2.metrics.families import Family, gauge, labelled

_PREFIX = "rke2_loadbalancer"
_STATES = ", ".join(f"{state.value}={state.name}" for state in State)


def dial_durations() -> Histogram:
    """Filled by a load balancer, with its name and what came of it."""
    return Histogram(
        f"{_PREFIX}_dial_duration_seconds",
        "Time in seconds taken to dial a server, by load balancer and success or failure.",
        exponential(0.001, 2, 15),
    )


def families(servers: Mapping[str, Iterable[ServerStatus]], dials: Iterable[Histogram]) -> tuple[Family, ...]:
    """The servers of each load balancer, by its name."""
    found = [
        (labelled(name=name, server=each.address), each) for name, all in servers.items() for each in all
    ]
    return (
        gauge(
            f"{_PREFIX}_server_connections",
            "Connections that are open to a server, by load balancer.",
            {labels: each.connections for labels, each in found},
        ),
        gauge(
            f"{_PREFIX}_server_health",
            f"State of a server, by load balancer: {_STATES}.",
            {labels: each.state.value for labels, each in found},
        ),
        *(each.family() for each in dials),
    )
