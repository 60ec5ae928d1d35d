"""The kube-scheduler pod (layout reference §3.6). Its manifest is written once the apiserver is ready."""

from __future__ import annotations

from rke2.config.addresses import loopback
from rke2.config.model import NodeConfig
from rke2.staticpods.arguments import merge
from rke2.staticpods.pod import HTTPCheck, StaticPod

NAME = "kube-scheduler"
PORT = 10259


def pod(config: NodeConfig, image: str) -> StaticPod:
    """The pod; `image` is a full reference."""
    settings = config.component(NAME)
    return StaticPod(
        name=NAME,
        image=image,
        args=("--permit-port-sharing=true", *merge(defaults(config), settings.args)),
        settings=settings,
        ports={"metrics": PORT},
        startup=HTTPCheck(PORT),
        liveness=HTTPCheck(PORT),
        readiness=HTTPCheck(PORT, "/readyz"),
        files=() if config.component("etcd").disabled else (config.paths.etcd / "name",),
        selinux_type="rke2_service_t" if config.node.selinux else "",
    )


def defaults(config: NodeConfig) -> dict[str, str]:
    """The flags the node sets itself."""
    kubeconfig = str(config.paths.cred / "scheduler.kubeconfig")
    own = config.paths.tls / NAME / NAME
    return {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": loopback(config),
        "kubeconfig": kubeconfig,
        "profiling": "false",
        "secure-port": str(PORT),
        "tls-cert-file": f"{own}.crt",
        "tls-private-key-file": f"{own}.key",
    }
