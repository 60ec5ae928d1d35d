"""Role labels a server writes onto its own Node, once per start.

The deprecated ``node-role.kubernetes.io/master`` is not among them: RKE2 stopped writing it with 1.34.
"""

from __future__ import annotations

from rke2.config.model import NodeConfig

PREFIX = "node-role.kubernetes.io/"
_ROLE_OF_COMPONENT = {"kube-apiserver": "control-plane", "etcd": "etcd"}


def role_labels(config: NodeConfig) -> dict[str, str]:
    """Labels for the components this server runs."""
    return {
        f"{PREFIX}{role}": "true"
        for component, role in _ROLE_OF_COMPONENT.items()
        if not config.component(component).disabled
    }
