"""The client against a gRPC server of ours that misbehaves as told."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import EtcdError
from rke2.etcd import messages
from rke2.etcd.client import EtcdClient, prefix_end
from rke2.etcd.protobuf import encode
from rke2.host.files import write_into
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config

Answer = Callable[[grpc.aio.ServicerContext], Awaitable[bytes]]


@dataclass
class Member:
    """A server that gives one answer to everything and counts the requests."""

    endpoint: str
    server: grpc.aio.Server
    answer: Answer
    asked: list[str] = field(default_factory=list)


class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self) -> None:
        self.member: Member | None = None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        async def handle(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            assert self.member
            self.member.asked.append(details.method)
            return await self.member.answer(context)

        return grpc.unary_unary_rpc_method_handler(handle)


def failing(code: grpc.StatusCode, details: str) -> Answer:
    async def answer(context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(code, details)
        return b""

    return answer


async def well(context: grpc.aio.ServicerContext) -> bytes:
    return encode(messages.MembersResponse(members=(messages.Member(2**64 - 1, "n"),)))


async def silent(context: grpc.aio.ServicerContext) -> bytes:
    await asyncio.sleep(3600)
    return b""


NO_LEADER = failing(grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")
LEADER_CHANGED = failing(grpc.StatusCode.UNAVAILABLE, "etcdserver: leader changed")
LEARNER = failing(grpc.StatusCode.FAILED_PRECONDITION, "etcdserver: rpc not supported for learner")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = server_config(paths_under(tmp_path_factory.mktemp("pki")))
    ensure_server_pki(config)
    return config.paths.tls / "etcd"


Start = Callable[[Answer], Awaitable[Member]]


@pytest.fixture
async def start(tls: Path) -> AsyncIterator[Start]:
    servers: list[grpc.aio.Server] = []

    async def start_one(answer: Answer) -> Member:
        server, handler = grpc.aio.server(), Handler()
        key, certificate = ((tls / f"server-client.{kind}").read_bytes() for kind in ("key", "crt"))
        ca = (tls / "server-ca.crt").read_bytes()
        credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        servers.append(server)
        handler.member = Member(f"https://127.0.0.1:{port}", server, answer)
        return handler.member

    yield start_one
    for server in servers:
        await server.stop(None)


def client(tls: Path, *members: Member) -> EtcdClient:
    endpoints = [each.endpoint for each in members]
    return EtcdClient(endpoints, tls / "client.crt", tls / "client.key", tls / "server-ca.crt")


async def test_the_first_endpoint_answers_while_it_can(tls: Path, start: Start) -> None:
    first, second = await start(well), await start(well)
    async with client(tls, first, second) as etcd:
        for _ in range(2):
            assert (await etcd.members())[0].id == 2**64 - 1
    assert (len(first.asked), len(second.asked)) == (2, 0)


async def test_a_renewed_certificate_is_shown_from_the_next_request_on(
    tls: Path, start: Start, tmp_path: Path
) -> None:
    shown: list[bytes] = []

    async def note(context: grpc.aio.ServicerContext) -> bytes:
        shown.extend(context.auth_context()["x509_pem_cert"])
        return await well(context)

    own = tmp_path / "etcd"
    shutil.copytree(tls, own)
    member = await start(note)
    async with client(own, member) as etcd:
        await etcd.members()
        renewed = (tls / "server-client.crt").read_bytes()
        shutil.copy(tls / "server-client.key", own / "client.key")
        write_into(own / "client.crt", renewed, 0o600)
        await etcd.members()
        (own / "client.crt").unlink()
        await etcd.members()
    first, second, third = (x509.load_pem_x509_certificate(each) for each in shown)
    assert first != second == x509.load_pem_x509_certificate(renewed)
    assert third == second, "a file that is missing changes nothing"


@pytest.mark.parametrize("answer", [NO_LEADER, silent])
async def test_a_question_goes_to_the_next_endpoint(tls: Path, start: Start, answer: Answer) -> None:
    first, second = await start(answer), await start(well)
    async with client(tls, first, second) as etcd:
        assert await etcd.members(timeout=1)
        assert await etcd.members(timeout=1)
        assert etcd.endpoints == (second.endpoint, first.endpoint)
    assert len(first.asked) == 1


async def test_a_question_that_an_election_interrupted_is_asked_again(tls: Path, start: Start) -> None:
    async def once(context: grpc.aio.ServicerContext) -> bytes:
        return await (LEADER_CHANGED if len(member.asked) == 1 else well)(context)

    member = await start(once)
    async with client(tls, member) as etcd:
        assert await etcd.members()
    assert len(member.asked) == 2


async def test_elections_without_end_are_told_when_the_time_is_over(tls: Path, start: Start) -> None:
    member = await start(LEADER_CHANGED)
    async with client(tls, member) as etcd:
        with pytest.raises(EtcdError, match="leader changed"):
            await etcd.members(timeout=0.3)
        asked = len(member.asked)
        with pytest.raises(EtcdError, match="leader changed"):
            await etcd.put("k", b"v")
    assert len(member.asked) == asked + 1


async def test_a_change_that_may_have_happened_is_not_repeated(tls: Path, start: Start) -> None:
    first, second = await start(NO_LEADER), await start(well)
    async with client(tls, first, second) as etcd:
        with pytest.raises(EtcdError, match="no leader") as error:
            await etcd.put("k", b"v")
        assert error.value.code == "UNAVAILABLE"
        assert not second.asked
        await etcd.put("k", b"v")  # by the caller's own decision, and elsewhere
    assert second.asked == ["/etcdserverpb.KV/Put"]


async def test_a_change_that_never_left_goes_to_the_next_endpoint(tls: Path, start: Start) -> None:
    first, second = await start(well), await start(well)
    await first.server.stop(None)
    async with client(tls, first, second) as etcd:
        await etcd.put("k", b"v")
    assert second.asked == ["/etcdserverpb.KV/Put"]


async def test_a_refusal_is_final_and_names_the_member(tls: Path, start: Start) -> None:
    first, second = await start(LEARNER), await start(well)
    async with client(tls, first, second) as etcd:
        with pytest.raises(EtcdError) as error:
            await etcd.members()
    assert error.value.message == f"etcd at {first.endpoint}: etcdserver: rpc not supported for learner"
    assert error.value.code == "FAILED_PRECONDITION"
    assert not second.asked


async def test_all_failures_are_named(tls: Path, start: Start) -> None:
    first, second = await start(NO_LEADER), await start(silent)
    async with client(tls, first, second) as etcd:
        with pytest.raises(EtcdError) as error:
            await etcd.members(timeout=0.5)
    assert error.value.message == (
        f"etcd at {first.endpoint}: etcdserver: no leader; "
        f"etcd at {second.endpoint}: no answer to Cluster/MemberList within 0.5 s"
    )


async def test_an_answer_that_is_no_message_is_an_error(tls: Path, start: Start) -> None:
    async def garbage(context: grpc.aio.ServicerContext) -> bytes:
        return b"\x0a\xff"

    async with client(tls, await start(garbage)) as etcd:
        with pytest.raises(EtcdError, match="cannot be understood"):
            await etcd.members()


async def test_missing_certificates_are_named(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("c", "k", "ca")]
    async with EtcdClient(["https://127.0.0.1:1"], *files) as etcd:
        with pytest.raises(EtcdError, match=f"{tmp_path}/ca: No such file"):
            await etcd.status()


async def test_a_closed_client_connects_again(tls: Path, start: Start) -> None:
    etcd = client(tls, await start(well))
    assert await etcd.members()
    await etcd.close()
    assert await etcd.members()
    await etcd.close()


def test_grpc_is_loaded_by_the_first_request_only() -> None:
    program = "import sys, rke2.etcd.client, rke2.etcd.upkeep; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_the_end_of_a_prefix_bounds_exactly_its_keys(prefix: bytes, key: bytes) -> None:
    end = prefix_end(prefix)
    within = key >= prefix and (end == b"\0" or key < end)
    assert within == key.startswith(prefix)
