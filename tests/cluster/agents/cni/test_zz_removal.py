"""``rke2-killall.sh`` and ``rke2-uninstall.sh`` leave nothing of a CNI plugin on a host; run last, the cluster ends.

Canal's removal is tested where the installed program is: tests/integration/packaging.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.cni import DEFAULT
from rke2_lab import program
from rke2_lab.host import LabHost
from tests.cluster.agents.cni.networks import Network
from tests.cluster.members import Members

SOURCE = {"PYTHONPATH": str(program.SOURCE)}
SCRIPTS = Path(__file__).parents[4] / "packaging"
USERS_RULE = "-A INPUT -p tcp -m tcp --dport 9 -j DROP"


def test_a_host_is_clean_again(members: Members, network: Network) -> None:
    if network.name == DEFAULT.name:
        pytest.skip("the cluster is other tests', too")
    host = members["agent-0"].node.host
    for script in ("rke2-killall.sh", "rke2-uninstall.sh"):
        text = (SCRIPTS / script).read_text()
        host.exec(["sh", "-c", f"cat > /usr/local/bin/{script}"], input=text, check=True)
        host.exec(["chmod", "755", f"/usr/local/bin/{script}"], check=True)
    host.exec(["sh", "-c", f"iptables {USERS_RULE}"], check=True)
    assert _remains(host, network).keys() >= set(network.kinds), "there is something to remove"

    done = host.exec(["rke2-killall.sh"], timeout=120, env=SOURCE)
    assert done.returncode == 0, done.stderr
    assert _remains(host, network) == {}
    assert USERS_RULE in host.exec(["iptables-save"]).stdout

    host.exec(["rke2-uninstall.sh"], timeout=120, env=SOURCE, check=True)
    for directory in ("/etc/cni", "/opt/cni/bin", "/var/lib/calico", "/var/lib/cni"):
        path = host.path(directory)
        assert not path.exists() or not list(path.iterdir()), directory


def _remains(host: LabHost, network: Network) -> dict[str, list[str]]:
    """What is there of the plugin, by kind; kinds of which nothing is there are left out."""
    ways = {
        "interfaces": "ip -o link",
        "routes": "ip route; ip -6 route",
        "rules": "iptables-save; ip6tables-save",
        "sets": f"PYTHONPATH={program.SOURCE} python3 -m rke2.host.ipsets list ''",
    }
    found = {kind: _lines(host, script, network.remains) for kind, script in ways.items()}
    found["routes"] += _lines(host, ways["routes"], ("blackhole",))
    return {kind: lines for kind, lines in found.items() if lines}


def _lines(host: LabHost, script: str, words: tuple[str, ...]) -> list[str]:
    lines = host.exec(["sh", "-c", script]).stdout.splitlines()
    return [line for line in lines if any(word in line for word in words)]
