"""``profile: cis`` on one server: the host is prepared, and everything that is packaged runs under it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.host.kernel import HARDENED_SYSCTLS
from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.hardening.hosts import UID, prepared
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import place_server
from tests.cluster.objects import pod
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

PATHS = Paths()
HOST = "hardened"


@pytest.fixture(scope="module")
def hardened(lab: Lab, workload_archive: Path) -> Iterator[Server]:
    """A server under the profile; its host was refused, and then prepared."""
    server = Server(place_server(lab, HOST, workload_archive, "profile: cis\n", lean=False))
    server.start()
    assert server.wait() == 1
    said = server.node.log.read_text(errors="replace")
    assert "invalid kernel parameter value kernel.panic=" in said
    assert "missing required: user: unknown user etcd" in said
    assert "set sysctl kernel.panic = 10" in prepared(server)
    assert "nothing to do" in prepared(server)
    server.start()
    server.until_ready()
    yield server
    lab.remove_host(HOST)


def test_every_packaged_pod_runs(hardened: Server) -> None:
    namespace = Namespace(hardened.node, "kube-system")

    def unready() -> list[str]:
        pods = [each for each in namespace.list("pod") if each["status"]["phase"] != "Succeeded"]
        return [each["metadata"]["name"] for each in pods if not _ready(each)]

    assert eventually(unready, "all pods are ready", 180, ok=lambda names: names == []) == []
    for kind in ("deployment", "daemonset"):
        assert namespace.list(kind), kind


def _ready(each: dict[str, object]) -> bool:
    status = each["status"]
    assert isinstance(status, dict)
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))


def test_the_host_has_the_kernel_settings_also_after_its_next_boot(hardened: Server) -> None:
    file = hardened.node.host.path(Path("/etc/sysctl.d/60-rke2-cis.conf")).read_text()
    for name, value in HARDENED_SYSCTLS.items():
        assert f"{name} = {value}\n" in file


def test_etcd_runs_as_its_user_and_its_files_are_its_own(hardened: Server) -> None:
    data = hardened.node.host.path(PATHS.etcd)
    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {UID}
    [pid] = hardened.pids("etcd")
    assert hardened.node.host.path(f"/proc/{pid}").stat().st_uid == UID


def test_manifests_are_for_root_alone(hardened: Server) -> None:
    manifests = list(hardened.node.host.path(PATHS.pod_manifests).glob("*.yaml"))
    assert manifests
    assert {stat.S_IMODE(path.stat().st_mode) for path in manifests} == {0o600}


def test_pods_are_restricted_but_in_exempt_namespaces(hardened: Server) -> None:
    namespace = Namespace.create(hardened.node, "restricted")
    refused = namespace.attempt("run", "plain", "--image=busybox", "--restart=Never", "--", "true")
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr
    assert Namespace(hardened.node, "kube-system").list("pod"), "these go on"


def test_names_resolve_in_a_restricted_pod(hardened: Server) -> None:
    """CoreDNS is behind a policy, in a namespace that answers nobody else."""
    namespace = Namespace(hardened.node, "restricted")
    wanted = pod("asks")
    wanted["spec"]["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in wanted["spec"]["containers"]:
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    namespace.apply(wanted)
    namespace.until("condition=Ready", "pod/asks")
    answer = namespace.exec("asks", "nslookup", "-type=a", "kubernetes.default.svc.cluster.local").stdout
    assert "Address: 10.43.0.1\n" in answer


def test_namespaces_are_closed_and_hosts_come_through(hardened: Server) -> None:
    def names(space: str) -> set[str]:
        return {each["metadata"]["name"] for each in Namespace(hardened.node, space).list("networkpolicy")}

    for space in ("default", "kube-public"):
        wanted = {"default-network-policy", "rke2-flannel-host-networking"}
        eventually(lambda space=space: names(space), f"policies of {space}", 60, ok=wanted.__eq__)  # type: ignore[misc]
    assert "default-network-dns-policy" in names("kube-system")
    account = Namespace(hardened.node, "default").find("serviceaccount", "default")
    assert account["automountServiceAccountToken"] is False


def test_metrics_come_through_the_policies(hardened: Server) -> None:
    def measured() -> int:
        return hardened.node.kubectl("top", "nodes", "--no-headers", timeout=60).returncode

    eventually(measured, "the metrics server answers", 120, ok=(0).__eq__)
