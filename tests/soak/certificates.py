"""A server and an agent live through three generations of certificates: ``python -m tests.soak.certificates``.

Certificates live for ``--life`` seconds in place of a year. What Kubernetes' own clients hold is read again within five
minutes, so what is left of a life when it is renewed (`renew_before`) must be more than that. An application and every
component that shows or checks a certificate are asked four times a second the whole time, on new connections and with
the files as they are. Fails if a call failed, if a container is another one at the end, if a served certificate was not
exchanged in time, or if the node restarts anything when rke2 itself is restarted afterwards. ``--weight``: a host
counts as much as so many processes beside it (`tests.soak.share`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from rke2.config.paths import Paths
from rke2.pki.lifetime import READ_AGAIN, SECONDS, renew_before
from rke2_lab.follow import until_all_ready
from rke2_lab.lab import Lab
from tests.cluster import workload
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.restart.containers import Container, running_containers
from tests.soak.calls import asking
from tests.soak.share import weigh

LIFE = 510
GENERATIONS = 3
BOOT_SECONDS = 900.0
TELL_SECONDS = 60.0

_SERVED = {
    "server-0": {
        "kube-apiserver": 6443,
        "kubelet": 10250,
        "etcd": 2379,
        "etcd's peers": 2380,
        "supervisor": 9345,
        "kube-controller-manager": 10257,
        "kube-scheduler": 10259,
    },
    "agent-0": {"kubelet": 10250},
}

_GET_SERVED = """
import ssl, sys
for port in sys.argv[1:]:
    try:
        print(ssl.get_server_certificate(("127.0.0.1", int(port)), timeout=5).replace("\\n", "|"))
    except OSError:
        print("")
