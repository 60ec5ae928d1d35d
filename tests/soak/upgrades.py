"""A cluster goes to the next release by Plans while an application is used: ``python -m tests.soak.upgrades``.

``--servers N --agents N``: of the cluster, which is made of hosts with an installed release; both releases must be
made (`tests.cluster.upgrade.releases`). One host asks the application and, through the load balancer of its node, the
API four times a second the whole time. At the end ``rke2 upgrade finish`` raises etcd. Prints what took how long; fails
if a call of the application failed, or if a node is not at the new release. ``--times N``: so often, each time with
a new cluster. ``--weight``: a host counts as much as so many processes beside it (`tests.soak.share`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rke2.config.paths import Paths
from rke2.installation.release_files import version_of
from rke2_lab.lab import Lab
from rke2_lab.node import Role
from tests.cluster import workload
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.upgrade.releases import NEXT, Kept, installed, require_releases
from tests.soak.calls import Calls, asking
from tests.soak.share import weigh

SECONDS = 2400.0
ADDRESS = "10.43.77.77"
APPLICATION = f"http://{ADDRESS}/index.html"
PLANS = Path("/root/plans.json")
_ARCHIVE = Paths().images / "workload.tar"
_NAMESPACE = "system-upgrade"

_WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": workload.IMAGE,
                        "command": ["httpd", "-f", "-h", "/www"],
                        "readinessProbe": {
                            "httpGet": {"path": "/index.html", "port": 80},
                            "periodSeconds": 1,
                        },
                        # As Kubernetes advises: a pod serves until nobody sends it anything any more.
                        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
                    }
                ],
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"app": "web"}},
                    }
                ],
            },
        },
    },
}
_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"clusterIP": ADDRESS, "selector": {"app": "web"}, "ports": [{"port": 80}]},
}
_BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
}


def main() -> None:
    options = _options()
    require_releases()
    for number in range(options.times):
        print(f"{number + 1} of {options.times}", flush=True)
        with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
            archive = workload.write_archive(Path(scratch) / "workload.tar")
            with gone_afterwards(new_lab(Path(scratch) / "lab", options.name)) as lab:
                _live(_boot(lab, archive, options))


def _live(nodes: Sequence[Kept]) -> None:
    failures = _upgrade(nodes)
    _told("etcd: rke2 upgrade finish", lambda: nodes[0].upgrade("finish --yes", 0))
    assert not failures, failures


def _boot(lab: Lab, archive: Path, options: argparse.Namespace) -> list[Kept]:
    counts: list[tuple[Role, int]] = [("server", options.servers), ("agent", options.agents)]
    nodes = []
    for role, number in ((role, number) for role, count in counts for number in range(count)):
        node = installed(lab, f"{role}-{number}", role)
        weigh(node.node.host, options.weight)
        node.node.host.place_file(archive, _ARCHIVE)
        node.shelve()
        nodes.append(node)
    for node in nodes:
        node.keep_running()
    for node in nodes:
        node.ready()
    _put(nodes[0], [_WEB, _SERVICE, _BUDGET])
    _until(
        lambda: _jsonpath(nodes[0], "deployment web -n default", "{.status.readyReplicas}") == "3",
        "the application",
    )
    return nodes


def _upgrade(nodes: Sequence[Kept]) -> list[str]:
    """Have both Plans carried out; the calls of the application that failed."""
    target, last = version_of(NEXT), nodes[-1]
    api = f"https://127.0.0.1:6443/api/v1/nodes/{last.node.host.name}"
    agent = Paths().agent
    ca, kubelet = str(agent / "server-ca.crt"), str(agent / "client-kubelet")
    with asking(last.node.host, [[APPLICATION, "", ""], [api, ca, kubelet]]) as calls:
        _told("Plans", lambda: _carry_out(nodes, target))
    for node in nodes:
        node.runs(target.partition("+")[0])
    _print(calls, api)
    return [line for line in calls.failures if APPLICATION in line]


def _carry_out(nodes: Sequence[Kept], target: str) -> None:
    _put(nodes[0], _plans(target))
    said: dict[str, str] = {}

    def complete() -> bool:
        found = nodes[0].run(f"rke2 kubectl get plans -n {_NAMESPACE} -o json")
        if found.returncode:
            return False
        conditions = [_complete(plan) for plan in json.loads(found.stdout)["items"]]
        for name, condition in conditions:
            text = f"{condition.get('reason')}: {condition.get('message')}"
            if said.get(name) != text:
                said[name] = text
                print(f"  {time.strftime('%H:%M:%S')} {name} {text}", flush=True)
            assert condition.get("reason") != "JobFailed", text
        return all(condition.get("reason") == "Complete" for _, condition in conditions)

    _until(complete, "both Plans are complete")


def _complete(plan: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    conditions = (plan.get("status") or {}).get("conditions") or []
    found: dict[str, Any] = next((each for each in conditions if each["type"] == "Complete"), {})
    return plan["metadata"]["name"], found


def _plans(version: str) -> list[dict[str, Any]]:
    return [
        _plan("server-plan", version, "Exists", {"cordon": True}),
        _plan(
            "agent-plan",
            version,
            "DoesNotExist",
            {
                "drain": {"timeout": "5m"},
                "prepare": {"image": "rancher/rke2-upgrade", "args": ["prepare", "server-plan"]},
            },
        ),
    ]


def _plan(name: str, version: str, operator: str, more: dict[str, Any]) -> dict[str, Any]:
    selector = {"matchExpressions": [{"key": "node-role.kubernetes.io/control-plane", "operator": operator}]}
    spec = {
        "version": version,
        "concurrency": 1,
        "nodeSelector": selector,
        "upgrade": {"image": "rancher/rke2-upgrade"},
        **more,
    }
    metadata = {"name": name, "namespace": _NAMESPACE}
    return {"apiVersion": "upgrade.cattle.io/v1", "kind": "Plan", "metadata": metadata, "spec": spec}


def _put(server: Kept, objects: Sequence[dict[str, Any]]) -> None:
    server.node.host.write_file(
        PLANS, json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    )
    server.sh(f"rke2 kubectl apply -f {PLANS}")


def _jsonpath(server: Kept, what: str, path: str) -> str:
    return server.run(f"rke2 kubectl get {what} -o jsonpath='{path}'").stdout


def _until(holds: Callable[[], bool], what: str) -> None:
    eventually(holds, what, SECONDS, ok=bool)


def _told(what: str, work: Callable[[], object]) -> None:
    started = time.monotonic()
    work()
    print(f"{time.strftime('%H:%M:%S')} {what}: {time.monotonic() - started:.0f} s", flush=True)


def _print(calls: Calls, api: str) -> None:
    failed, silent = calls.of(APPLICATION), calls.of(api)
    print(
        f"{calls.calls} calls; of the application {len(failed)} failed, of the API {len(silent)}", flush=True
    )
    print(*calls.failures[:40], sep="\n  ", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--name", default="upgrades", help="of the lab")
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    return parser.parse_args()


if __name__ == "__main__":
    main()
