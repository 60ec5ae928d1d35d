"""What is wrong with the machine."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.bad_input.refusal import Place

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
READ_ANYTHING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""Wherever the tests are checked out, nobody has to be able to read the program."""

PORTS = {
    9345: "the supervisor",
    6443: "kube-apiserver",
    2379: "etcd",
    10250: "kubelet",
    6442: "the kubelet's way",
}


def test_not_root(place: Place) -> None:
    place.refuses("rke2 server must run as root", "hint: run it with sudo", prefix=(*NOBODY, *READ_ANYTHING))
    assert list(place.outside(place.data_dir).iterdir()) == []


def test_an_address_of_another_machine(place: Place) -> None:
    place.refuses("bind-address 10.1.2.3 is not an address of this host", flags=("--bind-address=10.1.2.3",))


@pytest.mark.parametrize(("port", "component"), PORTS.items(), ids=map(str, PORTS))
def test_a_port_in_use(place: Place, port: int, component: str) -> None:
    with _listener(place, port) as listener:
        place.refuses(
            f"port {port}, which {component}",
            f"is in use by python (pid {listener})",
            "hint: stop that process",
        )


@pytest.mark.parametrize("address", ["127.0.0.1", "::", "fd89::"])
def test_a_port_in_use_on_any_address(place: Place, address: str) -> None:
    own = place.node.host.address6 if address == "fd89::" else address
    with _listener(place, 9345, own) as listener:
        place.refuses("port 9345", f"python (pid {listener})")


@contextmanager
def _listener(place: Place, port: int, address: str = "0.0.0.0") -> Iterator[int]:
    """A process on the host that listens; its pid there."""
    program = f"""
        import os, socket, time
        family = socket.AF_INET6 if ":" in {address!r} else socket.AF_INET
        listener = socket.create_server(({address!r}, {port}), family=family)
        open("/proc/self/comm", "w").write("python")
        print(os.getpid(), flush=True)
        time.sleep(600)
    """
    command = [place.node.host.python, "-c", textwrap.dedent(program)]
    with place.node.host.popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def test_a_data_directory_on_a_read_only_file_system(mount_point: Place) -> None:
    with _tmpfs(mount_point, "ro"):
        mount_point.refuses(
            str(mount_point.data_dir), "Read-only file system", "hint: mount that file system writable"
        )


def test_a_data_directory_that_is_a_file(place: Place) -> None:
    place.outside(place.data_dir).rmdir()
    place.outside(place.data_dir).write_text("mine\n")
    done = place.server()
    assert done.returncode == 1
    assert f"the data directory {place.data_dir} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert place.outside(place.data_dir).read_text() == "mine\n"


def test_a_data_directory_on_a_full_file_system(mount_point: Place) -> None:
    with _tmpfs(mount_point, "size=64k"):
        with pytest.raises(OSError, match="No space"):
            mount_point.outside(mount_point.data_dir / "filler").write_bytes(bytes(1 << 20))
        mount_point.refuses(str(mount_point.data_dir), "No space left on device", "hint: free space")


@contextmanager
def _tmpfs(place: Place, options: str) -> Iterator[None]:
    place.node.host.exec(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place.data_dir)], check=True)
    try:
        yield
    finally:
        place.node.host.exec(["umount", str(place.data_dir)], check=True)
