"""Role labels and the encryption annotation, which a server writes onto its own Node once per start.

The deprecated ``node-role.kubernetes.io/master`` is not among them: RKE2 stopped writing it with 1.34.
"""

from __future__ import annotations

from rke2.config.model import NodeConfig
from rke2.kube.nodes import ENCRYPTION_HASH
from rke2.pki.encryption import stored_state

PREFIX = "node-role.kubernetes.io/"
_ROLE_OF_COMPONENT = {"kube-apiserver": "control-plane", "etcd": "etcd"}


def role_labels(config: NodeConfig) -> dict[str, str]:
    """Labels for the components this server runs."""
    return {
        f"{PREFIX}{role}": "true"
        for component, role in _ROLE_OF_COMPONENT.items()
        if not config.component(component).disabled
    }


def role_annotations(config: NodeConfig) -> dict[str, str]:
    """What other servers have to know of this one: the stage and hash of its encryption configuration.

    RKE2 rotates keys, and says so in ``secrets-encrypt status``, only with servers that have it. A server without an
    API server has none: it encrypts nothing.
    """
    state = stored_state(config.paths.cred) if config.runs_apiserver else ""
    return {ENCRYPTION_HASH: state} if state else {}
