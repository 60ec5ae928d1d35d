from __future__ import annotations

import msgspec
import pytest

from rke2 import goyaml
from rke2.config.places import with_keys
from rke2.content.registries.settings import _File


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "configs: {good.example: {auth: {username: a}}, 'bad.example:5000': {auth: {username: 1}}}",
            'configs["bad.example:5000"].auth.username',
        ),
        ("configs: {good.example: {}, bad.example: {tsl: {}}}", 'configs["bad.example"]'),
        (
            "mirrors: {good.example: null, bad.example: {endpoint: [a, 2]}}",
            'mirrors["bad.example"].endpoint[1]',
        ),
        (
            "mirrors: {bad.example: {rewrite: {a: b, '^(.*)$': 3}}}",
            'mirrors["bad.example"].rewrite["^(.*)$"]',
        ),
        ("configs: []", "configs"),
    ],
)
def test_the_place_has_the_key_that_is_meant(text: str, place: str) -> None:
    document = goyaml.load(text)
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(document, _File)
    assert f"`{place}`" in with_keys(caught.value, document, _File)
    assert "[...]" not in with_keys(caught.value, document, _File)


def test_what_names_no_place_stays() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert([], _File)
    assert with_keys(caught.value, [], _File) == str(caught.value)
