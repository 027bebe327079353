"""Small files as bytes, text, JSON or YAML: never more than a bound, and the right words for what is wrong with one."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import yaml

from nmt_rl.errors import UserError
from nmt_rl.storage.streams import STANDARD, input_name, standard_input
from nmt_rl.storage.yaml_core import DEPTH, TooMuch, load_yaml

LIMIT = 2**20
"""Bytes that a settings file, a card or a result may have."""
YAML_LIMIT = 2**19
"""Bytes of YAML, which takes a second for a megabyte."""
POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_SIZE = 1024
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
SHAPES = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def file_size(path: Path) -> int:
    """The size in bytes of a file that can be opened and has something in it, which is not read.

    Raises:
        UserError: if it is missing, empty, a pointer of Git LFS, not a regular file, or may not be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path} is {KINDS.get(stat.S_IFMT(status.st_mode), 'a device')}, not a file")
        if not status.st_size:  # Files of the system have no size, and some no end.
            raise UserError(f"{path} is empty (0 bytes)")
        with path.open("rb") as stream:
            start = stream.read(len(POINTER))
    except OSError as error:
        raise UserError(f"{path} {_why(path, error)}") from error
    if start == POINTER and status.st_size <= POINTER_SIZE:
        raise UserError(f"{path} is a pointer of Git LFS, not the file itself; run 'git lfs pull' where it comes from")
    return status.st_size


def _why(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"is a link to {path.readlink()}, which does not exist" if path.is_symlink() else "is missing"
    if isinstance(error, PermissionError):
        return "may not be read: permission denied"
    return f"cannot be read: {error.strerror or error}"


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """What a file holds.

    Args:
        path: a regular file.
        limit: bytes that it may have.

    Raises:
        UserError: as `file_size`, and if it is larger.
    """
    size = file_size(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path} {_why(path, error)}") from error
    if len(data) > limit:
        raise UserError(f"{path} is too large: {size:,} bytes, where at most {limit:,} were expected")
    return data


def read_pipe(path: Path, limit: int = LIMIT) -> bytes:
    """What a pipe gives to its end; `-` is standard input. Raises UserError if it is empty or too large."""
    try:
        with standard_input() if path == STANDARD else path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path} {_why(path, error)}") from error
    if not data or len(data) > limit:
        found = "too large" if data else "empty"
        raise UserError(f"{input_name(path)} is {found}: at most {limit:,} bytes were expected")
    return data


def read_text(path: Path, limit: int = LIMIT) -> str:
    """What a text file holds, UTF-8 with or without a byte order mark; raises UserError as `read_bytes`."""
    return _decode(path, read_bytes(path, limit))


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} line {line} is not UTF-8 (byte 0x{data[error.start]:02x})") from None


def read_json(path: Path, shape: type = dict, limit: int = LIMIT) -> Any:
    """The value in a JSON file.

    Args:
        path: the file.
        shape: dict or list, what the value has to be.
        limit: bytes that the file may have.

    Raises:
        UserError: as `read_bytes`, and for what is not JSON of this shape or is nested more than `DEPTH` deep.
    """
    text = read_text(path, limit)
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        cut = "; it seems to be cut off" if text.rstrip()[-1:] not in ("}", "]") else ""
        reason = error.msg.removesuffix(" starting at")
        raise UserError(f"{path} line {error.lineno} is not valid JSON: {reason}{cut}") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply") from None
    except ValueError as error:  # A number of thousands of digits.
        raise UserError(f"{path} is not valid JSON: {error}") from None
    return must_be(tree, shape, str(path))


def must_be(value: Any, shape: type, where: str) -> Any:
    """The value, if it has the shape that was expected and is not nested too deeply.

    Args:
        value: of JSON or YAML.
        shape: dict, list, str, int, float (which an int is, too) or bool.
        where: file, or file and key.

    Raises:
        UserError: if it is something else.
    """
    fits = isinstance(value, int | float if shape is float else shape) and (
        shape is bool or not isinstance(value, bool)
    )
    if not fits:
        raise UserError(f"{where} should hold {SHAPES[shape]}, found {describe(value)}")
    level = [value]
    for _ in range(DEPTH):
        if not (level := [v for each in level for v in _children(each)]):
            return value
    raise UserError(f"{where} is nested too deeply")


def describe(value: Any) -> str:
    """A value of JSON or YAML in few words: `nothing`, `the number 3`, `an empty list`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}" if isinstance(value, float) or abs(value) < 10**20 else "a number too large"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:40] + '...'!r}"
    name = SHAPES.get(type(value), f"a {type(value).__name__}")
    return name if not isinstance(value, dict | list) or value else name.replace("a ", "an empty ", 1)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def read_yaml(path: Path, limit: int = YAML_LIMIT) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: as `read_bytes`, and for what is not valid YAML or no mapping, for more than `DEPTH` levels or
            `VALUES` values, and for a value that contains itself.
    """
    return _parse_yaml(path, read_text(path, limit))


def read_yaml_pipe(path: Path) -> dict[str, Any]:
    """The mapping in YAML that a pipe gives; raises UserError as `read_pipe` and `read_yaml`."""
    name, data = Path(input_name(path)), read_pipe(path)
    return _parse_yaml(name, _decode(name, data))


def _parse_yaml(path: Path, text: str) -> dict[str, Any]:
    try:
        tree = load_yaml(text)
    except TooMuch as error:
        raise UserError(f"{path} {error}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path} line {line} is not valid YAML: character U+{ord(text[error.position]):04X}") from None
    except yaml.MarkedYAMLError as error:
        where = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{where} is not valid YAML: {str(error.problem)[:150]}") from None
    except (ValueError, OverflowError, ArithmeticError) as error:  # A number of thousands of digits.
        raise UserError(f"{path} holds a value that YAML cannot have: {error}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path} should be a mapping of keys, found {describe(tree)}")
    return tree
