"""What a user sees while a stage runs."""

import logging

import pytest

from nmt_rl.training import progress
from nmt_rl.training.progress import ProgressLine

NUMBERS = {"return": 0.4321, "td_error": 0.1, "kl": 0.05, "entropy": 1.2, "length_ratio": 0.98, "forks": 117.0}


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_speeds_count_from_the_first_update_of_the_process(clock):
    line = ProgressLine("finetune", 100)
    assert line.speed() == line.pace() == 0.0
    line.update(41, 1000)  # resumed: the time of the first update is not known
    clock[0] += 4.0
    line.update(49, 3000)
    assert line.speed() == 500.0 and line.pace() == 2.0


def test_lines_show_every_number(caplog):
    with caplog.at_level(logging.INFO, "nmt_rl"):
        ProgressLine("finetune", 100).log(10, {**NUMBERS, "valid_bleu": 39.876})
    assert "finetune 10  return 0.4321  td_error 0.1  kl 0.05" in caplog.text
    assert "forks 117" in caplog.text and "valid_bleu 39.88" in caplog.text


def test_a_terminal_shows_the_dashboard_beside_the_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = ProgressLine("finetune", 100)
    line.update(10, 1000)
    line.log(10, {**NUMBERS, "valid_bleu": 39.876, "updates_per_second": 0.5})
    shown = line._bar.tasks[0].fields["info"]
    line.close()
    assert shown == ("return 0.432  TD error 0.1  length 0.98  BLEU 39.9  updates/s 0.5")
