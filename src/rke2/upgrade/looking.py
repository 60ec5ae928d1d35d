"""Everything that a plan is made of, asked of the running cluster. Nothing is changed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from rke2 import goyaml
from rke2.config.kubernetes import Minor
from rke2.config.model import APISERVER_PORT
from rke2.config.paths import Paths
from rke2.errors import EtcdError, HostError, RKE2Error
from rke2.etcd.client import EtcdClient
from rke2.etcd.messages import Member
from rke2.host.addresses import host_port
from rke2.kube.nodes import CONTROL_PLANE_ROLE, internal_address, is_server
from rke2.kube.objects import Object, annotations_of, labels_of, name_of
from rke2.lifecycle.progress import ProcessStatus
from rke2.migration.node import ExistingNode
from rke2.release_version import ReleaseVersion
from rke2.staticpods.etcd_config import CLIENT_PORT
from rke2.status import etcd
from rke2.status.api import Api
from rke2.status.asking import FAILURES, reason
from rke2.status.certificates import certificates, warnings
from rke2.status.cluster import own_name
from rke2.status.etcd import EtcdStatus
from rke2.status.snapshots import last_snapshot
from rke2.upgrade.facts import EtcdFacts, Facts, MemberFacts, NodeFacts, RequestedApi
from rke2.upgrade.release import ReleaseContent, running, tags

TIMEOUT = 10.0
"""Seconds for each answer: a kubelet looks at its disks before it tells of them."""
_KUBE_SYSTEM = "namespaces/kube-system"

T = TypeVar("T")


@dataclass
class _Questions:
    """Asks, and notes down per check what could not be had."""

    unasked: dict[str, str] = field(default_factory=dict)

    def ask(self, check: str, question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except RKE2Error as error:
            self.unasked[check] = error.message
        except (*FAILURES, ValueError, LookupError) as error:
            self.unasked[check] = reason(error)
        return otherwise


def look(paths: Paths, process: ProcessStatus, then: ReleaseContent) -> Facts:
    """Ask the API servers, etcd and the files of this server.

    Raises:
        HostError: nobody can tell which release runs here.
        KubeError: there are no credentials for the API server.
    """
    api, questions = Api(paths, process.role, timeout=TIMEOUT), _Questions()
    nodes: list[Object] = questions.ask("nodes", lambda: api.items("/api/v1/nodes"), [])
    with ThreadPoolExecutor() as pool:
        free = dict(pool.map(lambda node: (name_of(node), _free(api, name_of(node))), nodes))
    return Facts(
        now=_now(paths, api, questions),
        then=then,
        nodes=tuple(node_facts(node, free) for node in nodes),
        requested=questions.ask("apis", lambda: _requested(api, nodes), ()),
        stored=questions.ask("apis", lambda: _stored(api, then), {}),
        chart_values=questions.ask("charts", lambda: _chart_values(api), {}),
        etcd=questions.ask("etcd", lambda: _etcd(paths), None),
        ending=tuple(warnings(certificates(paths))),
        snapshot=last_snapshot(process.snapshots) if process.snapshots else None,
        time=time.time(),
        unasked=questions.unasked,
    )


def _now(paths: Paths, api: Api, questions: _Questions) -> ReleaseContent:
    version = ExistingNode("server", paths).version
    if version is None:
        raise HostError(
            f"{paths.bin} does not lead to the content of a release", "start rke2 on this node first"
        )
    pods: list[Object] = questions.ask("nodes", lambda: api.items(f"/api/v1/{_KUBE_SYSTEM}/pods"), [])
    # While an upgrade goes on nodes differ: what this one runs comes last and counts.
    here = own_name(paths)
    pods.sort(key=lambda pod: pod["spec"].get("nodeName") == here)
    images = tags(each["image"] for pod in pods for each in pod["spec"]["containers"])
    return running(paths, version, images)


# --- nodes -----------------------------------------------------------------------------------------


def node_facts(node: Object, free: Mapping[str, int | None]) -> NodeFacts:
    """What a Node says; `free` is what its kubelet says."""
    status = node.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return NodeFacts(
        name_of(node),
        ReleaseVersion.parse((status.get("nodeInfo") or {}).get("kubeletVersion", "")),
        server=is_server(node),
        ready=conditions.get("Ready") == "True",
        arguments=_arguments(annotations_of(node).get("rke2.io/node-args", "[]")),
        free=free.get(name_of(node)),
    )


def _arguments(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _free(api: Api, node: str) -> int | None:
    """Bytes left where the images of a node are."""
    try:
        stats = api.get(f"/api/v1/nodes/{quote(node)}/proxy/stats/summary")["node"]
    except (*FAILURES, ValueError, LookupError):
        return None
    images = (stats.get("runtime") or {}).get("imageFs") or stats.get("fs") or {}
    found = images.get("availableBytes")
    return int(found) if found is not None else None


# --- APIs ------------------------------------------------------------------------------------------


def _requested(api: Api, nodes: Sequence[Object]) -> tuple[RequestedApi, ...]:
    """Of every API server: each counts what it was asked for itself."""
    servers = [node for node in nodes if CONTROL_PLANE_ROLE in labels_of(node)]
    urls = [f"https://{host_port(internal_address(node), APISERVER_PORT)}/metrics" for node in servers]
    with ThreadPoolExecutor(len(urls) or 1) as pool:
        return tuple({each for text in pool.map(api.text_at, urls) for each in requested_apis(text)})


_REQUESTED = re.compile(r"^apiserver_requested_deprecated_apis\{(.*)\} [1-9]", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def requested_apis(metrics: str) -> Iterator[RequestedApi]:
    """The deprecated APIs of an API server's metrics."""
    for found in _REQUESTED.finditer(metrics):
        labels = dict(_LABEL.findall(found[1]))
        yield RequestedApi(labels["group"], labels["version"], labels["resource"], labels["removed_release"])


