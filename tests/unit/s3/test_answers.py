"""What object stores answer with."""

from __future__ import annotations

from rke2.s3 import answers

NS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def test_a_page_is_read_with_and_without_namespace() -> None:
    for namespace in ("", NS):
        body = (
            f"<ListBucketResult{namespace}><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
            "<NextContinuationToken>t</NextContinuationToken><Contents><Key>a%2Bb%20c</Key><Size>7</Size>"
            "<ETag>&quot;e&quot;</ETag><LastModified>2026-11-30T12:00:00.500Z</LastModified></Contents>"
            "</ListBucketResult>"
        ).encode()
        document = answers.parse(body, "ListBucketResult")
        assert document is not None
        page = answers.page(document)
        assert page.next == "t"
        assert page.objects == [answers.Listed("a+b c", 7, "e", 1796040000.5)]


def test_keys_of_a_store_that_does_not_encode_stay() -> None:
    body = (
        b"<ListBucketResult><Contents><Key>a%2Bb</Key><Size>1</Size><ETag>e</ETag>"
        b"<LastModified>2026-11-30T12:00:00Z</LastModified></Contents></ListBucketResult>"
    )
    document = answers.parse(body, "ListBucketResult")
    assert document is not None
    assert answers.page(document) == answers.BucketPage([answers.Listed("a%2Bb", 1, "e", 1796040000.0)], "")


def test_only_an_error_of_a_store_is_one() -> None:
    refused = answers.refusal(b"<Error><Code>NoSuchKey</Code><Message>m</Message><Region>r</Region></Error>")
    assert refused == answers.Refusal("NoSuchKey", "m", "r")
    for body in (b"", b"<html><body>404</body></html>", b"<Error/>", b"<Error", b"\xff\xfe", b"{}"):
        assert answers.refusal(body) is None
