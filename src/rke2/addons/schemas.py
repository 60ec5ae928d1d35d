"""The CustomResourceDefinitions this program brings, as tables: helm.cattle.io, k3s.cattle.io, upgrade.cattle.io."""

from __future__ import annotations

from rke2.addons.openapi import (
    ANYTHING,
    ATOMIC,
    BY_TYPE,
    INT_OR_STRING,
    Schema,
    array,
    boolean,
    column,
    definition,
    integer,
    mapping,
    reference,
    string,
    strings,
    struct,
)
from rke2.addons.plan_schema import PLAN_CRD
from rke2.kube.objects import Object
from rke2.kube.resources import ADDONS, ETCD_SNAPSHOT_FILES, HELM_CHART_CONFIGS, HELM_CHARTS

_PROFILE = struct(strings("localhostProfile", "type"), required=("type",))
_SELINUX = struct(strings("level", "role", "type", "user"))
_WINDOWS = struct(
    {**strings("gmsaCredentialSpec", "gmsaCredentialSpecName", "runAsUserName"), "hostProcess": boolean()}
)
_IDENTITY: dict[str, Schema] = {
    "appArmorProfile": _PROFILE,
    "runAsGroup": integer("int64"),
    "runAsNonRoot": boolean(),
    "runAsUser": integer("int64"),
    "seLinuxOptions": _SELINUX,
    "seccompProfile": _PROFILE,
    "windowsOptions": _WINDOWS,
}
"""What core/v1 PodSecurityContext and SecurityContext have in common."""

_POD_SECURITY_CONTEXT = struct(
    {
        **_IDENTITY,
        "fsGroup": integer("int64"),
        "fsGroupChangePolicy": string(),
        "seLinuxChangePolicy": string(),
        "supplementalGroups": array(integer("int64"), **ATOMIC),
        "supplementalGroupsPolicy": string(),
        "sysctls": array(struct(strings("name", "value"), required=("name", "value")), **ATOMIC),
    },
    "Pod security context of the job; replaces the default",
)
_SECURITY_CONTEXT = struct(
    {
        **_IDENTITY,
        "allowPrivilegeEscalation": boolean(),
        "capabilities": struct({"add": array(string(), **ATOMIC), "drop": array(string(), **ATOMIC)}),
        "privileged": boolean(),
        "procMount": string(),
        "readOnlyRootFilesystem": boolean(),
    },
    "Security context of the job's container; replaces the default",
)

_SECRET_SPEC = struct(
    {
        "name": string("Name of a Secret in the namespace of this object"),
        "keys": array(string(), "Keys of the Secret that hold values; without any, the entry is ignored"),
        "ignoreUpdates": boolean("The Secret may be missing, and its changes do not run the chart again"),
    }
)
_FAILURE_POLICY: Schema = string(
    "What to do with a failed release: uninstall and install it again (reinstall), nothing (abort), "
    "or upgrade over it (retry)",
    enum=["abort", "reinstall", "retry"],
)
_OVERRIDABLE: dict[str, Schema] = {
    "values": {"description": "Structured values; win over valuesContent", **ANYTHING},
    "valuesContent": string("Values as YAML text"),
    "valuesSecrets": array(_SECRET_SPEC, "Values from Secrets; win over values"),
    "failurePolicy": _FAILURE_POLICY,
    "serverSide": string("Server-side apply (helm --server-side)", enum=["true", "false", "auto"]),
    "forceConflicts": boolean("Take over fields other managers own (helm --force-conflicts)"),
}
"""Fields of both HelmChart and HelmChartConfig.

Upstream's failurePolicy has the default reinstall in both, so that a HelmChartConfig without one overrides what the
chart says: a wrong value would uninstall the CNI plugin. Here it has one in HelmChart only.
"""

