"""What the packages say of themselves."""

from __future__ import annotations

from distribution.packages.layout import Part

SUMMARIES: dict[Part, str] = {
    "common": "Kubernetes distribution RKE2, in Python: program and scripts",
    "server": "Kubernetes distribution RKE2, in Python: unit of a server",
    "agent": "Kubernetes distribution RKE2, in Python: unit of an agent",
}
DESCRIPTION = "One program that makes a machine a node of a Kubernetes cluster."
MAINTAINER = "RKE2 in Python <rke2@localhost>"
