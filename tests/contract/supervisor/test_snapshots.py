"""``POST /db/snapshot`` over the wire, and ``rke2 etcd-snapshot`` against it; the member's stream is the test's.

The real etcd's stream: tests/integration/snapshots.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from rke2.cli import main
from rke2.cli.etcd_snapshot import as_table
from rke2.config.model import NodeConfig, SnapshotSettings
from rke2.errors import EtcdError
from rke2.etcd.client import EtcdClient
from rke2.etcd.messages import Header, RangeRequest, RangeResponse, SnapshotResponse, StatusResponse
from rke2.snapshots.taking import Snapshots
from tests.contract.supervisor.harness import NODE, SERVER, Supervisor, supervisor
from tests.golden import assert_golden
from tests.unit.supervisor.client import Answer

HERE = Path(__file__).parent
DATABASE = b"data" * 128


@dataclass
class Member:
    """A member that answers as told."""

    learner: bool = False
    failure: EtcdError | None = None
    slow: asyncio.Event | None = None
    extra: dict[str, str] = field(default_factory=dict)

    async def status(self, endpoint: str) -> StatusResponse:
        return StatusResponse(Header(0xC, 0xA, 42), "3.6.14", is_learner=self.learner)

    async def snapshot(self, endpoint: str) -> AsyncIterator[SnapshotResponse]:
        yield SnapshotResponse(blob=DATABASE, version="3.6.0")
        if self.slow:
            await self.slow.wait()
        if self.failure:
            raise self.failure
        yield SnapshotResponse(blob=hashlib.sha256(DATABASE).digest())

    async def range(self, request: RangeRequest) -> RangeResponse:
        return RangeResponse()

    async def metadata(self) -> Mapping[str, str]:
        return self.extra


@contextmanager
def serving(root: Path, member: Member, **settings: Any) -> Iterator[Supervisor]:
    def made(config: NodeConfig) -> Snapshots:
        return Snapshots(config, cast("EtcdClient", member), member.metadata)

    with supervisor(root, snapshots=made, server={"snapshots": SnapshotSettings(**settings)}) as running:
        yield running


def post(running: Supervisor, user: str = SERVER, **request: Any) -> Answer:
    body = json.dumps(request).encode()
    return running.ask("POST", "/db/snapshot", user, body=body)


def place(running: Supervisor) -> Path:
    return running.config.paths.snapshots


def message(answer: Answer) -> str:
    return str(json.loads(answer.body)["message"])


def cli(running: Supervisor, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, messages of the log and errors."""
    where = (
        "--etcd-server",
        f"https://127.0.0.1:{running.port}",
        "--data-dir",
        str(running.config.paths.data_dir),
    )
    capfd.readouterr()
    code = main(["etcd-snapshot", *words, *where])
    out, err = capfd.readouterr()
    said = [line.partition(" msg=")[2].strip('"') or line for line in err.splitlines()]
    # The server, which logs to the same place, ends no sentence.
    own = [line for line in said if line.startswith(("No snapshot", "rke2: ")) or line.endswith(".")]
    return code, out, "\n".join(own)


@pytest.fixture(autouse=True)
def no_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text("")
    monkeypatch.setenv("RKE2_CONFIG_FILE", str(file))
    return file


def test_a_snapshot_is_saved_listed_and_deleted(tmp_path: Path) -> None:
    with serving(tmp_path, Member()) as running:
        saved = post(running, operation="save", name=["on-demand"], retention=0)
        assert saved.status == 200
        name = json.loads(saved.body)["created"][0]
        assert saved.body == f'{{"created":["{name}"]}}'.encode()
        path = place(running) / name
        assert path.read_bytes() == DATABASE + hashlib.sha256(DATABASE).digest()
        record = json.loads((place(running).parent / ".metadata" / f"{name}.record").read_bytes())
        assert (record["revision"], record["etcdVersion"], record["cluster"]) == (42, "3.6.14", "c")
        assert record["tokenHash"] == hashlib.sha256(SERVER.partition(":")[2].encode()).hexdigest()[:12]

        listed = json.loads(post(running, operation="list").body)
        assert (listed["kind"], listed["apiVersion"]) == ("List", "v1")
        assert [item["spec"]["location"] for item in listed["items"]] == [f"file://{path}"]

        deleted = post(running, operation="delete", name=[name, "another"])
        assert deleted.body == f'{{"deleted":["{name}"]}}'.encode()
        assert list(place(running).iterdir()) == []
        assert list((place(running).parent / ".metadata").iterdir()) == []


