"""What a node leaves out when it imports its modules, and what it does not change by that."""

from __future__ import annotations

import gc
import os
import ssl
import subprocess
import sys

import pytest

from rke2.cli.quick_import import quick_import

_LOADED = """
from rke2.cli.quick_import import quick_import
with quick_import():
    from aiohttp import connector
print(len(connector._SSL_CONTEXT_VERIFIED.get_ca_certs()))
"""


def test_authorities_of_the_machine_are_not_read_for_a_client_that_names_none() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_afterwards_all_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/authorities.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with pytest.raises(ImportError), quick_import():
        assert not gc.isenabled()
        assert not ssl.create_default_context().get_ca_certs()
        raise ImportError
    assert gc.isenabled()
    assert os.environ["SSL_CERT_FILE"] == "/etc/authorities.pem" and "SSL_CERT_DIR" not in os.environ
    gc.unfreeze()


_ASKED = """
import asyncio
from rke2.cli.server_request import ask_server
from rke2.errors import JoinError
try:
    asyncio.run(ask_server("https://127.0.0.1:1", "", None))
except JoinError:
    from aiohttp import connector
    print(len(connector._SSL_CONTEXT_VERIFIED.get_ca_certs()))
"""


def test_a_verb_that_asks_a_server_does_not_read_them_either() -> None:
    done = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
