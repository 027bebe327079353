"""Whether the hypotheses of a search fit into memory: each has the scores of a whole vocabulary at every step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig

COPIES = {"keras": 64, "ctranslate2": 8}
"""Of its scores, float32, that the memory of a hypothesis comes to, about: with candidates, keys and values."""


def must_have_memory(settings: DecodingConfig, vocabulary: int, engine: str) -> None:
    """Raise a UserError if the hypotheses of one sentence are too many for this machine.

    Args:
        settings: beam or samples.
        vocabulary: pieces of the target side.
        engine: keras or ctranslate2.
    """
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    each = 4 * COPIES[engine] * vocabulary
    if settings.hypotheses * each > memory:
        what = f"{settings.samples:,} samples" if settings.samples else f"a beam of {settings.beam:,}"
        needs = f"{what} with {vocabulary:,} pieces needs about {settings.hypotheses * each / 2**30:,.0f} GiB of memory"
        raise UserError(f"{needs}, but this machine has {memory / 2**30:,.0f}; take {memory // each:,} at most")
