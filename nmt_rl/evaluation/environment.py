"""Where numbers were made: versions of the libraries and the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from nmt_rl import __version__

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "sentencepiece", "sacrebleu")


def versions() -> dict[str, str]:
    """Versions of Python, nmt-rl and the installed packages that numbers depend on; imports none of them."""
    found = {"python": platform.python_version(), "nmt-rl": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Operating system, processor, usable cores and memory of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = {"system": platform.platform(terse=True), "processor": _processor(), "cores": str(cores)}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory"] = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
        if model:
            return model.group(1)
    return platform.processor() or platform.machine()
