"""The API server's answers, as an agent and as a server ask for them."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from rke2.config.paths import Paths
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.server_pki import ensure_server_pki
from rke2.status.api import Api
from rke2.status.cluster import ClusterStatus, NodeStatus, look
from rke2.status.settled import PATHS, Unsettled
from tests.configs import paths_under, server_config

OWN_PODS = f"{PATHS['Pod']}?fieldSelector=spec.nodeName=node1"


def node(name: str, *, ready: bool = True) -> dict[str, Any]:
    labels = {"node-role.kubernetes.io/etcd": "true", "node-role.kubernetes.io/control-plane": "true"}
    conditions = [{"type": "Ready", "status": str(ready), "message": "" if ready else "cni"}]
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("cni", "line"),
    [
        ("none", "node a to be Ready: it has no network. With cni: none that is yours: install a CNI plugin"),
        ("canal", "node a to be Ready: no CNI plugin has set up its network yet"),
    ],
)
def test_a_node_without_a_network_says_whose_that_is(cni: str, line: str) -> None:
    message = (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin "
        "returns error: cni plugin not initialized"
    )
    assert ClusterStatus((NodeStatus("a", False, message),), (), own="a", cni=cni).waiting() == line
    assert (
        ClusterStatus((NodeStatus("a", False, "disk"),), (), own="a", cni=cni).waiting()
        == "node a to be Ready: disk"
    )


def pod(name: str, on: str, *, ready: bool = True) -> dict[str, Any]:
    status = {"name": "c", "ready": ready, "restartCount": 0, "state": {"running": {}}}
    return {
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "uid": f"uid-of-{name}",
            "ownerReferences": [{"kind": "DaemonSet", "name": "canal"}],
        },
        "spec": {"nodeName": on, "containers": [{}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


class Answers(dict[str, Any]):
    """Objects by path, and what was asked for."""

    asked: list[str]


@pytest.fixture
def answers() -> Answers:
    answers = Answers({path: {"items": []} for path in PATHS.values()})
    answers.asked = []
    return answers


@pytest.fixture
async def paths(tmp_path: Path, answers: Answers) -> Any:
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    await ensure_agent_pki(config, LocalSigner(config))
    return config.paths


@pytest.fixture
def url(answers: Answers) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path)
            answers.asked.append(path)
            answer = answers.get(path, 404)
            self.send_response(answer if isinstance(answer, int) else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(paths: Paths, role: str, url: str) -> ClusterStatus | None:
    kubeconfig = (
        paths.agent / "kubelet.kubeconfig" if role == "agent" else paths.cred / "supervisor.kubeconfig"
    )
    kubeconfig.parent.mkdir(exist_ok=True)
    document = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig.write_text(json.dumps(document))
    return look(paths, role, Api(paths, role))


def test_an_agent_asks_for_nothing_but_its_own(paths: Paths, answers: Answers, url: str) -> None:
    answers["/api/v1/nodes/node1"] = node("node1")
    answers[OWN_PODS] = {"items": [pod("canal-x", "node1")]}
    found = ask(paths, "agent", url)
    assert found is not None
    assert found.waiting() == ""
    assert [(n.name, n.roles) for n in found.nodes] == [("node1", "control-plane,etcd")]
    assert [p.name for p in found.pods] == ["canal-x"]
    assert answers.asked == ["/api/v1/nodes/node1", OWN_PODS]


def test_an_agent_waits_for_its_node(paths: Paths, answers: Answers, url: str) -> None:
    found = ask(paths, "agent", url)
    assert found is not None
    assert found.waiting() == "the node to register"
    answers["/api/v1/nodes/node1"], answers[OWN_PODS] = node("node1", ready=False), {"items": []}
    late = ask(paths, "agent", url)
    assert late is not None
    assert late.waiting() == "node node1 to be Ready: cni"


def test_a_refusal_is_no_answer(paths: Paths, answers: Answers, url: str) -> None:
    answers["/api/v1/nodes/node1"] = 403
    assert ask(paths, "agent", url) is None
    assert ask(paths, "server", "http://127.0.0.1:1") is None


def test_a_server_is_not_kept_waiting_by_a_lost_node(paths: Paths, answers: Answers, url: str) -> None:
    """Its pod there is not ready and counts for the DaemonSet's wish: both are left out."""
    answers["/api/v1/nodes"] = {"items": [node("node1"), node("lost", ready=False)]}
    answers[PATHS["Pod"]] = {"items": [pod("canal-a", "node1"), pod("canal-b", "lost", ready=False)]}
    wanted = {"numberReady": 1, "desiredNumberScheduled": 2, "observedGeneration": 1}
    answers[PATHS["DaemonSet"]] = {"items": [{"metadata": {"name": "canal"}, "status": wanted}]}
    found = ask(paths, "server", url)
    assert found is not None
    assert found.waiting() == ""
    answers["/api/v1/nodes"] = {"items": [node("node1"), node("lost")]}
    back = ask(paths, "server", url)
    assert back is not None
    assert back.waiting() == "daemonset canal: 1 of 2 ready; and 1 more"


