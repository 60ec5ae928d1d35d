from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from rke2.cli import main, token
from rke2.join.bootstrap_tokens import StoredToken

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRETS = "/api/v1/namespaces/kube-system/secrets"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[tuple[Path, dict[str, Any]]]:
    """A kubeconfig of an API server that keeps Secrets, and the Secrets."""
    kept: dict[str, Any] = {}

    async def create(request: web.Request) -> web.Response:
        secret = await request.json()
        name = secret["metadata"]["name"]
        if name in kept:
            return web.json_response(
                {"kind": "Status", "reason": "AlreadyExists", "message": "exists"}, status=409
            )
        kept[name] = secret
        return web.json_response(secret, status=201)

    async def listed(request: web.Request) -> web.Response:
        assert request.query["fieldSelector"] == "type=bootstrap.kubernetes.io/token"
        return web.json_response({"items": list(kept.values()), "metadata": {}})

    async def delete(request: web.Request) -> web.Response:
        found = kept.pop(request.match_info["name"], None)
        return web.json_response({"kind": "Status"}, status=200 if found else 404)

    app = web.Application()
    app.add_routes(
        [web.post(SECRETS, create), web.get(SECRETS, listed), web.delete(SECRETS + "/{name}", delete)]
    )
    server = TestServer(app)
    await server.start_server()
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {
        "server": str(server.make_url("")),
        "certificate-authority-data": base64.b64encode(b"pem").decode(),
    }
    document = {
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [{"name": "default", "user": {}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
    }
    kubeconfig.write_text(yaml.safe_dump(document))
    yield kubeconfig, kept
    await server.close()


async def run(*argv: str) -> int:
    """The verb in a thread of its own: it runs its own event loop."""
    return await asyncio.to_thread(main, ["token", *argv])


async def test_create_list_delete(
    api: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig, kept = api
    option = f"--kubeconfig={kubeconfig}"
    assert await run("create", option, "--description", "for a rack", "--ttl", "2h") == 0
    printed = capsys.readouterr().out.strip()
    digest = hashlib.sha256(b"pem").hexdigest()
    assert re.fullmatch(rf"K10{digest}::[a-z0-9]{{6}}\.[a-z0-9]{{16}}", printed)
    (secret,) = kept.values()
    stored = StoredToken.from_secret(secret)
    assert printed.endswith(f"::{stored}")
    assert stored.expires is not None
    assert timedelta(hours=1.9) < stored.expires - datetime.now(UTC) <= timedelta(hours=2)

    assert await run("list", option) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", header) == ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"]
    assert re.split(r"\s{2,}", row)[0] == str(stored)
    assert re.split(r"\s{2,}", row)[3:5] == ["authentication,signing", "for a rack"]

    assert await run("list", option, "-o", "json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["token"] == str(stored)
    assert await run("list", option, "-o", "yaml") == 0
    assert yaml.safe_load(capsys.readouterr().out) == listed

    assert await run("delete", option, printed) == 0
    assert kept == {}
    assert await run("delete", option, stored.id) == 1
    assert "no such token" in capsys.readouterr().err


async def test_a_given_token_once(
    api: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("create", f"--kubeconfig={api[0]}", "--ttl=0", "abcdef.0123456789abcdef")
    assert await run(*arguments) == 0
    assert capsys.readouterr().out.endswith("::abcdef.0123456789abcdef\n")
    assert "expiration" not in api[1]["bootstrap-token-abcdef"]["data"]
    assert await run(*arguments) == 1
    assert "id abcdef exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--ttl=soon", "--ttl"),
        ("--ttl=-1h", "negative"),
        ("--ttl=99999999h", "--ttl"),
        ("--usages=magic", "'magic' is unknown"),
        ("--groups=system:masters", "system:masters"),
        ("--description=a\nb", "cannot be printed"),
        ("secret", "not of the form"),
    ],
)
async def test_refused_arguments(argument: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("create", "--kubeconfig=/dev/null", argument) == 1
    assert message in capsys.readouterr().err


async def test_without_a_kubeconfig(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("list", f"--kubeconfig={tmp_path}/none") == 1
    assert f"kubeconfig {tmp_path}/none does not exist" in capsys.readouterr().err


def test_generate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "generate"]) == 0
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("left", "shown"),
    [(0, "<invalid>"), (59, "59s"), (60, "1m"), (7199, "1h"), (86400, "1d"), (3 * 365 * 86400, "3y")],
)
def test_time_left(left: int, shown: str) -> None:
    assert token.remaining(NOW + timedelta(seconds=left), NOW) == shown
    assert token.remaining(None, NOW) == "<forever>"
