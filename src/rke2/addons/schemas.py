"""The CustomResourceDefinitions this program brings, as tables: helm.cattle.io and k3s.cattle.io."""

from __future__ import annotations

from typing import Any

from rke2.kube.objects import Object
from rke2.kube.resources import (
    ADDONS,
    CRDS,
    ETCD_SNAPSHOT_FILES,
    HELM_CHART_CONFIGS,
    HELM_CHARTS,
    Resource,
)

Schema = dict[str, Any]


def _string(description: str = "", **more: Any) -> Schema:
    return _described({"type": "string", **more}, description)


def _boolean(description: str = "") -> Schema:
    return _described({"type": "boolean"}, description)


def _integer(width: str, description: str = "") -> Schema:
    return _described({"type": "integer", "format": width}, description)


def _list(items: Schema, description: str = "", **more: Any) -> Schema:
    return _described({"type": "array", "items": items, **more}, description)


def _map(values: Schema, description: str = "") -> Schema:
    return _described({"type": "object", "additionalProperties": values}, description)


def _struct(
    properties: dict[str, Schema], description: str = "", required: tuple[str, ...] = (), **more: Any
) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, **more}
    if required:
        schema["required"] = list(required)
    return _described(schema, description)


def _strings(*names: str) -> dict[str, Schema]:
    return {name: _string() for name in names}


def _reference(description: str) -> Schema:
    """A LocalObjectReference."""
    return _struct({"name": _string(default="")}, description, **_ATOMIC_MAP)


def _described(schema: Schema, description: str) -> Schema:
    return {"description": description, **schema} if description else schema


_INT_OR_STRING: Schema = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_ATOMIC: Schema = {"x-kubernetes-list-type": "atomic"}
_BY_TYPE: Schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
_ATOMIC_MAP: Schema = {"x-kubernetes-map-type": "atomic"}

_PROFILE = _struct(_strings("localhostProfile", "type"), required=("type",))
_SELINUX = _struct(_strings("level", "role", "type", "user"))
_WINDOWS = _struct(
    {**_strings("gmsaCredentialSpec", "gmsaCredentialSpecName", "runAsUserName"), "hostProcess": _boolean()}
)
_IDENTITY: dict[str, Schema] = {
    "appArmorProfile": _PROFILE,
    "runAsGroup": _integer("int64"),
    "runAsNonRoot": _boolean(),
    "runAsUser": _integer("int64"),
    "seLinuxOptions": _SELINUX,
    "seccompProfile": _PROFILE,
    "windowsOptions": _WINDOWS,
}
"""What core/v1 PodSecurityContext and SecurityContext have in common."""

_POD_SECURITY_CONTEXT = _struct(
    {
        **_IDENTITY,
        "fsGroup": _integer("int64"),
        "fsGroupChangePolicy": _string(),
        "seLinuxChangePolicy": _string(),
        "supplementalGroups": _list(_integer("int64"), **_ATOMIC),
        "supplementalGroupsPolicy": _string(),
        "sysctls": _list(_struct(_strings("name", "value"), required=("name", "value")), **_ATOMIC),
    },
    "Pod security context of the job; replaces the default",
)
_SECURITY_CONTEXT = _struct(
    {
        **_IDENTITY,
        "allowPrivilegeEscalation": _boolean(),
        "capabilities": _struct({"add": _list(_string(), **_ATOMIC), "drop": _list(_string(), **_ATOMIC)}),
        "privileged": _boolean(),
        "procMount": _string(),
        "readOnlyRootFilesystem": _boolean(),
    },
    "Security context of the job's container; replaces the default",
)

_SECRET_SPEC = _struct(
    {
        "name": _string("Name of a Secret in the namespace of this object"),
        "keys": _list(_string(), "Keys of the Secret that hold values; without any, the entry is ignored"),
        "ignoreUpdates": _boolean("The Secret may be missing, and its changes do not run the chart again"),
    }
)
_FAILURE_POLICY: Schema = _string(
    "What to do with a failed release: uninstall and install it again (reinstall), nothing (abort), "
    "or upgrade over it (retry)",
    enum=["abort", "reinstall", "retry"],
)
_OVERRIDABLE: dict[str, Schema] = {
    "values": {"description": "Structured values; win over valuesContent", **_ANYTHING},
    "valuesContent": _string("Values as YAML text"),
    "valuesSecrets": _list(_SECRET_SPEC, "Values from Secrets; win over values"),
    "failurePolicy": _FAILURE_POLICY,
    "serverSide": _string("Server-side apply (helm --server-side)", enum=["true", "false", "auto"]),
    "forceConflicts": _boolean("Take over fields other managers own (helm --force-conflicts)"),
}
"""Fields of both HelmChart and HelmChartConfig.

Upstream's failurePolicy has the default reinstall in both, so that a HelmChartConfig without one overrides what the
chart says: a wrong value would uninstall the CNI plugin. Here it has one in HelmChart only.
"""

