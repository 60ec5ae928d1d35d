"""Brings roles and bindings to what `granted` says, once at every start (RKE2's "cluster roles" hook).

RKE2 only ever adds rules. Here a role has the rules of this release afterwards and no others, so that a rule that an
earlier release gave goes with it. An object whose annotation ``rbac.authorization.kubernetes.io/autoupdate`` is
``false`` belongs to the administrator.

In a cluster with servers of RKE2 each of them adds its own rules again when it starts. Nobody waits for a rule that
we take away (its own start adds them first, then asks), and between starts neither side touches them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from rke2.addons.granted import (
    AUTOUPDATE,
    BINDINGS,
    CLOUD_CONTROLLER_LEASE,
    LABELS,
    RETIRED,
    ROLES,
    binding,
    cluster_role,
)
from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import Object, annotations_of, key_of, labels_of, metadata
from rke2.kube.resources import CLUSTER_ROLES, LEASES, Resource

log = logging.getLogger(__name__)

STALE = timedelta(minutes=5)
"""A lease that was not renewed for longer has no holder; the clocks of two servers may differ by less."""

_FIELDS = ("apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs")


async def ensure_roles(client: Client, egress_mode: str = "agent") -> None:
    """Create every role and binding, or bring it to what it should be, and remove those of earlier releases.

    Args:
        egress_mode: the cluster's ``egress-selector-mode``.

    Raises:
        KubeError: one was refused, or the API does not answer.
    """
    roles = (_ensure_role(client, cluster_role(name, egress_mode)) for name in ROLES)
    bindings = (_ensure_binding(client, *binding(*row)) for row in BINDINGS)
    await asyncio.gather(*roles, *bindings, _retire(client))


async def _ensure_role(client: Client, role: Object) -> None:
    live = await _create_or_get(client, CLUSTER_ROLES, role)
    if live is None:
        return
    surplus = permissions(live.get("rules") or ()) - permissions(role["rules"])
    if surplus:
        log.info("ClusterRole %s: taking away what this release does not need: %s", *_told(live, surplus))
    same = permissions(live.get("rules") or ()) == permissions(role["rules"])
    await _bring_up_to_date(client, CLUSTER_ROLES, live, {} if same else {"rules": role["rules"]})


def _told(live: Object, surplus: Iterable[tuple[str, ...]]) -> tuple[str, str]:
    return str(key_of(live)), ", ".join(sorted({" ".join(filter(None, each)) for each in surplus}))


def permissions(rules: Iterable[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    """What `rules` allow, one by one, whichever way they are grouped: group, resource, name, URL, verb."""
    return {
        single
        for rule in rules
        for single in product(*(sorted(rule.get(field) or ("",)) for field in _FIELDS))
    }


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
    return None if live is None or _is_kept(live) else live


def _is_kept(live: Object) -> bool:
    """Whether the administrator keeps the object as it is."""
    return annotations_of(live).get(AUTOUPDATE) == "false"


async def _bring_up_to_date(client: Client, resource: Resource, live: Object, patch: Object) -> None:
    if not patch and labels_of(live).items() >= LABELS.items():
        return
    meta = {"labels": LABELS, "annotations": {AUTOUPDATE: "true"}}
    namespace, name = key_of(live)
    await client.patch(resource, name, {**patch, "metadata": meta}, namespace=namespace)


# --- what earlier releases made --------------------------------------------------------------------
async def _retire(client: Client) -> None:
    """Delete the objects of `RETIRED`, unless a server of RKE2 runs the program that uses them."""
    found = [
        (resource, live)
        for resource, namespace, name in RETIRED
        if (live := await client.find(resource, name, namespace)) and _is_ours(live)
    ]
    if not found or await _cloud_controller_runs(client):
        return
    for resource, live in found:
        namespace, name = key_of(live)
        log.info("deleting %s %s of an earlier release: nothing uses it", resource.gvk.kind, key_of(live))
        # The uid: what was made again meanwhile belongs to a server of RKE2 that starts.
        await client.delete(resource, name, namespace, uid=metadata(live)["uid"])


def _is_ours(live: Object) -> bool:
    return labels_of(live).items() >= LABELS.items() and not _is_kept(live)


async def _cloud_controller_runs(client: Client) -> bool:
    """Whether a cloud controller manager of RKE2 holds its lease: an old server of it may still be there."""
    namespace, name = CLOUD_CONTROLLER_LEASE
    lease = await client.find(LEASES, name, namespace)
    spec = (lease or {}).get("spec") or {}
    return bool(spec.get("holderIdentity")) and not _is_stale(str(spec.get("renewTime") or ""))


def _is_stale(renewed: str) -> bool:
    try:
        moment = datetime.fromisoformat(renewed)
    except ValueError:
        return True
    return datetime.now(UTC) - moment > STALE
