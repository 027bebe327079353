"""Ray, started when it is wanted and gone with what it wrote."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from nmt_rl.errors import RunError, UserError

DEFAULTS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
"""Unless the user says otherwise: nothing is reported, nothing is written into the user's home, and players are no less
important than whatever else the machine does."""

LONGEST = 30
"""Characters of a temporary folder's name: what Ray makes in it are sockets, whose names end at 107."""


@contextlib.contextmanager
def ray_session(processes: int) -> Iterator[Any]:
    """Ray, ready to start so many processes of one processor each.

    It is the cluster that RAY_ADDRESS names; without that it runs on this machine, with its files in RAY_TMPDIR or in a
    temporary folder that is deleted at the end.

    Raises:
        UserError: if Ray is not installed.
        RunError: if it cannot be started, or reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("finetune.actors needs Ray: pip install 'nmt-rl[ray]', or give finetune.actors 0")
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import ray

    options: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    with contextlib.ExitStack() as stack:
        if not os.environ.get("RAY_ADDRESS"):
            folder = os.environ.get("RAY_TMPDIR")
            if not folder:
                parent = tempfile.gettempdir()
                parent = parent if len(parent) <= LONGEST else "/tmp"
                made = tempfile.TemporaryDirectory(prefix="nmt-rl-", dir=parent, ignore_cleanup_errors=True)
                folder = stack.enter_context(made)
            options |= {"_temp_dir": folder, "include_dashboard": False, "num_cpus": processes}
        try:
            ray.init(**options)
        except Exception as error:  # Of many kinds: no such address, no memory for its store, a full disk.
            raise RunError(f"Ray cannot be started: {' '.join(str(error).split())}") from error
        stack.callback(ray.shutdown)
        yield ray
