"""A search that does not fit into memory is refused before it begins."""

import os

import pytest

from nmt_rl.config import DecodingConfig
from nmt_rl.decoding.memory import must_have_memory
from nmt_rl.errors import UserError


def test_a_beam_or_samples_too_many_for_the_machine(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 2**20, "SC_PAGE_SIZE": 2**12}[name])
    must_have_memory(DecodingConfig(beam=500), 32_000, "keras")
    with pytest.raises(UserError) as found:
        must_have_memory(DecodingConfig(beam=1000), 32_000, "keras")
    assert str(found.value) == (
        "a beam of 1,000 with 32,000 pieces needs about 8 GiB of memory, but this machine has 4; take 524 at most"
    )
    must_have_memory(DecodingConfig(beam=1000), 32_000, "ctranslate2")
    with pytest.raises(UserError, match="6,000 samples with 32,000 pieces needs about 46 GiB"):
        must_have_memory(DecodingConfig(samples=6000), 32_000, "keras")
