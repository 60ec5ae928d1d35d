"""The signature is that of a library that all object stores know, whatever is signed."""

from __future__ import annotations

import hashlib
import string
from datetime import UTC, datetime
from unittest.mock import patch

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from rke2.s3.signing import EMPTY, Credentials, encode_path, encode_query, signed_headers

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
VALUES = st.text(string.ascii_letters + string.digits + ' =+/.:,;{}"-_', max_size=40).map(str.strip)
NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda found: found.replace(tzinfo=UTC, microsecond=0)
)


def theirs(
    method: str, host: str, path: str, query: str, headers: dict[str, str], body_hash: str, who: Credentials,
    region: str, now: datetime,
) -> str:  # fmt: skip
    """The Authorization header that botocore makes."""
    url = f"https://{host}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, headers={**headers, "X-Amz-Content-SHA256": body_hash})
    request.context["payload_signing_enabled"] = True
    credentials = TheirCredentials(who.access_key, who.secret_key, who.session_token or None)
    signer = S3SigV4Auth(credentials, "s3", region)
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = moment
    with (
        patch("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None)),
        patch.object(S3SigV4Auth, "payload", lambda self, request: body_hash),
    ):
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@given(
    st.sampled_from(("GET", "PUT", "POST", "HEAD", "DELETE")),
    st.sampled_from(("s3.example.org", "b.s3.example.org:9000", "[fd00::1]:7070")),
    st.lists(WORDS, min_size=1, max_size=4).map("/".join),
    st.lists(st.tuples(NAMES, WORDS | st.just("")), max_size=4, unique_by=lambda pair: pair[0]),
    st.dictionaries(NAMES.map(lambda name: f"x-amz-meta-{name}"), VALUES, max_size=3),
    st.binary(max_size=20),
    st.builds(Credentials, NAMES, WORDS, st.just("") | NAMES),
    st.sampled_from(("us-east-1", "eu-central-1")),
    MOMENTS,
)
def test_signed_as_by_botocore(
    method: str, host: str, key: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes,
    who: Credentials, region: str, now: datetime,
) -> None:  # fmt: skip
    path, encoded, body_hash = encode_path(f"/{key}"), encode_query(query), hashlib.sha256(body).hexdigest()
    ours = signed_headers(method, host, path, encoded, headers, body_hash, who, region, now)
    expected = theirs(method, host, path, encoded, headers, body_hash, who, region, now)
    assert ours["authorization"] == expected


def test_the_example_of_amazons_documentation() -> None:
    who = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    now = datetime(2013, 5, 24, tzinfo=UTC)
    query = encode_query((("max-keys", "2"), ("prefix", "J")))
    made = signed_headers(
        "GET", "examplebucket.s3.amazonaws.com", "/", query, {}, EMPTY, who, "us-east-1", now
    )
    signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    assert made["authorization"].endswith(f"Signature={signature}")


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Credentials("key", "hidden", "hidden"))


@given(st.lists(st.tuples(WORDS, WORDS)))
def test_a_query_is_sorted_by_its_encoded_form(pairs: list[tuple[str, str]]) -> None:
    parts = encode_query(pairs).split("&") if pairs else []
    assert parts == sorted(parts, key=lambda part: part.split("=", 1))
