"""A real cluster of an older release, gone over by this one: ``python -m tests.soak.from_before CHECKOUT``.

CHECKOUT is a work tree of that release with its own ``.venv`` and ``build/dist``. Boots a server and an agent with its
code, ends both, starts them with the code of this work tree and the same content, and prints what became of roles,
node passwords, Nodes and containers: of each that was replaced, what of its manifest is another. Fails unless all is as
`tests.cluster.security` wants it, and if a container was replaced whose manifest is the same.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import time
from pathlib import Path

from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards
from tests.cluster.members import Members
from tests.cluster.restart.replaced import Look, ended, look, replaced
from tests.cluster.restart.server import Server
from tests.cluster.security.before import (
    SECONDS,
    lost,
    missing_passwords,
    ready_since,
    superfluous,
    until_as_now,
    workload,
)
from tests.soak.share import weigh

LABS, NAME = Path("/var/tmp/rke2-tests"), "before"
QUIET_SECONDS = 15.0
"""Between two looks that must show the same."""


class Inherited(Members):
    """The nodes that another release's ``rke2 lab up`` has made."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, Path())
        self._members = {host.name: Server(LabNode(host)) for host in lab.hosts()}

    def end(self) -> None:
        """End what runs of that release; containers run on."""
        for node in self.nodes:
            node.signal(signal.SIGTERM)
        while any(node.process for node in self.nodes):
            time.sleep(0.2)
        for member in self:
            member.until_childless()


def main() -> None:
    options = _options()
    with gone_afterwards(Lab(LABS, NAME)) as lab:
        _boot(options.checkout)
        for host in lab.hosts():
            weigh(host, options.weight)
        _go_over(Inherited(lab))


def _boot(checkout: Path) -> None:
    """With the other release's own code."""
    command = [checkout / ".venv/bin/rke2", "lab", "up", "--state-dir", LABS, "--lab", NAME, "--agents", "1"]
    command += ["--content", checkout / "build/dist"]
    subprocess.run(list(map(str, command)), check=True, cwd=checkout)


def _go_over(members: Inherited) -> None:
    _tell(members, "started by the older release")
    before, ready = look(members), ready_since(members)
    members.end()
    members.boot(*members)
    until_as_now(members)
    after = _settled(members)
    _tell(members, "started by this one")
    assert lost(members, ready) == [], "a Node was not Ready in between"
    _compare(before, after)


def _settled(members: Inherited) -> Look:
    """What runs when charts that have changed are rolled out."""

    def changes() -> bool:
        seen.append(look(members))
        return bool(replaced(seen[-2], seen[-1]) or replaced(seen[-1], seen[-2]))

    members.until_ready()
    seen = [look(members)]
    eventually(
        changes, "nothing is rolled out any more", SECONDS, ok=lambda still: not still, poll=QUIET_SECONDS
    )
    return seen[-1]


def _compare(before: Look, after: Look) -> None:
    gone = replaced(before, after)
    print("containers that were replaced:" if gone else "no container was replaced", flush=True)
    for each in gone:
        print(f"    {each}", flush=True)
    same = [each.name for each in gone if not each.changes]
    assert not same, f"replaced although the manifest is the same: {', '.join(same)}"
    print("every other container runs on", flush=True)
    assert not (again := ended(before, after)), f"ended after they were begun: {', '.join(again)}"


def _tell(members: Inherited, when: str) -> None:
    print(f"{when}:")
    print(f"  too much:          {', '.join(superfluous(members)) or 'nothing'}")
    print(f"  without password:  {', '.join(sorted(missing_passwords(members))) or 'no node'}")
    print(f"  Ready since:       {ready_since(members)}")
    print(f"  charts:            {', '.join(_releases(members))}")
    print(
        f"  containers:        { {name: len(each) for name, each in workload(members).items()} }", flush=True
    )


def _releases(members: Inherited) -> list[str]:
    """What Helm keeps of each chart, with the number of the revision."""
    secrets = members.kubectl("--namespace", "kube-system", "get", "secrets", "--output", "name")
    prefix = "secret/sh.helm.release.v1."
    return sorted(name.removeprefix(prefix) for name in secrets.split() if name.startswith(prefix))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "checkout", type=Path, help="work tree of the older release, with .venv and build/dist"
    )
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES", help="as of changed_arguments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
