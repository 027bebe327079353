import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.jax
def test_the_table_of_a_small_model(tmp_path, monkeypatch, capsys):
    """Everything that is measured on a GPU is measured here, of a model of nothing."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_devices

    out = tmp_path / "devices.json"
    monkeypatch.setattr(sys, "argv", ["measure_devices.py", str(out), "--small", "--models", "base", "--updates", "2"])
    measure_devices.main()
    (row,) = json.loads(out.read_text())["rows"]
    assert row["pretrain"]["tokens_per_second"] > 0
    assert 0 < row["pretrain"]["share_of_peak"] < 1
    assert row["finetune"]["sentences_per_second"] > 0 and row["beam"]["pieces_per_second"] > 0
    assert "| base |" in capsys.readouterr().out


def test_the_arithmetic_of_a_token_is_that_of_the_papers_base(monkeypatch):
    """0.36 GFLOP per target token of the base model with 32,000 pieces, 1.25 of the big one."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from measure_devices import flop_per_token

    from nmt_rl.config import load_config

    base, big = (load_config(f"wmt14-en-de-transformer-{name}").model for name in ("base", "big"))
    assert flop_per_token(base, 32_000, 28.0) == pytest.approx(0.363e9, rel=0.03)
    assert flop_per_token(big, 32_000, 28.0) == pytest.approx(1.254e9, rel=0.03)
