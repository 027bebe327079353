import json
import shutil
import signal

import numpy as np
import pytest
from toy_stage import NumberedUpdates, make_loop, rows, weights

from nmt_rl.errors import RunError, UserError
from nmt_rl.training import loop as loop_module
from nmt_rl.training.checkpoints import load_arrays

STATEFUL = {
    "dropout": {"dropout": 0.5, "optimizer": {"schedule": "cosine", "warmup": 2}},
    "accumulated average": {"optimizer": {"accumulate": 2, "ema": 0.7}},
    "plateau": {"optimizer": {"schedule": "plateau", "plateau_patience": 1}, "scores": (3.0, 2.0, 1.0, 0.5, 0.25)},
}


@pytest.fixture(autouse=True)
def three_skipped_updates_are_too_many(monkeypatch):
    monkeypatch.setattr(loop_module, "SKIPPED", 3)


def events(run, event):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def interrupted(run, at, **options):
    """Start a loop and interrupt it at its `at`-th batch."""
    loop = make_loop(run, NumberedUpdates(stop_at=at), **options)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert loop.trainer.closed


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
    assert before.step == 10 and again.trainer.number == 10
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
    # That of update 6 was among the last two when the checkpoint before the last one was written.
    assert files == [f"weights-{step:08d}.npz" for step in (4, 6, 8, 10)]
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


def test_a_batch_without_a_finite_gradient_is_left_out(tmp_path, caplog):
    loop = make_loop(tmp_path, NumberedUpdates(poison=[4, 5]), log_every=1)
    loop.run()
    assert caplog.messages == [f"pretrain: the loss became nan at update {n}, which changes nothing" for n in (4, 5)]
    assert loop.progress.step == 10 and loop.progress.skipped == 2
    assert [e.get("skipped") for e in events(tmp_path, "train")] == [None] * 3 + [1.0] + [2.0] * 6
    without = make_loop(tmp_path / "without", updates=8)
    without.trainer.next = lambda step: ([rows(step + 2 * (step > 3))], {})
    without.run()
    assert weights(loop) == weights(without)


def test_a_checkpoint_that_was_due_at_a_skipped_update_is_saved_after_the_next_one(tmp_path):
    loop = make_loop(tmp_path, NumberedUpdates(poison=[6]), updates=7)
    loop.run()
    assert loop.checkpoints.steps() == [3, 7]
    loop = make_loop(tmp_path / "more", NumberedUpdates(poison=[6], stop_at=9), updates=10)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert loop.checkpoints.steps() == [3, 7]


def test_another_fault_after_a_skipped_update_is_told_as_it_is(tmp_path):
    loop = make_loop(tmp_path, NumberedUpdates(poison=[4]))
    draw = loop.trainer.next

    def failing(step):
        if step == 5:
            raise KeyError("a fault of the program")
        return draw(step)

    loop.trainer.next = failing
    with pytest.raises(KeyError):
        loop.run()
    assert loop.checkpoints.steps() == [0, 3]


def test_a_nan_loss_ends_the_run_and_names_what_is_kept(tmp_path):
    loop = make_loop(tmp_path, NumberedUpdates(poison=range(8, 99)))
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
    with pytest.raises(RunError, match="became nan at update 2; the checkpoint of update 0 is kept"):
        make_loop(tmp_path, NumberedUpdates(poison=range(2, 99))).run()


def test_a_checkpoint_whose_weights_give_nan_is_of_no_use(tmp_path):
    with pytest.raises(RunError, match="at update 7; the checkpoint of update 3 is kept; lower"):
        make_loop(tmp_path, NumberedUpdates(poison=range(7, 99))).run()
    assert make_loop(tmp_path).run().step == 10
    with pytest.raises(RunError, match="at update 1; the checkpoint of update 0 is kept; lower"):
        make_loop(tmp_path / "first", NumberedUpdates(poison=range(1, 99))).run()


def test_a_validation_that_is_not_finite_ends_the_run(tmp_path):
    loop = make_loop(tmp_path)
    loop.validate = lambda: {"bleu": 0.0, "loss": float("nan")}
    with pytest.raises(RunError, match="the loss became nan at update 2; the checkpoint of update 0 is kept"):
        loop.run()
    assert list((tmp_path / "pretrain" / "snapshots").iterdir()) == []
    # The weights of the update before gave a loss: their checkpoint stays.
    loop = make_loop(tmp_path / "dense", checkpoint_every=1)
    loop.validate = lambda: {"bleu": 0.0, "loss": float("nan")}
    with pytest.raises(RunError, match="the loss became nan at update 2; the checkpoint of update 1 is kept"):
        loop.run()


