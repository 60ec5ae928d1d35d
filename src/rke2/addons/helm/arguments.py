"""Arguments and environment of the helm job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rke2.addons.helm.model import Chart, ConfigSpec

PROXY_VARIABLES = (
    "all_proxy",
    "ALL_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
)
LITERALS = frozenset({"true", "false", "null"})
_COMMA = re.compile(r"\\*,")


def arguments(chart: Chart) -> list[str]:
    """Arguments of the job's entry point."""
    if chart.deleting:
        return ["delete"]
    spec = chart.spec
    result = ["install"]
    if spec.target_namespace:
        result += ["--namespace", spec.target_namespace]
    if spec.create_namespace:
        result.append("--create-namespace")
    if spec.take_ownership:
        result.append("--take-ownership")
    if spec.version:
        result += ["--version", spec.version]
    for key in sorted(spec.set):
        result += set_arguments(key, spec.set[key])
    return result


def set_arguments(key: str, value: Any) -> tuple[str, str]:
    """One value of spec.set: integers, booleans and null keep their type, all other text is a string."""
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, int) or str(value).lower() in LITERALS:
        return "--set", f"{key}={value}"
    return "--set-string", f"{key}={escape_commas(str(value))}"


def escape_commas(value: str) -> str:
    """`value` with each comma escaped for helm that is not escaped yet (an even run of ``\\\\…,`` is)."""
    return _COMMA.sub(lambda run: run[0] if len(run[0]) % 2 == 0 else "\\" + run[0], value)


def environment(
    chart: Chart, config: ConfigSpec, proxy: Mapping[str, str], port: int
) -> list[dict[str, str]]:
    """Variables of the job, in the order of upstream; the two that depend on the release come later."""
    variables = [
        *_chart_variables(chart),
        *(_bootstrap_variables(port) if chart.spec.bootstrap else ()),
        *((name, proxy[name]) for name in PROXY_VARIABLES if proxy.get(name)),
        *_policy_variables(chart, config),
    ]
    # Without the value where it is empty: that is how the API keeps them, and how upstream hashes them.
    return [{"name": name, "value": value} if value else {"name": name} for name, value in variables]


def _chart_variables(chart: Chart) -> Iterator[tuple[str, str]]:
    spec = chart.spec
    yield "NAME", chart.name
    yield "VERSION", spec.version
    yield "REPO", spec.repo
    yield "HELM_DRIVER", spec.driver or "secret"
    yield "CHART_NAMESPACE", chart.namespace
    yield "CHART", f"{chart.name}/{spec.chart}" if spec.repo else spec.chart
    yield "HELM_VERSION", spec.helm_version
    yield "TARGET_NAMESPACE", chart.release_namespace
    yield "AUTH_PASS_CREDENTIALS", _boolean(spec.auth_pass_credentials)
    yield "INSECURE_SKIP_TLS_VERIFY", _boolean(spec.insecure_skip_tls_verify)
    yield "PLAIN_HTTP", _boolean(spec.plain_http)
    if chart.timeout:
        yield "TIMEOUT", chart.timeout


def _bootstrap_variables(port: int) -> Iterator[tuple[str, str]]:
    """A bootstrap job talks to the API server of its own node: nothing else of the network may work yet."""
    yield "KUBERNETES_SERVICE_HOST", "127.0.0.1"
    yield "KUBERNETES_SERVICE_PORT", str(port)
    yield "BOOTSTRAP", "true"


def _policy_variables(chart: Chart, config: ConfigSpec) -> Iterator[tuple[str, str]]:
    force = chart.spec.force_conflicts if config.force_conflicts is None else config.force_conflicts
    yield "FAILURE_POLICY", config.failure_policy or chart.spec.failure_policy or "reinstall"
    yield "SERVER_SIDE", config.server_side or chart.spec.server_side or "auto"
    yield "FORCE_CONFLICTS", _boolean(force)


def _boolean(value: bool) -> str:
    return "true" if value else "false"
