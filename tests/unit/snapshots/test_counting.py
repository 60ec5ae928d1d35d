"""Which resource a key of kube-apiserver belongs to."""

from __future__ import annotations

import pytest

from rke2.snapshots.counting import prefix_of


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        (b"/registry/pods/default/a", b"/registry/pods/"),
        (b"/registry/namespaces/default", b"/registry/namespaces/"),
        (b"/registry/services/specs/default/kubernetes", b"/registry/services/specs/"),
        (b"/registry/services/endpoints/default/kubernetes", b"/registry/services/endpoints/"),
        (b"/registry/helm.cattle.io/helmcharts/kube-system/x", b"/registry/helm.cattle.io/helmcharts/"),
        (
            b"/registry/apiregistration.k8s.io/apiservices/v1.",
            b"/registry/apiregistration.k8s.io/apiservices/",
        ),
        (b"/registry/health", b"/registry/health"),
    ],
)
def test_a_key_belongs_to_a_resource(key: bytes, prefix: bytes) -> None:
    assert prefix_of(key) == prefix
