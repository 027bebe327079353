"""The run's diary: metrics.jsonl, one line per event, and the same numbers as TensorBoard event files."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from nmt_rl.evaluation.plots import is_number, read_events
from nmt_rl.storage.writing import write_text


class EventLog:
    """Appends events of one run.

    Args:
        run: folder that gets metrics.jsonl and tensorboard/.
    """

    def __init__(self, run: Path) -> None:
        """See the class docstring."""
        self.path = run / "metrics.jsonl"
        self._folder = run / "tensorboard"
        self._board: Any = None

    def write(self, stage: str, event: str, step: int, **values: Any) -> None:
        """Add one event; numbers also go to TensorBoard as stage/event/name."""
        line = {"time": round(time.time(), 3), "stage": stage, "event": event, "step": step, **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._to_tensorboard(step, _scalars(stage, event, values), time.time())

    def rewind(self, stage: str, step: int, validated: int | None = None) -> None:
        """Forget a stage's events after `step`, and its end: a resumed run writes them again.

        Args:
            stage: which.
            step: of the checkpoint that is gone on from.
            validated: validations after this update are forgotten; None: those after `step`.
        """
        if not self.path.exists():
            return
        last = {"valid": step if validated is None else validated, "end": -1}

        def is_kept(event: dict[str, Any]) -> bool:
            if event.get("stage") != stage:
                return True
            at = event.get("step")
            return is_number(at) and at <= last.get(str(event.get("event")), step)

        events = read_events(self.path)
        kept = [event for event in events if is_kept(event)]
        write_text(self.path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept))
        if len(kept) < len(events):
            self._rewrite_tensorboard(kept)

    def _rewrite_tensorboard(self, events: list[dict[str, Any]]) -> None:
        """TensorBoard's files cannot be shortened: all are written again."""
        self.close()
        for path in self._folder.glob("events.out.tfevents.*"):
            path.unlink()
        for event in events:
            stage, kind, step, seconds = (event.get(name) for name in ("stage", "event", "step", "time"))
            values = {name: value for name, value in event.items() if name not in ("time", "stage", "event", "step")}
            if is_number(step) and is_number(seconds):
                self._to_tensorboard(int(step), _scalars(str(stage), str(kind), values), float(seconds))

    def _to_tensorboard(self, step: int, scalars: dict[str, float], seconds: float) -> None:
        if not scalars:
            return
        # Not TensorBoard's EventFileWriter: it imports TensorFlow, which must not be needed under JAX.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        if self._board is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
            self._board = RecordWriter((self._folder / name).open("wb"))
            self._board.write(Event(wall_time=seconds, file_version="brain.Event:2").SerializeToString())
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = Event(wall_time=seconds, step=step, summary=Summary(value=values))
        self._board.write(event.SerializeToString())
        self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file; the next event opens another one."""
        if self._board is not None:
            self._board.close()
            self._board = None


def _scalars(stage: str, event: str, values: dict[str, Any]) -> dict[str, float]:
    return {f"{stage}/{event}/{k}": float(v) for k, v in values.items() if isinstance(v, int | float)}