"""


def main() -> None:
    options = _options()
    # Under CATTLE's variable a life counts in days; this program's own counts in seconds.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        archive = workload.write_archive(Path(scratch) / "workload.tar")
        with gone_afterwards(new_lab(Path(scratch) / "lab", options.name)) as lab:
            started = time.monotonic()
            members = _boot(lab, archive, options.life, options.weight)
            print(f"booted in {time.monotonic() - started:.0f} s", flush=True)
            seconds = _seconds(options.life, options.generations)
            failures = _live(members, time.monotonic() + seconds, options.generations)
            _restart(members, options.life)
            assert not failures


def _seconds(life: int, generations: int) -> float:
    """Until so many renewals were seen, and the last generation but one has ended: nobody lives on it any more."""
    before = renew_before(timedelta(seconds=life)).total_seconds()
    # A node looks once in a thirtieth of a life (`rke2.boot.renewal`).
    return generations * (life - before + life / 30) + before + TELL_SECONDS


def _boot(lab: Lab, archive: Path, life: int, weight: int) -> Members:
    members = Members(lab, archive)
    members.place("server-0", "server")
    members.place("agent-0", "agent")
    for member in members:
        weigh(member.node.host, weight)
        member.start({SECONDS: str(life)})
    until_all_ready({member.node: member.process for member in members}, BOOT_SECONDS)
    members.kubectl("create", "deployment", "web", f"--image={workload.IMAGE}", "--replicas=2", "--", *_WEB)
    members.kubectl("expose", "deployment", "web", "--port=80", "--cluster-ip=10.43.77.77")
    eventually(
        lambda: members.kubectl("get", "deployment", "web", "--output", "jsonpath={.status.readyReplicas}"),
        "the application runs",
        300,
        ok="2".__eq__,
    )
    return members


_WEB = ("httpd", "-f", "-h", "/www")
_APPLICATION = ["http://10.43.77.77/index.html", "", ""]


def _live(members: Members, end: float, generations: int) -> list[str]:
    """Have both nodes asked until then, and compare what is there at the end; the calls that failed."""
    paths, before = Paths(), {member.node.host.name: running_containers(member.node) for member in members}
    server_ca, admin = str(paths.tls / "server-ca.crt"), str(paths.tls / "client-admin")
    api = "https://127.0.0.1:6443"
    asked_by_server = [
        _APPLICATION,
        [f"{api}/api/v1/namespaces/kube-system/configmaps", server_ca, admin],
        [f"{api}/api/v1/nodes/server-0/proxy/healthz", server_ca, admin],
        [f"{api}/api/v1/nodes/agent-0/proxy/healthz", server_ca, admin],
        ["https://127.0.0.1:9345/v1-rke2/readyz", server_ca, str(paths.agent / "client-kubelet")],
    ]
    agent_ca, kubelet = str(paths.agent / "server-ca.crt"), str(paths.agent / "client-kubelet")
    asked_by_agent = [
        _APPLICATION,
        [f"{api}/api/v1/nodes/agent-0", agent_ca, kubelet],
        ["https://127.0.0.1:6444/v1-rke2/readyz", agent_ca, kubelet],
    ]
    seen: dict[str, list[int]] = {}
    with (
        asking(members["server-0"].node.host, asked_by_server) as server,
        asking(members["agent-0"].node.host, asked_by_agent) as agent,
    ):
        while time.monotonic() < end:
            _look(members, seen)
            time.sleep(TELL_SECONDS)
    for load in (server, agent):
        print(f"{load.calls} calls, {len(load.failures)} failed", *load.failures[:20], sep="\n  ", flush=True)
    after = {member.node.host.name: running_containers(member.node) for member in members}
    _same(before, after)
    few = {name: serials for name, serials in seen.items() if len(serials) <= generations}
    assert not few, f"served fewer than {generations + 1} certificates: {few}"
    ready = [name for name in after if members.ready(name)]
    assert len(ready) == len(after), f"Ready are only {ready}"
    return server.failures + agent.failures


def _look(members: Members, seen: dict[str, list[int]]) -> None:
    """Note the certificates that are served now; one that has ended is a failure."""
    line = []
    for name, ports in _SERVED.items():
        host = members[name].node.host
        shown = host.exec([host.python, "-c", _GET_SERVED, *map(str, ports.values())], timeout=60).stdout
        for what, text in zip(ports, shown.splitlines(), strict=True):
            if not text:
                continue
            certificate = x509.load_pem_x509_certificate(text.replace("|", "\n").encode())
            left = (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()
            assert left > 0, f"{what} of {name} serves a certificate that ended {-left:.0f} s ago"
            serials = seen.setdefault(f"{name} {what}", [])
            if certificate.serial_number not in serials:
                serials.append(certificate.serial_number)
            line.append(f"{what} {len(serials)} ({left:.0f} s)")
    print(f"{datetime.now(UTC):%H:%M:%S} {', '.join(line)}", flush=True)


def _same(before: dict[str, frozenset[Container]], after: dict[str, frozenset[Container]]) -> None:
    for name, containers in before.items():
        gone, new = containers - after[name], after[name] - containers
        assert not gone and not new, f"{name}: gone {_names(gone)}, new {_names(new)}"
        print(f"{name}: the same {len(containers)} containers run", flush=True)


def _names(containers: frozenset[Container]) -> list[str]:
    return sorted(f"{each.pod}/{each.name}" for each in containers)


def _restart(members: Members, life: int) -> None:
    """A restart of rke2 finds renewed certificates and restarts nothing."""
    before = {member.node.host.name: running_containers(member.node) for member in members}
    for member in members:
        member.terminate()
    for member in members:
        member.start({SECONDS: str(life)})
    members.until_ready()
    _same(before, {member.node.host.name: running_containers(member.node) for member in members})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--life", type=int, default=LIFE, help="of a certificate, in seconds (%(default)s)")
    parser.add_argument("--generations", type=int, default=GENERATIONS, help="renewals (%(default)s)")
    parser.add_argument("--name", default="certs", help="of the lab")
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    options = parser.parse_args()
    if renew_before(timedelta(seconds=options.life)) < READ_AGAIN:
        parser.error("--life: certificates would end before everybody has read the renewed ones")
    return options


if __name__ == "__main__":
    main()