def test_a_server_tells_of_plans_that_are_not_complete(paths: Paths, answers: Answers, url: str) -> None:
    def plan(name: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
        complete = {"type": "Complete", "status": status, "reason": reason, "message": message}
        found = {"conditions": [complete], "latestVersion": "v1.37.2-rke2py1"}
        return {"metadata": {"name": name}, "status": found}

    answers["/api/v1/nodes"] = {"items": [node("node1")]}
    # None of the kind is served before the first start with this release.
    assert (found := ask(paths, "server", url)) and found.plans == ()
    answers["/apis/upgrade.cattle.io/v1/namespaces/system-upgrade/plans"] = {
        "items": [
            plan("done", "True", "Complete"),
            plan("server-plan", "False", "SyncJob", "server-0: proving"),
            {"metadata": {"name": "new"}},
        ]
    }
    found = ask(paths, "server", url)
    assert found is not None
    assert [each.words for each in found.plans] == [
        "server-plan to v1.37.2-rke2py1 (SyncJob: server-0: proving)",
        "new to a version that is not known yet (new)",
    ]


def test_an_agent_reads_what_its_kubelet_wrote(paths: Paths, answers: Answers, url: str) -> None:
    """Its credentials may read no events."""
    answers["/api/v1/nodes/node1"] = node("node1")
    late = pod("canal-x", "node1", ready=False)
    late["status"]["phase"] = "Pending"
    late["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    answers[OWN_PODS] = {"items": [late]}
    paths.agent_logs.mkdir(parents=True, exist_ok=True)
    line = (
        '1 pod_workers.go:1] "Error syncing pod, skipping" err="no disk" pod="kube-system/canal-x" podUID="1"'
    )
    paths.kubelet_log.write_text(f"{time.strftime('E%m%d %H:%M:%S.0')} {line}\n")
    found = ask(paths, "agent", url)
    assert found is not None
    assert found.waiting() == "pod canal-x: ContainerCreating: no disk"
    assert found.pods[0].why == "no disk"


def test_of_much_that_is_waited_for_the_first_is_told() -> None:
    missing = tuple(Unsettled("chart", f"c{number}", "not installed yet") for number in range(5))
    said = "chart c0, chart c1, chart c2: not installed yet"
    ready = (NodeStatus("a", True, ""),)
    assert ClusterStatus(ready, (), missing[:3], "a").waiting() == said
    more = "chart c0, chart c1, chart c2 and 2 more: not installed yet"
    assert ClusterStatus(ready, (), missing, "a").waiting() == more


def test_what_has_one_cause_is_told_once() -> None:
    why = "no node for it: dedicated=x:NoSchedule on a"
    charts = (
        Unsettled("chart", f"c{number}", "being installed", why, in_trouble=True) for number in range(5)
    )
    missing = (*charts, Unsettled("pod", "p", "Pending", why), Unsettled("job", "j", "not completed"))
    ready = (NodeStatus("a", True, ""),)
    line = f"chart c0, chart c1, chart c2 and 3 more: {why}; and 1 more"
    assert ClusterStatus(ready, (), missing, "a").waiting() == line


def test_a_node_without_network_says_what_keeps_its_plugin_from_being_installed() -> None:
    late = (NodeStatus("a", False, "NetworkPluginNotReady"),)
    chart = Unsettled("chart", "rke2-canal", "failing", "no such value", in_trouble=True)
    said = ClusterStatus(late, (), (chart,), "a").waiting()
    assert said.endswith("has set up its network yet; chart rke2-canal: failing: no such value")


def test_a_server_waits_for_its_own_node(paths: Paths, answers: Answers, url: str) -> None:
    answers["/api/v1/nodes"] = {"items": [node("node1", ready=False), node("other")]}
    found = ask(paths, "server", url)
    assert found is not None
    assert found.waiting() == "node node1 to be Ready: cni"


@pytest.mark.parametrize(
    ("name", "on", "component", "waiting"),
    [
        ("etcd-node1", "node1", "etcd", ""),
        ("etcd-other", "other", "etcd", "pod etcd-other: Running"),
        ("own-node1", "node1", "own", "pod own-node1: Running"),
    ],
)
def test_a_static_pod_that_was_asked_itself_need_not_be_reported_ready(
    paths: Paths, answers: Answers, url: str, name: str, on: str, component: str, waiting: str
) -> None:
    """The kubelet looks at it for the first time when it has run for ten seconds."""
    answers[PATHS["Pod"]] = {"items": [_mirror(pod(name, on, ready=False), component)]}
    answers["/api/v1/nodes"] = {"items": [node("node1"), node("other")]}
    found = ask(paths, "server", url)
    assert found is not None
    assert found.waiting() == waiting


def test_a_static_pod_in_trouble_is_told_all_the_same(paths: Paths, answers: Answers, url: str) -> None:
    held = _mirror(pod("etcd-node1", "node1", ready=False), "etcd")
    held["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    answers[PATHS["Pod"]] = {"items": [held]}
    answers["/api/v1/nodes"] = {"items": [node("node1")]}
    found = ask(paths, "server", url)
    assert found is not None
    assert found.waiting() == "pod etcd-node1: CrashLoopBackOff"


def _mirror(obj: dict[str, Any], component: str) -> dict[str, Any]:
    obj["metadata"] |= {
        "annotations": {"kubernetes.io/config.mirror": "uid"},
        "labels": {"component": component, "tier": "control-plane"},
        "ownerReferences": [{"kind": "Node", "name": "node1"}],
    }
    return obj
