"""One process at a time in a folder: a lock of the system's, which ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nmt_rl.errors import UserError
from nmt_rl.storage.writing import made_folder

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there.
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("nmt_rl")

LOCK = ".nmt-rl-lock"
"""Lies in a folder while a process works in it, and says which. One that was killed leaves the file, but no lock."""
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)
"""What file systems answer that have no locks."""
COMMAND = 300
"""Characters of the holder's command that are shown."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only process that changes a folder, while the block lasts.

    Args:
        folder: made if it does not exist, and taken away again if it is empty at the end.

    Raises:
        UserError: if another process holds it; says which.
        OSError: if the folder cannot be written.
    """
    with made_folder(folder), _locked(folder) if fcntl else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / LOCK
    descriptor = _acquire(path, folder)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_this_process()).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # Before the lock ends: whoever opened the file finds that it is no longer there.
        os.close(descriptor)


def _acquire(path: Path, folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # Another process has taken its own, empty folder away again.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            raise UserError(
                f"{folder} is in use by {_holder(path)}; wait until it has ended, or choose another folder"
            ) from None
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            logger.warning("%s: no locks on this file system; start no other process in this folder", folder)
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is what the path names: another process may have taken it away before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _this_process() -> dict[str, object]:
    program = Path(sys.argv[0]).name.replace("__main__.py", "nmt-rl") or "python"
    command = shlex.join([program, *sys.argv[1:]])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": since}


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        command = "".join(c if c.isprintable() else " " for c in str(found["command"]))[:COMMAND]
        return f"process {found['pid']} on {found['host']} ({command}) since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
