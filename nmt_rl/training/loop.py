"""The loop that both stages share: updates, validations, checkpoints, early stopping, exact resume."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from nmt_rl.backend import out_of_memory
from nmt_rl.config import FinetuneConfig, PretrainConfig
from nmt_rl.errors import RunError, UserError
from nmt_rl.training.checkpoints import Checkpoint, Checkpoints, assign, select_steps
from nmt_rl.training.events import EventLog
from nmt_rl.training.interruption import Interrupted, Interruption
from nmt_rl.training.learner import Learner
from nmt_rl.training.optimizers import averaged_weights
from nmt_rl.training.progress import Progress, ProgressLine
from nmt_rl.training.schedules import learning_rate
from nmt_rl.training.snapshots import Snapshots

logger = logging.getLogger("nmt_rl")

SKIPPED = 10
"""Updates in a row whose loss or gradient is not finite; they change nothing, and after so many the stage ends."""


class Trainer(Protocol):
    """What a stage's updates are; its state travels in the checkpoints."""

    learner: Learner

    def update(self, step: int, learning_rate: float) -> dict[str, float]:
        """Make update `step`, from 1; numbers to report, `loss` and `tokens` among them."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON values and arrays from which `restore` goes on with the very next update."""
        ...

    def restore(self, meta: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken."""
        ...

    def close(self) -> None:
        """Stop background work."""
        ...


class TrainingLoop:
    """Runs one stage to its end, from its last checkpoint if there is one.

    Args:
        stage: `pretrain` or `finetune`.
        config: the stage's section.
        trainer: makes the updates.
        validate: numbers of the current weights; `config.validation.metric` is among them.
        run: the run's folder.
        events: the run's diary.
    """

    def __init__(
        self,
        stage: str,
        config: PretrainConfig | FinetuneConfig,
        trainer: Trainer,
        validate: Callable[[], dict[str, float]],
        run: Path,
        events: EventLog,
    ) -> None:
        """See the class docstring."""
        self.stage, self.config, self.trainer, self.validate = stage, config, trainer, validate
        self.learner, self.events = trainer.learner, events
        self.checkpoints = Checkpoints(run / stage / "checkpoints")
        self.snapshots = Snapshots(run / stage / "snapshots", trainer.learner.model)
        self.progress = Progress()
        self._opened = False
        self._saved: tuple[int, bool] | None = None
        """Update of the last checkpoint, and whether a validation was due then."""
        self._recent: list[dict[str, float]] = []
        self._begun: list[tuple[int, dict[str, Any]]] = []
        """Updates whose numbers have not been looked at, as they may be computed still."""
        self._row: list[tuple[int, str]] = []
        """The last updates, if they were skipped, and what was not finite."""
        self._owed = False
        """A checkpoint that was not saved among skipped updates."""
        self._started = 0.0

    def run(self) -> Progress:
        """Train until the updates, the minutes or the patience are used up.

        The validated weights that can be averaged, the best and the last `config.average`, are on disk then. A signal
        that asks the process to end acts when the update is done and a checkpoint is saved.

        Raises:
            RunError: if weights or loss are no longer finite, or the disk is full.
            UserError: if the last checkpoints are damaged or of another model.
        """
        self.open()
        line, progress = ProgressLine(self.stage, self.config.updates), self.progress
        self._started = time.monotonic() - progress.seconds
        interruption = Interruption()
        try:
            with interruption, self.explained():
                self._settle(line, interruption)
                while not self._done() and interruption.signal is None:
                    began, trained, worked = time.monotonic(), progress.training_seconds, time.process_time()
                    self._update(line)
                    progress.training_seconds += time.monotonic() - began
                    progress.processor_seconds += time.process_time() - worked
                    progress.due = self._validation_is_due(trained) or self._done()
                    self._settle(line, interruption)
        finally:
            line.close()
            self.trainer.close()
        if interruption.signal is not None:
            logger.info("%s: the checkpoint of update %d is saved", self.stage, self._saved[0] if self._saved else 0)
            interruption.deliver()
        return progress

    def _settle(self, line: ProgressLine, interruption: Interruption) -> None:
        """Before the first update and after each: validate and save if it is time to, or if a signal came."""
        progress = self.progress
        progress.seconds = time.monotonic() - self._started
        if progress.due:
            with suppress(Interrupted):
                self._validate(line, interruption)
        progress.seconds = time.monotonic() - self._started
        step, state = progress.step, (progress.step, progress.due)
        now = step % self.config.checkpoint_every == 0 or self._done() or interruption.signal is not None
        if state != self._saved and (now or self._owed or self._saved == (step, True)):
            self._save()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What a full disk, too little memory and weights that are not finite lead to, as the run's failure."""
        try:
            yield
        except (RunError, UserError):
            raise
        except OSError as error:
            reason = f"{error.filename or 'the run'}: {error.strerror or error}"
            raise RunError(f"{self.stage}: {reason}; {self._what_is_kept()}; the same command goes on") from error
        except Exception as error:
            if out_of_memory(error):
                raise self._too_large() from error
            if not self._has_diverged():
                raise
            raise self._diverged(self.progress.step + 1, float("nan"), before=True) from error

    def kept(self, which: Literal["best", "last"]) -> list[int]:
        """Steps of the best, or of the last, `config.average` validated weights."""
        return select_steps(self.progress.snapshots, self.config.average, which)

    def load_average(self, steps: list[int]) -> None:
        """Set the model to the mean of kept snapshots; raises UserError if one is damaged."""
        self.snapshots.load_mean(steps)

    def before(self) -> dict[str, float]:
        """Numbers of the weights before the first update, measured once; they travel in the checkpoints."""
        self.open()
        if self.progress.before is None:
            if self.progress.step:
                raise UserError(
                    f"{self.checkpoints.folder} is of an older version; nmt-rl {self.stage} --fresh starts it over"
                )
            self.progress.before = self.validate()
            self._saved = None
            self.events.write(self.stage, "valid", 0, seconds=0.0, training_seconds=0.0, **self.progress.before)
        return self.progress.before

    def _done(self) -> bool:
        progress, config = self.progress, self.config
        late = config.minutes is not None and progress.training_seconds >= 60 * config.minutes
        return progress.step >= config.updates or progress.stalled >= config.validation.patience or late

    def _expected_updates(self) -> int:
        """Of the whole stage, at its pace so far: a schedule ends with the minutes, if those end first."""
        progress, config = self.progress, self.config
        if config.minutes is None or not progress.step:
            return config.updates
        return min(config.updates, math.ceil(progress.step * 60 * config.minutes / progress.training_seconds))

    def _validation_is_due(self, trained_before: float) -> bool:
        """After an update that began when the stage had been training for so many seconds."""
        validation, progress = self.config.validation, self.progress
        if validation.minutes is None:
            return progress.step % validation.every == 0
        period = 60 * validation.minutes
        return progress.training_seconds // period > trained_before // period

    def _update(self, line: ProgressLine) -> None:
        step = self.progress.step + 1
        rate = learning_rate(self.config.optimizer, step, self._expected_updates(), self.progress.scale)
        numbers = self.trainer.update(step, rate)
        self._begun.append((step, numbers))
        if not self.learner.runs_ahead:
            self._look()
        self.progress.tokens += float(numbers["tokens"])
        self.progress.step = step
        line.update(step, self.progress.tokens)
        if step % self.config.log_every == 0:
            self._look()
            self._log(rate, line)

    def _look(self) -> None:
        """Wait for the numbers of updates, and stop if too many in a row were skipped."""
        begun, self._begun = self._begun, []
        for step, numbers in begun:
            found = {name: float(value) for name, value in numbers.items()}
            if not found.pop("skipped") and np.isfinite(found["loss"]):
                self._row = []
                self._recent.append(found)
                continue
            what = "gradient became infinite or nan" if np.isfinite(found["loss"]) else f"loss became {found['loss']}"
            logger.warning("%s: the %s at update %d, which changes nothing", self.stage, what, step)
            self._row.append((step, what))
            self.progress.skipped += 1
            if len(self._row) == SKIPPED:
                raise self._diverged(step, found["loss"])

    def _diverged(self, step: int, loss: float, before: bool = False) -> RunError:
        """At an update, or at the first of those that were skipped; checkpoints of such weights are of no use.

        Args:
            step: of the update.
            loss: that is not finite.
            before: it is that of the weights before the update, as the losses of updates are.
        """
        what = f"loss became {loss}"
        if self._row:
            (step, what), before = self._row[0], True
        good = [saved for saved in self.checkpoints.steps() if saved < step - before]
        if good and self._saved and self._saved[0] >= step - before:
            for saved in self.checkpoints.steps()[len(good) :]:
                self.checkpoints.delete(saved)
            self._saved = (good[-1], False)
        return RunError(
            f"{self.stage}: the {what} at update {step}; {self._what_is_kept()}; lower "
            f"{self.stage}.optimizer.learning_rate (now {self.config.optimizer.learning_rate:g}) "
            "or raise its warmup, then run again"
        )

    def _too_large(self) -> RunError:
        key, size = (
            ("batch.size", self.config.batch.size)
            if isinstance(self.config, PretrainConfig)
            else ("sentences", self.config.sentences)
        )
        return RunError(
            f"{self.stage}: memory does not suffice for update {self.progress.step + 1}; {self._what_is_kept()}; free "
            f"some, or start over with a smaller {self.stage}.{key} (now {size}): nmt-rl {self.stage} --fresh"
        )

    def _what_is_kept(self) -> str:
        return f"the checkpoint of update {self._saved[0]} is kept" if self._saved else "there was no checkpoint yet"

    def _has_diverged(self) -> bool:
        """After an error: whether weights, or the loss of the last batch by them, are not finite."""
        if not self._is_finite():
            return True
        if self._row:  # The last batch was skipped for its loss; that says nothing of the weights.
            return False
        with suppress(Exception):  # It may be what the error is about.
            return not np.isfinite(self.learner.loss_of_last())
        return False

    def _is_finite(self) -> bool:
        arrays = (np.asarray(v.value) for v in self.learner.state)
        return all(np.isfinite(a).all() for a in arrays if a.dtype.kind == "f")

    def _shown(self) -> str:
        """The metric that the terminal shows."""
        metric = self.config.validation.metric
        return "bleu" if metric == "loss" else metric

    def _log(self, rate: float, line: ProgressLine) -> None:
        names = [n for n in dict.fromkeys(n for r in self._recent for n in r) if n != "tokens"]
        means = {n: float(np.mean([r[n] for r in self._recent if n in r])) for n in names}
        self._recent.clear()
        if self.progress.valid_score is not None:
            means[f"valid_{self._shown()}"] = self.progress.valid_score
        means |= {"skipped": float(self.progress.skipped)} if self.progress.skipped else {}
        means |= {"learning_rate": rate, "tokens_per_second": line.speed(), "updates_per_second": line.pace()}
        line.log(self.progress.step, means)
        self.events.write(self.stage, "train", self.progress.step, **means)

    def _validate(self, line: ProgressLine, interruption: Interruption) -> None:
        """Raises Interrupted if a signal comes; the validation is due still, then."""
        progress, step = self.progress, self.progress.step
        self._look()
        if not self._is_finite():
            raise self._diverged(step, float("nan"))
        with averaged_weights(self.learner):
            with interruption.breaking():
                numbers = self.validate()
            if not np.isfinite(numbers["loss"]):
                raise self._diverged(step, numbers["loss"])
            metric = self.config.validation.metric
            score = -numbers["loss"] if metric == "loss" else numbers[metric]
            self._keep_snapshot(step, score)
        better, progress.due = score > progress.best, False
        progress.valid_score = numbers.get(self._shown())
        progress.stalled = 0 if better else progress.stalled + 1
        progress.since_drop = 0 if better else progress.since_drop + 1
        if better:
            progress.best, progress.best_step = score, step
        optimizer = self.config.optimizer
        if optimizer.schedule == "plateau" and progress.since_drop >= optimizer.plateau_patience:
            progress.scale, progress.since_drop = progress.scale * optimizer.plateau_factor, 0
        line.log(step, numbers, better)
        seconds = {"seconds": round(progress.seconds, 1), "training_seconds": round(progress.training_seconds, 1)}
        self.events.write(self.stage, "valid", step, **seconds, **numbers)

    def _keep_snapshot(self, step: int, score: float) -> None:
        self.snapshots.save(step)
        self.progress.snapshots[step] = score
        kept = {*self.kept("best"), *self.kept("last")}
        self.progress.snapshots = {s: score for s, score in self.progress.snapshots.items() if s in kept}
        # The files stay: what the last checkpoint names must outlive a kill before the next one.

    def _save(self) -> None:
        """A checkpoint; not among skipped updates, lest those that are kept all be of the weights that lead to them."""
        self._look()
        self._owed = bool(self._row) and not self._done()
        if self._owed:
            return
        if not self._is_finite():
            raise self._diverged(self.progress.step, float("nan"))
        arrays = {f"learner/{i}": np.asarray(v.value) for i, v in enumerate(self.learner.state)}
        meta, more = self.trainer.state()
        progress = asdict(self.progress)
        self.checkpoints.save(self.progress.step, {**arrays, **more}, {"progress": progress, "batches": meta})
        self._saved = (self.progress.step, self.progress.due)
        self.snapshots.keep(self.progress.snapshots)

    def open(self) -> None:
        """Take over the last whole checkpoint, if there is one; `run` does it if nobody did."""
        if self._opened:
            return
        self._opened = True
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            self.events.rewind(self.stage, -1)
            return
        self._restore(checkpoint)
        self._check_snapshots()
        step, due = self.progress.step, self.progress.due
        self.events.rewind(self.stage, step, step - 1 if due else step)
        if step and not self._done():
            logger.info("%s goes on from the checkpoint of update %d", self.stage, step)

    def _restore(self, checkpoint: Checkpoint) -> None:
        variables = {f"learner/{i}": variable for i, variable in enumerate(self.learner.state)}
        assign(variables, checkpoint.arrays, checkpoint.path)
        try:
            found = {**checkpoint.meta["progress"], "snapshots": checkpoint.snapshots}
            found.setdefault("valid_score", found.pop("valid_bleu", None))  # As checkpoints of 0.2.0 have it.
            self.progress = Progress(**found)
            self.trainer.restore(checkpoint.meta["batches"], checkpoint.arrays)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{checkpoint.path} does not fit these settings or this version ({error!r})"
            raise UserError(f"{what}; nmt-rl {self.stage} --fresh starts it over") from error
        self._saved = (self.progress.step, self.progress.due)
        self.snapshots.named = set(self.progress.snapshots)

    def _check_snapshots(self) -> None:
        """A damaged one is noticed now: not when, days later, the stage ends with it."""
        progress = self.progress
        for step in sorted(progress.snapshots):
            damage = self.snapshots.damage(step)
            if damage and step == progress.step:
                logger.warning("%s; it is written again from the checkpoint", damage)
                with averaged_weights(self.learner):
                    self.snapshots.save(step)
            elif damage:
                logger.warning("%s; %s goes on without these weights", damage, self.stage)
                del progress.snapshots[step]
                self.snapshots.named.discard(step)
        if progress.best_step and progress.best_step not in progress.snapshots:
            best = select_steps(progress.snapshots, 1, "best")
            progress.best_step, progress.best = (best[0], progress.snapshots[best[0]]) if best else (0, -np.inf)
        # At the end there must be one.
        progress.due = progress.due or (self._done() and not progress.snapshots)
