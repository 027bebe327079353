"""Every way in which a small file can be wrong is told by its name."""

import errno
import os
import time
from pathlib import Path

import pytest

from nmt_rl.errors import UserError, printable
from nmt_rl.storage.reading import describe, file_size, must_be, read_bytes, read_json, read_text, read_yaml

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def message(read, path):
    begin = time.process_time()
    with pytest.raises(UserError) as error:
        read(path)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 300
    assert time.process_time() - begin < 1
    return text.removeprefix(str(path))


@pytest.mark.parametrize("read", [file_size, read_bytes, read_text, read_json, read_yaml])
def test_what_is_no_file_with_something_in_it(tmp_path, read):
    path = tmp_path / "x"
    assert message(read, path) == " is missing"
    (tmp_path / "file").touch()
    assert message(read, tmp_path / "file" / "x") == " is missing"
    path.symlink_to("gone")
    assert message(read, path) == " is a link to gone, which does not exist"
    path.unlink()
    path.mkdir()
    assert message(read, path) == " is a folder, not a file"
    path.rmdir()
    path.touch()
    assert message(read, path) == " is empty (0 bytes)"
    path.write_text(POINTER)
    assert "is a pointer of Git LFS, not the file itself; run 'git lfs pull'" in message(read, path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin"])
def test_endless_devices_and_pipes_are_not_opened(tmp_path, device):
    path = tmp_path / "card.json"
    path.symlink_to(device)
    assert message(read_json, path).endswith(", not a file")
    path.unlink()
    os.mkfifo(path)
    assert message(read_json, path) == " is a pipe, not a file"


def test_a_file_without_permission(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("{}")

    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert message(read_json, path) == " may not be read: permission denied"


def test_more_than_the_limit_is_not_read(tmp_path):
    path = tmp_path / "x"
    with path.open("wb") as stream:
        stream.truncate(10**12)
    assert message(read_json, path) == " is too large: 1,000,000,000,000 bytes, where at most 1,048,576 were expected"


def test_text(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbfa\n")
    assert read_text(path) == "a\n"
    path.write_bytes(b"a\nb\xe4\n")
    assert message(read_text, path) == " line 2 is not UTF-8 (byte 0xe4)"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", " line 1 is not valid JSON: Expecting property name enclosed in double quotes; it seems to be cut off"),
        ('{"a": "b', " line 1 is not valid JSON: Unterminated string; it seems to be cut off"),
        ('{"a":\n 1,, "b": 2}', " line 2 is not valid JSON: Expecting property name enclosed in double quotes"),
        ("[]", " should hold a mapping, found an empty list"),
        ("null", " should hold a mapping, found nothing"),
        ('"x"', " should hold a mapping, found the text 'x'"),
        ("[" * 100_000, " is nested too deeply"),
        ('{"a":' * 200 + "1" + "}" * 200, " is nested too deeply"),
        ("9" * 5000, " is not valid JSON: Exceeds the limit"),
    ],
)
def test_what_is_not_the_json_that_was_expected(tmp_path, text, what):
    path = tmp_path / "x.json"
    path.write_text(text)
    assert message(read_json, path).startswith(what)


def test_values_have_their_shapes():
    assert must_be(3, float, "x") == 3 and must_be([1], list, "x") == [1]
    for value, shape, text in [
        (True, int, "should hold a number, found true"),
        ({}, list, "should hold a list, found an empty mapping"),
        (None, str, "should hold a text, found nothing"),
        (0, bool, "should hold true or false, found the number 0"),
    ]:
        with pytest.raises(UserError, match=f"card: seed {text}"):
            must_be(value, shape, "card: seed")
    assert len(describe("x" * 10**6)) < 60 and len(describe(10**6000)) < 60


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, " holds more than 10,000 values"),
        ("a: [" + "1," * 200_000 + "]", " holds more than 10,000 values"),
        ("a: !" + "x" * 10**5, " line 1 is not valid YAML: could not determine a constructor for the tag '!xxx"),
        ("x" * 2**20, " is too large: 1,048,576 bytes"),
        ("a: &a {x: *a}", " holds a value that contains itself"),
        ("a: " + "[" * 5000, " is nested too deeply"),
        ("a:\n  - b\n c: d", " line 3 is not valid YAML"),
        ("a: b: c", " line 1 is not valid YAML: mapping values are not allowed here"),
        ("a: !!python/name:os.system", " line 1 is not valid YAML: could not determine a constructor"),
        ("a: 1\nb: \x00", " line 2 is not valid YAML: character U+0000"),
        ("- a", " should be a mapping of keys, found a list"),
        ("# nothing", " should be a mapping of keys, found nothing"),
    ],
)
def test_what_is_not_the_yaml_that_was_expected(tmp_path, text, what):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert message(read_yaml, path).startswith(what)


def test_aliases_and_merged_keys_are_yaml(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("base: &base {a: 1, b: [2, 3]}\nmore: {<<: *base, c: *base}\n")
    assert read_yaml(path)["more"] == {"a": 1, "b": [2, 3], "c": {"a": 1, "b": [2, 3]}}


def test_nothing_printed_steers_a_terminal():
    assert printable("a\x1b[2Jb\r\nc\x7f\x9b1m\u2028\u202e") == r"a\x1b[2Jb\r\nc\x7f\x9b1m\u2028\u202e"
    plain = "Größe 大きい « x » עברית 👍🏽 \\ \" '"
    assert printable(plain) == plain
