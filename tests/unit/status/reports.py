"""Reports of nodes in known states, as canned answers make them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rke2.lifecycle.progress import BalancedServer, ConnectionStatus, PhaseStatus, ProcessStatus
from rke2.status.certificates import Certificate
from rke2.status.cluster import ClusterStatus, NodeStatus, Pod
from rke2.status.etcd import EtcdStatus, read
from rke2.status.health import ComponentHealth
from rke2.status.report import StatusReport

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
PID = 812
ALONE = ConnectionStatus()
IDS = {
    "server-0-1a2b3c4d": 13668033151171901709,
    "server-1-5e6f7a8b": 185828541645115251,
    "server-2-9c0d1e2f": 3,
}
SERVER_COMPONENTS = (
    "containerd",
    "kubelet",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "supervisor",
)
AGENT_COMPONENTS = ("containerd", "kubelet", "API server", "supervisor", "kube-proxy")


def members(*learners: str) -> list[dict[str, Any]]:
    """As a peer listener lists them."""
    listed: list[dict[str, Any]] = []
    for number, (name, id_) in enumerate(IDS.items()):
        member = {"id": id_, "name": name, "peerURLs": [f"https://10.0.0.1{number}:2380"]}
        listed.append({**member, "isLearner": True} if name in learners else member)
    return listed


def etcd(*, silent: tuple[int, ...] = (), leader: str = "server-1-5e6f7a8b", **status: Any) -> EtcdStatus:
    answer = {"leader": str(IDS.get(leader, 0)), "dbSize": "13107200", "dbSizeQuota": "2147483648", **status}
    answering = {f"https://10.0.0.1{number}:2380" for number in range(3) if number not in silent}
    return read(members(), answer, "server-0-1a2b3c4d", answering)


def process(role: str, names: tuple[str, ...], connections: ConnectionStatus = ALONE) -> ProcessStatus:
    phases = [
        PhaseStatus(name, "done", started=0.5 * at, ended=0.5 * at + 1) for at, name in enumerate(names)
    ]
    started = NOW - 3 * 3600 - 12 * 60
    return ProcessStatus(role, "v1.36.4", PID, started, phases, True, 22.1, connections=connections)


def healthy(*components: str, ill: dict[str, str] | None = None) -> tuple[ComponentHealth, ...]:
    messages = ill or {}
    return tuple(ComponentHealth(name, name not in messages, messages.get(name, "ok")) for name in components)


def certificates(leaf_year: int = 2027) -> tuple[Certificate, ...]:
    ends, ca_ends = datetime(leaf_year, 11, 23, tzinfo=UTC), datetime(2036, 11, 20, tzinfo=UTC)
    return (
        Certificate("server/tls/client-admin", ends, False),
        Certificate("server/tls/client-supervisor", ends.replace(day=24), False),
        Certificate("server/tls/client-ca", ca_ends, True),
    )


def nodes(*, down: str = "") -> tuple[NodeStatus, ...]:
    servers = [NodeStatus(f"server-{number}", True, "", "control-plane,etcd") for number in range(3)]
    there = [*servers, NodeStatus("agent-0", True, "")]
    gone = "Kubelet stopped posting node status."
    return tuple(NodeStatus(n.name, False, gone, n.roles) if n.name == down else n for n in there)


PODS = (
    Pod("etcd-server-0", "Running", "1/1", 0),
    Pod("helm-install-rke2-canal-q6btj", "Completed", "0/1", 0),
    Pod("rke2-canal-gcxz5", "Running", "2/2", 0),
)
SESSIONS = ConnectionStatus(
    agents={"server-0": 1, "server-1": 1, "server-2": 1, "agent-0": 1},
    tunnels=["10.0.0.10", "10.0.0.11", "10.0.0.12"],
)
SERVER_PHASES = ("host", "etcd", "kube-apiserver", "node")


def healthy_server() -> StatusReport:
    cluster = ClusterStatus(nodes(), PODS, (), "server-0")
    running = process("server", SERVER_PHASES, SESSIONS)
    running.programs = {"host": ["mount", "modprobe"], "runtime image": ["iptables (nf_tables)", "ip"]}
    return StatusReport(running, PID, healthy(*SERVER_COMPONENTS), cluster, etcd(), certificates())


def learner_joining() -> StatusReport:
    own = "server-2-9c0d1e2f"
    answering = {"https://10.0.0.10:2380", "https://10.0.0.11:2380"}
    status = {"leader": str(IDS["server-1-5e6f7a8b"]), "isLearner": True}
    running = process("server", SERVER_PHASES)
    running.ready, running.ready_after = False, None
    running.phases[1].state, running.phases[1].ended = "running", None
    running.phases[1].detail = "this server has not yet been promoted from learner to voting member"
    running.phases[2] = PhaseStatus("kube-apiserver", requires=["etcd"])
    running.phases[3] = PhaseStatus("node", requires=["kube-apiserver"])
    running.started = NOW - 42
    health = healthy(*SERVER_COMPONENTS, ill={"kube-apiserver": "not running (nothing listens)"})
    return StatusReport(
        running, PID, health, None, read(members(own), status, own, answering), certificates()
    )


def no_quorum() -> StatusReport:
    health = healthy(*SERVER_COMPONENTS, ill={"kube-apiserver": "HTTP 500: [-]etcd failed"})
    running = process("server", SERVER_PHASES, ConnectionStatus(agents={"server-0": 1, "agent-0": 1}))
    return StatusReport(running, PID, health, None, etcd(silent=(1, 2), leader=""), certificates())


def _balancers(*states: str, connections: int) -> ConnectionStatus:
    def servers(port: int) -> list[BalancedServer]:
        return [
            BalancedServer(f"10.0.0.1{number}:{port}", state, connections if state == "ACTIVE" else 0)
            for number, state in enumerate(states)
        ]

    return ConnectionStatus(
        tunnels=[server.address.partition(":")[0] for server in servers(9345) if server.state != "FAILED"],
        load_balancers={
            "rke2-agent-load-balancer": servers(9345),
            "rke2-api-server-agent-load-balancer": servers(6443),
        },
    )


AGENT_PHASES = ("host", "cluster", "containerd", "kubelet", "kube-proxy", "node")


def healthy_agent() -> StatusReport:
    cluster = ClusterStatus((NodeStatus("agent-0", True, ""),), PODS[2:], (), "agent-0")
    running = process("agent", AGENT_PHASES, _balancers("ACTIVE", "HEALTHY", "HEALTHY", connections=3))
    return StatusReport(running, PID, healthy(*AGENT_COMPONENTS), cluster, None, _of_agent(2027))


def agent_without_servers() -> StatusReport:
    running = process("agent", AGENT_PHASES, _balancers("FAILED", "FAILED", "FAILED", connections=0))
    nobody = "no server of the cluster answers"
    health = healthy(*AGENT_COMPONENTS, ill={"API server": nobody, "supervisor": nobody})
    return StatusReport(running, PID, health, None, None, _of_agent(2027))


def _of_agent(year: int) -> tuple[Certificate, ...]:
    ends = datetime(year, 11, 23, tzinfo=UTC)
    return (
        Certificate("agent/client-kubelet", ends, False),
        Certificate("agent/client-ca", datetime(2036, 11, 20, tzinfo=UTC), True),
    )
