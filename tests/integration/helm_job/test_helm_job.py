"""helm-job against a real Helm and a real API server: what becomes of releases in every state.

Mirrors section 6 of helm-controller's job contract: actions, revision guard, failure policies, recovery.
"""

from __future__ import annotations

import base64
import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.control_plane import ADDRESS, ControlPlane

from .conftest import allow, chart_archive
from .pod import Pod

pytestmark = [pytest.mark.root, pytest.mark.content]


def test_install_is_one_helm_process(allowed: Pod) -> None:
    outcome = allowed.install(0, "retry", "message=hello")
    assert outcome.code == 0, outcome.output
    assert outcome.helm_calls() == ["install"]
    assert allowed.message() == "hello"
    assert allowed.records() == {1: "deployed"}
    record = allowed.cluster.get("secret", "sh.helm.release.v1.demo.v1", "-n", allowed.namespace)
    assert record["metadata"]["labels"]["helmcharts.helm.cattle.io/configHash"] == "C0FFEE"
    assert "no release found" in outcome.termination
    assert "FORCE_CONFLICTS=true has no effect" in outcome.termination


def test_values_files_win_in_the_order_of_their_names_and_set_wins_over_all(allowed: Pod) -> None:
    allowed.volumes["config/values-0-000-HelmChart-ValuesContent.yaml"] = "message: HelmChart"
    assert allowed.install(0).code == 0
    assert allowed.message() == "HelmChart"
    allowed.volumes["config/values-1-000-HelmChartConfig-ValuesContent.yaml"] = "message: HelmChartConfig"
    assert allowed.install(1).code == 0
    assert allowed.message() == "HelmChartConfig"
    assert allowed.install(2, "retry", "message=set").code == 0
    assert allowed.message() == "set"


def test_upgrade_of_a_deployed_release(allowed: Pod) -> None:
    assert allowed.install(0).code == 0
    outcome = allowed.install(1, "abort", "message=changed")
    assert (outcome.code, outcome.helm_calls()) == (0, ["upgrade"]), outcome.output
    assert allowed.message() == "changed"
    assert allowed.records() == {1: "superseded", 2: "deployed"}


@pytest.mark.parametrize(("before", "after"), [("UDP", "UDP TCP"), ("TCP", "UDP TCP")])
@pytest.mark.parametrize("policy", ["abort", "retry"])
def test_a_second_protocol_of_a_port_arrives(allowed: Pod, before: str, after: str, policy: str) -> None:
    """Helm's merge goes by the number of a port: one of both is gone, and the upgrade a success."""
    assert allowed.install(0, "abort", f"protocols={before}").code == 0
    old = allowed.cluster.get("service", "demo", "-n", allowed.namespace)["spec"]["ports"]
    outcome = allowed.install(1, policy, f"protocols={after}")
    assert outcome.code == 0, outcome.output
    new = allowed.cluster.get("service", "demo", "-n", allowed.namespace)["spec"]["ports"]
    assert [port["protocol"] for port in new] == after.split()
    assert old[0] in new
    assert "putting the chart's ports there" in outcome.termination
    again = allowed.install(2, policy, f"protocols={after}", "message=again")
    assert (again.code, "putting" in again.termination) == (0, False)
    assert allowed.cluster.get("service", "demo", "-n", allowed.namespace)["spec"]["ports"] == new


def test_a_pod_made_for_another_revision_changes_nothing(allowed: Pod) -> None:
    assert allowed.install(0).code == 0
    outcome = allowed.install(0, "retry", "message=stale")
    assert (outcome.code, outcome.helm_calls()) == (0, [])
    assert allowed.message() == "from the chart"
    outcome = allowed.run("delete", EXPECTED_RELEASE_REVISION="7")
    assert (outcome.code, outcome.helm_calls()) == (0, [])
    assert allowed.records() == {1: "deployed"}


def test_delete(allowed: Pod) -> None:
    assert allowed.install(0).code == 0
    allowed.volumes.clear()
    outcome = allowed.run("delete", EXPECTED_RELEASE_REVISION="1")
    assert (outcome.code, outcome.helm_calls()) == (0, ["uninstall"]), outcome.output
    assert allowed.records() == {}
    assert allowed.message() is None
    again = allowed.run("delete")
    assert (again.code, again.helm_calls()) == (0, [])
    assert "nothing to delete" in again.termination


