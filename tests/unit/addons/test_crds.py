"""A definition that is there is given what it lacks, and nothing is taken or rewritten."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rke2.addons.crds import completed
from rke2.addons.schemas import ADDON_CRD, ALL, HELM_CHART_CRD
from rke2.kube.objects import Object, name_of


def versions(definition: Object) -> list[Any]:
    found: list[Any] = copy.deepcopy(definition["spec"]["versions"])
    return found


def schema(version: Any) -> Any:
    return version["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("definition", ALL, ids=name_of)
def test_our_own_lacks_nothing(definition: Object) -> None:
    assert completed(versions(definition), versions(definition)) == versions(definition)


def rke2s(definition: Object) -> list[Any]:
    """As another program has it: words, columns and limits of its own, and a field more."""
    theirs = versions(definition)
    found = schema(theirs[0])
    found["description"] = "words of theirs"
    found["properties"]["spec"]["properties"]["theirOwn"] = {"type": "string"}
    first = next(iter(found["properties"]["spec"]["properties"].values()))
    first.update(description="other words", nullable=True)
    theirs[0]["additionalPrinterColumns"] = [
        {"name": "Theirs", "type": "string", "jsonPath": ".spec.theirOwn"}
    ]
    return theirs


@pytest.mark.parametrize("definition", ALL, ids=name_of)
def test_what_is_only_put_otherwise_is_left_alone(definition: Object) -> None:
    theirs = rke2s(definition)
    assert completed(theirs, versions(definition)) == theirs


def test_a_missing_field_is_added_beside_what_is_there() -> None:
    theirs = rke2s(HELM_CHART_CRD)
    del schema(theirs[0])["properties"]["spec"]["properties"]["takeOwnership"]
    result = completed(theirs, versions(HELM_CHART_CRD))
    spec = schema(result[0])["properties"]["spec"]["properties"]
    assert {"takeOwnership", "theirOwn"} <= spec.keys()
    assert schema(result[0])["description"] == "words of theirs"
    assert completed(result, versions(HELM_CHART_CRD)) == result


def test_a_schema_that_keeps_unknown_fields_lacks_none() -> None:
    theirs = versions(ADDON_CRD)
    theirs[0]["schema"] = {
        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    }
    assert completed(theirs, versions(ADDON_CRD)) == theirs


def test_a_version_that_is_not_served_or_not_there_is() -> None:
    theirs = versions(HELM_CHART_CRD)
    theirs[0]["served"] = False
    del theirs[0]["subresources"]
    (result,) = completed(theirs, versions(HELM_CHART_CRD))
    assert result["served"]
    assert result["subresources"] == {"status": {}}
    older = {"name": "v1alpha1", "served": True, "storage": False}
    assert [each["name"] for each in completed([older], versions(HELM_CHART_CRD))] == ["v1alpha1", "v1"]
