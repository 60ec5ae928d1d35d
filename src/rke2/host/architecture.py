"""The host's processor architecture in the words of the OCI image specification."""

from __future__ import annotations

import platform

from rke2.errors import HostError

_OCI_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "s390x": "s390x"}
"""Kernel machine name to OCI (Go) architecture name, for the architectures RKE2 is built for."""


def oci_architecture() -> str:
    """``amd64``, ``arm64`` or ``s390x``.

    Raises:
        HostError: another architecture.
    """
    machine = platform.machine()
    try:
        return _OCI_NAMES[machine]
    except KeyError:
        raise HostError(f"this host is {machine}; RKE2 runs on {', '.join(_OCI_NAMES)}") from None
