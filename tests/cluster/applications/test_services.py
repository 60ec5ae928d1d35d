"""An application of the user's own: a Deployment, Services in front of it, other pods that use them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.http import TIMED_OUT, fetch, get
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, pod, service, web_deployment

NO_ADDRESS = "10.43.200.200"
"""In the range of services, but no service has it."""


@dataclass(frozen=True)
class Application:
    """Two replicas called `web-…` behind the services `web`, `web-each` (headless) and `web-node`."""

    namespace: Namespace

    def replicas(self) -> dict[str, str]:
        """Name and address of the pods that are not going away."""
        pods = self.namespace.list("pods", "--selector", "app=web")
        return {
            pod["metadata"]["name"]: pod["status"].get("podIP", "")
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
        }

    def address(self, name: str = "web") -> str:
        """The cluster address of a service."""
        return str(self.namespace.find("service", name)["spec"]["clusterIP"])

    def get(self, url: str, client: str = "client") -> str:
        """What the pod `client` gets from `url`; the error if it gets none."""
        return fetch(self.namespace, client, url)

    def answers(self, url: str, client: str = "client") -> None:
        """Fail unless one of the replicas answers at `url`."""
        replicas = self.replicas()
        assert self.get(url, client) in replicas


@pytest.fixture(scope="module")
def application(namespace: Namespace) -> Application:
    namespace.apply(
        web_deployment("web", replicas=2),
        service("web", "web"),
        service("web-each", "web", clusterIP="None"),
        service("web-node", "web", type="NodePort"),
        service("empty", "nobody"),
        pod("client"),
        pod("host-client", hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
    )
    namespace.until("condition=Available", "deployment/web")
    namespace.until("condition=Ready", "pod/client", "pod/host-client")
    made = Application(namespace)
    # Endpoints reach the node's rules a moment after the pods are ready.
    eventually(lambda: made.get(made.address()), "the service answers", 20, ok=made.replicas().__contains__)
    return made


def test_a_service_answers_a_pod_at_its_cluster_address(application: Application) -> None:
    application.answers(application.address())


@pytest.mark.parametrize("name", ["web", "web.{}", "web.{}.svc", "web.{}.svc.cluster.local"])
def test_a_service_answers_by_its_name(application: Application, name: str) -> None:
    application.answers(name.format(application.namespace.name))


def test_every_replica_gets_requests(application: Application) -> None:
    replicas, seen = set(application.replicas()), set[str]()
    assert len(replicas) == 2

    def ask() -> set[str]:
        seen.add(application.get(application.address()))
        return seen

    eventually(ask, f"{replicas} have answered", 30, ok=replicas.__le__)
    assert seen == replicas


def test_pods_reach_each_other_directly(application: Application) -> None:
    for name, address in application.replicas().items():
        assert application.get(f"{address}:{PORT}") == name


def test_the_host_reaches_a_service_and_a_node_port(application: Application) -> None:
    host = application.namespace.node.host
    port = application.namespace.find("service", "web-node")["spec"]["ports"][0]["nodePort"]
    for url in (application.address(), f"{host.address}:{port}"):
        got = host.exec(["busybox", *get(url)])
        assert got.stdout.strip() in application.replicas(), got.stderr


def test_a_pod_on_the_host_network_reaches_a_service(application: Application) -> None:
    application.answers(application.address(), "host-client")
    application.answers("web", "host-client")


def test_a_headless_service_names_every_pod(application: Application) -> None:
    name = f"web-each.{application.namespace.name}.svc.cluster.local"
    answer = application.namespace.exec("client", "nslookup", "-type=a", name).stdout
    assert all(f"Address: {address}" in answer for address in application.replicas().values()), answer


def test_an_unknown_name_is_denied_at_once(application: Application) -> None:
    took, answer = _timed(
        lambda: application.namespace.exec("client", "nslookup", "nothing.default.svc.cluster.local").stdout
    )
    assert "NXDOMAIN" in answer
    assert took < 4, "a name server that waits for another one takes 5 s"


def test_a_service_without_pods_refuses(application: Application) -> None:
    took, answer = _timed(lambda: application.get(application.address("empty")))
    assert "refused" in answer
    assert took < 4
    assert application.get(NO_ADDRESS) == TIMED_OUT, "control: what nobody answers for looks different"


def test_a_pod_uses_the_api_with_the_rights_of_its_service_account(application: Application) -> None:
    namespace = application.namespace
    tools = {"name": "tools", "hostPath": {"path": str(Paths().bin), "type": "Directory"}}
    controller = pod("controller", volumes=[tools])
    controller["spec"]["containers"][0]["volumeMounts"] = [{"name": "tools", "mountPath": "/tools"}]
    namespace.apply(controller)
    namespace.until("condition=Ready", "pod/controller")

    def pods() -> str:
        done = namespace.exec("controller", "/tools/kubectl", "get", "pods", "--output", "name")
        return done.stdout + done.stderr

    assert f'User "system:serviceaccount:{namespace.name}:default" cannot list resource "pods"' in pods()
    account = f"--serviceaccount={namespace.name}:default"
    namespace.kubectl("create", "rolebinding", "reader", "--clusterrole=view", account)
    assert "pod/controller" in eventually(pods, "the role is bound", 10, ok=lambda text: "cannot" not in text)


def test_a_deleted_pod_is_replaced_and_the_service_goes_on(application: Application) -> None:
    before = application.replicas()
    victim = sorted(before)[0]
    application.namespace.remove("pod", victim)
    application.namespace.until("condition=Available", "deployment/web")
    after = eventually(application.replicas, "two replicas again", ok=lambda pods: len(pods) == 2)
    assert victim not in after
    new = (after.keys() - before.keys()).pop()
    eventually(lambda: application.get(application.address()), f"{new} answers", 30, ok=new.__eq__)


def test_a_container_that_ends_is_started_again(application: Application) -> None:
    namespace = application.namespace
    namespace.apply(pod("fleeting", ["sh", "-c", "echo once; sleep 2"]))

    def restarts() -> int:
        statuses = namespace.find("pod", "fleeting")["status"].get("containerStatuses", [])
        return sum(status["restartCount"] for status in statuses)

    eventually(restarts, "the container was restarted", 60)
    namespace.attempt("delete", "pod", "fleeting", "--wait=false")


def _timed(work: Callable[[], str]) -> tuple[float, str]:
    started = time.monotonic()
    answer = work()
    return time.monotonic() - started, answer
