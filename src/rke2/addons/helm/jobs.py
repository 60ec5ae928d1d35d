"""The objects a HelmChart becomes: Job, ServiceAccount, ClusterRoleBinding, values Secret and content ConfigMap.

Pure functions; ``tests/contract/helm`` holds what they give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rke2.addons.gojson import go_json
from rke2.addons.helm.arguments import arguments, environment
from rke2.addons.helm.model import Chart, ConfigSpec
from rke2.addons.helm.names import (
    CHART_LABEL,
    CONFIG_HASH,
    content_config_map_name,
    role_binding_name,
    service_account_name,
)
from rke2.addons.helm.placement import placed
from rke2.addons.helm.values import MODE, content_config_map, values_secret, values_volume
from rke2.kube.nodes import CONTROL_PLANE_ROLE, ETCD_ROLE
from rke2.kube.objects import Object, metadata, name_of

DEFAULT_BACKOFF_LIMIT = 1000
LABEL_LENGTH = 63
_OWNED = ("ConfigMap", "Secret", "Job")

POD_SECURITY: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
RESOURCES: Object = {
    "limits": {"cpu": "32", "memory": "32G"},
    "requests": {"cpu": "100m", "memory": "10M"},
}
"""Of a job's container. A namespace with a ResourceQuota takes no pod that says nothing."""
SCRATCH = {
    "klipper-helm": "/home/klipper-helm/.helm",
    "klipper-cache": "/home/klipper-helm/.cache",
    "klipper-config": "/home/klipper-helm/.config",
    "tmp": "/tmp",
}
"""Volumes in memory and where they are mounted: the root file system is read-only."""
BOOTSTRAP_TOLERATIONS: tuple[Object, ...] = (
    {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"},
    {
        "key": "node.cloudprovider.kubernetes.io/uninitialized",
        "operator": "Equal",
        "value": "true",
        "effect": "NoSchedule",
    },
    {"key": "CriticalAddonsOnly", "operator": "Exists"},
    {"key": ETCD_ROLE, "operator": "Exists", "effect": "NoExecute"},
    {"key": CONTROL_PLANE_ROLE, "operator": "Exists", "effect": "NoSchedule"},
)


@dataclass(frozen=True)
class JobSettings:
    """What all jobs of this node have in common.

    Args:
        image: of the job, unless the chart names one.
        apiserver_port: where bootstrap jobs find the API server on 127.0.0.1.
        proxy: proxy variables handed on to the jobs.
        resources: of the job's container.
        tolerations: added to those of bootstrap charts.
    """

    image: str
    apiserver_port: int = 6443
    cluster_role: str = "cluster-admin"
    proxy: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    tolerations: tuple[Mapping[str, Any], ...] = ()


class ChartPlan(NamedTuple):
    """What is to be applied for a chart.

    Args:
        job: the Job, except for the variables that depend on the release (see `launched`).
        helpers: the other objects.
        config_hash: 64 upper-case hex digits; changes when helm has to run again.
    """

    job: Object
    helpers: tuple[Object, ...]
    config_hash: str


def plan(
    chart: Chart, config: ConfigSpec, settings: JobSettings, secrets: Sequence[Object] = ()
) -> ChartPlan:
    """The objects for a chart: with args ``install…``, or ``delete`` when it is being deleted.

    Args:
        secrets: users' Secrets that take part in the hash, in the order of `values.tracked_secrets`.

    Raises:
        ChartError: no job can be made of this chart.
    """
    inputs = () if chart.deleting else (content_config_map(chart), values_secret(chart, config))
    limit = DEFAULT_BACKOFF_LIMIT if chart.spec.back_off_limit is None else chart.spec.back_off_limit
    template = _pod_template(chart, config, settings)
    config_hash = hash_of(limit, template, (*inputs, *secrets))
    template["metadata"]["annotations"] = {CONFIG_HASH: f"SHA256={config_hash}"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": chart.job_name,
            "namespace": chart.namespace,
            "labels": {CHART_LABEL: chart.name},
        },
        "spec": {"backoffLimit": limit, "suspend": True, "template": template},
    }
    helpers = (*inputs, _service_account(chart), _role_binding(chart, settings.cluster_role))
    return ChartPlan(job, helpers, config_hash)


def launched(job: Object, config_hash: str, revision: int, nodes: Sequence[Object] = ()) -> Object:
    """`job` with what is not part of its hash: where it runs, and the variables by which helm notices changes.

    Args:
        revision: of the release as it is.
        nodes: those of the control plane.
    """
    late = [
        {"name": "EXPECTED_RELEASE_REVISION", "value": str(revision)},
        {"name": "CONFIG_HASH", "value": label_hash(config_hash)},
    ]
    container = job["spec"]["template"]["spec"]["containers"][0]
    changed = {**container, "env": container["env"] + late}
    pod = placed({**job["spec"]["template"]["spec"], "containers": [changed]}, nodes)
    return {**job, "spec": {**job["spec"], "template": {**job["spec"]["template"], "spec": pod}}}


