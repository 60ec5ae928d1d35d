"""Arguments of components that rke2 depends on: followed where the node works with them, else refused with a remedy."""

from __future__ import annotations

import pytest

from rke2.config.collisions import TABLE
from rke2.errors import ConfigError
from tests.unit.config.nodes import agent, server

REFUSED = [
    ("kube-apiserver", "bind-address=127.0.0.1"),
    ("kube-apiserver", "bind-address=192.0.2.1"),
    ("kube-apiserver", "--bind-address=example.org"),
    ("kube-apiserver", "secure-port=8443"),
    ("kube-apiserver", "secure-port"),
    ("kube-apiserver", "service-node-port-range=9000-9999"),
    ("kube-apiserver", "service-cluster-ip-range=10.99.0.0/16"),
    ("kube-apiserver", "etcd-servers=https://198.51.100.1:2379"),
    ("kube-controller-manager", "secure-port=1"),
    ("kube-controller-manager", "bind-address=192.0.2.1"),
    ("kube-controller-manager", "cluster-cidr=10.99.0.0/16"),
    ("kube-controller-manager", "service-cluster-ip-range=10.99.0.0/16"),
    ("kube-scheduler", "secure-port=1"),
    ("kube-scheduler", "bind-address=192.0.2.1"),
    ("kube-proxy", "healthz-bind-address=192.0.2.1"),
    ("kube-proxy", "healthz-bind-address=127.0.0.1:1"),
    ("kube-proxy", "healthz-bind-address=[::]:1"),
    ("kube-proxy", "healthz-port=1"),
    ("kube-proxy", "hostname-override=other"),
    ("etcd", "listen-client-urls=https://192.0.2.1:2379"),
    ("etcd", "listen-client-urls=http://127.0.0.1:2379"),
    ("etcd", "listen-client-urls=https://127.0.0.1:4001"),
    ("etcd", "listen-peer-urls=https://127.0.0.1:2380"),
    ("etcd", "listen-metrics-urls=http://192.0.2.1:2381"),
    ("etcd", "advertise-client-urls=https://198.51.100.1:2379"),
    ("etcd", "data-dir=/data/etcd"),
    ("etcd", "name=a"),
    ("etcd", "initial-advertise-peer-urls=https://198.51.100.1:2380"),
    ("etcd", "initial-cluster=a=https://198.51.100.1:2380"),
    ("etcd", "initial-cluster-state=existing"),
    ("etcd", "force-new-cluster"),
    ("etcd", "discovery=https://discovery.example.org/x"),
    ("etcd", "discovery-srv=example.org"),
    ("kubelet", "hostname-override=other"),
    ("kubelet", "node-ip=192.0.2.9"),
    ("kubelet", "port=1"),
    ("kubelet", "healthz-port=0"),
    ("kubelet", "healthz-bind-address=192.0.2.1"),
    ("kubelet", "read-only-port=9345"),
    ("kubelet", "pod-manifest-path=/etc/kubernetes/manifests"),
    ("kubelet", "kubeconfig=/root/.kube/config"),
    ("kubelet", "container-runtime-endpoint=unix:///run/containerd/containerd.sock"),
    ("kubelet", "register-node=false"),
]

FOLLOWED = [
    ("kube-apiserver", "bind-address=0.0.0.0"),
    ("kube-apiserver", "bind-address=::"),
    ("kube-apiserver", "secure-port=6443"),
    ("kube-apiserver", "service-node-port-range=20000-22767"),
    ("kube-apiserver", "service-cluster-ip-range=10.43.0.0/16"),
    ("kube-apiserver", "etcd-servers=https://127.0.0.1:2379"),
    ("kube-controller-manager", "bind-address=0.0.0.0"),
    ("kube-controller-manager", "cluster-cidr=10.42.0.0/16"),
    ("kube-scheduler", "bind-address=localhost"),
    ("kube-proxy", "healthz-bind-address=0.0.0.0:10256"),
    ("kube-proxy", "healthz-bind-address=[::]:10256"),
    ("kube-proxy", "healthz-bind-address=::1"),
    ("etcd", "listen-metrics-urls=http://0.0.0.0:2381"),
    ("etcd", "listen-metrics-urls+=http://192.0.2.1:2381"),
    ("etcd", "listen-client-urls=https://127.0.0.1:2379,https://192.0.2.1:2379"),
    ("etcd", "listen-client-urls+=https://192.0.2.9:2379"),
    ("etcd", "listen-peer-urls=https://0.0.0.0:2380"),
    ("etcd", "data-dir=/var/lib/rancher/rke2/server/db/etcd"),
    ("etcd", "quota-backend-bytes=1"),
    ("kubelet", "node-ip=192.0.2.1"),
    ("kubelet", "read-only-port=10255"),
    ("kubelet", "healthz-bind-address=0.0.0.0"),
    ("kubelet", "container-runtime-endpoint=unix:///run/k3s/containerd/containerd.sock"),
    ("kubelet", "register-node=true"),
    ("kubelet", "max-pods=200"),
]


@pytest.mark.parametrize(("component", "item"), REFUSED)
def test_what_the_node_would_not_work_with_is_refused(component: str, item: str) -> None:
    with pytest.raises(ConfigError) as refused:
        server("--node-name=node1", f"--{component}-arg={item}")
    assert refused.value.message.startswith(f"{component}-arg {item.lstrip('-')} would not work: ")
    assert refused.value.remedy


@pytest.mark.parametrize(("component", "item"), FOLLOWED)
def test_what_the_node_works_with_is_followed(component: str, item: str) -> None:
    config = server("--node-name=node1", f"--{component}-arg={item}")
    assert item in (config.kubelet_args if component == "kubelet" else config.component(component).args)


def test_every_row_is_tested() -> None:
    tested = {(component, item.lstrip("-").partition("=")[0]) for component, item in REFUSED}
    assert tested == {(component, each.argument) for component, rows in TABLE.items() for each in rows}


def test_agents_are_told_too() -> None:
    with pytest.raises(ConfigError, match="kubelet-arg hostname-override=b would not work"):
        agent("--server=https://a:9345", "--token=x", "--node-name=a", "--kubelet-arg=hostname-override=b")


def test_a_component_that_does_not_run_has_no_say() -> None:
    assert server("--disable-scheduler", "--kube-scheduler-arg=secure-port=1")
