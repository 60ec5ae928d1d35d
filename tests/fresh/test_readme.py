"""The README's commands run to their end on an empty Debian 12 and 13.

The compiler's cache of this machine saves most of an hour; ``RKE2_FRESH_COLD=1`` does without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fresh.machine import GIVE_CACHES_BACK, Fresh, fresh

pytestmark = [pytest.mark.long, pytest.mark.root, pytest.mark.content]

DIRECTORY = Path("/var/tmp/rke2-fresh")
"""On a disk, as labs need it."""
SECONDS = 3 * 3600.0
SUBSET = "tests/unit/config tests/unit/host tests/cluster/applications"
STEPS = {
    "what the README says has to be there besides Go": "apt-get update -q\n"
    "apt-get install -qy --no-install-recommends make python3",
    "make run": "make run",
    "status": 'report=$(.venv/bin/rke2 lab exec server-0 -- rke2 status)\necho "$report"\n'
    "echo \"$report\" | grep -q ', ready$'\necho \"$report\" | grep -q 'runtime image: iptables (nf_tables)'",
    "make test": f"make test PYTEST_ARGS='-q -p no:cacheprovider {SUBSET}'",
    "make stop": "make stop\ntest ! -e /var/lib/rke2-lab",
    "make clean": f"{GIVE_CACHES_BACK}\nmake clean\ntest ! -e build\ntest ! -e .venv",
}


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest) -> Iterator[Fresh]:
    if os.geteuid() != 0:
        pytest.skip("an empty Debian is entered as root")
    assert shutil.which("mmdebstrap"), "install mmdebstrap (make test does)"
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with fresh(request.param, DIRECTORY, cold=bool(os.environ.get("RKE2_FRESH_COLD"))) as made:
        yield made


@pytest.mark.timeout(SECONDS)
def test_the_commands_of_the_readme_run_to_their_end(machine: Fresh) -> None:
    """In one go: each needs what the one before has left."""
    log = DIRECTORY / f"{machine.root.name}.log"
    script = "\n".join(f"echo '=== {name}'\n{commands}" for name, commands in STEPS.items())
    code = machine.run(script, log, SECONDS)
    text = log.read_text(errors="replace")
    step = text.rpartition("=== ")[2].partition("\n")[0]
    assert code == 0, f"{step!r} on {machine.root.name} ended with {code}; the end of {log}:\n{text[-6000:]}"
    assert [f"=== {name}\n" in text for name in STEPS] == [True] * len(STEPS)