def test_prune_keeps_the_newest_of_its_name(tmp_path: Path) -> None:
    with serving(tmp_path, Member(), retention=1) as running:
        names = [
            json.loads(post(running, operation="save", name=["a"], retention=0).body)["created"][0]
            for _ in "123"
        ]
        other = json.loads(post(running, operation="save", name=["a-b"], retention=0).body)["created"][0]
        assert len(set(names)) == 3
        assert json.loads(post(running, operation="prune", name=["a"], retention=2).body) == {
            "deleted": names[:1]
        }
        assert post(running, operation="prune", name=["a"], retention=0).body == b"{}"
        # A save applies the server's own retention unless the request has one.
        last = json.loads(post(running, operation="save", name=["a"]).body)
        assert last["deleted"] == names[1:]
        assert {path.name for path in place(running).iterdir()} == {other, *last["created"]}


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"operation": "burn"}, 400, "invalid snapshot operation 'burn'"),
        ({"operation": "delete"}, 400, "no snapshots given for removal"),
        ({"operation": "save", "name": ["../../etc/cron.d/x"]}, 400, "invalid snapshot name"),
        ({"operation": "save", "name": ["/etc/x"]}, 400, "invalid snapshot name"),
        ({"operation": "save", "name": [""]}, 400, "invalid snapshot name"),
        ({"operation": "save", "dir": "/etc"}, 400, "invalid snapshot directory '/etc'"),
        ({"operation": "list", "dir": "/etc"}, 400, "invalid snapshot directory '/etc'"),
        ({"operation": "delete", "name": ["x"], "dir": "/"}, 400, "invalid snapshot directory '/'"),
        ({"operation": "prune", "dir": "relative"}, 400, "invalid snapshot directory 'relative'"),
        ({"operation": "save", "s3": {"bucket": "b"}}, 400, "failed to initialize S3 client"),
        ({"operation": 7}, 500, "etcd-snapshot error ID "),
        ({"operation": "save", "name": "text"}, 500, "etcd-snapshot error ID "),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, request_: dict[str, Any], status: int, words: str
) -> None:
    with serving(tmp_path, Member()) as running:
        answer = post(running, **request_)
        assert answer.status == status and words in message(answer)
        assert not place(running).exists() or not list(place(running).iterdir())


def test_a_directory_above_by_a_link_or_dots_is_outside(tmp_path: Path) -> None:
    with serving(tmp_path, Member()) as running:
        place(running).mkdir(parents=True)
        (place(running) / "way-out").symlink_to("/etc")
        (place(running) / "deeper").mkdir()
        for path in ("way-out", "deeper/../.."):
            assert post(running, operation="list", dir=str(place(running) / path)).status == 400
        assert post(running, operation="save", dir=str(place(running) / "deeper")).status == 200


def test_any_directory_may_be_allowed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with serving(tmp_path, Member(), restrictions=False) as running:
        assert post(running, operation="save", dir=str(other)).status == 200
        assert len(list(other.iterdir())) == 1
        missing = post(running, operation="save", dir=str(tmp_path / "missing"))
        assert missing.status == 500 and "failed to get etcd-snapshot-dir: stat" in message(missing)


def test_a_name_from_a_request_is_no_path(tmp_path: Path) -> None:
    with serving(tmp_path, Member()) as running:
        precious = running.config.paths.token
        names = ["../../token", str(precious), "..", "."]
        assert post(running, operation="delete", name=names).body == b"{}"
        assert precious.exists()


def test_a_failed_save_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with serving(tmp_path, Member(failure=EtcdError("etcd broke off"))) as running:
        answer = post(running, operation="save")
        assert (answer.status, message(answer)) == (500, "Internal error occurred: etcd broke off")
        assert list(place(running).iterdir()) == []


def test_two_saves_at_once_are_one(tmp_path: Path) -> None:
    member = Member()
    with serving(tmp_path, member) as running:
        member.slow = asyncio.Event()
        first = running.loop.run_in_executor(None, lambda: post(running, operation="save"))
        deadline = time.monotonic() + 20
        while (
            not (place(running).is_dir() and list(place(running).iterdir())) and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        second = post(running, operation="save")
        assert second.status == 500 and "snapshot save already in progress" in message(second)
        running.loop.call_soon_threadsafe(member.slow.set)
        assert running.run(_result(first)).status == 200


async def _result(future: asyncio.Future[Answer]) -> Answer:
    return await future


def test_a_learner_takes_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, Member(learner=True)) as running:
        assert post(running, operation="save").body == b"{}"
        code, _, said = cli(running, capfd, "save")
        assert code == 0 and "learner" in said


def test_only_servers_may_ask(tmp_path: Path) -> None:
    with serving(tmp_path, Member()) as running:
        assert post(running, NODE, operation="list").status == 403
        assert post(running, "server:guess", operation="list").status == 401
        assert running.ask("GET", "/db/snapshot", SERVER).status == 405
        assert running.ask("POST", "/db/snapshot", SERVER, body=b"{").status == 500