@pytest.fixture
def failed(allowed: Pod) -> Pod:
    """A release whose first installation the API server refused half-way."""
    outcome = allowed.install(0, "retry", "broken=true")
    assert outcome.code == 1, outcome.output
    assert "Not_A_Name" in outcome.termination, "the termination message says what Helm said"
    assert allowed.records() == {1: "failed"}
    return allowed


def test_restart_after_a_failed_install_ends_well_for_the_controller_to_look_again(failed: Pod) -> None:
    outcome = failed.install(0, "retry", "broken=true")
    assert (outcome.code, outcome.helm_calls()) == (0, [])


def test_policy_abort_waits_for_someone(failed: Pod) -> None:
    outcome = failed.install(1, "abort")
    assert (outcome.code, outcome.helm_calls()) == (1, [])
    assert failed.records() == {1: "failed"}


def test_policy_retry_ends_well_whatever_comes_of_it(failed: Pod) -> None:
    outcome = failed.install(1, "retry", "broken=true")
    assert (outcome.code, outcome.helm_calls()) == (0, ["upgrade"])
    assert failed.records() == {1: "failed", 2: "failed"}
    repaired = failed.install(2, "retry", "message=repaired")
    assert failed.records()[3] == "deployed", repaired.output
    assert failed.message() == "repaired"


def test_policy_reinstall_starts_over(failed: Pod) -> None:
    outcome = failed.install(1, "reinstall", "message=again")
    assert (outcome.code, outcome.helm_calls()) == (0, ["uninstall", "install"]), outcome.output
    assert failed.records() == {1: "deployed"}
    assert failed.message() == "again"


@pytest.mark.parametrize("driver", ["secret", "configmap"])
@pytest.mark.parametrize(
    ("policy", "calls", "records"),
    [
        ("retry", ["upgrade"], {1: "superseded", 2: "deployed"}),
        ("reinstall", ["uninstall", "install"], {1: "deployed"}),
    ],
)
def test_killed_install_is_recovered(
    allowed: Pod, driver: str, policy: str, calls: list[str], records: dict[int, str]
) -> None:
    allowed.env["HELM_DRIVER"] = driver
    _kill_while_pending(allowed, {1: "pending-install"})
    outcome = allowed.install(1, policy, "message=recovered")
    assert (outcome.code, outcome.helm_calls()) == (0, calls), outcome.output
    assert allowed.message() == "recovered"
    assert allowed.records() == records


def test_killed_upgrade_is_recovered_by_an_upgrade_under_every_policy(allowed: Pod) -> None:
    assert allowed.install(0).code == 0
    _kill_while_pending(allowed, {1: "deployed", 2: "pending-upgrade"})
    outcome = allowed.install(2, "abort", "message=recovered")
    assert (outcome.code, outcome.helm_calls()) == (0, ["upgrade"]), outcome.output
    assert allowed.message() == "recovered"
    assert allowed.records()[3] == "deployed"


def test_termination_signals_do_not_stop_helm(allowed: Pod) -> None:
    process = _start_pending(allowed, {1: "pending-install"})
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    status = ["--subresource=status", "--type=merge", "-p", _complete()]
    allowed.cluster.kubectl("patch", "job", "never", "-n", allowed.namespace, *status)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert allowed.records() == {1: "deployed"}


def test_objects_of_removed_apis_do_not_block_an_upgrade(allowed: Pod) -> None:
    assert allowed.install(0).code == 0
    gone = "---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\n"
    _rewrite_manifest(allowed, lambda manifest: manifest + gone)
    outcome = allowed.install(1, "abort", "message=upgraded")
    assert outcome.code == 0, outcome.output
    assert "dropped policy/v1beta1 PodSecurityPolicy" in outcome.termination
    assert allowed.records() == {1: "superseded", 2: "deployed"}
    assert allowed.message() == "upgraded"


def test_a_job_that_is_not_authorised_yet_waits(pod: Pod) -> None:
    process = pod.start("install")
    assert process.stdout is not None
    assert "waiting for the Kubernetes API" in process.stdout.readline() + process.stdout.readline()
    allow(pod)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert pod.records() == {1: "deployed"}


