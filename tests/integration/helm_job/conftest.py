"""Fixtures: one control plane for the whole run, one namespace and pod root for each test."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.binaries import binary
from tests.control_plane import ControlPlane, control_plane

from .pod import Pod

# A ConfigMap shows which values arrived; `broken` adds an object the API server refuses after the release
# record exists; `hook` adds a hook that never ends, because nothing runs Jobs here.
TEMPLATES = {
    "message.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: demo}
data: {message: {{ .Values.message | quote }} }
""",
    "broken.yaml": """
{{- if .Values.broken }}
apiVersion: v1
kind: ConfigMap
metadata: {name: Not_A_Name}
{{- end }}
""",
    "service.yaml": """
{{- with .Values.protocols }}
apiVersion: v1
kind: Service
metadata: {name: demo}
spec:
  type: NodePort
  selector: {app: demo}
  ports:
  {{- range splitList " " . }}
  - {name: {{ lower . }}-53, port: 53, protocol: {{ . }}, targetPort: 5353}
  {{- end }}
{{- end }}
""",
    "hook.yaml": """
{{- if .Values.hook }}
apiVersion: batch/v1
kind: Job
metadata: {name: never, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: nowhere.example/none}]}
{{- end }}
""",
}
_numbers = count()


def chart_archive(version: str = "1.0.0") -> bytes:
    """The demo chart as Helm stores it."""
    files = {f"demo/templates/{name}": text for name, text in TEMPLATES.items()}
    files["demo/Chart.yaml"] = f"apiVersion: v2\nname: demo\nversion: {version}\n"
    files["demo/values.yaml"] = "message: from the chart\nbroken: false\nhook: false\nprotocols: ''\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "kube-apiserver", "kubectl", "helm", "helm-job"):
        binary(name)
    with control_plane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def pod(cluster: ControlPlane, tmp_path: Path) -> Pod:
    """The job of a HelmChart `demo` with inline content, in a namespace of its own."""
    namespace = f"demo-{next(_numbers)}"
    account = {"name": "helm-demo", "namespace": namespace}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
    )
    token = cluster.kubectl("create", "token", "helm-demo", "-n", namespace)
    made = Pod(cluster, tmp_path / "root", namespace, token)
    made.chart(chart_archive())
    return made


@pytest.fixture
def allowed(pod: Pod) -> Pod:
    """The same, with the rights helm-controller gives its jobs."""
    allow(pod)
    return pod


def allow(pod: Pod) -> None:
    """Bind the pod's service account to cluster-admin."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    pod.cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"helm-{pod.namespace}-demo"},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "name": "helm-demo", "namespace": pod.namespace}],
        }
    )
