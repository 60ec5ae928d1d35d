"""The kube-controller-manager pod (layout reference §3.5). Its manifest is written once the apiserver is ready."""

from __future__ import annotations

from collections.abc import Iterable

from rke2.config import kubernetes
from rke2.config.addresses import comma, loopback
from rke2.config.model import NodeConfig
from rke2.staticpods.arguments import given_keys, merge
from rke2.staticpods.pod import CA_DIRECTORIES, HTTPCheck, StaticPod

NAME = "kube-controller-manager"
PORT = 10257


def pod(config: NodeConfig, image: str, *, cloud_controller: bool = False) -> StaticPod:
    """The pod.

    Args:
        image: full reference.
        cloud_controller: a cloud-controller-manager runs and takes over the cloud-dependent controllers.
    """
    paths, settings = config.paths, config.component(NAME)
    leading = (
        # SO_REUSEPORT: the next one can listen while the one that it replaces still ends.
        "--permit-port-sharing=true",
        f"--flex-volume-plugin-dir={paths.kubelet_dir / 'volumeplugins'}",
        "--terminated-pod-gc-threshold=1000",
    )
    return StaticPod(
        name=NAME,
        image=image,
        args=leading + merge(defaults(config, cloud_controller=cloud_controller), settings.args),
        settings=settings,
        ports={"metrics": PORT},
        startup=HTTPCheck(PORT, "/healthz"),
        liveness=HTTPCheck(PORT, "/healthz"),
        optional_dirs=CA_DIRECTORIES,
        files=() if config.component("etcd").disabled else (paths.etcd / "name",),
        selinux_type="rke2_service_t" if config.node.selinux else "",
        implied=_implied(settings.args),
    )


_IMPLIED = {
    "configure-cloud-routes": ("false",),
    "controllers": ("*,tokencleaner", "*,tokencleaner,-service,-route,-cloud-node-lifecycle"),
    "kube-api-burst": ("200",),
    "kube-api-qps": ("100",),
}
"""Flag -> its values here and in RKE2, which may be without it. Where no cloud provider is, the controllers that RKE2
switches off for its own do nothing. The client's limits are only felt while it starts."""


def _implied(items: Iterable[str]) -> frozenset[str]:
    given = given_keys(items)
    return frozenset(
        f"--{flag}={value}" for flag, values in _IMPLIED.items() if flag not in given for value in values
    )


_OF_CLOUDS = ("service", "route", "cloud-node-lifecycle")


def _left_to_the_cloud(config: NodeConfig) -> Iterable[str]:
    """Switched off for a cloud-controller-manager; one that is no longer there must not be named."""
    minor = kubernetes.of(config.component(NAME).image, config.images.runtime)
    return (f"-{name}" for name in _OF_CLOUDS if minor.has_controller(name))


def defaults(config: NodeConfig, *, cloud_controller: bool = False) -> dict[str, str]:
    """The flags the node sets itself."""
    tls = config.paths.tls
    kubeconfig = str(config.paths.cred / "controller.kubeconfig")
    own = tls / NAME / NAME
    return {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": loopback(config),
        "cluster-cidr": comma(config.network.cluster_cidrs),
        # Without the chain: the signers refuse a file with more than one certificate.
        "cluster-signing-kube-apiserver-client-cert-file": str(tls / "client-ca.nochain.crt"),
        "cluster-signing-kube-apiserver-client-key-file": str(tls / "client-ca.key"),
        "cluster-signing-kubelet-client-cert-file": str(tls / "client-ca.nochain.crt"),
        "cluster-signing-kubelet-client-key-file": str(tls / "client-ca.key"),
        "cluster-signing-kubelet-serving-cert-file": str(tls / "server-ca.nochain.crt"),
        "cluster-signing-kubelet-serving-key-file": str(tls / "server-ca.key"),
        "cluster-signing-legacy-unknown-cert-file": str(tls / "server-ca.nochain.crt"),
        "cluster-signing-legacy-unknown-key-file": str(tls / "server-ca.key"),
        "configure-cloud-routes": "false",
        "controllers": ",".join(
            ["*", "tokencleaner", *(_left_to_the_cloud(config) if cloud_controller else ())]
        ),
        # Each controller asks for an account and a token when it starts: with upstream's 20 a second all of them
        # are there after 5 s, and nothing is scheduled before.
        "kube-api-burst": "200",
        "kube-api-qps": "100",
        "kubeconfig": kubeconfig,
        "profiling": "false",
        "root-ca-file": str(tls / "server-ca.crt"),
        "secure-port": str(PORT),
        "service-account-private-key-file": str(tls / "service.current.key"),
        "service-cluster-ip-range": comma(config.network.service_cidrs),
        "tls-cert-file": f"{own}.crt",
        "tls-private-key-file": f"{own}.key",
        "use-service-account-credentials": "true",
    }