def test_weights_that_are_finite_and_absurd_are_blamed_for_what_they_lead_to(tmp_path):
    """A loss of NaN that shows first in the batch that such a policy plays."""
    loop = make_loop(tmp_path)
    draw = loop.trainer.next

    def failing(step):
        if step == 5:
            loop.learner.model.dense.kernel.assign(np.full((3, 1), 1e38))
            raise ValueError("a translation without rewards")
        return draw(step)

    loop.trainer.next = failing
    with pytest.raises(RunError, match="the loss became nan at update 5; the checkpoint of update 3 is kept; lower"):
        loop.run()


def test_an_absurd_learning_rate_is_noticed(tmp_path):
    with pytest.raises(RunError, match=r"the loss became (inf|nan) at update \d+.*learning_rate \(now 1e\+30\)"):
        make_loop(tmp_path, optimizer={"learning_rate": 1e30}).run()


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    loop = make_loop(tmp_path, updates=3)
    update, kernel = loop.learner.update, loop.learner.model.dense.kernel

    def spoiling(batches, rate):
        numbers = update(batches, rate)
        if loop.progress.step == 2:
            kernel.assign(np.full((3, 1), np.nan))
        return numbers

    loop.learner.update = spoiling
    with pytest.raises(RunError, match="the loss became nan at update 3"):
        loop.run()
    assert loop.checkpoints.steps() == [0]


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
    draw, validate = loop.trainer.next, loop.validate

    def taking(seconds, function):
        def call(*args):
            now[0] += seconds
            return function(*args)

        return call

    loop.trainer.next, loop.validate = taking(25.0, draw), taking(500.0, validate)
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
    draw, update = loop.trainer.next, loop.learner.update

    def taking_15_s(step):
        now[0] += 15.0
        return draw(step)

    def noting_rate(batch, rate):
        rates.append(rate)
        return update(batch, rate)

    loop.trainer.next, loop.learner.update = taking_15_s, noting_rate
    loop.run()
    assert len(rates) == 20
    # The first update's pace is not known yet.
    assert rates[1:] == pytest.approx([0.25 * (1 + np.cos(np.pi * n / 20)) for n in range(2, 21)])


