"""Everything a server does for its cluster, together: from manifests to jobs, and through an outage."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from rke2.addons import granted, rbac
from rke2.addons.crds import ensure_crds
from rke2.addons.ingress import controller_of_cluster
from rke2.addons.schemas import ALL
from rke2.addons.start import disabled_manifests, leader_work, prepare, run_controllers
from rke2.config.model import NodeConfig
from rke2.content.runtime.charts import DEFAULT_INGRESS_CLASS
from rke2.errors import KubeError
from rke2.kube.client import Client, PatchType
from rke2.kube.objects import Object, key_of, metadata, name_of
from rke2.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CRDS,
    HELM_CHARTS,
    JOBS,
    LEASES,
    ROLE_BINDINGS,
    SECRETS,
    Resource,
)
from rke2.kube.timestamps import now_micros
from tests.configs import paths_under, server_config
from tests.control_plane import ControlPlane
from tests.integration.running import running

from .eventually import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    made = server_config(paths_under(tmp_path), server={"disable": ("rke2-metrics-server",)})
    made.paths.manifests.mkdir(parents=True)
    return made


async def lone_server(client: Client, config: NodeConfig) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_controllers(client, config))
        tasks.create_task(leader_work(client, config))


def chart_manifest(name: str) -> str:
    spec = {"chartContent": "QUJD", "bootstrap": True, "failurePolicy": "retry"}
    meta = {"name": name, "namespace": "kube-system"}
    return json.dumps(
        {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": meta, "spec": spec}
    )


async def resumed_job(client: Client, chart: str) -> Object:
    async def look() -> Object | None:
        try:
            job = await client.find(JOBS, f"helm-install-{chart}", "kube-system")
        except KubeError:
            return None
        return job if job and not job["spec"]["suspend"] else None

    return await eventually(look, f"the job of {chart} runs", 30)


async def test_from_manifests_to_jobs(client: Client, config: NodeConfig) -> None:
    for name in ("rke2-canal", "rke2-coredns", "rke2-metrics-server"):
        (config.paths.manifests / f"{name}.yaml").write_text(chart_manifest(name))
    begin = asyncio.get_running_loop().time()
    async with running(lone_server(client, config)):
        for name in ("rke2-canal", "rke2-coredns"):
            job = await resumed_job(client, name)
            env = job["spec"]["template"]["spec"]["containers"][0]["env"]
            assert {"name": "FAILURE_POLICY", "value": "retry"} in env
            assert {"name": "NO_PROXY", "value": ".svc,.cluster.local,10.42.0.0/16,10.43.0.0/16"} in env
        assert asyncio.get_running_loop().time() - begin < 5
        dns = await eventually(lambda: client.find(CONFIG_MAPS, "cluster-dns", "kube-system"), "cluster-dns")
        assert dns["data"] == {"clusterDNS": "10.43.0.10", "clusterDomain": "cluster.local"}
    assert not (config.paths.manifests / "rke2-metrics-server.yaml").exists()


async def test_an_outage_of_the_api_server_ends_nothing(
    cluster: ControlPlane, client: Client, config: NodeConfig
) -> None:
    async with running(lone_server(client, config)):
        (config.paths.manifests / "before.yaml").write_text(chart_manifest("before"))
        await resumed_job(client, "before")
        cluster.stop("kube-apiserver", signal.SIGKILL)
        (config.paths.manifests / "during.yaml").write_text(chart_manifest("during"))
        await asyncio.sleep(1)
        cluster.restart("kube-apiserver")
        await resumed_job(client, "during")


async def versions(client: Client, *kinds: Any) -> dict[str, str]:
    pages = [await client.list(kind) for kind in kinds]
    return {
        f"{item['kind']} {key_of(item)}": metadata(item)["resourceVersion"]
        for page in pages
        for item in page.items
        if item["kind"] != CRDS.gvk.kind or name_of(item) in {name_of(d) for d in ALL}
    }


async def test_preparing_again_writes_nothing(client: Client) -> None:
    before = await versions(client, CRDS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)
    await prepare(client)
    assert await versions(client, CRDS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS) == before


EARLIER: dict[str, list[Object]] = {
    "system:rke2-controller": [
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
        {
            "apiGroups": ["helm.cattle.io"],
            "resources": ["helmcharts", "helmchartconfigs"],
            "verbs": ["list", "get"],
        },
    ],
    "system:kube-proxy": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}],
}
"""Rules that an earlier release, RKE2 or somebody else added."""


async def add_rules(client: Client) -> None:
    for name, rules in EARLIER.items():
        live = await client.get(CLUSTER_ROLES, name)
        await client.patch(CLUSTER_ROLES, name, {"rules": [*live["rules"], *rules]})


async def test_a_start_takes_away_rules_that_this_release_does_not_give(client: Client) -> None:
    await add_rules(client)
    await rbac.ensure_roles(client)
    for name in EARLIER:
        role = await client.get(CLUSTER_ROLES, name)
        assert role["rules"] == granted.cluster_role(name)["rules"]


async def test_bindings_are_reset(client: Client) -> None:
    stray = {"kind": "User", "name": "stray", "apiGroup": "rbac.authorization.k8s.io"}
    await client.patch(CLUSTER_ROLE_BINDINGS, "system:kube-proxy", {"subjects": [stray]})
    await rbac.ensure_roles(client)
    binding = await client.get(CLUSTER_ROLE_BINDINGS, "system:kube-proxy")
    assert [subject["name"] for subject in binding["subjects"]] == ["system:kube-proxy"]


async def test_what_the_administrator_keeps_is_left_alone(client: Client) -> None:
    stray = {"kind": "User", "name": "stray", "apiGroup": "rbac.authorization.k8s.io"}
    kept = {"metadata": {"annotations": {granted.AUTOUPDATE: "false"}}}
    changed = {
        CLUSTER_ROLE_BINDINGS: {"subjects": [stray]},
        CLUSTER_ROLES: {"rules": EARLIER["system:kube-proxy"]},
    }
    for resource, change in changed.items():
        await client.patch(resource, "system:rke2-controller", kept | change)
    await rbac.ensure_roles(client)
    for resource, change in changed.items():
        live = await client.get(resource, "system:rke2-controller")
        assert live.items() >= change.items()
        await client.delete(resource, "system:rke2-controller")
    await rbac.ensure_roles(client)


def retired() -> list[tuple[Resource, Object]]:
    """The objects of the cloud controller manager as an earlier release made them."""
    name = granted.CLOUD_CONTROLLER
    rows = [
        (CLUSTER_ROLE_BINDINGS, "", name, name, name),
        (CLUSTER_ROLE_BINDINGS, "", f"{name}-auth-delegator", "system:auth-delegator", name),
        (
            ROLE_BINDINGS,
            "kube-system",
            f"{name}-authentication-reader",
            "extension-apiserver-authentication-reader",
            name,
        ),
    ]
    role = granted.cluster_role("system:kube-proxy")
    role["metadata"]["name"] = name
    return [(CLUSTER_ROLES, role), *(granted.binding(*row) for row in rows)]


async def left_of_retired(client: Client) -> int:
    found = [await client.find(resource, name, namespace) for resource, namespace, name in granted.RETIRED]
    return sum(each is not None for each in found)


async def test_roles_of_a_program_that_does_not_run_are_removed(client: Client) -> None:
    for resource, obj in retired():
        await client.create(resource, obj)
    await rbac.ensure_roles(client)
    assert await left_of_retired(client) == 0


async def test_roles_of_a_program_that_a_server_of_rke2_runs_stay_until_it_ends(client: Client) -> None:
    for resource, obj in retired():
        await client.create(resource, obj)
    namespace, name = granted.CLOUD_CONTROLLER_LEASE
    meta = {"name": name, "namespace": namespace}
    held = {"holderIdentity": "old-server", "renewTime": now_micros(), "leaseDurationSeconds": 15}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": held}
    await client.create(LEASES, lease)
    await rbac.ensure_roles(client)
    assert await left_of_retired(client) == len(granted.RETIRED)
    lapsed = {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}}
    await client.patch(LEASES, name, lapsed, namespace=namespace)
    await rbac.ensure_roles(client)
    assert await left_of_retired(client) == 0
    await client.delete(LEASES, name, namespace)


async def test_a_role_of_that_name_that_somebody_else_made_stays(client: Client) -> None:
    _, role = retired()[0]
    del role["metadata"]["labels"]
    await client.create(CLUSTER_ROLES, role)
    await rbac.ensure_roles(client)
    assert await client.find(CLUSTER_ROLES, granted.CLOUD_CONTROLLER)
    await client.delete(CLUSTER_ROLES, granted.CLOUD_CONTROLLER)


async def test_an_outdated_definition_is_updated(client: Client) -> None:
    name = "helmcharts.helm.cattle.io"
    field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/forceConflicts"
    await client.patch(CRDS, name, [{"op": "remove", "path": field}], PatchType.JSON)
    await ensure_crds(client)
    live = await client.get(CRDS, name)
    schema = live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["spec"]["properties"]["forceConflicts"]["type"] == "boolean"


async def test_a_definition_of_rke2s_is_left_as_it_is(client: Client) -> None:
    """Or both would write their own over the other's, at each start of a server."""
    name = "addons.k3s.cattle.io"
    theirs = [
        {
            "op": "add",
            "path": "/spec/versions/0/schema/openAPIV3Schema/description",
            "value": "words of theirs",
        },
        {"op": "add", "path": "/spec/versions/0/additionalPrinterColumns", "value": []},
    ]
    before = await client.patch(CRDS, name, theirs, PatchType.JSON)
    await ensure_crds(client)
    live = await client.get(CRDS, name)
    assert metadata(live)["generation"] == metadata(before)["generation"]
    assert live["spec"] == before["spec"]


