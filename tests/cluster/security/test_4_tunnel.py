"""A node's tunnel carries what is meant for that node, whatever addresses its Node claims."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cluster.members import Members
from tests.cluster.security.requests import signing_request
from tests.cluster.security.wire import Answer, Ask, Attacker, Credential

THIEF = "thief"
OWN_ADDRESS = "203.0.113.50"
"""Nobody else claims it, so what is meant for the thief must arrive there."""
WATCH_SECONDS = 12.0

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


@pytest.fixture(scope="module")
def thief(pair: Members, attacker: Attacker, credentials: dict[str, Credential]) -> Iterator[Credential]:
    """Somebody who found the agents' token: a node of a new name, whose Node claims the addresses of all others."""
    key = ec.generate_private_key(ec.SECP256R1())
    headers = {"rke2-Node-Name": THIEF, "rke2-Node-Password": "mine"}
    by = credentials["agent token"]
    answer = attacker.ask(Ask("POST /v1-rke2/client-kubelet.crt", by, headers, signing_request(key)))[0]
    assert answer.status == 200, answer
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    made = Credential(THIEF, pem=answer.body.decode() + private)
    try:
        _claim(attacker, made, pair)
        yield made
    finally:
        pair.kubectl("delete", "node", THIEF, "--ignore-not-found")


def _claim(attacker: Attacker, thief: Credential, pair: Members) -> None:
    """With the rights of its own certificate, as any node reports its addresses."""
    others = [(each.node.host.address, each.node.host.address6) for each in pair]
    addresses = [OWN_ADDRESS, *(address for both in others for address in both)]
    status = {
        "addresses": [{"type": "InternalIP", "address": each} for each in addresses],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": THIEF}}
    _write(attacker, thief, "POST /api/v1/nodes", "application/json", node)
    _write(
        attacker,
        thief,
        f"PATCH /api/v1/nodes/{THIEF}/status",
        "application/merge-patch+json",
        {"status": status},
    )


def _write(attacker: Attacker, thief: Credential, line: str, kind: str, body: dict[str, Any]) -> None:
    answer = attacker.ask(Ask(line, thief, {"Content-Type": kind}, json.dumps(body).encode(), port=6443))[0]
    assert answer.status in {200, 201}, answer


def _listen(attacker: Attacker, thief: Credential, *parts: tuple[float, bytes]) -> Answer:
    """What comes through the thief's tunnel."""
    opening = Ask("GET /v1-rke2/connect", thief, UPGRADE, keep=True).text()
    return attacker.ask(Ask(by=thief, parts=((0.0, opening), *parts), seconds=WATCH_SECONDS))[0]


def test_nobody_takes_the_addresses_of_others(pair: Members, attacker: Attacker, thief: Credential) -> None:
    with ThreadPoolExecutor(1) as background:
        listening = background.submit(_listen, attacker, thief)
        health = [pair.ask_kubelet(name) for _ in range(4) for name in ("agent-0", "server-0")]
        heard = listening.result()
    assert heard.status == 101, heard
    assert b"tcp/" not in heard.received
    assert health == ["ok"] * len(health)


def test_what_is_meant_for_a_node_comes_through_its_tunnel(
    pair: Members, attacker: Attacker, thief: Credential
) -> None:
    """Otherwise the test above would prove nothing."""
    with ThreadPoolExecutor(1) as background:
        listening = background.submit(_listen, attacker, thief)
        while not listening.done() and pair.ask_kubelet(THIEF) != "ok":
            pass
        assert b"tcp/127.0.0.1:10250" in listening.result().received


def test_an_address_that_two_nodes_claim_is_told(
    pair: Members, attacker: Attacker, thief: Credential
) -> None:
    assert pair["server-0"].logged(THIEF)
    said = pair.kubectl(
        "get", "events", "--all-namespaces", "--field-selector", f"involvedObject.name={THIEF}"
    )
    assert pair["agent-0"].node.host.address in said, said


def test_a_tunnel_leads_in_one_direction(attacker: Attacker, thief: Credential) -> None:
    """An agent that asks the server to connect somewhere gets nothing from there."""
    for target in ("127.0.0.1:2381", "127.0.0.1:2379", "127.0.0.1:10250"):
        opened = frame(1, 1, 2, f"tcp/{target}".encode())
        asked = frame(2, 1, 1, b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = attacker.ask(
            Ask(
                by=thief,
                parts=(
                    (0.0, Ask("GET /v1-rke2/connect", thief, UPGRADE, keep=True).text()),
                    (0.5, opened),
                    (0.2, asked),
                ),
                seconds=4,
            )
        )[0]
        assert answer.status == 101
        assert b"etcd_" not in answer.received
        assert b"HTTP/1.0" not in answer.received


def frame(number: int, connection: int, kind: int, payload: bytes) -> bytes:
    """A tunnel frame in a masked websocket message, all numbers zig-zag varints below 64."""
    head = bytes([number << 1, connection << 1, kind << 1]) + b"\xb0\xea\x01"  # the deadline, 15000 ms
    message, mask = head + payload, os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(message))
    assert len(message) < 126
    return bytes([0x82, 0x80 | len(message)]) + mask + masked
