"""The ingress controllers a cluster can have, and the choice among them: ``ingress-controller:`` of the configuration.

Each has a chart ``rke2-<name>``; its archive of images has its name, too (``distribution/release.toml``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rke2.config.settings import Settings

CONTROLLERS = ("ingress-nginx", "traefik")
DEFAULT = CONTROLLERS[0]
"""Where nobody chooses, and the cluster has none yet. RKE2 1.36 takes traefik."""

NONE = "none"
CHOICES = (*CONTROLLERS, NONE)


def select(settings: Settings) -> tuple[str, ...]:
    """The ingress controllers, the first of which is the default; none of them if ``none`` is chosen.

    Raises:
        ConfigError: ``none`` and others.
    """
    chosen = settings.items("ingress-controller") or (DEFAULT,)
    if NONE in chosen and len(chosen) > 1:
        raise settings.invalid("ingress-controller", ",".join(chosen), "none excludes all others", "choose")
    return tuple(dict.fromkeys(name for name in chosen if name != NONE))


def unselected_charts(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The charts of the controllers that are not among `chosen`, those with their kinds included."""
    others = (name for name in CONTROLLERS if name not in chosen)
    return tuple(chart for name in others for chart in (f"rke2-{name}", f"rke2-{name}-crd"))
