import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

METHODS = ("{type: dqn, steps: 2, monte_carlo: 0.5}",)


@pytest.mark.jax
def test_the_losses_of_several_devices_are_those_of_one(tiny_recipe, tmp_path):
    """Batches of 10 rows on 4 devices, dropout on; pretraining, and fine-tuning with numbers that no axis divides."""
    pytest.importorskip("jax")
    flags = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [
        sys.executable,
        str(Path(__file__).with_name("devices.py")),
        str(tiny_recipe),
        str(tmp_path),
        "4",
        *METHODS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **flags})
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == {"pretrain", *METHODS}
    for each in found.values():
        assert len(each["1"]) >= 4
        assert each["4"] == pytest.approx(each["1"], abs=1e-4)


def test_devices_that_are_not_there_are_told(tiny_recipe, tmp_path):
    command = [sys.executable, "-m", "nmt_rl", "pretrain", str(tiny_recipe), "--out", "run", "--set"]
    done = subprocess.run([*command, "pretrain.devices=9"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "devices 9: " in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
