from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from rke2.addons.helm.jobs import JobSettings, hash_of, launched, owned, plan
from rke2.addons.helm.model import Chart, ChartError, ChartSpec, ConfigSpec, SecretValues, read_config
from rke2.addons.helm.values import tracked_secrets, values_volume

SETTINGS = JobSettings("docker.io/rke2py/helm-job:v1")


def chart(**spec: Any) -> Chart:
    return Chart("demo", "ns", ChartSpec(**{"chart": "demo", **spec}))


def config_hash(made: Chart, config: ConfigSpec | None = None, **settings: Any) -> str:
    return plan(made, config or ConfigSpec(), JobSettings("i", **settings)).config_hash


def test_hash_is_over_limit_template_and_data_in_order() -> None:
    expected = hashlib.sha256(b'5{"a":"\\u003c\\u0026","b":2}\n' + b"k1v1k2v2" + b"k3v3").hexdigest().upper()
    sources = [{"data": {"k2": "v2", "k1": "v1"}}, {}, {"data": {"k3": "v3"}}]
    assert hash_of(5, {"b": 2, "a": "<&"}, sources) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"values_content": "a: 1"},
        {"values": {"a": 1}},
        {"set": {"a": 1}},
        {"chart_content": "QUJD"},
        {"version": "2"},
        {"back_off_limit": 0},
        {"job_image": "other"},
        {"bootstrap": True},
        {"failure_policy": "abort"},
        {"repo_ca": "PEM"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_the_outcome_changes_the_hash(change: dict[str, Any]) -> None:
    assert config_hash(chart(**change)) != config_hash(chart())


def test_configs_and_the_nodes_settings_change_the_hash() -> None:
    assert config_hash(chart(), ConfigSpec(values_content="a: 1")) != config_hash(chart())
    assert config_hash(chart(), proxy={"NO_PROXY": "x"}) != config_hash(chart())


def test_the_release_does_not_change_the_hash() -> None:
    made = plan(chart(), ConfigSpec(), SETTINGS)
    job = launched(made.job, made.config_hash, 7)
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[-2:] == [
        {"name": "EXPECTED_RELEASE_REVISION", "value": "7"},
        {"name": "CONFIG_HASH", "value": made.config_hash[:63]},
    ]
    annotations = job["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"helmcharts.helm.cattle.io/configHash": f"SHA256={made.config_hash}"}
    assert made.job["spec"]["template"]["spec"]["containers"][0]["env"] == env[:-2]


def test_values_files_are_numbered_over_all_secrets() -> None:
    secrets = (
        SecretValues("one", ("a", "b")),
        SecretValues("empty"),
        SecretValues("chart-values-demo", ("x",)),
        SecretValues("two", ("c",), ignore_updates=True),
    )
    made = chart(values_secrets=secrets, values={"z": 1})
    sources = values_volume(made, ConfigSpec(values_secrets=secrets[:1]))["projected"]["sources"]
    paths = [(s["secret"]["name"], i["path"]) for s in sources for i in s["secret"]["items"]]
    assert paths == [
        ("chart-values-demo", "values-0-001-HelmChart-Values.yaml"),
        ("one", "values-0-002-HelmChart-ValuesSecret.yaml"),
        ("one", "values-0-003-HelmChart-ValuesSecret.yaml"),
        ("two", "values-0-004-HelmChart-ValuesSecret.yaml"),
        ("one", "values-1-002-HelmChartConfig-ValuesSecret.yaml"),
        ("one", "values-1-003-HelmChartConfig-ValuesSecret.yaml"),
    ]
    assert [s["secret"].get("optional") for s in sources] == [None, False, True, False]
    assert [path for _, path in paths] == sorted(path for _, path in paths)
    assert tracked_secrets(made, ConfigSpec()) == ["one"]


def test_the_values_volume_begins_with_the_managed_secret() -> None:
    """With what the HelmChart and its HelmChartConfig say in one source; the Secret is there even when it is empty."""
    (only,) = values_volume(chart(), ConfigSpec())["projected"]["sources"]
    assert only == {"secret": {"name": "chart-values-demo"}}
    made = chart(values_content="a: 1", values_secrets=(SecretValues("one", ("a",)),))
    first, second = values_volume(made, ConfigSpec(values_content="a: 2"))["projected"]["sources"]
    assert [item["key"] for item in first["secret"]["items"]] == [
        "HelmChartValuesContent",
        "HelmChartConfigValuesContent",
    ]
    assert second["secret"]["name"] == "one"


def test_a_job_says_what_it_needs() -> None:
    """Else a namespace with a ResourceQuota takes no pod of it."""
    job = plan(chart(), ConfigSpec(), SETTINGS).job
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "32", "memory": "32G"},
        "requests": {"cpu": "100m", "memory": "10M"},
    }


def test_the_chart_owns_what_the_job_that_uninstalls_does_not_need() -> None:
    made = plan(chart(), ConfigSpec(), SETTINGS)
    owner: dict[str, Any] = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart"}
    owner["metadata"] = {"name": "demo", "uid": "u"}
    found = {
        each["kind"]: each["metadata"].get("ownerReferences")
        for each in owned((*made.helpers, made.job), owner)
    }
    reference: dict[str, Any] = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart"}
    reference |= {"name": "demo", "uid": "u"}
    reference |= {"controller": False, "blockOwnerDeletion": False}
    assert found == {
        "ConfigMap": [reference],
        "Secret": [reference],
        "ServiceAccount": None,
        "ClusterRoleBinding": None,
        "Job": [reference],
    }


def test_empty_values_are_values_and_null_is_none() -> None:
    assert "HelmChartValues" in plan(chart(values={}), ConfigSpec(), SETTINGS).helpers[1]["data"]
    assert "HelmChartValues" not in plan(chart(values=None), ConfigSpec(), SETTINGS).helpers[1]["data"]


def test_values_are_yaml_in_the_secret() -> None:
    secret = plan(chart(values={"a": {"b": [1, "x"]}}), ConfigSpec(), SETTINGS).helpers[1]
    assert base64.b64decode(secret["data"]["HelmChartValues"]).decode() == "a:\n  b:\n  - 1\n  - x\n"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"valuesContent": {"a": 1}}, "valuesContent"),
        ({"backOffLimit": "many"}, "backOffLimit"),
        ({"authSecret": "name"}, "authSecret"),
    ],
)
def test_a_malformed_spec_is_told(spec: dict[str, Any], told: str) -> None:
    obj = {"kind": "HelmChart", "metadata": {"name": "demo", "namespace": "ns"}, "spec": spec}
    with pytest.raises(ChartError, match=rf"HelmChart demo: .*{told}"):
        Chart.read(obj)


def test_nulls_and_unknown_fields_count_as_absent() -> None:
    spec = {"chart": "a", "values": None, "valuesContent": None, "future": 1}
    obj = {"kind": "HelmChart", "metadata": {"name": "demo", "namespace": "ns"}, "spec": spec}
    assert Chart.read(obj) == Chart("demo", "ns", ChartSpec(chart="a"))
    assert read_config(None) == ConfigSpec()
