"""The ingress controllers a cluster can have: what ``ingress-controller:`` of the configuration may say.

Each has a chart ``rke2-<name>``; its archive of images has its name, too (``distribution/release.toml``).
"""

from __future__ import annotations

CONTROLLERS = ("ingress-nginx", "traefik")
DEFAULT = CONTROLLERS[0]
"""Where nobody chooses, and the cluster has none yet. RKE2 1.36 takes traefik."""

NONE = "none"
CHOICES = (*CONTROLLERS, NONE)


def unselected_charts(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The charts of the controllers that are not among `chosen`, those with their kinds included."""
    others = (name for name in CONTROLLERS if name not in chosen)
    return tuple(chart for name in others for chart in (f"rke2-{name}", f"rke2-{name}-crd"))
