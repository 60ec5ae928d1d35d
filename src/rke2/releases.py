"""The release lines that this source tree can be: generated from ``distribution/releases`` by ``make releases``."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_LINE = "v1.36"
PACKAGE_VERSION = "1.36.4.post1"
"""Of the Python package of the default line."""

VERSIONS: Mapping[str, str] = {
    "v1.36": "v1.36.4+rke2py1",
    "v1.37": "v1.37.2+rke2py1",
}
"""Line -> release."""

OFFICIAL_IMAGES: Mapping[str, Mapping[str, str]] = {
    "v1.36": {
        "etcd": "rancher/hardened-etcd:v3.6.14-k3s1-build20260819",
        "kube-apiserver": "rancher/hardened-kubernetes:v1.36.4-rke2r1-build20260821",
        "kube-controller-manager": "rancher/hardened-kubernetes:v1.36.4-rke2r1-build20260821",
        "kube-scheduler": "rancher/hardened-kubernetes:v1.36.4-rke2r1-build20260821",
        "kube-proxy": "rancher/hardened-kubernetes:v1.36.4-rke2r1-build20260821",
        "cloud-controller-manager": (
            "rancher/rke2-cloud-provider:v1.35.1-0.20260817230842-2a1e2e8cf41b-build20260820"
        ),
        "pause": "rancher/mirrored-pause:3.10.2",
        "runtime": "rancher/rke2-runtime:v1.36.4-rke2r1",
        "helm-job": "rancher/klipper-helm:v0.13.3-build20260820",
    },
}
"""Line -> component -> RKE2's image of it, without registry."""