def owned(objects: Sequence[Object], chart: Object) -> tuple[Object, ...]:
    """`objects` with the HelmChart as their owner, for tools that draw who made what.

    Not the ServiceAccount, unlike upstream: the job that uninstalls needs it, and when a HelmChart is deleted with
    ``--cascade=foreground`` the garbage collector deletes what is owned while that job works. For the same reason the
    objects of that job have no owner at all. Nor has the binding, which is in no namespace.
    """
    reference = {
        "apiVersion": chart["apiVersion"],
        "kind": chart["kind"],
        "name": name_of(chart),
        "uid": metadata(chart)["uid"],
        "controller": False,
        "blockOwnerDeletion": False,
    }
    return tuple(
        {**each, "metadata": {**metadata(each), "ownerReferences": [reference]}}
        if each["kind"] in _OWNED
        else each
        for each in objects
    )


def hash_of(backoff_limit: int, template: Object, sources: Sequence[Object]) -> str:
    """SHA-256 over all that decides what helm would do, as upper-case hex.

    Upstream's hash of the same chart, to the byte: nothing that is empty is in the template, a line feed ends its JSON.
    So no chart is installed again because a server of RKE2 takes over, or one of ours.
    """
    digest = hashlib.sha256(str(backoff_limit).encode())
    digest.update(go_json(template) + b"\n")
    for source in sources:
        for key, value in sorted((source.get("data") or {}).items()):
            digest.update(key.encode() + value.encode())
    return digest.hexdigest().upper()


def label_hash(config_hash: str) -> str:
    """The hash as a label value can hold it."""
    return config_hash[:LABEL_LENGTH]


def _pod_template(chart: Chart, config: ConfigSpec, settings: JobSettings) -> Object:
    spec = chart.spec
    volumes = list(_volumes(chart, config))
    container: Object = {
        "name": "helm",
        "image": spec.job_image.strip() or settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(chart),
        "env": environment(chart, config, settings.proxy, settings.apiserver_port),
        "resources": dict(settings.resources),
        "securityContext": spec.security_context or CONTAINER_SECURITY,
        "volumeMounts": [{"name": volume["name"], "mountPath": mount} for volume, mount in volumes],
    }
    pod: Object = {
        "restartPolicy": "OnFailure",
        "serviceAccountName": service_account_name(chart.name),
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": spec.pod_security_context or POD_SECURITY,
        "containers": [container],
        "volumes": [volume for volume, _ in volumes],
    }
    pod.update(_scheduling(chart, settings))
    return {"metadata": {"labels": {CHART_LABEL: chart.name}}, "spec": pod}


def _scheduling(chart: Chart, settings: JobSettings) -> Object:
    """Bootstrap charts run on the host network of a control-plane node that need not be ready."""
    if not chart.spec.bootstrap:
        return {"tolerations": list(settings.tolerations)} if settings.tolerations else {}
    return {
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux", CONTROL_PLANE_ROLE: "true"},
        "tolerations": [*BOOTSTRAP_TOLERATIONS, *settings.tolerations],
    }


def _volumes(chart: Chart, config: ConfigSpec) -> Iterator[tuple[Object, str]]:
    """Volumes and their mount points."""
    for name, path in SCRATCH.items():
        yield {"name": name, "emptyDir": {"medium": "Memory"}}, path
    spec = chart.spec
    if spec.auth_secret:
        yield _secret_volume("auth", spec.auth_secret.name), "/auth"
    if spec.docker_registry_secret:
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        volume = _secret_volume("dockerconfig", spec.docker_registry_secret.name, items=items)
        yield volume, "/home/klipper-helm/.docker"
    if spec.repo_ca_config_map:
        yield _config_map_volume("ca-files", spec.repo_ca_config_map.name), "/ca-files"
    if not chart.deleting:
        yield values_volume(chart, config), "/config"
        yield _config_map_volume("content", content_config_map_name(chart.name)), "/chart"


def _secret_volume(name: str, secret: str, **more: Any) -> Object:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": MODE, **more}}


def _config_map_volume(name: str, config_map: str) -> Object:
    return {"name": name, "configMap": {"name": config_map, "defaultMode": MODE}}


def _service_account(chart: Chart) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": service_account_name(chart.name), "namespace": chart.namespace},
        "automountServiceAccountToken": True,
    }


def _role_binding(chart: Chart, cluster_role: str) -> Object:
    account = service_account_name(chart.name)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role_binding_name(chart.namespace, chart.name)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": chart.namespace}],
    }
