"""Pods on both nodes that talk to each other."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from rke2.host.addresses import host_port
from tests.cluster.eventually import eventually
from tests.cluster.http import TIMED_OUT, fetch
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, SERVE_OWN_NAME, on, pod, service, web

NODES = ("server-0", "agent-0")
OTHER = {"server-0": "agent-0", "agent-0": "server-0"}
LARGE = 4 << 20
"""Bytes, more than any buffer holds: a wrong MTU lets small packets through only."""

SETTLE_SECONDS = 20.0
"""Far above the time until a policy is in the nodes' rules."""


@dataclass(frozen=True)
class Site:
    """On each node: a web server ``web-<node>`` behind a service of its name, a client ``client-<node>``.

    For policies: web servers `guarded` and `open` on the server, clients `friend` (labelled ``role: friend``) on the
    server and `stranger` on the agent.
    """

    members: Members
    namespace: Namespace

    @classmethod
    def build(cls, members: Members, name: str) -> Site:
        """Make all of it and wait until it is ready."""
        made = cls(members, Namespace.create(members["server-0"].node, name))
        large = f"head -c {LARGE} /dev/zero > /tmp/large; {SERVE_OWN_NAME[-1]}"
        for node in NODES:
            made.namespace.apply(
                on(node, pod(f"web-{node}", ["sh", "-c", large], serves="/")),
                on(node, pod(f"client-{node}")),
                service(f"web-{node}", f"web-{node}"),
                service(f"port-{node}", f"web-{node}", type="NodePort"),
            )
        made.namespace.apply(
            on("server-0", web("guarded")),
            on("server-0", web("open")),
            on("server-0", pod("friend", labels={"role": "friend"})),
            on("agent-0", pod("stranger")),
        )
        names = [f"{kind}-{node}" for kind in ("web", "client") for node in NODES]
        names += ["guarded", "open", "friend", "stranger"]
        made.namespace.until("condition=Ready", *(f"pod/{name}" for name in names))
        return made

    def address(self, name: str, version: int = 0) -> str:
        """The address of a pod in a family; the cluster's first if 0."""
        found = [str(each["ip"]) for each in self.namespace.find("pod", name)["status"]["podIPs"]]
        return next(ip for ip in found if version in (0, ip_address(ip).version))

    def url(self, name: str, version: int = 0) -> str:
        """Where the server in a pod answers, without the scheme."""
        return host_port(self.address(name, version), PORT)

    def fetch(self, client: str, url: str) -> str:
        """What the pod `client` gets from `url`."""
        return fetch(self.namespace, client, url)

    def large_passes(self, node: str, version: int = 0) -> None:
        """Fail unless the client on `node` gets a large answer from the other node whole."""
        target = f"web-{OTHER[node]}"
        url = f"http://{self.url(target, version)}/large"
        done = self.namespace.exec(f"client-{node}", "sh", "-c", f"timeout 20 wget -q -O - {url} | sha256sum")
        same = self.namespace.exec(target, "sha256sum", "/tmp/large")
        assert done.stdout.split()[0] == same.stdout.split()[0], (url, done.stderr)

    # --- policies ----------------------------------------------------------------------------------
    def allowed(self, client: str, server: str, version: int = 0) -> None:
        """Fail unless `client` gets through to `server` soon."""
        self._answers(client, server, server, f"{client} reaches {server}", version)

    def blocked(self, client: str, server: str, version: int = 0) -> None:
        """Fail unless packets from `client` to `server` vanish soon."""
        self._answers(client, server, TIMED_OUT, f"{client} is kept from {server}", version)

    def _answers(self, client: str, server: str, expected: str, what: str, version: int) -> None:
        url = self.url(server, version)
        eventually(lambda: self.fetch(client, url), what, SETTLE_SECONDS, ok=expected.__eq__)

    def is_open(self) -> None:
        """Fail unless both clients get through to the guarded server soon."""
        for client in ("friend", "stranger"):
            self.allowed(client, "guarded")