def _stored(api: Api, then: ReleaseContent) -> dict[str, int]:
    """Objects of API versions that go. One that is not served holds none."""
    gone = {each for change in Minor(then.version.minor).changes for each in change.api_versions}
    found: dict[str, int] = {}
    for group_version in sorted(gone):
        try:
            resources = api.get(f"/apis/{group_version}")["resources"]
        except LookupError:
            continue
        group, _, version = group_version.partition("/")
        for resource in (each["name"] for each in resources if "/" not in each["name"]):
            if count := len(api.items(f"/apis/{group_version}/{resource}")):
                found[f"{resource}.{version}.{group}"] = count
    return found


def _chart_values(api: Api) -> dict[str, dict[str, Any]]:
    items = api.items(f"/apis/helm.cattle.io/v1/{_KUBE_SYSTEM}/helmchartconfigs")
    return {name_of(item): _values(item.get("spec") or {}) for item in items}


def _values(spec: Mapping[str, Any]) -> dict[str, Any]:
    try:
        content = goyaml.load(spec.get("valuesContent") or "")
    except goyaml.Error:  # the HelmChart's own status tells of it
        content = None
    return {**(content if isinstance(content, dict) else {}), **(spec.get("values") or {})}


# --- etcd ------------------------------------------------------------------------------------------


def _etcd(paths: Paths) -> EtcdFacts | None:
    if not (paths.etcd / "name").exists():
        return None
    known = etcd.look(paths)
    if known is None:
        raise EtcdError("the etcd member of this node does not answer")
    members = asyncio.run(_members(paths, known))
    return EtcdFacts(tuple(members), known.trouble(), known.size, known.quota)


async def _members(paths: Paths, known: EtcdStatus) -> list[MemberFacts]:
    tls = paths.tls / "etcd"
    endpoints = [f"https://127.0.0.1:{CLIENT_PORT}", f"https://[::1]:{CLIENT_PORT}"]
    async with EtcdClient(endpoints, tls / "client.crt", tls / "client.key", tls / "server-ca.crt") as client:
        try:
            members = await client.members(linearizable=False, timeout=TIMEOUT)
        except EtcdError:  # no leader, or a learner: that is its trouble, which is told
            return [MemberFacts(member.node) for member in known.members]
        return list(await asyncio.gather(*(_member(client, member) for member in members)))


async def _member(client: EtcdClient, member: Member) -> MemberFacts:
    node = member.name.rpartition("-")[0] or next(iter(member.peer_urls), "")
    if not member.client_urls:
        return MemberFacts(node)
    try:
        status = await client.status(member.client_urls[0], timeout=TIMEOUT)
    except EtcdError:
        return MemberFacts(node)
    return MemberFacts(node, status.version, status.storage_version)
