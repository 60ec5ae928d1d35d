"""What is exchanged in a running supervisor: the next request, or connection, goes by it; nothing starts again."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from rke2.errors import PKIError
from rke2.join.passwd import Passwd
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.catalog import CLIENT_CA, SERVER_CA
from rke2.supervisor.serving import FILE
from rke2.supervisor.slots import Derived, Passwords, Slot
from tests.authorities import certify, new_key, pem, place
from tests.unit.supervisor.client import Client
from tests.unit.supervisor.kube import Kube
from tests.unit.supervisor.test_server import NODE, PASSWD, SERVER, Running, configured, supervisor

MEMBERS = "/db/info"
CONFIG = "/v1-rke2/config"


# --- slots -----------------------------------------------------------------------------------------
def test_whoever_holds_a_slot_sees_what_is_exchanged() -> None:
    slot, told = Slot("old"), list[str]()
    shout = Derived(lambda: slot.value.upper(), slot)
    end = slot.listen(lambda: told.append(f"{shout.value} {slot.stamp}"))
    assert (slot.value, slot.stamp, shout.value) == ("old", 0, "OLD")
    assert slot.exchange("new")
    assert (slot.value, slot.stamp, shout.value, told) == ("new", 1, "NEW", ["NEW 1"])
    end()
    slot.exchange("newer")
    assert (shout.value, told) == ("NEWER", ["NEW 1"])


def test_the_same_value_is_no_exchange() -> None:
    slot, told = Slot(b"same"), list[int]()
    slot.listen(lambda: told.append(1))
    assert not slot.exchange(bytes(bytearray(b"same")))
    assert (slot.stamp, told) == (0, [])


def test_a_value_of_which_nothing_can_be_made_is_not_taken() -> None:
    slot, told = Slot("1"), list[int]()
    doubled = Derived(lambda: slot.value * 2, slot)
    number = Derived(lambda: int(slot.value), slot)
    slot.listen(lambda: told.append(1))
    with pytest.raises(ValueError, match="invalid literal"):
        slot.exchange("one")
    assert (slot.value, slot.stamp, doubled.value, number.value, told) == ("1", 0, "11", 1, [])


def test_what_is_made_of_two_slots_follows_both() -> None:
    first, second = Slot(1), Slot(2)
    total = Derived(lambda: first.value + second.value, first, second)
    first.exchange(10)
    second.exchange(20)
    assert total.value == 30


def test_a_listener_may_stop_listening_when_it_is_told() -> None:
    slot, told = Slot(0), list[str]()

    def once() -> None:
        told.append("once")
        end()

    end = slot.listen(once)
    slot.listen(lambda: told.append("always"))
    slot.exchange(1)
    slot.exchange(2)
    assert told == ["once", "always", "always"]


# --- the supervisor --------------------------------------------------------------------------------
@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    config = configured(tmp_path / "node")
    await ensure_agent_pki(config, LocalSigner(config))
    server = supervisor(config)
    await server.start()
    found = Running(config, server, Client(server.port, config.paths.tls / "server-ca.crt"), Kube())
    yield found
    await found.end()


async def test_the_next_request_goes_by_the_new_passwords(running: Running) -> None:
    assert (await running.client.ask(CONFIG, NODE)).status == 200
    running.server.slots.passwords.exchange(Passwords(Passwd("new for servers", "new for agents"), ("more",)))
    for refused in (NODE, SERVER):
        assert (await running.client.ask(CONFIG, refused)).status == 401
    for accepted in ("node:new for agents", "node:more", "server:new for servers"):
        assert (await running.client.ask(CONFIG, accepted)).status == 200
    running.server.slots.passwords.exchange(Passwords(PASSWD))
    assert (await running.client.ask(CONFIG, NODE)).status == 200


async def test_an_open_connection_goes_by_the_new_passwords_too(running: Running) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", running.client.port, ssl=running.client.context()
    )
    assert await ask_on(reader, writer) == 200
    running.server.slots.passwords.exchange(Passwords(Passwd("others", "others")))
    assert await ask_on(reader, writer) == 401
    writer.close()


async def test_the_bundle_in_use_is_told_to_everybody(running: Running) -> None:
    tls = running.config.paths.tls
    bundle, also = (tls / "server-ca.crt").read_bytes(), authority("also trusted")
    serial = await served(running)
    (tls / "server-ca.crt").write_bytes(bundle + also)
    assert (await running.client.ask("/cacerts")).body == bundle
    assert running.server.slots.read_authorities(tls)
    assert (await running.client.ask("/cacerts")).body == bundle + also
    assert await served(running) == serial  # the same authority signs


async def test_the_next_connection_is_served_by_the_new_authority(running: Running) -> None:
    tls = running.config.paths.tls
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", running.client.port, ssl=running.client.context()
    )
    new_authority(tls, SERVER_CA.file)
    assert running.server.slots.read_authorities(tls)
    assert await ask_on(reader, writer) == 200  # one that is open goes on
    answer = await running.client.ask("/cacerts")  # trusts nothing but the new file
    assert answer.body == (tls / "server-ca.crt").read_bytes()
    writer.close()


async def test_the_certificate_in_the_slot_is_served_and_stored(running: Running) -> None:
    certificate, before = running.server._certificate, await served(running)
    assert certificate
    certificate._reissue()
    assert await served(running) == certificate.current.parsed().serial_number != before
    async with asyncio.timeout(20):
        stored = running.config.paths.tls / FILE
        while json.loads(stored.read_text())["data"] != certificate.current.secret()["data"]:
            await asyncio.sleep(0.01)


async def test_client_certificates_are_checked_by_the_new_authority(running: Running, tmp_path: Path) -> None:
    await running.become_ready()
    tls, old = running.config.paths.tls, running.presenting(running.config.paths.agent / "client-kubelet")
    new = running.presenting(tmp_path / "new")
    key = new_authority(tls, CLIENT_CA.file)
    leaf = new_key()
    place(tmp_path / "new", pem(certify("someone", leaf, "exchanged", key, ca=False)), leaf)
    assert (await old.ask("/v1-rke2/readyz")).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await new.ask("/ping")
    running.server.slots.read_authorities(tls)
    assert (await new.ask("/ping")).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await old.ask("/v1-rke2/readyz")


async def test_a_connection_that_another_authority_let_in_ends(running: Running) -> None:
    await running.become_ready()
    kubelet = running.presenting(running.config.paths.agent / "client-kubelet")
    reader, writer = await asyncio.open_connection("127.0.0.1", kubelet.port, ssl=kubelet.context())
    assert await ask_on(reader, writer, user="") == 200
    new_authority(running.config.paths.tls, CLIENT_CA.file)
    running.server.slots.read_authorities(running.config.paths.tls)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_an_unusable_authority_changes_nothing(running: Running) -> None:
    slots, tls, serial = running.server.slots, running.config.paths.tls, await served(running)
    with pytest.raises(ssl.SSLError):
        slots.client_ca.exchange(b"nonsense")
    (tls / "server-ca.key").write_bytes(b"nonsense")
    with pytest.raises(PKIError):
        slots.server_ca.exchange(authority("without a key"))
    assert (slots.client_ca.stamp, slots.server_ca.stamp) == (0, 0)
    assert await served(running) == serial
    assert (await running.client.ask("/cacerts")).body == (tls / "server-ca.crt").read_bytes()


async def test_the_files_as_they_are_exchange_nothing(running: Running) -> None:
    assert not running.server.slots.read_authorities(running.config.paths.tls)
    assert running.server.slots.client_ca.stamp == running.server.slots.server_ca.stamp == 0


# --- helpers ---------------------------------------------------------------------------------------
def authority(name: str) -> bytes:
    key = new_key()
    return pem(certify(name, key, name, key))


def new_authority(tls: Path, file: str) -> EllipticCurvePrivateKey:
    """Put another authority in the place of `file`; its key."""
    key = new_key()
    place(tls / file, pem(certify("exchanged", key, "exchanged", key)), key)
    return key


async def served(running: Running) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", running.client.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).serial_number


async def ask_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str = NODE) -> int:
    """The status of one more answer on a connection that stays open."""
    credentials = f"Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n" if user else ""
    path = CONFIG if user else "/v1-rke2/readyz"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: supervisor\r\n{credentials}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r")[0])
    await reader.readexactly(length)
    return int(head.split()[1])
