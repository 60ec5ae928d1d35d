"""The manifests directory: charts of RKE2 that this release brings, those that it does not, and files of users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rke2.config import ingress
from rke2.config.cni import CNIS
from rke2.migration.findings import MigrationFinding, Severity
from rke2.migration.node import ExistingNode

PACKAGED = frozenset(
    {
        "rke2-calico",
        "rke2-calico-crd",
        "rke2-canal",
        "rke2-cilium",
        "rke2-coredns",
        "rke2-ingress-nginx",
        "rke2-metrics-server",
        "rke2-multus",
        "rke2-runtimeclasses",
        "rke2-snapshot-controller",
        "rke2-snapshot-controller-crd",
        "rke2-traefik",
        "rke2-traefik-crd",
    }
)
"""The charts of this release (distribution/charts/charts.toml)."""

OF_RKE2 = PACKAGED | {
    "harvester-cloud-provider",
    "harvester-csi-driver",
    "rancher-vsphere-cpi",
    "rancher-vsphere-csi",
    "rke2-flannel",
    "rke2-gateway-api-crd",
    "rke2-ovirt-csi-driver",
    "rke2-security-responder",
    "rke2-snapshot-validation-webhook",
}
"""Those of RKE2 v1.36 and 1.37 (charts reference §1); it deploys some only if asked to."""


def check(node: ExistingNode) -> Iterator[MigrationFinding]:
    """What becomes of each file below ``server/manifests``."""
    directory = node.paths.manifests
    present = sorted(path for path in directory.rglob("*") if path.suffix in (".yaml", ".yml", ".json"))
    own = [path for path in present if path.stem not in OF_RKE2]
    used = {path.stem for path in present if path.stem in OF_RKE2 and _says_something(path)}
    for name in sorted(used - PACKAGED):
        yield MigrationFinding(
            "chart",
            Severity.CHANGE,
            f"{name} is deployed by RKE2 and not brought by this release: it stays as it is, and is not updated",
            f"to remove it, delete {directory / name}.yaml after the change",
        )
    yield from _optional(used)
    if own:
        names = ", ".join(str(path.relative_to(directory)) for path in own)
        yield MigrationFinding(
            "manifest", Severity.NOTE, f"files of yours in {directory} stay and are applied: {names}"
        )


def _optional(used: set[str]) -> Iterator[MigrationFinding]:
    """Charts whose images are in an archive of their own."""
    controllers = [name for name in ingress.CONTROLLERS if f"rke2-{name}" in used and name != ingress.DEFAULT]
    plugins = [cni.name for cni in CNIS if cni.packaged and cni.name != "canal" and used & set(cni.charts)]
    for name in (*controllers, *plugins):
        yield MigrationFinding(
            "chart",
            Severity.CHANGE,
            f"{name} may be in use: this release has it with another version, its images in an archive of their own",
            f"put rke2-images-{name}.linux-amd64.tar.zst into agent/images of every node, if no registry has them",
        )


def _says_something(path: Path) -> bool:
    """Whether it is more than the comment with which RKE2 switches a chart off."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return True
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)