_HELM_CHART_SPEC = _struct(
    {
        **_OVERRIDABLE,
        "failurePolicy": {**_FAILURE_POLICY, "default": "reinstall"},
        "authPassCredentials": _boolean(
            "Send the credentials of authSecret to every host (--pass-credentials)"
        ),
        "authSecret": _reference(
            "Secret of type kubernetes.io/basic-auth or kubernetes.io/tls for the repository"
        ),
        "backOffLimit": _integer("int32", "Retries of the job before the chart counts as failed"),
        "bootstrap": _boolean(
            "The chart is needed before the cluster network works: its job runs on the host's"
        ),
        "chart": _string("Name in the repository, oci:// reference, or URL of an archive"),
        "chartContent": _string("The archive itself (.tgz) in base64; overrides chart and version"),
        "createNamespace": _boolean("Create the target namespace if it is missing"),
        "dockerRegistrySecret": _reference(
            "Secret of type kubernetes.io/dockerconfigjson for an OCI registry"
        ),
        "driver": _string(
            "Where Helm keeps its release records",
            enum=["secret", "configmap"],
            default="secret",
            **{"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "driver is immutable"}]},
        ),
        "helmVersion": _string("Deprecated; only v3 is supported"),
        "insecureSkipTLSVerify": _boolean("Do not verify the certificate of the repository"),
        "jobImage": _string("Image of the job"),
        "plainHTTP": _boolean("Use http for an OCI registry"),
        "podSecurityContext": _POD_SECURITY_CONTEXT,
        "repo": _string("URL of the chart repository"),
        "repoCA": _string("Certificates (PEM) the repository is verified with"),
        "repoCAConfigMap": _reference("ConfigMap whose values are added to repoCA"),
        "securityContext": _SECURITY_CONTEXT,
        "set": _map(_INT_OR_STRING, "Single values; win over all others, also those of a HelmChartConfig"),
        "takeOwnership": _boolean("Adopt objects that belong to no release (--take-ownership)"),
        "targetNamespace": _string("Namespace of the release; the namespace of this object if empty"),
        "timeout": _string("How long Helm waits for its operations, such as 10m0s"),
        "version": _string("Version of the chart"),
    },
    "A chart and how it is to be installed",
)

_CONDITION = _struct(_strings("type", "status", "reason", "message"), required=("type", "status"))
_HELM_CHART_STATUS = _struct(
    {
        "jobName": _string("Job that works on the chart"),
        "conditions": _list(_CONDITION, **_BY_TYPE),
    }
)

_ADDON_SPEC = _struct(
    {
        "source": _string("File on the server that applied it last"),
        "checksum": _string("SHA-256 of the file's content"),
    }
)

_SNAPSHOT_SPEC = _struct(
    {
        **_strings("snapshotName", "nodeName", "location"),
        "metadata": _map(_string()),
        "s3": _struct(
            {
                **_strings("endpoint", "endpointCA", "bucket", "bucketLookup", "region", "prefix"),
                "skipSSLVerify": _boolean(),
                "insecure": _boolean(),
            }
        ),
    },
    required=("snapshotName", "nodeName", "location"),
)
_SNAPSHOT_STATUS = _struct(
    {
        "size": _INT_OR_STRING,
        "creationTime": _string(format="date-time"),
        "readyToUse": _boolean(),
        "error": _struct({"time": _string(format="date-time"), "message": _string()}),
    }
)


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    column: Schema = {"name": name, "jsonPath": path, "type": kind}
    return {**column, "priority": priority} if priority else column


def _definition(
    resource: Resource,
    spec: Schema,
    *,
    status: Schema | None = None,
    subresource: bool = False,
    columns: tuple[Schema, ...] = (),
    short: str = "",
) -> Object:
    gvk = resource.gvk
    properties: dict[str, Schema] = {
        "apiVersion": _string(),
        "kind": _string(),
        "metadata": {"type": "object"},
        "spec": spec,
    }
    if status is not None:
        properties["status"] = status
    version: Schema = {
        "name": gvk.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _struct(properties)},
    }
    if subresource:
        version["subresources"] = {"status": {}}
    if columns:
        version["additionalPrinterColumns"] = list(columns)
    names: Schema = {
        "kind": gvk.kind,
        "listKind": f"{gvk.kind}List",
        "plural": resource.plural,
        "singular": gvk.kind.lower(),
    }
    if short:
        names["shortNames"] = [short]
    return {
        "apiVersion": CRDS.gvk.api_version,
        "kind": CRDS.gvk.kind,
        "metadata": {"name": f"{resource.plural}.{gvk.group}"},
        "spec": {
            "group": gvk.group,
            "names": names,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [version],
        },
    }


HELM_CHART_CRD = _definition(
    HELM_CHARTS,
    _HELM_CHART_SPEC,
    status=_HELM_CHART_STATUS,
    subresource=True,
    short="hc",
    columns=(
        _column("Repo", ".spec.repo"),
        _column("Chart", ".spec.chart"),
        _column("Version", ".spec.version"),
        _column("TargetNamespace", ".spec.targetNamespace"),
        _column("Bootstrap", ".spec.bootstrap", "boolean"),
        _column("Failed", ".status.conditions[?(@.type=='Failed')].status"),
        _column("Job", ".status.jobName", priority=10),
    ),
)
HELM_CHART_CONFIG_CRD = _definition(
    HELM_CHART_CONFIGS,
    _struct(dict(_OVERRIDABLE), "What is changed about the HelmChart of the same name"),
    short="hcc",
)
ADDON_CRD = _definition(
    ADDONS,
    _ADDON_SPEC,
    columns=(_column("Source", ".spec.source"), _column("Checksum", ".spec.checksum")),
)
ETCD_SNAPSHOT_FILE_CRD = _definition(
    ETCD_SNAPSHOT_FILES,
    _SNAPSHOT_SPEC,
    status=_SNAPSHOT_STATUS,
    # RKE2's has none: a server of RKE2 in the same cluster writes the status with the object.
    columns=(
        _column("SnapshotName", ".spec.snapshotName"),
        _column("Node", ".spec.nodeName"),
        _column("Location", ".spec.location"),
        _column("Size", ".status.size"),
        _column("CreationTime", ".status.creationTime", "date"),
    ),
)

ALL: tuple[Object, ...] = (ADDON_CRD, ETCD_SNAPSHOT_FILE_CRD, HELM_CHART_CRD, HELM_CHART_CONFIG_CRD)
