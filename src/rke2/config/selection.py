"""What the settings choose among the CNI plugins and the ingress controllers."""

from __future__ import annotations

from rke2.config import cni, ingress
from rke2.config.settings import Settings
from rke2.errors import ConfigError


def cni_plugins(settings: Settings) -> tuple[str, ...]:
    """The CNI plugins of ``cni:``: one, or multus and one; canal by default.

    Raises:
        ConfigError: another combination, or one that cannot work with the other settings.
    """
    chosen = settings.items("cni") or (cni.DEFAULT.name,)
    if chosen == (cni.MULTUS,):
        remedy = f"write multus,{cni.DEFAULT.name}"
        raise settings.invalid("cni", cni.MULTUS, "multus needs a primary CNI plugin", remedy)
    if len(chosen) > 2 or (len(chosen) == 2 and (chosen[0] != cni.MULTUS or chosen[1] == cni.MULTUS)):
        raise settings.invalid(
            "cni", ",".join(chosen), "only multus may precede one CNI plugin", "choose one"
        )
    _check_kube_proxy(cni.find(chosen[-1]), settings)
    return chosen


def _check_kube_proxy(chosen: cni.CNI, settings: Settings) -> None:
    if chosen.needs_kube_proxy and settings.has("disable-kube-proxy") and settings.on("disable-kube-proxy"):
        able = " or ".join(other.name for other in cni.CNIS if other.packaged and not other.needs_kube_proxy)
        raise ConfigError(
            f"disable-kube-proxy leaves nobody to serve the addresses of services, which cni {chosen.name} needs",
            f"remove disable-kube-proxy, or set cni to {able}",
        )


def ingress_controllers(settings: Settings) -> tuple[str, ...]:
    """The ingress controllers, the first of which is the default; none of them if ``none`` is chosen.

    Raises:
        ConfigError: ``none`` and others.
    """
    chosen = settings.items("ingress-controller") or (ingress.DEFAULT,)
    if ingress.NONE in chosen and len(chosen) > 1:
        raise settings.invalid("ingress-controller", ",".join(chosen), "none excludes all others", "choose")
    return tuple(dict.fromkeys(name for name in chosen if name != ingress.NONE))
