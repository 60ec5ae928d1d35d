"""A server's boot, from an empty host to READY: `PLAN` is its table of contents."""

from __future__ import annotations

from dataclasses import replace

from rke2.boot import (
    cluster,
    content,
    control_plane,
    datastore,
    former_etcd,
    host,
    identity,
    membership,
    restored,
    runtime,
    servers,
)
from rke2.boot.node import Node
from rke2.boot.plans import restore
from rke2.boot.plans.row import Row, lacks, phases_of, runs
from rke2.boot.process import Boot, run_node
from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.etcd import held
from rke2.lifecycle.phases import Phase

# A server with a dedicated role has these instead of a component of its own.
REMOTE_ETCD, REMOTE_API = datastore.REMOTE, control_plane.REMOTE

PLAN = (
    Row("host", (), "free ports, usable certificates, kernel modules", host.prepare),
    Row("content", ("host",), "the runtime image to be unpacked", content.runtime_image),
    Row("cluster", ("host",), "the server to join", membership.join_as_server),
    # After "cluster": a server that joins takes over the cluster's authorities before it could make its own.
    Row("certificates", ("content", "cluster"), "keys and certificates", identity.certificates),
    Row("supervisor", ("certificates",), f"port {SUPERVISOR_PORT}", identity.supervisor),
    Row("servers", ("supervisor",), "tunnels to the cluster's servers", servers.follow),
    # Servers with an API server apply them.
    Row("charts", ("content",), "the packaged charts to be staged", content.charts, runs("kube-apiserver")),
    Row("containerd", ("content",), "its CRI to answer", runtime.containerd),
    Row("images", ("containerd",), "image archives to be imported", content.images),
    # Not behind "cluster": the leader of a restore waits for this, and "cluster" for the leader.
    Row(
        "former pods",
        ("containerd",),
        "the former control plane to end",
        restored.stop_control_plane,
        restored.rejoins,
    ),
    Row(
        "former member",
        ("former pods", "cluster"),
        "its data to be moved away",
        restored.leave,
        restored.rejoins,
    ),
    # With what it cannot go on without: from the kubelet's start on pods are replaced.
    Row(
        "former etcd",
        ("containerd",),
        "the image of the etcd that ran before",
        former_etcd.ensure,
        former_etcd.held,
    ),
    Row(
        "kubelet",
        ("containerd", "certificates", "former member", "former etcd"),
        "the kubelet to be spawned",
        control_plane.kubelet,
    ),
    Row("etcd", ("kubelet",), "a healthy member", datastore.etcd, runs("etcd")),
    Row(REMOTE_ETCD, ("certificates",), "a member on another server", datastore.remote, lacks("etcd")),
    Row("bootstrap data", ("etcd", REMOTE_ETCD), "the cluster's keys in etcd", datastore.bootstrap_data),
    # An API server that begins with the keys of yesterday would encrypt with one that the others have dropped.
    Row(
        "kube-apiserver",
        ("kubelet", "bootstrap data"),
        "/readyz",
        control_plane.apiserver,
        runs("kube-apiserver"),
    ),
    Row(
        REMOTE_API,
        ("kubelet", "etcd"),
        "an API server on another server",
        control_plane.remote,
        lacks("kube-apiserver"),
    ),
    Row(
        "kube-controller-manager",
        ("kube-apiserver",),
        "its image",
        control_plane.controller_manager,
        runs("kube-controller-manager"),
    ),
    Row("kube-scheduler", ("kube-apiserver",), "its image", control_plane.scheduler, runs("kube-scheduler")),
    Row("kube-proxy", ("kube-apiserver", REMOTE_API), "its image", control_plane.proxy, runs("kube-proxy")),
    Row("controllers", ("kube-apiserver", REMOTE_API, "charts"), "RBAC and CRDs", cluster.controllers),
    Row("node", ("kube-apiserver", REMOTE_API), "the node to register", cluster.own_node),
)
"""Every phase of a server's boot: name, what must be done first, what takes its time, how and where it is done."""


def phases(boot: Boot) -> list[Phase]:
    """The phases of this server's boot; of a restore, if it is in the middle of leading one."""
    # Read from the files at each start: a process that was killed during a restore goes on with its part.
    boot = replace(boot, config=held.configured(restored.configured(boot.config)))
    if boot.config.server and boot.config.server.held_etcd:
        boot.progress.etcd_held(boot.config.server.held_etcd.version)
    if boot.config.server and boot.config.server.reset:
        return restore.phases(boot)
    return phases_of(PLAN, Node.assemble(boot))


def run_server(config: NodeConfig) -> int:
    """Run a server until it is told to stop; see `run_node`."""
    return run_node("server", config, phases)
