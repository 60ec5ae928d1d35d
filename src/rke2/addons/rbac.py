"""Roles and bindings the control plane and the agents need, ensured at every start (RKE2's "cluster roles" hook).

Rules are only ever added to existing roles; subjects are brought to exactly the default ones. An object whose
annotation ``rbac.authorization.kubernetes.io/autoupdate`` is ``false`` belongs to the administrator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import Object, annotations_of, key_of, labels_of
from rke2.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, Resource

LABELS = {"rke2.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_API = "rbac.authorization.k8s.io"
_CCM = "rke2-cloud-controller-manager"

Rule = dict[str, list[str]]


def _rule(groups: str, resources: str, verbs: str) -> Rule:
    """Comma-separated words; the core group is written ``core``."""
    names = ["" if group == "core" else group for group in groups.split(",")]
    return {"apiGroups": names, "resources": resources.split(","), "verbs": verbs.split(",")}


ROLES: Mapping[str, tuple[Rule, ...]] = {
    "system:kube-proxy": (_rule("core", "nodes", "get,list"),),
    "system:rke2-controller": (
        _rule("core", "nodes", "get"),
        _rule("core", "namespaces", "list,watch"),
        _rule("networking.k8s.io", "networkpolicies", "list,watch"),
        _rule("core", "endpoints,pods", "list,get,watch"),
        _rule("discovery.k8s.io", "endpointslices", "list,get,watch"),
        _rule("core", "serviceaccounts/token", "create"),
        _rule("helm.cattle.io", "helmcharts,helmchartconfigs", "list,get"),
    ),
    _CCM: (
        _rule("coordination.k8s.io", "leases", "get,create,update"),
        _rule("core,events.k8s.io", "events", "create,patch,update"),
        _rule("core", "nodes", "*"),
        _rule("core", "nodes/status,services/status", "patch"),
        _rule("core", "services,pods", "get,list,watch,patch,update"),
        _rule("core", "serviceaccounts,namespaces", "create,get"),
        _rule("apps", "daemonsets", "*"),
        _rule("discovery.k8s.io", "endpointslices", "get,list,watch"),
    ),
}
"""ClusterRoles and their rules."""

BINDINGS: tuple[tuple[Resource, str, str, str, str], ...] = (
    # kind, namespace, name, role, user
    (CLUSTER_ROLE_BINDINGS, "", "kube-apiserver-kubelet-admin", "system:kubelet-api-admin", "kube-apiserver"),
    (CLUSTER_ROLE_BINDINGS, "", "system:kube-proxy", "system:kube-proxy", "system:kube-proxy"),
    (CLUSTER_ROLE_BINDINGS, "", "system:rke2-controller", "system:rke2-controller", "system:rke2-controller"),
    (CLUSTER_ROLE_BINDINGS, "", _CCM, _CCM, _CCM),
    (CLUSTER_ROLE_BINDINGS, "", f"{_CCM}-auth-delegator", "system:auth-delegator", _CCM),
    (
        ROLE_BINDINGS,
        "kube-system",
        f"{_CCM}-authentication-reader",
        "extension-apiserver-authentication-reader",
        _CCM,
    ),
)


async def ensure_roles(client: Client) -> None:
    """Create or complete every role and binding.

    Raises:
        KubeError: one was refused, or the API does not answer.
    """
    roles = (_ensure_role(client, cluster_role(name)) for name in ROLES)
    bindings = (_ensure_binding(client, *binding(*row)) for row in BINDINGS)
    await asyncio.gather(*roles, *bindings)


def cluster_role(name: str) -> Object:
    """The ClusterRole of a row of `ROLES`."""
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": _metadata(name, ""),
        "rules": [dict(rule) for rule in ROLES[name]],
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


async def _ensure_role(client: Client, role: Object) -> None:
    live = await _create_or_get(client, CLUSTER_ROLES, role)
    if live is None:
        return
    rules = live.get("rules") or []
    missing = [rule for rule in role["rules"] if not covered(rule, rules)]
    await _bring_up_to_date(client, CLUSTER_ROLES, live, {"rules": [*rules, *missing]} if missing else {})


async def _ensure_binding(client: Client, resource: Resource, wanted: Object) -> None:
    live = await _create_or_get(client, resource, wanted)
    if live is None:
        return
    if live["roleRef"] != wanted["roleRef"]:
        # A roleRef cannot be changed.
        namespace, name = key_of(live)
        await client.delete(resource, name, namespace)
        await client.create(resource, wanted)
        return
    same = live.get("subjects") == wanted["subjects"]
    await _bring_up_to_date(client, resource, live, {} if same else {"subjects": wanted["subjects"]})


async def _create_or_get(client: Client, resource: Resource, wanted: Object) -> Object | None:
    """The live object if there is one to be completed; None if it was created or is not ours to change."""
    namespace, name = key_of(wanted)
    live = await client.find(resource, name, namespace)
    if live is None:
        try:
            await client.create(resource, wanted)
        except KubeError as error:
            if error.reason != "AlreadyExists":
                raise
            live = await client.get(resource, name, namespace)
    return None if live is None or annotations_of(live).get(AUTOUPDATE) == "false" else live


async def _bring_up_to_date(client: Client, resource: Resource, live: Object, patch: Object) -> None:
    if not patch and labels_of(live).items() >= LABELS.items():
        return
    meta = {"labels": LABELS, "annotations": {AUTOUPDATE: "true"}}
    namespace, name = key_of(live)
    await client.patch(resource, name, {**patch, "metadata": meta}, namespace=namespace)


def covered(wanted: Rule, rules: Sequence[Mapping[str, Any]]) -> bool:
    """Whether `rules` together allow everything `wanted` does."""
    return all(
        any(_allows(rule, group, resource, verb) for rule in rules)
        for group in wanted["apiGroups"]
        for resource in wanted["resources"]
        for verb in wanted["verbs"]
    )


def _allows(rule: Mapping[str, Any], group: str, resource: str, verb: str) -> bool:
    return not rule.get("resourceNames") and all(
        _contains(rule.get(field) or (), word)
        for field, word in (("apiGroups", group), ("resources", resource), ("verbs", verb))
    )


def _contains(words: Iterable[str], word: str) -> bool:
    return word in words or "*" in words
