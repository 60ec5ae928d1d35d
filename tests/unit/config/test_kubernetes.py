from __future__ import annotations

import pytest

from rke2.config import kubernetes
from rke2.config.model import ImageSettings
from rke2.version import KUBERNETES_VERSION

OWN = int(KUBERNETES_VERSION.split(".")[1])


@pytest.mark.parametrize(
    ("runtime", "number"),
    [
        ("", OWN),
        ("docker.io/rke2py/rke2-runtime:v1.36.4-rke2py1", 36),
        ("reg.example:5000/rancher/rke2-runtime:v1.36.9-rke2r1", 36),
        ("reg.example:5000/rancher/rke2-runtime", OWN),
        ("reg.example/rke2-runtime:latest", OWN),
        ("reg.example/rke2-runtime:v1.30.1-rke2r1", 36),
        ("/var/lib/images/rke2-runtime.tar.zst", OWN),
    ],
)
def test_the_minor_is_that_of_the_runtime_image(runtime: str, number: int) -> None:
    assert kubernetes.of(ImageSettings(runtime=runtime)).number == number
