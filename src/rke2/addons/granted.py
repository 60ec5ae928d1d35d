"""What the cluster's own users may do: roles, who reads what by them, bindings, and those of earlier releases.

Every rule names its reader. The certificate of ``system:rke2-controller`` lies on every agent and is given to every
holder of a joining token, so its role is what any of them can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rke2.kube.objects import Key, Object
from rke2.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, Resource

LABELS = {"rke2.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_API = "rbac.authorization.k8s.io"

Rule = dict[str, list[str]]


class RuleGrant(NamedTuple):
    """A rule and who needs it.

    Args:
        groups, resources, verbs: comma-separated words; the core group is written ``core``.
        reader: which program asks for what with it.
        egress_mode: of ``egress-selector-mode``, the one in which there is such a reader; empty for all.
    """

    groups: str
    resources: str
    verbs: str
    reader: str
    egress_mode: str = ""

    @property
    def rule(self) -> Rule:
        """The rule as RBAC has it."""
        names = ["" if group == "core" else group for group in self.groups.split(",")]
        return {"apiGroups": names, "resources": self.resources.split(","), "verbs": self.verbs.split(",")}


ROLES: Mapping[str, tuple[RuleGrant, ...]] = {
    "system:kube-proxy": (
        RuleGrant(
            "core", "nodes", "get,list", "kube-proxy: its own Node, for the addresses it serves node ports on"
        ),
    ),
    "system:rke2-controller": (
        RuleGrant(
            "discovery.k8s.io",
            "endpointslices",
            "list,watch",
            "an agent's load balancers and tunnels: the addresses of the Service kubernetes",
        ),
        RuleGrant(
            "core",
            "endpoints",
            "get,list,watch",
            "an agent of RKE2: the same addresses; it waits until it may list endpoints before it uses its tunnel",
        ),
        RuleGrant("core", "nodes", "get", "an agent of RKE2: the kubelet's port in its own Node"),
        RuleGrant("core", "nodes", "list", "an agent's upgrade: the versions of the servers"),
        RuleGrant("core", "pods", "list,watch", "an agent of RKE2: the addresses of its own pods", "pod"),
    ),
}
"""ClusterRoles and their rules.

RKE2 gives ``system:rke2-controller`` more, which no agent on Linux asks for: helmcharts and creation of tokens (its
agents on Windows), namespaces and networkpolicies (a controller that RKE2 switches off).
"""

BINDINGS: tuple[tuple[Resource, str, str, str, str], ...] = (
    # kind, namespace, name, role, user
    (CLUSTER_ROLE_BINDINGS, "", "kube-apiserver-kubelet-admin", "system:kubelet-api-admin", "kube-apiserver"),
    (CLUSTER_ROLE_BINDINGS, "", "system:kube-proxy", "system:kube-proxy", "system:kube-proxy"),
    (CLUSTER_ROLE_BINDINGS, "", "system:rke2-controller", "system:rke2-controller", "system:rke2-controller"),
)

CLOUD_CONTROLLER = "rke2-cloud-controller-manager"
CLOUD_CONTROLLER_LEASE = Key("kube-system", CLOUD_CONTROLLER)
"""Held by the cloud controller manager of a server of RKE2."""

RETIRED: tuple[tuple[Resource, str, str], ...] = (
    # kind, namespace, name
    (CLUSTER_ROLE_BINDINGS, "", CLOUD_CONTROLLER),
    (CLUSTER_ROLE_BINDINGS, "", f"{CLOUD_CONTROLLER}-auth-delegator"),
    (ROLE_BINDINGS, "kube-system", f"{CLOUD_CONTROLLER}-authentication-reader"),
    (CLUSTER_ROLES, "", CLOUD_CONTROLLER),
)
"""Of earlier releases and of RKE2, for a cloud controller manager that we do not run. In the order of removal."""


def cluster_role(name: str, egress_mode: str = "agent") -> Object:
    """The ClusterRole of a row of `ROLES`, for a cluster with this ``egress-selector-mode``."""
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": _metadata(name, ""),
        "rules": [grant.rule for grant in ROLES[name] if grant.egress_mode in ("", egress_mode)],
    }


def binding(resource: Resource, namespace: str, name: str, role: str, user: str) -> tuple[Resource, Object]:
    """The object of a row of `BINDINGS`."""
    role_kind = "Role" if resource.namespaced else "ClusterRole"
    return resource, {
        "apiVersion": f"{_API}/v1",
        "kind": resource.gvk.kind,
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": _API, "kind": role_kind, "name": role},
        "subjects": [{"apiGroup": _API, "kind": "User", "name": user}],
    }


def _metadata(name: str, namespace: str) -> Object:
    meta: Object = {"name": name, "labels": dict(LABELS), "annotations": {AUTOUPDATE: "true"}}
    return {**meta, "namespace": namespace} if namespace else meta
