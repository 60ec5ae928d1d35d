"""What operators do with kubectl besides reading and writing objects: everything that goes through to the kubelet."""

from __future__ import annotations

import hashlib
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, pod, service

LINES = 20_000
TEXT = "".join(f"line {number}\n" for number in range(LINES))
"""What is read: larger than any buffer on the way."""
WRITE = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done"
TALK = "if mkdir /kept/first; then echo I am the first; exit 1; fi 2>/dev/null; echo I am the second; exec sleep 3600"
INPUT = TEXT[:16_384]
"""What is written: containerd 2.3 loses what follows the first 32 KiB (its issue 13934)."""


@pytest.fixture(scope="module")
def pods(namespace: Namespace) -> Namespace:
    """The namespace with the pods `box` (does nothing), `web` (serves ``/text``) and the service `web`."""
    serve = f"({WRITE}) > /tmp/text; exec httpd -f -p {PORT} -h /tmp"
    namespace.apply(
        pod("box"),
        pod("web", ["sh", "-c", serve], serves="/text"),
        service("web", "web"),
    )
    namespace.until("condition=Ready", "pod/box", "pod/web")
    return namespace


def test_exec_hands_on_output_error_and_exit_code(pods: Namespace) -> None:
    done = pods.exec("box", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith("err\n")


def test_exec_carries_a_file_in(pods: Namespace) -> None:
    script = "cat > /tmp/in; sha256sum /tmp/in"
    done = pods.kubectl("exec", "--stdin", "box", "--", "sh", "-c", script, input=INPUT)
    assert done.split()[0] == hashlib.sha256(INPUT.encode()).hexdigest()


def test_exec_carries_a_file_out(pods: Namespace) -> None:
    assert pods.exec("web", "cat", "/tmp/text").stdout == TEXT


def test_logs_of_a_container_and_of_the_one_before(pods: Namespace) -> None:
    """The container ends once and is started again; the second one stays, so that no third one takes its place."""
    talker = pod("talker", ["sh", "-c", TALK])
    talker["spec"]["containers"][0]["volumeMounts"] = [{"name": "kept", "mountPath": "/kept"}]
    talker["spec"]["volumes"] = [{"name": "kept", "emptyDir": {}}]
    pods.apply(talker)
    pods.until("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/talker")
    pods.until("condition=Ready", "pod/talker")
    assert pods.kubectl("logs", "talker", "--previous") == "I am the first\n"
    assert pods.kubectl("logs", "talker") == "I am the second\n"
    pods.attempt("delete", "pod", "talker", "--wait=false")


def test_logs_are_followed_to_the_end(pods: Namespace) -> None:
    pods.apply(pod("writer", ["sh", "-c", WRITE], restartPolicy="Never"))
    pods.until("jsonpath={.status.containerStatuses[0].started}", "pod/writer", seconds=60)
    assert pods.kubectl("logs", "--follow", "writer") == TEXT


def test_attach_talks_to_the_process_of_the_container(pods: Namespace) -> None:
    echo = pod("echo", ["sh", "-c", "echo ready; read line; echo got $line"], restartPolicy="Never")
    echo["spec"]["containers"][0] |= {"stdin": True, "stdinOnce": True}
    pods.apply(echo)
    pods.until("condition=Ready", "pod/echo")
    assert "got hello\n" in pods.kubectl("attach", "--stdin", "echo", input="hello\n")
    assert pods.kubectl("logs", "echo") == "ready\ngot hello\n"


@pytest.mark.parametrize("target", ["pod/web", "service/web"])
def test_port_forward_transfers(pods: Namespace, target: str) -> None:
    port = PORT if target.startswith("pod") else 80
    with forwarded(pods, target, port) as local:
        for _ in range(2):
            url = f"http://127.0.0.1:{local}/text"
            got = pods.node.host.exec(["busybox", "wget", "-q", "-O", "-", url], timeout=30)
            assert got.stdout == TEXT, got.stderr


@contextmanager
def forwarded(namespace: Namespace, target: str, port: int) -> Iterator[int]:
    """``kubectl port-forward`` to `port` of `target` from the local port that is given."""
    command = namespace.command("port-forward", target, f":{port}")
    with namespace.node.host.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield int(_match(process, rb"Forwarding from 127\.0\.0\.1:(\d+)", 30))
        finally:
            process.terminate()


def _match(process: subprocess.Popen[bytes], pattern: bytes, seconds: float) -> bytes:
    """The first group of `pattern` in what the process writes."""
    assert process.stdout
    deadline, seen = time.monotonic() + seconds, b""
    while not (found := re.search(pattern, seen)):
        ready, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
        chunk = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert chunk, f"no {pattern!r} in {seen!r}"
        seen += chunk
    return found[1]


def test_the_api_hands_requests_on_to_the_kubelet(pods: Namespace) -> None:
    node = f"/api/v1/nodes/{pods.node.host.name}/proxy"
    assert pods.kubectl("get", "--raw", f"{node}/healthz") == "ok"
    assert "kubelet_running_pods" in pods.kubectl("get", "--raw", f"{node}/metrics")


def test_the_api_hands_requests_on_to_pods_and_services(pods: Namespace) -> None:
    base = f"/api/v1/namespaces/{pods.name}"
    assert pods.kubectl("get", "--raw", f"{base}/pods/web:{PORT}/proxy/text") == TEXT
    assert pods.kubectl("get", "--raw", f"{base}/services/web:80/proxy/text") == TEXT
