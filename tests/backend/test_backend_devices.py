import pytest

from nmt_rl.backend import devices, limit_threads
from nmt_rl.errors import UserError


@pytest.mark.parametrize(
    ("flags", "has_it"),
    [
        ("flags : fpu avx512f amx_bf16", True),
        ("Features : fp asimd bf16", True),
        ("flags : fpu avx512f", False),
        ("", False),
    ],
)
def test_a_processor_says_whether_it_multiplies_in_bfloat16(flags, has_it, monkeypatch):
    monkeypatch.setattr(devices, "processor_flags", lambda: flags)
    monkeypatch.setattr(devices, "has_accelerator", lambda: False)
    assert devices.multiplies_bfloat16() is has_it
    monkeypatch.setattr(devices, "has_accelerator", lambda: True)
    assert devices.multiplies_bfloat16()


def test_jax_takes_no_number_of_threads(monkeypatch):
    monkeypatch.setattr("nmt_rl.backend.devices.is_jax", lambda: True)
    with pytest.raises(UserError, match="JAX has no number of threads"):
        limit_threads(2)