def test_a_server_without_etcd_says_so(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        answer = post(running, operation="list")
        assert (answer.status, message(answer)) == (400, "etcd datastore disabled")


def test_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, Member(extra={"why": "test"}), name="etcd-snapshot") as running:
        assert cli(running, capfd, "ls") == (0, "Name Location Size Created Verified\n", "")
        code, out, said = cli(running, capfd, "save", "--name=before-upgrade", "--snapshot-compress")
        name = next(path.name for path in place(running).iterdir())
        assert (code, out, said) == (0, "", f"Snapshot {name} saved.")
        assert name.startswith("before-upgrade-node1-") and name.endswith(".zip")
        # Known times and sizes, to compare what is printed.
        (place(running) / name).unlink()
        for file in ("etcd-snapshot-node1-1700000000", "on-demand-node1-1700000100.zip"):
            (place(running) / file).write_bytes(b"x" * 1234)
        golden = HERE / "snapshots"
        token = hashlib.sha256(SERVER.partition(":")[2].encode()).hexdigest()[:12]
        for output in ("json", "yaml"):
            code, out, said = cli(running, capfd, "ls", "-o", output)
            assert (code, said) == (0, "")
            shown = out.replace(str(place(running)), "/snapshots").replace(token, "TOKEN")
            assert_golden(golden / f"ls.{output}", shown)
        # The columns of the table are as wide as the directory's name.
        assert len(cli(running, capfd, "ls")[1].splitlines()) == 3
        assert_golden(golden / "ls.table", as_table((golden / "ls.json").read_bytes()))
        code, _, said = cli(running, capfd, "delete", "etcd-snapshot-node1-1700000000", "no-such")
        assert (code, said) == (
            0,
            "Snapshot etcd-snapshot-node1-1700000000 deleted.\nSnapshot no-such not found.",
        )
        assert cli(running, capfd, "prune", "--snapshot-retention", "1", "--name=on-demand") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["save", "now"], "this command does not take any arguments, and was given 'now'"),
        (["delete"], "no snapshots given for removal"),
        (["ls", "-o", "xml"], "invalid output format: xml"),
        (["undo"], "'undo' is not a verb"),
        (["restore"], "name one snapshot to restore, its path, or its location in S3"),
        (["restore", "no-such"], "etcd: snapshot path does not exist: no-such"),
        (["verify"], "name one snapshot to verify, or --last"),
        (["verify", "a", "--last"], "name one snapshot to verify, or --last"),
        (["save", "--s3", "--s3-timeout=0s"], "etcd-s3-timeout must be greater than 0s"),
        (["save", "--s3", "--s3-bucket-lookup-type=x"], "s3-bucket-lookup-type: invalid value 'x'"),
        (["save", "--frequency"], "--frequency is not a flag"),
        (["save", "--snapshot-retention=many"], "snapshot-retention: invalid value 'many'"),
    ],
)
def test_a_command_line_that_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], error: str
) -> None:
    assert main(["etcd-snapshot", *words]) == 1
    assert f"rke2: error: {error}" in capfd.readouterr().err


def test_a_failed_save_ends_with_1_and_the_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, Member(failure=EtcdError("etcd broke off"))) as running:
        code, _, said = cli(running, capfd, "save")
        assert code == 1
        assert "rke2: error: see server log for details: Internal error occurred: etcd broke off" in said


def test_config_yaml_counts_for_the_verb(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], no_config_file: Path
) -> None:
    with serving(tmp_path, Member()) as running:
        no_config_file.write_text(
            f"etcd-snapshot-compress: true\netcd-snapshot-dir: {place(running)}/sub\nwrite-kubeconfig-mode: '0644'\n"
        )
        (place(running) / "sub").mkdir(parents=True)
        assert cli(running, capfd, "--debug=false", "save")[0] == 0
        assert [path.suffix for path in (place(running) / "sub").iterdir()] == [".zip"]
        assert cli(running, capfd, "save", "--snapshot-compress=false")[0] == 0
        assert sorted(path.suffix for path in (place(running) / "sub").iterdir())[0] == ""


def test_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["etcd-snapshot", "--help"]) == 0
    assert_golden(HERE / "snapshots" / "help.txt", capsys.readouterr().out)


def test_without_a_token_the_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["etcd-snapshot", "ls", "--data-dir", str(tmp_path)]) == 1
    assert f"{tmp_path}/server/token cannot be read: No such file" in capsys.readouterr().err
    assert os.environ["RKE2_CONFIG_FILE"]
