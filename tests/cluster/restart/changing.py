"""A server restarted with other arguments for its static pods: how long it takes, and what its API's users notice."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.restart.containers import static_pods_settled
from tests.cluster.restart.server import Server

Settings = Mapping[str, list[str]]

_DROP_IN = Paths().config_dir / "config.yaml.d/95-changed.yaml"
_PROBER = Path(__file__).with_name("api_prober.py")
_numbers = itertools.count(1)


def another(*settings: str) -> Settings:
    """Arguments of these settings that no start before had, and that make no difference; of all if none is named."""
    number = next(_numbers)
    known = {
        "etcd-arg": [f"snapshot-count={10000 + number}"],
        "kube-apiserver-arg": [f"max-requests-inflight={400 + number}"],
    }
    return {setting: known[setting] for setting in settings or known}


@dataclass
class Restart:
    """What was seen of one restart.

    Attributes:
        ready: seconds from the start until rke2 said that it is ready.
        healthy: seconds until all components and system pods were.
        away: seconds in which API calls were not answered, one outage each.
        backed_off: static pods that the kubelet held back after they had ended.
    """

    ready: float = 0.0
    healthy: float = 0.0
    away: list[float] = field(default_factory=list)
    backed_off: frozenset[str] = frozenset()

    def __str__(self) -> str:
        away = " + ".join(f"{each:.1f}" for each in self.away) or "0"
        held = f"; in back-off: {', '.join(sorted(self.backed_off))}" if self.backed_off else ""
        return f"ready {self.ready:.1f} s, healthy {self.healthy:.1f} s, API away {away} s{held}"


def restart(server: Server, settings: Settings, *, frozen: float = 0.0) -> Restart:
    """End the server, start it with these settings, wait until all is well.

    Args:
        frozen: seconds for which the kubelet does not run as soon as it was spawned.
    """
    node, seen = server.node, Restart()
    log = node.host.path(Paths().agent_logs / "kubelet.log")
    with _calls(server) as outages:
        server.terminate()
        server.until_childless()
        node.host.write_file(_DROP_IN, yaml.safe_dump(dict(settings)))
        before, started = log.stat().st_size, time.monotonic()
        server.start()
        with _kubelet_frozen(server, frozen):
            seen.ready = server.until_ready().ready_after or 0.0
        seen.healthy = time.monotonic() - started
        eventually(lambda: static_pods_settled(node), "the static pods are those of the manifests", 60)
    seen.away = outages
    seen.backed_off = _backed_off(log.read_bytes()[before:].decode(errors="replace"))
    return seen


def _backed_off(log: str) -> frozenset[str]:
    return frozenset(re.findall(r"CrashLoopBackOff.*?pod=\\?\"kube-system/([a-z-]+?)-server", log))


@contextmanager
def _calls(server: Server) -> Iterator[list[float]]:
    """Call the API during the block; the list has the outages' seconds after it."""
    tls = Paths().tls
    files = [str(tls / name) for name in ("server-ca.crt", "client-admin.crt", "client-admin.key")]
    url = "https://127.0.0.1:6443/api/v1/namespaces/kube-system"
    host, pipe = server.node.host, subprocess.PIPE
    # As text: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
    command = [host.python, "-c", _PROBER.read_text(), url, *files]
    outages: list[float] = []
    with host.popen(command, text=True, stdin=pipe, stdout=pipe) as prober:
        assert prober.stdout
        # On a machine that is busy some call before the restart may already be late.
        while (first := prober.stdout.readline()) and not first.endswith("answers\n"):
            pass
        assert first, "the API does not answer before the restart"
        yield outages
        lines, _ = prober.communicate()
    since = 0.0
    for at, _, state in (line.partition(" ") for line in lines.splitlines()):
        if state == "answers" and since:
            outages.append(float(at) - since)
            since = 0.0
        elif state != "answers":
            since = since or float(at)
    assert not since, "the API does not answer"


@contextmanager
def _kubelet_frozen(server: Server, seconds: float) -> Iterator[None]:
    """Stop the kubelet for a while from the moment it is there."""

    def stop() -> None:
        host = server.node.host
        eventually(lambda: host.signal("kubelet", signal.SIGSTOP), "the kubelet is there", 60, poll=0.02)
        time.sleep(seconds)
        host.signal("kubelet", signal.SIGCONT)

    if not seconds:
        yield
        return
    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        yield
    finally:
        stopper.join()
