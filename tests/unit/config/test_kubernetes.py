from __future__ import annotations

import pytest

from rke2.config import kubernetes
from rke2.version import KUBERNETES_VERSION

OWN = int(KUBERNETES_VERSION.split(".")[1])


@pytest.mark.parametrize(
    ("runtime", "number"),
    [
        ("", OWN),
        ("docker.io/rke2py/rke2-runtime:v1.36.4-rke2py1", 36),
        ("reg.example:5000/rancher/rke2-runtime:v1.36.9-rke2r1", 36),
        ("docker.io/rke2py/rke2-runtime:v1.37.2-rke2py1", 37),
        ("docker.io/rke2py/rke2-runtime:v1.99.0-rke2py1", 37),
        ("reg.example:5000/rancher/rke2-runtime", OWN),
        ("reg.example/rke2-runtime:latest", OWN),
        ("reg.example/rke2-runtime:v1.30.1-rke2r1", 36),
        ("/var/lib/images/rke2-runtime.tar.zst", OWN),
    ],
)
def test_the_minor_is_that_of_the_runtime_image(runtime: str, number: int) -> None:
    assert kubernetes.of(runtime).number == number


def test_the_image_of_a_program_comes_first() -> None:
    assert kubernetes.of("reg.example/kubernetes:v1.37.0", "reg.example/runtime:v1.36.4-rke2r1").number == 37
    assert kubernetes.of("reg.example/kubernetes:mine", "reg.example/runtime:v1.37.2-rke2r1").number == 37


def test_what_went_with_a_minor_is_gone_from_it_on() -> None:
    before, since = kubernetes.of(":v1.36.4"), kubernetes.of(":v1.37.2")
    assert before.has_flag("kubelet", "containerd")
    assert not since.has_flag("kubelet", "containerd")
    assert since.has_flag("kubelet", "config-dir")
    assert before.has_controller("route")
    assert not since.has_controller("route")
