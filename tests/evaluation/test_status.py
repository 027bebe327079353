import pytest

from nmt_rl.evaluation.status import duration, stage_status

EVENTS = [
    {"time": 90.0, "stage": "pretrain", "event": "train", "step": 900, "loss": 9.0},
    {"time": 100.0, "stage": "finetune", "event": "valid", "step": 0, "bleu": 30.0, "seconds": 3.0},
    {"time": 110.0, "stage": "finetune", "event": "train", "step": 50, "loss": 0.5, "updates_per_second": 2.0},
    {"time": 120.0, "stage": "finetune", "event": "valid", "step": 60, "bleu": 31.5, "loss": 1.25},
    {"time": 130.0, "stage": "finetune", "event": "valid", "step": 80, "bleu": 31.0, "loss": 1.5},
    {"time": 140.0, "stage": "finetune", "event": "train", "step": 100, "loss": 0.25, "updates_per_second": 4.0},
]


def test_where_a_stage_stands():
    status = stage_status(EVENTS, "finetune", 340, now=205.0)
    assert (status.updates, status.of, status.best, status.silent) == (100, 340, (60, 31.5), 65.0)
    assert status.left == (340 - 100) / 4.0
    assert status.text().split("\n") == [
        "finetune: update 100 of 340, told 1 min 5 s ago; 1 min to go",
        "  last interval: loss 0.25  updates_per_second 4",
        "  last validation: bleu 31  loss 1.5",
        "  best validation: BLEU 31.50 at update 60",
    ]


def test_a_stage_of_which_nothing_is_told():
    status = stage_status(EVENTS, "other", 10, now=0.0)
    assert (status.updates, status.left, status.best) == (0, None, None)
    assert status.text() == "other: update 0 of 10, told 0 s ago"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min 59 s"), (7260, "2 h 1 min"), (180_000, "2 d 2 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