def test_a_chart_that_does_not_render_leaves_no_record(allowed: Pod) -> None:
    allowed.volumes["config/values-0-000-HelmChart-ValuesContent.yaml"] = "message: [not closed"
    outcome = allowed.install(0)
    assert outcome.code == 1
    assert "failed to parse /config/values-0-000" in outcome.termination
    assert allowed.records() == {}


def test_broken_chart_content_names_the_chart(allowed: Pod) -> None:
    allowed.volumes["chart/demo.tgz.base64"] = "*"
    outcome = allowed.install(0)
    assert (outcome.code, outcome.helm_calls()) == (1, [])
    assert "chartContent of HelmChart demo is not valid base64" in outcome.termination


def test_chart_from_an_authenticated_repository(allowed: Pod, tmp_path: Path) -> None:
    url = _serve_repository(allowed.cluster, tmp_path / "repository", "someone:secret")
    del allowed.volumes["chart/demo.tgz.base64"]
    allowed.env |= {"CHART": "demo/demo", "REPO": url}
    allowed.volumes["ca-files/root.pem"] = allowed.cluster.certificate.read_text()
    assert allowed.install(0).code == 1, "without the credentials the repository refuses"
    allowed.volumes |= {"auth/username": "someone", "auth/password": "secret"}
    outcome = allowed.install(0)
    assert (outcome.code, outcome.helm_calls()) == (0, ["repo", "install"]), outcome.output
    assert "secret" not in outcome.output
    assert allowed.records() == {1: "deployed"}


def _start_pending(pod: Pod, records: dict[int, str]) -> subprocess.Popen[str]:
    """Start a run whose hook never ends, and wait for `records`."""
    process = pod.start("install", "--namespace", pod.namespace, "--set", "hook=true")
    deadline = time.monotonic() + 30
    while pod.records() != records or not pod.cluster.get("jobs", "-n", pod.namespace)["items"]:
        assert time.monotonic() < deadline, f"records are {pod.records()}"
        time.sleep(0.1)
    return process


def _kill_while_pending(pod: Pod, records: dict[int, str]) -> None:
    """What a node's power failure does to a job: helm-job and Helm end at once."""
    process = _start_pending(pod, records)
    threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [child for each in threads for child in each.read_text().split()]
    process.kill()
    subprocess.run(["kill", "-KILL", *children], check=True)
    process.communicate(timeout=10)
    assert pod.records() == records


def _complete() -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    true = {"status": "True", "lastTransitionTime": now}
    conditions = [{"type": each, **true} for each in ("SuccessCriteriaMet", "Complete")]
    times = {"startTime": now, "completionTime": now}
    return json.dumps({"status": {"conditions": conditions, "succeeded": 1, **times}})


def _rewrite_manifest(pod: Pod, change: Callable[[str], str]) -> None:
    name = "sh.helm.release.v1.demo.v1"
    data = pod.cluster.get("secret", name, "-n", pod.namespace)["data"]["release"]
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    release["manifest"] = change(release["manifest"])
    data = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    patch = json.dumps({"data": {"release": data}})
    pod.cluster.kubectl("patch", "secret", name, "-n", pod.namespace, "--type=merge", "-p", patch)


# Serves the current folder by HTTPS to whoever knows the credentials.
SERVER = """
import base64, http.server, ssl, sys
address, port, certificate, key, credentials = sys.argv[1:]
wanted = "Basic " + base64.b64encode(credentials.encode()).decode()
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") == wanted:
            return super().do_GET()
        self.send_error(401)
server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def _serve_repository(cluster: ControlPlane, folder: Path, credentials: str) -> str:
    url = f"https://{ADDRESS}:8443"
    folder.mkdir()
    (folder / "demo-1.0.0.tgz").write_bytes(chart_archive())
    (folder / "index.yaml").write_text(
        "apiVersion: v1\nentries:\n  demo:\n  - {name: demo, version: 1.0.0, apiVersion: v2, "
        f"urls: ['{url}/demo-1.0.0.tgz']}}\n"
    )
    key = cluster.folder / "server.key"
    args = [sys.executable, "-c", SERVER, ADDRESS, "8443", str(cluster.certificate), str(key), credentials]
    cluster.start("repository", "env", "-C", str(folder), *args)
    listening = cluster.command("sh", "-c", "until ss -Hltn | grep -q 8443; do sleep 0.1; done")
    subprocess.run(listening, check=True, timeout=10)
    return url
