import json
from pathlib import Path

import pytest

from rke2.content.images import cri
from rke2.content.images.cri import CRI, parse_sandboxes
from rke2.errors import ComponentError

ITEM = {
    "id": "7d1f",
    "metadata": {"name": "etcd-node1", "uid": "u1", "namespace": "kube-system", "attempt": 0},
    "state": "SANDBOX_READY",
    "createdAt": "1700000000000000000",
    "labels": {"component": "etcd"},
    "annotations": {"kubernetes.io/config.source": "file"},
    "runtimeHandler": "",
}


def test_reads_what_crictl_prints() -> None:
    (sandbox,) = parse_sandboxes(json.dumps({"items": [ITEM]}))
    assert (sandbox.id, sandbox.uid, sandbox.ready) == ("7d1f", "u1", True)
    assert sandbox.created == 1700000000000000000
    assert parse_sandboxes('{"items": null}') == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"items": [{}]}', "time=... level=fatal"])
def test_other_output_is_an_error(text: str) -> None:
    with pytest.raises(ComponentError, match="unexpected output"):
        parse_sandboxes(text)


async def test_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="crictl: No such file"):
        await CRI(tmp_path / "crictl", tmp_path / "socket").version()


async def test_failure_carries_the_last_line(tmp_path: Path) -> None:
    program = tmp_path / "crictl"
    program.write_text("#!/bin/sh\necho first >&2\necho 'connection refused' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ComponentError, match=r"crictl pods failed: connection refused"):
        await CRI(program, tmp_path / "socket").sandboxes("kube-system")


async def test_silent_runtime_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cri, "GRACE", 0.1)
    program = tmp_path / "crictl"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(ComponentError, match="no answer"):
        await CRI(program, tmp_path / "socket", timeout=0.1).version()
