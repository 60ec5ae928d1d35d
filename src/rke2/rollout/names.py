"""Names of the API that Plans live in: upstream's, and two annotations of ours."""

from __future__ import annotations

NAMESPACE = "system-upgrade"
"""Where Plans are looked for; upstream's controller looks in its own namespace, too, which is this one."""
CONTROLLER = "system-upgrade-controller"
"""Who speaks in events, and the name of upstream's Deployment."""
IMAGE = "rke2-upgrade"
"""Last element of the repository of ``spec.upgrade.image`` in Plans that can be carried out here."""

REQUEST = "rke2.io/upgrade"
"""Annotation of a Node: what the leading server asks of it."""
ANSWER = "rke2.io/upgrade-status"
"""Annotation of a Node: how far it is."""
SNAPSHOT = "rke2.io/upgrade-snapshot"
"""Annotation of a Plan: hash and name of the snapshot that was taken before its first server."""

DIGEST = "upgrade.cattle.io/digest"
"""Annotation of a Plan: fields that are part of its hash, with commas between them."""
HOSTNAME = "kubernetes.io/hostname"
DISABLED = "disabled"
"""Value of `plan_label` by which a node is left out."""


def plan_label(plan: str) -> str:
    """The label of Nodes that names the hash with which `plan` was applied to them."""
    return f"plan.upgrade.cattle.io/{plan}"
