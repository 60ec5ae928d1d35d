"""Bodies, heads and silences: nothing that is half a request holds a place for long, and none is taken for a whole."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.members import Members
from tests.cluster.security.requests import signing_request
from tests.cluster.security.wire import Ask, Attacker, Credential, table

READS, WRITES = 20, 10
"""How many requests of each kind the server works on at a time."""
CERTIFICATE = "/v1-rke2/client-kube-proxy.crt"


@pytest.fixture(autouse=True)
def _server_stays_as_it_was(pair: Members, attacker: Attacker) -> Iterator[None]:
    yield
    assert attacker.one("GET /ping").body == b"pong"
    assert pair.ready("agent-0")
    assert pair["server-0"].running
    assert "Traceback" not in pair["server-0"].node.log.read_text(errors="replace")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_bodies_that_do_not_come_hold_nobody_up(
    attacker: Attacker, credentials: dict[str, Credential], method: str
) -> None:
    """More requests without their bodies than the server works on at a time."""
    by = credentials["agent token"]
    waiting = Ask(f"{method} {CERTIFICATE}", by, {"Content-Length": "500"}, seconds=6)
    real = Ask(f"POST {CERTIFICATE}", by, body=signing_request())
    ask = Ask("GET /v1-rke2/config", by)
    late = [Ask(parts=((2.0, each.text()),), seconds=8) for each in (real, ask) * 3]
    asks = [*[waiting] * (READS + 4), *late]
    answers = attacker.ask(*asks, at_once=len(asks))[-len(late) :]
    assert [each.status for each in answers] == [200] * len(late), table([(each,) for each in answers])


def test_what_is_half_a_request_is_ended(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    by = credentials["agent token"]
    head = Ask("GET /v1-rke2/config", by).text()
    halves = {
        # what is sent: seconds after which the connection must have ended
        "nothing, without TLS": (Ask(parts=((0, b""),), tls=False, seconds=25), 15),
        "nothing": (Ask(parts=((0, b""),), seconds=25), 15),
        "half a line": (Ask(parts=((0, b"GET /pi"),), seconds=25), 15),
        "half a head": (Ask(parts=((0, head[:-2]),), seconds=25), 15),
        "a byte now and then": (Ask(parts=tuple((1.0, bytes([byte])) for byte in head[:20]), seconds=25), 25),
        "half a body": (
            Ask(f"POST {CERTIFICATE}", by, {"Content-Length": "500"}, keep=True, seconds=50),
            45,
        ),
    }
    answers = attacker.ask(*(ask for ask, _ in halves.values()), at_once=len(halves))
    wrong = [
        (what, f"{answer.seconds:.0f} s", answer)
        for (what, (_, limit)), answer in zip(halves.items(), answers, strict=True)
        if not answer.ended or answer.seconds > limit or answer.status == 200
    ]
    assert not wrong, table(wrong)


def test_bodies_that_are_too_large(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    by, chunk = credentials["agent token"], b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    declared = Ask(f"POST {CERTIFICATE}", by, {"Content-Length": str(1 << 40)}).text()
    endless = Ask(f"POST {CERTIFICATE}", by, {"Transfer-Encoding": "chunked"}).text()
    asks = [Ask(parts=((0, sent),), seconds=25) for sent in (declared, endless + chunk * 32)]
    answers = attacker.ask(*asks, at_once=2)
    assert [answer.status for answer in answers] == [413, 413]
    assert all(answer.ended for answer in answers)


_SMUGGLED = b"GET /v1-rke2/readyz HTTP/1.1\r\nHost: x\r\n\r\n"

NOT_HTTP = {
    "length and chunks": (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + _SMUGGLED),
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 6", b"123456"),
    "a negative length": (b"Content-Length: -1", b""),
    "a signed length": (b"Content-Length: +5", b"12345"),
    "a length in words": (b"Content-Length: five", b"12345"),
    "a hexadecimal length": (b"Content-Length: 0x5", b"12345"),
    "an unknown coding": (b"Transfer-Encoding: gnunked", b"12345"),
    "a hidden coding": (b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n"),
    "a chunk without a size": (b"Transfer-Encoding: chunked", b"zz\r\n\r\n"),
    "a signed chunk": (b"Transfer-Encoding: chunked", b"-5\r\n12345\r\n0\r\n\r\n"),
    "a space before the colon": (b"Content-Length : 5", b"12345"),
    "a line without a colon": (b"nonsense", b""),
    "a NUL": (b"X: a\x00b", b""),
    "a long header": (b"X: " + b"y" * 200_000, b""),
    "many headers": (b"\r\n".join(b"X-%d: y" % number for number in range(20_000)), b""),
}


def test_what_is_not_http_is_refused(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    """By a request that would be answered if the odd header were not there."""
    start = b"POST " + CERTIFICATE.encode() + b" HTTP/1.1\r\nHost: x\r\nAuthorization: "
    start += credentials["agent token"].authorization.encode() + b"\r\n"
    asks = [Ask(parts=((0, start + odd + b"\r\n\r\n" + body),), seconds=3) for odd, body in NOT_HTTP.values()]
    wrong = [
        (name, answer.statuses, answer)
        for name, answer in zip(NOT_HTTP, attacker.ask(*asks, at_once=4), strict=True)
        if not (answer.statuses in ([400], [413], [431], [501]) or (answer.ended and not answer.received))
    ]
    assert not wrong, table(wrong)


def test_other_protocols_are_refused(attacker: Attacker) -> None:
    lines = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /cacerts\r\n",
        b"GET /cacerts HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"SSH-2.0-x\r\n\r\n",
    )
    answers = attacker.ask(*(Ask(parts=((0, line),), seconds=15) for line in lines), at_once=len(lines))
    answers += attacker.ask(Ask(parts=((0, b"GET /ping HTTP/1.1\r\n\r\n"),), tls=False, seconds=15))
    assert [answer for answer in answers if answer.status == 200 or not answer.ended] == []


def test_many_silent_connections_keep_nobody_out(pair: Members, attacker: Attacker) -> None:
    """Even from the address of a node, for whose connections places are kept."""
    silent = [Ask(parts=((0, b""),), tls=False, seconds=7)] * 300
    at_home = Attacker(pair["server-0"].node.host, attacker.server)
    late = Ask(parts=((4.0, Ask("GET /ping").text()),), seconds=9)
    with ThreadPoolExecutor(1) as background:
        flood = background.submit(attacker.ask, *silent, at_once=len(silent))
        assert at_home.ask(late)[0].status == 200
        assert pair.ask_kubelet("agent-0") == "ok"
        assert not [answer for answer in flood.result() if answer.received]