async def test_secrets_of_releases_are_not_watched(client: Client) -> None:
    """The selector by which the helm controller leaves out the large release records."""
    for name, kind in (("plain", "Opaque"), ("record", "helm.sh/release.v1")):
        meta = {"name": f"watched-{name}", "namespace": "default"}
        await client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": meta})
    page = await client.list(
        SECRETS, "default", field_selector="type!=helm.sh/release.v1", metadata_only=True
    )
    names = {name_of(item) for item in page.items}
    assert "watched-plain" in names
    assert "watched-record" not in names


@pytest.mark.parametrize("default", ["traefik", "ingress-nginx", ""])
async def test_the_ingress_controller_that_a_cluster_has(client: Client, default: str) -> None:
    """Whichever controller the chart is of: the server that staged it wrote its default into all of them."""
    charts = {"rke2-another": "other", "rke2-ingress-nginx": default, "rke2-traefik": default}
    for name, value in charts.items():
        chart = json.loads(chart_manifest(name))
        chart["spec"]["set"] = (
            {DEFAULT_INGRESS_CLASS: value} if value else {"global.clusterDomain": "cluster.local"}
        )
        await client.create(HELM_CHARTS, chart)
    assert await controller_of_cluster(client) == default
    for name in charts:
        await client.delete(HELM_CHARTS, name, "kube-system")
    assert await controller_of_cluster(client) == ""


def test_disabled_manifests(config: NodeConfig) -> None:
    assert disabled_manifests(config) == {"rke2-metrics-server", "rke2-kube-proxy"}
