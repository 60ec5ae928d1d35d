"""However a running server ends, its containers do not notice, and the next one takes them over as they are."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import yaml

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.namespace import Namespace
from tests.cluster.objects import service, web_deployment
from tests.cluster.restart.containers import Container, restart_counts, running_containers
from tests.cluster.restart.server import CHILDREN, STOP_SECONDS, Server

READY_SECONDS = 30
"""Far above what a warm start takes: three seconds."""

QUIET_SECONDS = 20
"""In which the kubelet would have restarted what it does not recognise: it syncs pods every few seconds."""

YOUNG_SECONDS = 10
"""A kubelet that comes up takes containers started less than 10 s before it for new, thus not ready until probed."""

PROBER = Path(__file__).with_name("prober.py")


@dataclass(frozen=True)
class Application:
    """A web server of the user's on the node, with its service's address."""

    server: Server
    address: str

    @contextmanager
    def answers_all_the_time(self) -> Iterator[None]:
        """Fail unless every request in the block is answered; there are about twenty in a second."""
        host = self.server.node.host
        # As text: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
        command = [host.python, "-c", PROBER.read_text(), f"http://{self.address}/"]
        with host.popen(command, stdin=PIPE, stdout=PIPE, text=True) as prober:
            assert prober.stdout
            assert prober.stdout.readline() == "answers\n"
            yield
            failures, _ = prober.communicate()
            assert failures == "", failures


@dataclass(frozen=True)
class Before:
    """What ran before anything was killed."""

    containers: frozenset[Container]
    restarts: dict[str, int]

    @classmethod
    def of(cls, server: Server) -> Before:
        return cls(running_containers(server.node), restart_counts(server.node))

    def is_still_so(self, server: Server) -> None:
        assert running_containers(server.node) == self.containers
        assert restart_counts(server.node) == self.restarts


@pytest.fixture(scope="module")
def application(empty: Server) -> Application:
    if not empty.running:
        empty.start()
        empty.until_ready()
    namespace = Namespace.create(empty.node, "restart")
    namespace.apply(web_deployment("web", 1), service("web", "web"))
    namespace.until("condition=Available", "deployment/web")
    eventually(lambda: _age(namespace) > YOUNG_SECONDS, "the web server is old enough")
    return Application(empty, namespace.find("service", "web")["spec"]["clusterIP"])


def _age(namespace: Namespace) -> float:
    """Seconds since the web server's container was started."""
    (pod,) = namespace.list("pods")
    started = datetime.fromisoformat(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
    return (datetime.now(UTC) - started).total_seconds()


@pytest.fixture(scope="module")
def before(application: Application) -> Before:
    return Before.of(application.server)


def test_sigterm(server: Server, application: Application, before: Before) -> None:
    with application.answers_all_the_time():
        assert server.terminate() == 0
        for program in CHILDREN:
            assert server.pids(program) == set()
        code, report = server.report()
        assert (code, report["waitingFor"]) == (1, "rke2 is not running")
        assert ": stopped" in server.node.rke2("status").stdout.splitlines()[0]

        server.start()
        ready_after = server.until_ready().ready_after
        assert ready_after is not None and ready_after < READY_SECONDS
    before.is_still_so(server)


def test_the_service_manager_is_told(server: Server, before: Before) -> None:
    path = server.node.host.path("/tmp/notify.sock")
    server.terminate()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(READY_SECONDS)
        server.start({"NOTIFY_SOCKET": "/tmp/notify.sock"})
        assert "READY=1" in manager.recv(4096).decode().splitlines()
        server.until_ready()
        for program in CHILDREN:
            pid = server.pid(program)
            environment = server.node.host.exec(["cat", f"/proc/{pid}/environ"], check=True).stdout
            assert "NOTIFY_SOCKET" not in environment
        assert server.terminate() == 0
        assert "STOPPING=1" in manager.recv(4096).decode().splitlines()
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)
    server.start()
    server.until_ready()
    before.is_still_so(server)


