"""Bytes to a document, or a refusal that quotes nothing."""

import json

import pytest

from router.errors import InvalidData
from router.exam.read import MAX_BYTES, read
from support.sample_exam import exam_document

TEXT = json.dumps(exam_document(), ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_every_encoding_of_a_ris_reads_the_same(encoding: str) -> None:
    assert read(TEXT.encode(encoding)) == exam_document()


def test_a_mark_in_gb18030_is_no_part_of_the_text() -> None:
    assert read(("\ufeff" + TEXT).encode("gb18030")) == exam_document()


def test_a_character_beyond_gbk_reads_in_gb18030() -> None:
    assert read('{"Name": "𠮷㐀"}'.encode("gb18030")) == {"Name": "𠮷㐀"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"%PDF-1.4",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"a": "\xff\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": 1} {"b": 2}',
        b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a": ' * 200_000,
        b"{" + b" " * MAX_BYTES + b"}",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData):
        read(data)


def test_a_pair_of_surrogate_escapes_is_one_character() -> None:
    assert read(b'{"Name": "\\ud842\\udfb7"}') == {"Name": "𠮷"}


def test_a_key_given_twice_with_different_values_is_refused_and_named() -> None:
    with pytest.raises(InvalidData, match="ExamId") as caught:
        read(b'{"ExamId": "secret-1", "ExamId": "secret-2"}')
    assert "secret" not in str(caught.value)


def test_an_unknown_key_given_twice_is_refused_without_its_name() -> None:
    with pytest.raises(InvalidData) as caught:
        read('{"张三": 1, "张三": 2}'.encode())
    assert "张三" not in str(caught.value)


def test_the_same_value_twice_does_no_harm() -> None:
    assert read(b'{"ExamId": "1", "ExamId": "1"}') == {"ExamId": "1"}


@pytest.mark.parametrize("bad", ['{"Name": "张三" "Age"', '{"Name": 张三}', '{"Name": "张\n三"}'])
def test_a_refusal_says_where_and_quotes_nothing(bad: str) -> None:
    with pytest.raises(InvalidData, match="line 1 column") as caught:
        read(bad.encode())
    assert "张" not in str(caught.value)
