from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.addons.helm.arguments import arguments, environment, escape_commas, set_arguments
from rke2.addons.helm.model import Chart, ChartError, ChartSpec, ConfigSpec


def chart(deleting: bool = False, **spec: Any) -> Chart:
    return Chart("demo", "ns", ChartSpec(**spec), deleting)


def env(made: Chart, config: ConfigSpec | None = None, **proxy: str) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for e in environment(made, config or ConfigSpec(), proxy, 6443)}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (",", "\\,"),
        ("a,b", "a\\,b"),
        ("a\\,b", "a\\,b"),
        ("a\\\\,b", "a\\\\\\,b"),
        ("10.42.0.0/16,fd00::/56", "10.42.0.0/16\\,fd00::/56"),
        (",,", "\\,\\,"),
        ("a\\b", "a\\b"),
        ("", ""),
    ],
)
def test_commas_are_escaped_once(value: str, expected: str) -> None:
    assert escape_commas(value) == expected


@given(st.text("ab,\\", max_size=12))
def test_escaping_makes_every_comma_literal_and_is_idempotent(value: str) -> None:
    escaped = escape_commas(value)
    assert escape_commas(escaped) == escaped
    assert helm_splits(escaped) == 1


@given(st.text("ab,", max_size=12))
def test_text_without_backslashes_arrives_as_it_is(value: str) -> None:
    assert escape_commas(value).replace("\\,", ",") == value


def helm_splits(text: str) -> int:
    """How many values helm's parser sees: a comma separates unless a backslash escapes it."""
    parts, position = 1, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == ",":
            parts += 1
        position += 1
    return parts


@pytest.mark.parametrize(
    ("value", "flag", "text"),
    [
        (3, "--set", "k=3"),
        ("3", "--set-string", "k=3"),
        ("true", "--set", "k=true"),
        ("False", "--set", "k=False"),
        ("NULL", "--set", "k=NULL"),
        (True, "--set", "k=true"),
        ("", "--set-string", "k="),
        ("a,b", "--set-string", "k=a\\,b"),
    ],
)
def test_types_of_set_values(value: Any, flag: str, text: str) -> None:
    assert set_arguments("k", value) == (flag, text)


def test_arguments_in_the_order_of_upstream() -> None:
    made = chart(
        target_namespace="t",
        create_namespace=True,
        take_ownership=True,
        version="1.2",
        set={"b": "x", "a": 1},
    )
    assert arguments(made) == [
        *("install", "--namespace", "t", "--create-namespace", "--take-ownership", "--version", "1.2"),
        *("--set", "a=1", "--set-string", "b=x"),
    ]
    assert arguments(chart()) == ["install"]
    assert arguments(chart(deleting=True, version="1", set={"a": 1})) == ["delete"]


def test_policies_of_the_config_win() -> None:
    made = chart(failure_policy="retry", server_side="true", force_conflicts=True)
    assert (env(made)["FAILURE_POLICY"], env(made)["SERVER_SIDE"], env(made)["FORCE_CONFLICTS"]) == (
        *("retry", "true"),
        "true",
    )
    config = ConfigSpec(failure_policy="abort", server_side="false", force_conflicts=False)
    assert env(made, config)["FAILURE_POLICY"] == "abort"
    assert env(made, config)["SERVER_SIDE"] == "false"
    assert env(made, config)["FORCE_CONFLICTS"] == "false"
    assert env(chart())["FAILURE_POLICY"] == "reinstall"


def test_the_chart_of_a_repository_has_its_alias() -> None:
    assert env(chart(chart="nginx", repo="https://r"))["CHART"] == "demo/nginx"
    assert env(chart(chart="oci://r/nginx"))["CHART"] == "oci://r/nginx"


def test_timeout_in_gos_form() -> None:
    assert env(chart(timeout="10m"))["TIMEOUT"] == "10m0s"
    assert "TIMEOUT" not in env(chart())
    with pytest.raises(ChartError, match=r"spec\.timeout"):
        env(chart(timeout="ten minutes"))


def test_proxy_variables_are_handed_on_in_order() -> None:
    names = [e["name"] for e in environment(chart(), ConfigSpec(), {"NO_PROXY": "a", "all_proxy": "b"}, 1)]
    assert names[-5:] == ["all_proxy", "NO_PROXY", "FAILURE_POLICY", "SERVER_SIDE", "FORCE_CONFLICTS"]
    assert "HTTP_PROXY" not in env(chart(), HTTP_PROXY="")


def test_bootstrap_jobs_talk_to_their_own_node() -> None:
    made = env(chart(bootstrap=True))
    assert (made["KUBERNETES_SERVICE_HOST"], made["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "6443")
    assert "BOOTSTRAP" not in env(chart())
