"""Pods on both nodes that talk to each other."""

from __future__ import annotations

from dataclasses import dataclass

from tests.cluster.eventually import eventually
from tests.cluster.http import TIMED_OUT, fetch
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, SERVE_OWN_NAME, Object, pod, service, web

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
                _on(node, pod(f"web-{node}", ["sh", "-c", large], serves="/")),
                _on(node, pod(f"client-{node}")),
                service(f"web-{node}", f"web-{node}"),
                service(f"port-{node}", f"web-{node}", type="NodePort"),
            )
        made.namespace.apply(
            _on("server-0", web("guarded")),
            _on("server-0", web("open")),
            _on("server-0", pod("friend", labels={"role": "friend"})),
            _on("agent-0", pod("stranger")),
        )
        names = [f"{kind}-{node}" for kind in ("web", "client") for node in NODES]
        names += ["guarded", "open", "friend", "stranger"]
        made.namespace.until("condition=Ready", *(f"pod/{name}" for name in names))
        return made

    def address(self, name: str) -> str:
        """The address of a pod."""
        return str(self.namespace.find("pod", name)["status"]["podIP"])

    def fetch(self, client: str, url: str) -> str:
        """What the pod `client` gets from `url`."""
        return fetch(self.namespace, client, url)

    # --- policies ----------------------------------------------------------------------------------
    def allowed(self, client: str, server: str) -> None:
        """Fail unless `client` gets through to `server` soon."""
        self._answers(client, server, server, f"{client} reaches {server}")

    def blocked(self, client: str, server: str) -> None:
        """Fail unless packets from `client` to `server` vanish soon."""
        self._answers(client, server, TIMED_OUT, f"{client} is kept from {server}")

    def _answers(self, client: str, server: str, expected: str, what: str) -> None:
        url = f"{self.address(server)}:{PORT}"
        eventually(lambda: self.fetch(client, url), what, SETTLE_SECONDS, ok=expected.__eq__)

    def is_open(self) -> None:
        """Fail unless both clients get through to the guarded server soon."""
        for client in ("friend", "stranger"):
            self.allowed(client, "guarded")


def _on(node: str, made: Object) -> Object:
    made["spec"]["nodeName"] = node
    return made
