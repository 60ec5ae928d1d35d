from __future__ import annotations

import pytest

from rke2.addons.helm.jobs import RESOURCES
from rke2.addons.start import job_settings
from rke2.errors import ConfigError
from tests.unit.config.nodes import server


def test_without_arguments_jobs_are_upstreams() -> None:
    made = job_settings(server("--helm-job-image=older"))
    assert (made.image, made.resources, made.tolerations) == ("older", RESOURCES, ())


def test_arguments_of_the_controller_reach_the_jobs() -> None:
    made = job_settings(
        server(
            "--helm-job-image=older",
            "--helm-controller-arg=default-job-image=first",
            "--helm-controller-arg=--default-job-image=registry.example/klipper-helm:1",
            '--helm-controller-arg=job-resources={"requests": {"cpu": 1, "memory": "10M"}}',
            '--helm-controller-arg=job-tolerations=[{"key": "a", "operator": "Exists"}, {"tolerationSeconds": 3}]',
        )
    )
    assert made.image == "registry.example/klipper-helm:1"
    assert made.resources == {"requests": {"cpu": "1", "memory": "10M"}}
    assert made.tolerations == ({"key": "a", "operator": "Exists"}, {"tolerationSeconds": 3})


def test_empty_resources_are_none() -> None:
    assert job_settings(server("--helm-controller-arg=job-resources=")).resources == {}


def test_arguments_without_effect_are_taken() -> None:
    assert job_settings(server("--helm-controller-arg=threads=3")) == job_settings(server())


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("default-image=x", "'default-image' is no argument of the helm controller"),
        ("job-resources={", "not the JSON that is wanted"),
        ('job-resources={"limit": {}}', "unknown field `limit`"),
        ('job-resources={"limits": {"cpu": "many"}}', "'many' of cpu is not a quantity"),
        ('job-tolerations={"key": "a"}', "Expected `array`"),
        ('job-tolerations=[{"keys": "a"}]', "unknown field `keys`"),
    ],
)
def test_what_is_no_argument_is_refused(argument: str, words: str) -> None:
    with pytest.raises(ConfigError, match="helm-controller-arg") as caught:
        server(f"--helm-controller-arg={argument}")
    assert words in str(caught.value)
    assert caught.value.remedy
