import json

import numpy as np
import pytest
from toy_stage import NumberedBatches, make_loop, weights

from nmt_rl.errors import RunError
from nmt_rl.training import loop as loop_module

STATEFUL = {
    "dropout": {"dropout": 0.5, "optimizer": {"schedule": "cosine", "warmup": 2}},
    "accumulated average": {"optimizer": {"accumulate": 2, "ema": 0.7}},
    "plateau": {"optimizer": {"schedule": "plateau", "plateau_patience": 1}, "scores": (3.0, 2.0, 1.0, 0.5, 0.25)},
}


def events(run, event):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def interrupted(run, at, **options):
    """Start a loop and interrupt it at its `at`-th batch."""
    loop = make_loop(run, NumberedBatches(stop_at=at), **options)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert loop.batches.closed


@pytest.mark.parametrize("variant", STATEFUL)
def test_an_interrupted_run_ends_with_the_same_bits(variant, tmp_path):
    options = STATEFUL[variant]
    whole = make_loop(tmp_path / "whole", **options)
    expected = whole.run()
    for at in (2, 8):
        run = tmp_path / str(at)
        interrupted(run, at, **options)
        resumed = make_loop(run, **options)
        if "scores" in options:
            # The script of validations goes on where the checkpoint was: one validation every two updates.
            resumed.open()
            resumed.validate.scores = list(options["scores"])[resumed.progress.step // 2 :]
        found = resumed.run()
        assert weights(resumed) == weights(whole)
        for name in ("step", "best_step", "stalled", "scale", "since_drop", "tokens"):
            assert getattr(found, name) == getattr(expected, name), name
        assert found.snapshots == expected.snapshots
        assert [e["step"] for e in events(run, "train")] == [2, 4, 6, 8, 10]
        assert [e["step"] for e in events(run, "valid")] == [2, 4, 6, 8, 10]


def test_a_second_interruption_is_survived_too(tmp_path):
    whole = make_loop(tmp_path / "whole")
    whole.run()
    interrupted(tmp_path / "cut", 5)
    interrupted(tmp_path / "cut", 9)
    resumed = make_loop(tmp_path / "cut")
    resumed.open()
    assert resumed.progress.step == 6
    resumed.run()
    assert weights(resumed) == weights(whole)


def test_a_run_at_its_end_does_nothing_more(tmp_path):
    make_loop(tmp_path).run()
    again = make_loop(tmp_path)
    before = again.run()
    assert before.step == 10 and again.batches.number == 10
    assert again.validate.seen == []


def test_more_updates_go_on_from_the_end(tmp_path):
    whole = make_loop(tmp_path / "whole", updates=14)
    whole.run()
    make_loop(tmp_path / "cut", updates=8).run()
    longer = make_loop(tmp_path / "cut", updates=14)
    longer.run()
    assert weights(longer) == weights(whole)


def test_early_stopping_after_validations_without_improvement(tmp_path):
    loop = make_loop(tmp_path, scores=(1.0, 5.0, 5.0, 4.0, 3.0, 9.0), validation={"patience": 3}, updates=100)
    progress = loop.run()
    assert (progress.step, progress.best_step, progress.best, progress.stalled) == (10, 4, 5.0, 3)


def test_loss_counts_as_better_when_it_falls(tmp_path):
    loop = make_loop(tmp_path, validation={"metric": "loss"})
    losses = iter([3.0, 2.0, 2.5, 1.0, 4.0])
    loop.validate = lambda: {"bleu": 0.0, "loss": next(losses)}
    progress = loop.run()
    assert (progress.best_step, progress.best) == (8, -1.0)


def test_the_plateau_lowers_the_rate_after_stalled_validations(tmp_path):
    optimizer = {"schedule": "plateau", "plateau_patience": 2, "plateau_factor": 0.5, "learning_rate": 0.1}
    make_loop(tmp_path, scores=(2.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0), optimizer=optimizer, updates=14).run()
    rates = [e["learning_rate"] for e in events(tmp_path, "train")]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


@pytest.mark.parametrize(("which", "expected"), [("best", [4, 8]), ("last", [8, 10])])
def test_kept_snapshots(tmp_path, which, expected):
    loop = make_loop(tmp_path, scores=(1.0, 5.0, 2.0, 4.0, 3.0), average=2)
    loop.run()
    assert loop.kept(which) == expected
    files = sorted(path.name for path in (tmp_path / "pretrain" / "snapshots").iterdir())
    assert files == [f"weights-{step:08d}.npz" for step in (4, 8, 10)]
    validated = dict(zip((2, 4, 6, 8, 10), loop.validate.seen, strict=True))
    loop.load_average([expected[0]])
    np.testing.assert_array_equal(loop.learner.model.dense.kernel, validated[expected[0]])
    loop.load_average(expected)
    mean = (validated[expected[0]] + validated[expected[1]]) / 2
    np.testing.assert_allclose(loop.learner.model.dense.kernel, mean, rtol=1e-6)


def test_the_moving_average_is_validated_and_kept_but_not_trained(tmp_path):
    plain, averaged = (make_loop(tmp_path / str(ema), optimizer={"ema": ema}) for ema in (0.0, 0.9))
    plain.run(), averaged.run()
    np.testing.assert_allclose(averaged.learner.model.dense.kernel, plain.learner.model.dense.kernel, rtol=1e-5)
    assert np.abs(averaged.validate.seen[-1] - plain.validate.seen[-1]).max() > 1e-2
    averaged.load_average([max(averaged.progress.snapshots)])
    kept = {2: 0, 4: 1, 6: 2, 8: 3, 10: 4}[max(averaged.progress.snapshots)]
    np.testing.assert_array_equal(averaged.learner.model.dense.kernel, averaged.validate.seen[kept])


def test_a_nan_loss_ends_the_run_and_names_what_is_kept(tmp_path):
    loop = make_loop(tmp_path, NumberedBatches(poison_at=8))
    with pytest.raises(RunError) as error:
        loop.run()
    assert str(error.value) == (
        "pretrain: the loss became nan at update 8; the checkpoint of update 6 is kept; lower "
        "pretrain.optimizer.learning_rate (now 0.1) or raise its warmup, then run again"
    )
    again = make_loop(tmp_path)
    again.open()
    assert again.progress.step == 6
    assert all(np.isfinite(v).all() for v in again.learner.get_weights())


def test_a_nan_loss_before_the_first_checkpoint(tmp_path):
    with pytest.raises(RunError, match="became nan at update 2; there was no checkpoint yet"):
        make_loop(tmp_path, NumberedBatches(poison_at=2)).run()


def test_an_absurd_learning_rate_is_noticed(tmp_path):
    with pytest.raises(RunError, match=r"the loss became (inf|nan) at update \d+.*learning_rate \(now 1e\+30\)"):
        make_loop(tmp_path, optimizer={"learning_rate": 1e30}).run()


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    loop = make_loop(tmp_path, NumberedBatches(poison_at=3))
    loop.config = loop.config.model_copy(update={"updates": 3})
    update = loop.learner.update
    loop.learner.update = lambda batch, rate: {**update(batch, rate), "loss": 1.0}
    with pytest.raises(RunError, match="the loss became nan at update 3"):
        loop.run()
    assert loop.checkpoints.latest() is None


def test_the_minutes_are_kept_across_restarts(tmp_path, monkeypatch):
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(loop_module.time, "monotonic", lambda: float(next(clock)))
    first = make_loop(tmp_path, updates=1000, minutes=1.0).run()
    assert first.training_seconds >= 60
    second = make_loop(tmp_path, updates=1000, minutes=1.0).run()
    assert second.step == first.step < 10
    third = make_loop(tmp_path, updates=1000, minutes=2.0).run()
    assert first.step < third.step < 20


def test_minutes_are_of_training_and_may_say_when_to_validate(tmp_path, monkeypatch):
    """Updates of 25 s and validations of 500 s: five minutes are 12 updates, every two minutes lie behind 5 and 10."""
    now = [0.0]
    monkeypatch.setattr(loop_module.time, "monotonic", lambda: now[0])
    loop = make_loop(tmp_path, updates=1000, minutes=5.0, validation={"every": 1, "minutes": 2.0})
    draw, validate = loop.batches.next, loop.validate

    def taking(seconds, function):
        def call(*args):
            now[0] += seconds
            return function(*args)

        return call

    loop.batches.next, loop.validate = taking(25.0, draw), taking(500.0, validate)
    progress = loop.run()
    assert (progress.step, progress.training_seconds, progress.seconds) == (12, 300.0, 1800.0)
    found = [(e["step"], e["seconds"], e["training_seconds"]) for e in events(tmp_path, "valid")]
    assert found == [(5, 125.0, 125.0), (10, 750.0, 250.0), (12, 1300.0, 300.0)]


def test_a_schedule_ends_with_the_minutes(tmp_path, monkeypatch):
    """Updates of 15 s for five minutes: the cosine is 0 after 20 of them, not after the 1000 that are allowed."""
    now, rates = [0.0], []
    monkeypatch.setattr(loop_module.time, "monotonic", lambda: now[0])
    optimizer = {"learning_rate": 0.5, "schedule": "cosine", "warmup": 0}
    loop = make_loop(tmp_path, updates=1000, minutes=5.0, optimizer=optimizer)
    draw, update = loop.batches.next, loop.learner.update

    def taking_15_s(step):
        now[0] += 15.0
        return draw(step)

    def noting_rate(batch, rate):
        rates.append(rate)
        return update(batch, rate)

    loop.batches.next, loop.learner.update = taking_15_s, noting_rate
    loop.run()
    assert len(rates) == 20
    # The first update's pace is not known yet.
    assert rates[1:] == pytest.approx([0.25 * (1 + np.cos(np.pi * n / 20)) for n in range(2, 21)])
