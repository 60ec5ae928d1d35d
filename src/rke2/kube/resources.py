"""REST resources: where objects of a kind live, and a table of those this program names itself."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from rke2.errors import KubeError
from rke2.kube.objects import GVK


@dataclass(frozen=True)
class Resource:
    """One kind as the API serves it."""

    gvk: GVK
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, or of one object.

        An empty `namespace` of a namespaced kind means the collection of all namespaces.

        Raises:
            KubeError: 400, a name is not one that a path can hold (see `segment`).
        """
        scope = ("namespaces", namespace) if self.namespaced and namespace else ()
        rest = (*scope, self.plural, name, subresource)
        return "/".join((root(self.gvk), *(segment(part) for part in rest if part)))


def root(gvk: GVK) -> str:
    """The URL path of a group version: ``/api/v1`` or ``/apis/<group>/<version>``.

    Raises:
        KubeError: 400, as `segment`.
    """
    parts = ("apis", gvk.group, gvk.version) if gvk.group else ("api", gvk.version)
    return "/" + "/".join(segment(part) for part in parts)


def segment(text: str) -> str:
    """`text` as one component of a URL path, percent-encoded.

    Encoding alone keeps nobody in the component: the API server decodes a path before it splits it, and clients
    resolve ``.`` and ``..``. So the names that Kubernetes itself allows in no path are refused.

    Raises:
        KubeError: 400, `text` is empty, ``.`` or ``..``, or has a ``/`` or ``%`` in it.
    """
    if text in ("", ".", "..") or "/" in text or "%" in text:
        raise KubeError(f"{text!r} is not a valid name in the API", status=400, reason="BadRequest")
    # Names of RBAC have colons (system:node): they stay as they are, as in the requests of Go's clients.
    return quote(text, safe=":", errors="surrogateescape")


def _core(kind: str, plural: str, namespaced: bool = True) -> Resource:
    return Resource(GVK("", "v1", kind), plural, namespaced)


def _group(group: str, kind: str, plural: str, namespaced: bool = True) -> Resource:
    return Resource(GVK(group, "v1", kind), plural, namespaced)


_RBAC = "rbac.authorization.k8s.io"

CONFIG_MAPS = _core("ConfigMap", "configmaps")
ENDPOINTS = _core("Endpoints", "endpoints")
EVENTS = _core("Event", "events")
NAMESPACES = _core("Namespace", "namespaces", namespaced=False)
NETWORK_POLICIES = _group("networking.k8s.io", "NetworkPolicy", "networkpolicies")
NODES = _core("Node", "nodes", namespaced=False)
PODS = _core("Pod", "pods")
SECRETS = _core("Secret", "secrets")
SERVICE_ACCOUNTS = _core("ServiceAccount", "serviceaccounts")
TOKEN_REVIEWS = _group("authentication.k8s.io", "TokenReview", "tokenreviews", namespaced=False)
SUBJECT_ACCESS_REVIEWS = _group(
    "authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
DEPLOYMENTS = _group("apps", "Deployment", "deployments")
JOBS = _group("batch", "Job", "jobs")
LEASES = _group("coordination.k8s.io", "Lease", "leases")
ENDPOINT_SLICES = _group("discovery.k8s.io", "EndpointSlice", "endpointslices")
CLUSTER_ROLES = _group(_RBAC, "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = _group(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
ROLES = _group(_RBAC, "Role", "roles")
ROLE_BINDINGS = _group(_RBAC, "RoleBinding", "rolebindings")
CRDS = _group(
    "apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
ADDONS = _group("k3s.cattle.io", "Addon", "addons")
ETCD_SNAPSHOT_FILES = _group("k3s.cattle.io", "ETCDSnapshotFile", "etcdsnapshotfiles", namespaced=False)
HELM_CHARTS = _group("helm.cattle.io", "HelmChart", "helmcharts")
HELM_CHART_CONFIGS = _group("helm.cattle.io", "HelmChartConfig", "helmchartconfigs")
PLANS = _group("upgrade.cattle.io", "Plan", "plans")