_HELM_CHART_SPEC = struct(
    {
        **_OVERRIDABLE,
        "failurePolicy": {**_FAILURE_POLICY, "default": "reinstall"},
        "authPassCredentials": boolean(
            "Send the credentials of authSecret to every host (--pass-credentials)"
        ),
        "authSecret": reference(
            "Secret of type kubernetes.io/basic-auth or kubernetes.io/tls for the repository"
        ),
        "backOffLimit": integer("int32", "Retries of the job before the chart counts as failed"),
        "bootstrap": boolean(
            "The chart is needed before the cluster network works: its job runs on the host's"
        ),
        "chart": string("Name in the repository, oci:// reference, or URL of an archive"),
        "chartContent": string("The archive itself (.tgz) in base64; overrides chart and version"),
        "createNamespace": boolean("Create the target namespace if it is missing"),
        "dockerRegistrySecret": reference(
            "Secret of type kubernetes.io/dockerconfigjson for an OCI registry"
        ),
        "driver": string(
            "Where Helm keeps its release records",
            enum=["secret", "configmap"],
            default="secret",
            **{"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "driver is immutable"}]},
        ),
        "helmVersion": string("Deprecated; only v3 is supported"),
        "insecureSkipTLSVerify": boolean("Do not verify the certificate of the repository"),
        "jobImage": string("Image of the job"),
        "plainHTTP": boolean("Use http for an OCI registry"),
        "podSecurityContext": _POD_SECURITY_CONTEXT,
        "repo": string("URL of the chart repository"),
        "repoCA": string("Certificates (PEM) the repository is verified with"),
        "repoCAConfigMap": reference("ConfigMap whose values are added to repoCA"),
        "securityContext": _SECURITY_CONTEXT,
        "set": mapping(INT_OR_STRING, "Single values; win over all others, also those of a HelmChartConfig"),
        "takeOwnership": boolean("Adopt objects that belong to no release (--take-ownership)"),
        "targetNamespace": string("Namespace of the release; the namespace of this object if empty"),
        "timeout": string("How long Helm waits for its operations, such as 10m0s"),
        "version": string("Version of the chart"),
    },
    "A chart and how it is to be installed",
)

_CONDITION = struct(strings("type", "status", "reason", "message"), required=("type", "status"))
_HELM_CHART_STATUS = struct(
    {
        "jobName": string("Job that works on the chart"),
        "conditions": array(_CONDITION, **BY_TYPE),
    }
)

_ADDON_SPEC = struct(
    {
        "source": string("File on the server that applied it last"),
        "checksum": string("SHA-256 of the file's content"),
    }
)

_SNAPSHOT_SPEC = struct(
    {
        **strings("snapshotName", "nodeName", "location"),
        "metadata": mapping(string()),
        "s3": struct(
            {
                **strings("endpoint", "endpointCA", "bucket", "bucketLookup", "region", "prefix"),
                "skipSSLVerify": boolean(),
                "insecure": boolean(),
            }
        ),
    },
    required=("snapshotName", "nodeName", "location"),
)
_SNAPSHOT_STATUS = struct(
    {
        "size": INT_OR_STRING,
        "creationTime": string(format="date-time"),
        "readyToUse": boolean(),
        "error": struct({"time": string(format="date-time"), "message": string()}),
    }
)


HELM_CHART_CRD = definition(
    HELM_CHARTS,
    _HELM_CHART_SPEC,
    status=_HELM_CHART_STATUS,
    subresource=True,
    short="hc",
    columns=(
        column("Repo", ".spec.repo"),
        column("Chart", ".spec.chart"),
        column("Version", ".spec.version"),
        column("TargetNamespace", ".spec.targetNamespace"),
        column("Bootstrap", ".spec.bootstrap", "boolean"),
        column("Failed", ".status.conditions[?(@.type=='Failed')].status"),
        column("Job", ".status.jobName", priority=10),
    ),
)
HELM_CHART_CONFIG_CRD = definition(
    HELM_CHART_CONFIGS,
    struct(dict(_OVERRIDABLE), "What is changed about the HelmChart of the same name"),
    short="hcc",
)
ADDON_CRD = definition(
    ADDONS,
    _ADDON_SPEC,
    columns=(column("Source", ".spec.source"), column("Checksum", ".spec.checksum")),
)
ETCD_SNAPSHOT_FILE_CRD = definition(
    ETCD_SNAPSHOT_FILES,
    _SNAPSHOT_SPEC,
    status=_SNAPSHOT_STATUS,
    # RKE2's has none: a server of RKE2 in the same cluster writes the status with the object.
    columns=(
        column("SnapshotName", ".spec.snapshotName"),
        column("Node", ".spec.nodeName"),
        column("Location", ".spec.location"),
        column("Size", ".status.size"),
        column("CreationTime", ".status.creationTime", "date"),
    ),
)

ALL: tuple[Object, ...] = (
    ADDON_CRD,
    ETCD_SNAPSHOT_FILE_CRD,
    HELM_CHART_CRD,
    HELM_CHART_CONFIG_CRD,
    PLAN_CRD,
)
