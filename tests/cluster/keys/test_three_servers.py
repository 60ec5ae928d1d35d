"""Three servers exchange the keys of Secrets, and the token, while they run; who was away comes back right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

NAMES = ("server-0", "server-1", "server-2")
PATHS = Paths()
SECRETS = 200


@pytest.fixture(scope="module")
def servers(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}keys")) as own:
        members = Members(own, workload_archive)
        for name in NAMES:
            members.boot(members.place(name, "server"))
        fill(members["server-0"].node)
        yield members


def fill(node: LabNode) -> None:
    """Create Secrets that every API server must give back at any time."""
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"kept-{number}"},
            "stringData": {"value": str(number)},
        }
        for number in range(SECRETS)
    ]
    node.host.path("/root/secrets.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )
    made = node.kubectl("create", "-f", "/root/secrets.json", timeout=300)
    assert made.returncode == 0, made.stderr


def status(node: LabNode) -> dict[str, Any]:
    done = node.rke2("secrets-encrypt", "status", "-o", "json", timeout=60)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def key_names(node: LabNode) -> list[str]:
    """In the order in which they are tried."""
    document = json.loads(node.host.path(PATHS.cred / "encryption-config.json").read_text())
    providers = document["resources"][0]["providers"]
    return [key["name"] for each in providers for kind in each.values() for key in kind.get("keys", [])]


def unreadable(node: LabNode) -> list[str]:
    """Secrets that this server's own API server does not give back as they were written."""
    done = node.kubectl("get", "secrets", "-o", "json")
    assert done.returncode == 0, done.stderr
    values = {each["metadata"]["name"]: each.get("data", {}) for each in json.loads(done.stdout)["items"]}
    assert sum(name.startswith("kept-") for name in values) == SECRETS
    return [name for name, data in values.items() if name.startswith("kept-") and not data.get("value")]


def until_one_key(servers: Members, former: str) -> str:
    """Every server has finished, with one and the same key, which is not `former`; its name."""

    def finished() -> bool:
        said = [status(servers[name].node) for name in NAMES]
        return all(
            each.get("stage") == "reencrypt_finished"
            and each.get("hashmatch")
            and not each.get("inactivekeys")
            for each in said
        )

    eventually(finished, "all servers have finished the rotation", 240)
    names = [key_names(servers[name].node) for name in NAMES]
    assert names[0] == names[1] == names[2] and len(names[0]) == 1, names
    assert names[0][0] != former
    return names[0][0]


def rotate(node: LabNode) -> tuple[int, str]:
    done = node.rke2("secrets-encrypt", "rotate-keys", timeout=240)
    return done.returncode, done.stdout + done.stderr


def test_keys_are_rotated_on_all_servers_and_every_secret_stays_readable(servers: Members) -> None:
    (former,) = key_names(servers["server-1"].node)
    code, said = rotate(servers["server-1"].node)
    assert code == 0, said
    until_one_key(servers, former)
    for name in NAMES:
        assert unreadable(servers[name].node) == [], name


def test_a_rotation_whose_server_is_killed_goes_on_when_it_is_repeated(servers: Members) -> None:
    server = servers["server-0"]
    (former,) = key_names(server.node)
    asked = server.node.popen(server.node.command("secrets-encrypt", "rotate-keys"))
    eventually(lambda: len(key_names(server.node)) == 2, "the new key is there", 120, poll=0.01)
    server.kill()
    asked.wait(60)
    server.start()
    servers.until_ready(server)
    for name in NAMES:
        assert unreadable(servers[name].node) == [], name

    def repeated() -> bool:
        return rotate(server.node)[0] == 0 or status(server.node).get("stage") == "reencrypt_finished"

    eventually(repeated, "the rotation goes on", 240)
    until_one_key(servers, former)
    for name in NAMES:
        assert unreadable(servers[name].node) == [], name


def test_a_server_that_was_away_comes_back_with_the_new_key(servers: Members) -> None:
    away, here = servers["server-2"], servers["server-0"]
    (former,) = key_names(here.node)
    away.node.host.stop()
    code, said = rotate(here.node)
    # A server that cannot be asked keeps the former key readable, or the rotation from beginning.
    time.sleep(5)
    away.node.host.start()
    away.start()
    servers.until_ready(away)
    eventually(lambda: status(here.node).get("hashmatch") is True, "all servers agree again", 240)
    for name in NAMES:
        assert unreadable(servers[name].node) == [], (name, code, said)
    code, said = rotate(here.node)
    assert code == 0, said
    until_one_key(servers, former)
    for name in NAMES:
        assert unreadable(servers[name].node) == [], name


def let_in(node: LabNode, password: str) -> bool:
    """Whether the server's API on port 9345 takes the password."""
    words = ("--etcd-server", f"https://{node.host.address}:9345", "--etcd-token", password)
    return node.rke2("etcd-snapshot", "ls", *words, timeout=60).returncode == 0


def test_the_token_is_rotated_on_all_servers_and_each_starts_with_it(servers: Members) -> None:
    old = servers["server-0"].node.host.path(PATHS.token).read_text().strip().rpartition(":")[2]
    assert all(let_in(servers[name].node, old) for name in NAMES)
    new = "a-token-of-ours-0123456789"
    done = servers["server-1"].node.rke2("token", "rotate", "--new-token", new, timeout=240)
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        node = servers[name].node
        assert node.host.path(PATHS.token).read_text().strip().endswith(f":{new}"), name
        assert (let_in(node, new), let_in(node, old)) == (True, False), name
    for name in NAMES:
        # The lab has the former one in each server's configuration: the next start would be refused.
        servers.set(name, token=new)
        assert servers[name].terminate() == 0
        servers[name].start()
        servers.until_ready(servers[name])
        assert (let_in(servers[name].node, new), let_in(servers[name].node, old)) == (True, False), name
