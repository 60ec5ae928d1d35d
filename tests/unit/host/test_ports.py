from __future__ import annotations

import os
import socket

import pytest

from rke2.errors import HostError
from rke2.host.ports import find_listener, require_free


def test_finds_the_process_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        listener = find_listener(port)
        assert listener is not None
        assert listener.pid == os.getpid()
        assert not listener.in_container
        with pytest.raises(
            HostError, match=rf"port {port}, which etcd needs, is in use by .*pid {os.getpid()}"
        ):
            require_free({port: "etcd"})
    assert find_listener(port) is None
    require_free({port: "etcd"})
