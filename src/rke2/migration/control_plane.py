"""The control plane: which certificates are issued again, and which static pods restart."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.config.no_proxy import except_cluster
from rke2.content.runtime.references import image
from rke2.errors import ComponentError, PKIError
from rke2.etcd import held
from rke2.migration.findings import MigrationFinding, Severity
from rke2.migration.node import ExistingNode
from rke2.pki.issue import NO_CERTIFICATE, Wanted
from rke2.pki.renewed import kept_of
from rke2.pki.server_pki import check_server_pki
from rke2.staticpods import (
    etcd,
    kube_apiserver,
    kube_controller_manager,
    kube_proxy,
    kube_scheduler,
    writer,
)
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.unchanged import full_name
from rke2.staticpods.volumes import mounted_files

CLOUD_CONTROLLER = "cloud-controller-manager"


def check_certificates(config: NodeConfig) -> Iterator[MigrationFinding]:
    """Whether keys and certificates can be used, and which of them the start renews."""
    try:
        found = renewed(config)
    except PKIError as error:
        yield MigrationFinding("certificates", Severity.STOP, error.message, error.remedy)
        return
    for path, reason in found.items():
        yield MigrationFinding(
            "certificates", Severity.NOTE, f"{path} is issued again at the start: {reason}"
        )


def renewed(config: NodeConfig) -> dict[Path, str]:
    """The certificates that a start issues again, and why.

    Raises:
        PKIError: a file cannot be used.
    """
    authorities, pairs = check_server_pki(config)
    reasons = {
        pair.certificate_path: pair.stale(Wanted.on_node(leaf, config), authority.bundle)
        for leaf, pair in pairs.items()
        if (authority := authorities[leaf.authority])
    }
    return {path: reason for path, reason in reasons.items() if reason and reason != NO_CERTIFICATE}


@dataclass(frozen=True)
class _Change:
    name: str
    reason: str


def check_pods(node: ExistingNode, config: NodeConfig, environ: dict[str, str]) -> Iterator[MigrationFinding]:
    """Which of the pods that RKE2 has written run on, and which do not; certificates must be usable."""
    except_cluster(environ, config.network)
    certificates = renewed(config)
    # etcd as the first start will have it: it stays the one that ran the data, if the release brings a later minor.
    config = held.configured(config)
    changes = [_change(config, pod, environ, certificates) for pod in _pods(config)]
    kept = [change.name for change in changes if change and not change.reason]
    if kept:
        yield MigrationFinding("static-pod", Severity.NOTE, f"{', '.join(kept)}: the same pod, which runs on")
    for change in changes:
        if change and change.reason:
            yield MigrationFinding("static-pod", Severity.NOTE, f"{change.name} restarts: {change.reason}")
    if writer.read(node.paths, CLOUD_CONTROLLER):
        yield MigrationFinding(
            "cloud-controller",
            Severity.CHANGE,
            f"{CLOUD_CONTROLLER} ends: none is packaged. Nodes keep their addresses; new ones get no ExternalIP",
            "set disable-cloud-controller: true on all servers of RKE2 first, if nodes of both kinds join",
        )


def _pods(config: NodeConfig) -> Iterator[StaticPod]:
    options = etcd.previous_options(config.paths)
    if options:
        yield etcd.pod(config, image(config, "etcd"), options)
    egress = config.network.egress_selector_mode != "disabled"
    yield kube_apiserver.pod(config, image(config, "kube-apiserver"), egress=egress)
    yield kube_controller_manager.pod(config, image(config, "kube-controller-manager"))
    yield kube_scheduler.pod(config, image(config, "kube-scheduler"))
    yield kube_proxy.pod(config, image(config, "kube-proxy"))


def _change(
    config: NodeConfig, pod: StaticPod, environ: dict[str, str], certificates: Collection[Path]
) -> _Change | None:
    """Why the pod of a manifest restarts, empty if it does not; None where RKE2 runs no such pod."""
    present = writer.read(config.paths, pod.name)
    if present is None:
        return None
    if config.component(pod.name).disabled:
        return _Change(pod.name, "it is switched off")
    try:
        wanted = writer.render(pod, config.paths.pod_manifest(pod.name), environ, kept_of(config.paths))
        before, after = (document["spec"]["containers"][0] for document in (present, wanted))
    except (ComponentError, KeyError, IndexError, TypeError) as error:
        return _Change(pod.name, f"its manifest cannot be compared: {error}")
    if others := [path.name for path in mounted_files(pod) if path in certificates]:
        return _Change(pod.name, f"{', '.join(others)}, which it mounts, is issued again")
    if wanted == present:
        return _Change(pod.name, "")
    if full_name(before["image"]) != full_name(after["image"]):
        return _Change(pod.name, f"its image becomes {after['image']} (now {before['image']})")
    return _Change(pod.name, "its arguments, mounts or files are others")
