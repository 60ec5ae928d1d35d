"""What a release before the rules of this folder left in a cluster, and how a cluster is once this one has started."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.members import Members
from tests.cluster.restart.containers import Container, running_containers

PATHS = Paths()
CONTROLLER = "system:rke2-controller"
SECONDS = 180.0
_NEXT_REPORT = timedelta(seconds=15)

_SUPERFLUOUS: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["helm.cattle.io"],
        "resources": ["helmcharts", "helmchartconfigs"],
        "verbs": ["list", "get"],
    },
]
_CLOUD = "rke2-cloud-controller-manager"
_LABELS = {"rke2.io/bootstrapping": "rbac-defaults"}
_GROUP = "rbac.authorization.k8s.io"


def leave_as_before(pair: Members) -> None:
    """Make the cluster's objects, and the modes on its disks, those that an older release leaves behind."""
    role = json.loads(pair.kubectl("get", "clusterrole", CONTROLLER, "--output", "json"))
    patch = json.dumps({"rules": [*role["rules"], *_SUPERFLUOUS]})
    assert pair.kubectl("patch", "clusterrole", CONTROLLER, "--type=merge", "--patch", patch)
    apply(pair, _role(_CLOUD, [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"]}]))
    apply(pair, _binding(_CLOUD, _CLOUD, {"kind": "User", "name": _CLOUD, "apiGroup": _GROUP}))
    pair.kubectl("--namespace", "kube-system", "delete", "secret", "server-0.node-password.rke2")
    for member in pair:
        host = member.node.host
        for path in (PATHS.agent, PATHS.agent_etc):
            host.path(path).chmod(0o755)
        host.path(PATHS.status).chmod(0o644)


def apply(pair: Members, obj: dict[str, Any]) -> None:
    host = pair["server-0"].node.host
    host.exec(["kubectl", "apply", "--filename", "-"], input=json.dumps(obj), check=True, timeout=60)


def _role(name: str, rules: list[dict[str, list[str]]]) -> dict[str, Any]:
    meta = {"name": name, "labels": _LABELS}
    return {"apiVersion": f"{_GROUP}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}


def _binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": _LABELS},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


# --- afterwards --------------------------------------------------------------------------------------
def workload(pair: Members) -> dict[str, frozenset[Container]]:
    """All containers of each node but those of Helm's jobs, which end."""
    return {
        member.node.host.name: frozenset(
            each for each in running_containers(member.node) if not each.pod.startswith("helm-")
        )
        for member in pair
    }


def ready_since(pair: Members) -> dict[str, str]:
    """Since when each Node is Ready; empty for one that is not."""
    items = json.loads(pair.kubectl("get", "nodes", "--output", "json"))["items"]
    return {
        node["metadata"]["name"]: next(
            (each["lastTransitionTime"] for each in conditions if each["status"] == "True"), ""
        )
        for node in items
        if (conditions := [each for each in node["status"]["conditions"] if each["type"] == "Ready"])
    }


def lost(pair: Members, before: dict[str, str]) -> list[str]:
    """The nodes that were not Ready at some time since `before`, whatever the cause but the start of their kubelet.

    A kubelet that starts may report its node as not ready until it has read its CSINode (kubernetes
    pkg/kubelet/nodestatus/setters.go), and corrects that with its next report, 10 s later.
    """
    return [
        name
        for name, since in ready_since(pair).items()
        if since not in (before[name], _corrected(pair, name))
    ]


def _corrected(pair: Members, name: str) -> str:
    """When the last report of that kind was corrected, at the latest; empty if there is none."""
    log = pair[name].node.host.path(PATHS.agent / "logs/kubelet.log").read_text()
    reports = [line for line in log.splitlines() if "Node became not ready" in line]
    if not reports or "CSINode is not yet initialized" not in reports[-1]:
        return ""
    condition = json.loads(reports[-1].partition("condition=")[2])
    at = datetime.fromisoformat(condition["lastTransitionTime"])
    since = datetime.fromisoformat(ready_since(pair)[name])
    return ready_since(pair)[name] if timedelta() <= since - at <= _NEXT_REPORT else ""


def until_as_now(pair: Members) -> None:
    """Wait until nothing of what an older release left is there any more."""
    eventually(lambda: superfluous(pair), "rules are taken away", SECONDS, ok=lambda left: not left)
    eventually(
        lambda: missing_passwords(pair), "each node has its password", SECONDS, ok=lambda left: not left
    )
    for member in pair:
        assert member.node.host.path(PATHS.agent).stat().st_mode & 0o777 == 0o750
        assert member.node.host.path(PATHS.status).stat().st_mode & 0o777 == 0o640


def superfluous(pair: Members) -> list[str]:
    """What rules and bindings there still are."""
    text = pair.kubectl("get", "clusterrole", CONTROLLER, "--output", "json")
    rules = json.loads(text)["rules"] if text else [{"resources": ["unknown"], "verbs": ["unknown"]}]
    words = {word for rule in rules for word in (*rule["resources"], *rule["verbs"])}
    left = sorted(
        words & {"serviceaccounts/token", "helmcharts", "networkpolicies", "namespaces", "create", "unknown"}
    )
    bindings = pair.kubectl("get", "clusterrolebindings", "--output", "json")
    for each in json.loads(bindings)["items"] if bindings else []:
        name = each["metadata"]["name"]
        if name == _CLOUD or (
            name.startswith(("helm-", "helm:")) and each["roleRef"]["name"] == "cluster-admin"
        ):
            left.append(name)
    return left


def missing_passwords(pair: Members) -> set[str]:
    """Nodes without a Secret that keeps their password."""
    names = pair.kubectl("--namespace", "kube-system", "get", "secrets", "--output", "name")
    there = {name.removeprefix("secret/") for name in names.split()}
    return {name for name in ready_since(pair) if f"{name}.node-password.rke2" not in there}
