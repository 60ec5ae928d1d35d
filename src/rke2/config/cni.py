"""The CNI plugins a cluster can have: what ``cni:`` of the configuration may say, and what follows from it.

`CNIS` is the only place that knows them. To add one: its row here, its charts in ``distribution/charts`` (named in
``charts.toml``), and an ``[[archive]]`` of the row's name in ``distribution/release.toml``. Flag, documentation,
staging, the lab and the tests of every CNI follow from the row; a contract test compares row and distribution.

Multus is no row: it gives pods further interfaces beside the one of the CNI plugin it precedes.
"""

from __future__ import annotations

from dataclasses import dataclass

MULTUS = "multus"
NONE = "none"


@dataclass(frozen=True)
class CNI:
    """One value of ``cni:``.

    Args:
        charts: names of its manifests, without extension, as they are packaged and staged.
        archive: the middle of ``rke2-images-<archive>.linux-<arch>.tar.zst``; empty if it has no images. A node does
            not choose among archives: it imports every one it finds in ``agent/images``, as RKE2 does. Whoever
            prepares a node (`rke2 lab up`, an administrator) leaves out those of other CNIs: see `foreign_archive`.
        packaged: this release has its charts and images; others are refused as not supported yet.
        needs_kube_proxy: its pods reach the API server by the address of a service, which only kube-proxy serves.
    """

    name: str
    charts: tuple[str, ...] = ()
    archive: str = ""
    packaged: bool = True
    needs_kube_proxy: bool = True


CNIS: tuple[CNI, ...] = (
    CNI("canal", ("rke2-canal",), "canal"),
    CNI("calico", ("rke2-calico", "rke2-calico-crd"), "calico"),
    CNI("cilium", ("rke2-cilium",), "cilium", needs_kube_proxy=False),
    CNI("flannel", ("rke2-flannel",), "flannel", packaged=False),
    CNI(NONE, needs_kube_proxy=False),
)
DEFAULT = CNIS[0]

PRIMARIES = tuple(cni.name for cni in CNIS if cni.packaged)
CHOICES = (*PRIMARIES, MULTUS)
LATER = tuple(cni.name for cni in CNIS if not cni.packaged)
COMBINATIONS = (*PRIMARIES, *(f"{MULTUS},{name}" for name in PRIMARIES))
"""Every value of ``cni:`` that this release can have, as it is written in one line."""
_ARCHIVES = {MULTUS: MULTUS} | {cni.name: cni.archive for cni in CNIS if cni.archive}


def find(name: str) -> CNI:
    """The row of `name`."""
    return next(cni for cni in CNIS if cni.name == name)


def unselected_charts(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """What the choice of CNI adds to `disable`: each other one's ``rke2-<name>`` and ``rke2-<name>-crd``."""
    others = [cni.name for cni in CNIS if cni.name not in (*chosen, NONE)]
    charts = [chart for name in others for chart in (f"rke2-{name}", f"rke2-{name}-crd")]
    return (*charts, *(() if MULTUS in chosen else (f"rke2-{MULTUS}",)))


def archives(chosen: str) -> tuple[str, ...]:
    """The image archives (`CNI.archive`) that a node needs for one of `COMBINATIONS`; none for other names."""
    names = [name.strip() for name in chosen.split(",")]
    return tuple(archive for name, archive in _ARCHIVES.items() if name in names)


def foreign_archive(file: str, chosen: str) -> bool:
    """Whether the image archive `file` (its name) is of a CNI that is not in `chosen`: the node does without it.

    Args:
        chosen: one of `COMBINATIONS`.
    """
    others = set(_ARCHIVES.values()) - set(archives(chosen))
    return any(file.startswith(f"rke2-images-{archive}.") for archive in others)