def damage(path):
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("at", [8, 11])
def test_a_damaged_newest_checkpoint_ends_with_the_same_bits(at, tmp_path, caplog):
    """From the one before it, with the snapshots that it names; also at the end, when 10 updates are done."""
    scores = (1.0, 5.0, 2.0, 4.0, 3.0)
    whole = make_loop(tmp_path / "whole", scores=scores)
    expected = whole.run()
    run = tmp_path / "cut"
    if at == 8:
        interrupted(run, at, scores=scores)
    else:
        make_loop(run, scores=scores).run()
    newest = sorted((run / "pretrain" / "checkpoints").iterdir())[-1]
    damage(newest)
    resumed = make_loop(run)
    resumed.open()
    assert resumed.progress.step == {8: 3, 11: 9}[at]
    assert next(m for m in caplog.messages if "damaged" in m).startswith(f"{newest} is damaged")
    resumed.validate.scores = list(scores)[resumed.progress.step // 2 :]
    found = resumed.run()
    assert weights(resumed) == weights(whole)
    assert (found.best_step, found.snapshots) == (expected.best_step, expected.snapshots)
    assert [e["step"] for e in events(run, "valid")] == [2, 4, 6, 8, 10]


def test_a_damaged_snapshot_is_told_at_once_and_left_out(tmp_path, caplog):
    interrupted(tmp_path, 8, scores=(1.0, 5.0, 2.0), average=2)
    damage(tmp_path / "pretrain" / "snapshots" / "weights-00000004.npz")
    loop = make_loop(tmp_path, scores=(3.0,), average=2)
    loop.open()
    assert "weights-00000004.npz is damaged" in caplog.text and "goes on without these weights" in caplog.text
    assert (loop.progress.best_step, loop.progress.best) == (6, 2.0)
    loop.run()
    assert loop.kept("best") == [8, 10]


def test_a_snapshot_of_the_checkpoints_update_is_written_again(tmp_path, caplog):
    scores = (1.0, 5.0, 2.0)
    interrupted(tmp_path, 8, scores=scores, optimizer={"ema": 0.5})
    path = tmp_path / "pretrain" / "snapshots" / "weights-00000006.npz"
    expected = load_arrays(path)
    path.unlink()
    make_loop(tmp_path, optimizer={"ema": 0.5}).open()
    assert "weights-00000006.npz is missing; it is written again from the checkpoint" in caplog.text
    assert {n: a.tobytes() for n, a in load_arrays(path).items()} == {n: a.tobytes() for n, a in expected.items()}


def test_a_finished_stage_without_snapshots_validates_its_last_weights(tmp_path):
    make_loop(tmp_path, updates=5, scores=(9.0, 5.0, 2.0)).run()
    for path in (tmp_path / "pretrain" / "snapshots").iterdir():
        damage(path)
    loop = make_loop(tmp_path, updates=5, scores=(1.0,))
    progress = loop.run()
    assert (progress.step, progress.best_step, loop.kept("best")) == (5, 5, [5])


def test_a_stage_goes_on_with_other_batches_per_update(tmp_path):
    """Half as large and twice as many, for a smaller machine: no state is kept of them between updates."""
    make_loop(tmp_path, updates=4).run()
    loop = make_loop(tmp_path, updates=6, optimizer={"accumulate": 2})
    assert loop.run().step == 6 and loop.trainer.number == 4 + 2 * 2


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    make_loop(tmp_path).run()
    with pytest.raises(
        UserError, match=r"step-00000010\.npz does not fit the model: learner/\d+ is (of shape|missing)"
    ):
        make_loop(tmp_path, optimizer={"ema": 0.5}).open()


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Sent(Exception):
    """What a test's handler of signals raises."""


@pytest.fixture
def handled():
    """A handler of signals as the command line has one."""

    def handler(number, frame):
        raise Sent(number)

    before = {number: signal.signal(number, handler) for number in SIGNALS}
    yield handler
    for number, old in before.items():
        signal.signal(number, old)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_training_saves_first(number, tmp_path, handled):
    """In the middle of update 4, of which a checkpoint is not due; the same bits as without it."""
    whole = make_loop(tmp_path / "whole", **STATEFUL["dropout"])
    whole.run()
    run = tmp_path / "cut"
    loop = make_loop(run, **STATEFUL["dropout"])
    draw = loop.trainer.next
    loop.trainer.next = lambda step: (signal.raise_signal(number) if step == 5 else None, draw(step))[1]
    with pytest.raises(Sent, match=str(int(number))):
        loop.run()
    assert loop.trainer.closed and loop.checkpoints.steps() == [3, 5]
    assert [signal.getsignal(n) for n in SIGNALS] == [handled] * 3
    resumed = make_loop(run, **STATEFUL["dropout"])
    resumed.run()
    assert weights(resumed) == weights(whole)


def test_interruptions_among_skipped_updates_keep_the_last_checkpoint_before_them(tmp_path, handled):
    """Two signals in a row of skipped updates: both checkpoints that are kept would be of the same bad weights."""
    for _ in range(2):
        loop = make_loop(tmp_path, NumberedUpdates(poison=range(7, 99)), updates=99)
        update = loop.trainer.update

        def signalled(step, rate, update=update):
            if step == 8:
                signal.raise_signal(signal.SIGTERM)
            return update(step, rate)

        loop.trainer.update = signalled
        with pytest.raises(Sent):
            loop.run()
        assert loop.checkpoints.steps() == [3, 6]
    with pytest.raises(RunError, match="nan at update 7; the checkpoint of update 3 is kept"):
        make_loop(tmp_path, NumberedUpdates(poison=range(7, 99)), updates=99).run()


@pytest.mark.parametrize("step", [6, 10])
def test_a_signal_while_validating_leaves_the_validation_for_later(step, tmp_path, handled):
    """It breaks off a validation, which may take minutes, at once; the average is not trained."""
    options = {"optimizer": {"ema": 0.7}, "scores": (1.0, 5.0, 2.0, 4.0, 3.0)}
    whole = make_loop(tmp_path / "whole", **options)
    expected = whole.run()
    loop = make_loop(tmp_path / "cut", **options)
    validate = loop.validate

    def interrupted_validation():
        if loop.progress.step == step:
            signal.raise_signal(signal.SIGTERM)
        return validate()

    loop.validate = interrupted_validation
    with pytest.raises(Sent):
        loop.run()
    assert (loop.checkpoints.steps()[-1], loop.progress.due) == (step, True)
    resumed = make_loop(tmp_path / "cut", **options)
    resumed.validate.scores = list(options["scores"])[step // 2 - 1 :]
    found = resumed.run()
    assert weights(resumed) == weights(whole)
    assert (found.snapshots, found.stalled, found.due) == (expected.snapshots, expected.stalled, False)
    assert [e["step"] for e in events(tmp_path / "cut", "valid")] == [2, 4, 6, 8, 10]


def test_a_second_ctrl_c_acts_at_once(tmp_path, handled):
    loop = make_loop(tmp_path)
    draw = loop.trainer.next
    loop.trainer.next = lambda step: ([signal.raise_signal(signal.SIGINT) for _ in "ab" if step == 5], draw(step))[1]
    with pytest.raises(Sent):
        loop.run()
    assert loop.checkpoints.steps() == [0, 3]


def test_an_ignored_signal_stays_ignored(tmp_path, handled):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop = make_loop(tmp_path)
    draw = loop.trainer.next
    loop.trainer.next = lambda step: (signal.raise_signal(signal.SIGHUP), draw(step))[1]
    assert loop.run().step == 10


def test_the_first_checkpoint_is_written_before_the_first_update(tmp_path):
    """So that a full disk is found at once."""
    (tmp_path / "pretrain").mkdir()
    loop = make_loop(tmp_path, NumberedUpdates(stop_at=1))
    shutil.rmtree(tmp_path / "pretrain" / "checkpoints")
    with pytest.raises(RunError, match=r"step-00000000\.npz could not be written \(No such file"):
        loop.run()
    assert loop.trainer.number == 0


def test_a_full_disk_at_the_diary_names_what_is_kept(tmp_path, monkeypatch):
    loop = make_loop(tmp_path)

    def full(stage, event, step, **values):
        if step == 8:
            raise OSError(28, "No space left on device", "metrics.jsonl")

    monkeypatch.setattr(loop.events, "write", full)
    with pytest.raises(RunError) as error:
        loop.run()
    assert str(error.value) == (
        "pretrain: metrics.jsonl: No space left on device; the checkpoint of update 6 is kept; the same command goes on"
    )


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")])
def test_too_little_memory_names_what_would_take_less(error, tmp_path):
    loop = make_loop(tmp_path)
    draw = loop.trainer.next

    def large(step):
        if step == 5:
            raise error
        return draw(step)

    loop.trainer.next = large
    with pytest.raises(RunError) as found:
        loop.run()
    assert str(found.value) == (
        "pretrain: memory does not suffice for update 5; the checkpoint of update 3 is kept; free some, or start over "
        "with a smaller pretrain.batch.size (now 4096): nmt-rl pretrain --fresh"
    )


def test_what_weights_that_are_not_finite_lead_to_is_told_as_their_fault(tmp_path):
    loop = make_loop(tmp_path)
    draw = loop.trainer.next

    def failing(step):
        if step == 5:
            loop.learner.model.dense.kernel.assign(np.full((3, 1), np.nan))
            raise IndexError("a draw from probabilities that are nan")
        return draw(step)

    loop.trainer.next = failing
    with pytest.raises(RunError, match="the loss became nan at update 5; the checkpoint of update 3 is kept; lower"):
        loop.run()
    with pytest.raises(KeyError):
        make_loop(tmp_path / "other", Failing()).run()


class Failing(NumberedUpdates):
    def next(self, step):
        raise KeyError("a fault of the program")


def test_changed_settings_are_honoured_when_a_stage_goes_on(tmp_path):
    """After a loss that was not finite: a lower rate, another schedule and other intervals, from the checkpoint."""
    with pytest.raises(RunError):
        make_loop(tmp_path, NumberedUpdates(poison=range(8, 99))).run()
    optimizer = {"learning_rate": 0.01, "schedule": "cosine", "warmup": 0}
    loop = make_loop(tmp_path, optimizer=optimizer, log_every=1, checkpoint_every=5, validation={"every": 4})
    loop.run()
    rates = [e["learning_rate"] for e in events(tmp_path, "train") if e["step"] > 6]
    assert rates == pytest.approx([0.005 * (1 + np.cos(np.pi * n / 10)) for n in range(7, 11)])
    assert [e["step"] for e in events(tmp_path, "valid")] == [2, 4, 6, 8, 10]
    assert loop.checkpoints.steps() == [6, 10]