def test_sigkill(server: Server, application: Application, before: Before) -> None:
    with application.answers_all_the_time():
        server.kill()
        server.until_childless()
        server.start()
        server.until_ready()
    before.is_still_so(server)


def test_a_second_server_is_refused(server: Server, before: Before) -> None:
    first = server.status()
    done = server.node.rke2("server", timeout=READY_SECONDS)
    assert done.returncode == 1
    assert f"another rke2 (pid {first.pid}) is using the data directory /var/lib/rancher/rke2" in done.stderr
    assert "hint: stop it first" in done.stderr
    assert server.running and server.status() == first
    # Static pods lose their readiness for a moment whenever a kubelet comes up.
    eventually(lambda: server.report()[0] == 0, "the node is ready", READY_SECONDS)


def test_a_killed_kubelet_is_started_again(server: Server, before: Before) -> None:
    pauses = []
    for _ in range(3):
        pid = server.pid("kubelet")
        known = server.logged("Kubelet exited: signal SIGKILL")
        server.node.host.exec(["kill", "-KILL", str(pid)], check=True)
        eventually(
            lambda: server.pids("kubelet") - {pid},  # noqa: B023
            "another kubelet runs",
            STOP_SECONDS,
        )
        assert server.logged("Kubelet exited: signal SIGKILL") == known + 1
        pauses.append(_last_pause(server))
    assert pauses == [0.5, 1.0, 2.0]
    eventually(lambda: server.report()[0] == 0, "the node is ready", READY_SECONDS)
    before.is_still_so(server)


def _last_pause(server: Server) -> float:
    return float(
        re.findall(r"starting it again in ([\d.]+) s", server.node.log.read_text(errors="replace"))[-1]
    )


def test_a_killed_containerd_ends_rke2(server: Server, application: Application, before: Before) -> None:
    with application.answers_all_the_time():
        pid = server.pid("containerd")
        server.node.host.exec(["kill", "-KILL", str(pid)], check=True)
        assert server.wait() == 1
        assert server.pids("kubelet") == set()
    assert server.node.log.read_text().splitlines()[-1].startswith("       hint: the whole log is ")
    assert server.logged("rke2: error: containerd exited (signal SIGKILL)") == 1
    code, report = server.report()
    assert (code, report["waitingFor"]) == (1, "rke2 is not running")
    assert "last error: containerd exited (signal SIGKILL)" in server.node.rke2("status").stdout

    server.start()
    server.until_ready()
    before.is_still_so(server)


def test_manifests_put_as_rke2_puts_them_restart_nothing(server: Server, before: Before) -> None:
    """Its text says the same in another way; the kubelet and rke2 take the pods for those that run."""
    server.terminate()
    for file in server.node.host.path(Paths().pod_manifests).glob("*.yaml"):
        file.write_text(as_rke2(yaml.safe_load(file.read_text())))
    server.start()
    server.until_ready()
    time.sleep(QUIET_SECONDS)
    before.is_still_so(server)


def as_rke2(pod: Any) -> str:
    """The manifest without what RKE2 leaves out, and with what it adds."""
    container = pod["spec"]["containers"][0]
    implied = ("--advertise-address=", "--kube-api-", "--controllers=")
    container["args"] = [arg for arg in container["args"] if not arg.startswith(implied)]
    if pod["metadata"]["name"] == "kube-controller-manager":
        controllers = "--controllers=*,tokencleaner,-service,-route,-cloud-node-lifecycle"
        container["args"].append(controllers)
    container["env"].reverse()
    pod["status"] = {}
    pod["metadata"]["creationTimestamp"] = None
    return yaml.safe_dump(pod, sort_keys=True, width=10**6)


def test_no_container_is_restarted_later(server: Server, before: Before) -> None:
    time.sleep(QUIET_SECONDS)
    before.is_still_so(server)
    assert "Traceback" not in server.node.log.read_text()
