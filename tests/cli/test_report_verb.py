import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from nmt_rl.cli.main import app


def test_the_report_of_a_finished_run_is_written_anew(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run.folder, tmp_path / "run")
    before = (run / "metrics.json").read_text()
    for name in ("report.html", "metrics.json"):
        (run / name).unlink()
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 0, result.output
    assert f"Report: {run / 'report.html'}" in result.output
    now, then = json.loads((run / "metrics.json").read_text()), json.loads(before)
    assert now["scores"] == then["scores"]


def test_a_run_that_is_not_finished_says_how_far_it_is_and_stays_as_it_is(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run.folder, tmp_path / "run")
    (run / "finetune" / "result.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 0
    assert result.output.startswith("finetune: update 4 of 4, told ")
    assert result.output.splitlines()[-1].startswith("  best validation: BLEU")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize(
    ("made", "words"), [(False, "is no run of nmt-rl"), (True, "holds no training that has begun")]
)
def test_what_is_no_run_is_one_sentence(made, words, tiny_run, tmp_path):
    if made:
        shutil.copy(tiny_run.folder / "config.yaml", tmp_path)
    command = [sys.executable, "-m", "nmt_rl", "report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr and done.stderr.count("\n") == 1
