"""The two policy files kube-apiserver is started with: pod security and audit (layout reference §6)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config.model import NodeConfig
from rke2.config.profiles import profile_of
from rke2.host.files import ensure_dir, write_atomic

log = logging.getLogger(__name__)

CIS_EXEMPT_NAMESPACES = ("kube-system", "compliance-operator-system", "tigera-operator")

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "metadata": {},
    # Not an empty list: kube-apiserver ends over a policy without rules.
    "rules": [{"level": "None"}],
}
"""Records nothing until the administrator edits the file."""


def psa_file(config: NodeConfig) -> Path:
    """The admission configuration in use: the operator's own file or the generated one."""
    own = config.server.psa_config_file if config.server else None
    return own or config.paths.pss


def audit_policy_file(config: NodeConfig) -> Path | None:
    """The audit policy in use; None if nothing is audited."""
    if config.server and config.server.audit_policy_file:
        return config.server.audit_policy_file
    return config.paths.config_dir / "audit-policy.yaml" if profile_of(config.profile).audit else None


def pod_security(profile: str) -> dict[str, Any]:
    """The AdmissionConfiguration for a profile: it restricts pods, or allows all."""
    restricted = profile_of(profile).restricted_pods
    modes = (
        {"enforce": "restricted", "audit": "restricted", "warn": "restricted"}
        if restricted
        else {"enforce": "privileged"}
    )
    versions = {f"{mode}-version": "latest" for mode in modes}
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {
                "name": "PodSecurity",
                "configuration": {
                    "apiVersion": "pod-security.admission.config.k8s.io/v1beta1",
                    "kind": "PodSecurityConfiguration",
                    "defaults": dict(sorted((modes | versions).items())),
                    "exemptions": {
                        "usernames": [],
                        "runtimeClasses": [],
                        "namespaces": list(CIS_EXEMPT_NAMESPACES) if restricted else [],
                    },
                },
            }
        ],
    }


def write_policies(config: NodeConfig) -> None:
    """Write both files: pod security at every start unless the operator has an own one, audit only if missing.

    Raises:
        OSError: a directory is not writable.
    """
    if psa_file(config) == config.paths.pss:
        ensure_dir(config.paths.config_dir)
        write_atomic(config.paths.pss, goyaml.dump(pod_security(config.profile)))
    audit = audit_policy_file(config)
    if audit and not audit.exists():
        ensure_dir(audit.parent, 0o700)
        write_atomic(audit, goyaml.dump(AUDIT_POLICY))
        log.info("created audit policy %s, which records nothing until it is edited", audit)
