"""Arguments that a minor version no longer takes end the start with what to do instead."""

from __future__ import annotations

import logging

import pytest

from rke2.errors import ConfigError
from tests.unit.config.nodes import agent, server

OLD, NEW = (
    f"--runtime-image=docker.io/rke2py/rke2-runtime:{tag}" for tag in ("v1.36.4-rke2py1", "v1.37.2-rke2py1")
)

GONE = [
    (
        "kubelet-arg=containerd=/run/c.sock",
        "kubelet of Kubernetes 1.37 has no flag --containerd",
        "configuration",
    ),
    ("kubelet-arg=--boot-id-file=/x", "no flag --boot-id-file", "no settings of cAdvisor"),
    ("kubelet-arg=storage-driver-db+=x", "no flag --storage-driver-db", "remove it"),
    ("kube-controller-manager-arg=concurrent-service-syncs=2", "no flag", "cloud-controller-managers"),
    ("kube-controller-manager-arg=controllers=*,-route", "no controller route", "cloud-controller-manager"),
    (
        "kube-controller-manager-arg=controllers=service-lb-controller",
        "no controller service-lb",
        "remove it",
    ),
    (
        "kube-scheduler-arg=feature-gates=A=true,SidecarContainers=true",
        "no feature gate SidecarC",
        "remove Side",
    ),
    ("kube-proxy-arg=feature-gates=kube:BtreeWatchCache=false", "no feature gate BtreeWatchCache", "remove"),
    (
        "kubelet-arg=feature-gates+=JobSuccessPolicy=true",
        "kubelet of Kubernetes 1.37 has no feature",
        "remove",
    ),
    ("kube-apiserver-arg=disable-admission-plugins=JobValidation", "no admission plugin JobVal", "remove"),
]


@pytest.mark.parametrize(("argument", "reason", "remedy"), GONE)
def test_an_argument_that_is_gone_is_refused_with_a_remedy(argument: str, reason: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        server(NEW, f"--{argument}")
    flag, _, item = argument.partition("=")
    assert flag in str(caught.value)
    assert item in str(caught.value)
    assert reason in str(caught.value)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("argument", [argument for argument, *_ in GONE])
def test_the_minor_before_takes_it(argument: str) -> None:
    server(OLD, f"--{argument}")


def test_agents_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="no flag --containerd"):
        agent(NEW, "--kubelet-arg=containerd=/x")


@pytest.mark.parametrize(
    "argument",
    [
        "kube-apiserver-arg=controllers=route",
        "kube-scheduler-arg=containerd=x",
        "kubelet-arg=feature-gates=MySidecarContainers=true",
        "kube-controller-manager-arg=controllers=*,-ttl",
        "kube-apiserver-arg=enable-admission-plugins=NodeRestriction",
        "etcd-arg=containerd=1",
    ],
)
def test_what_only_looks_like_it_is_taken(argument: str) -> None:
    server(NEW, f"--{argument}")


def test_the_image_of_a_static_pod_decides_for_it() -> None:
    item = "--kube-scheduler-arg=feature-gates=SidecarContainers=true"
    server(NEW, "--kube-scheduler-image=reg.example/kubernetes:v1.36.4", item)
    with pytest.raises(ConfigError, match=r"kube-scheduler of Kubernetes 1\.37"):
        server(OLD, "--kube-scheduler-image=reg.example/kubernetes:v1.37.2", item)


def test_another_meaning_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        server(OLD, "--kubelet-arg=event-qps=0")
        assert "event-qps" not in caplog.text
        server(NEW, "--kubelet-arg=event-qps=0")
    assert "kubelet-arg event-qps=0: with Kubernetes 1.37 this means no limit" in caplog.text
