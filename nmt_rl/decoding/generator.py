"""Greedy decoding and sampling, one compiled loop on either backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn, dimension, is_jax
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.loop import goes_on, hold_time, play, take_rows
from nmt_rl.decoding.policies import (
    NEVER,
    best_piece,
    draw_boltzmann,
    draw_epsilon_greedy,
    free_pieces,
    pick,
    second_piece,
)
from nmt_rl.decoding.restrictions import FREE, Restrictions
from nmt_rl.decoding.task import Beginning, Task, make_task, power_of_two
from nmt_rl.models.linear import converted_weights

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq


class Generation(NamedTuple):
    """What `Generator` returns; NumPy arrays."""

    ids: np.ndarray
    """int32 [rows, time]: the forced prefix, the chosen pieces, EOS, then PAD."""
    lengths: np.ndarray
    """int32 [rows]: pieces including EOS."""
    log_probs: np.ndarray
    """float32 [rows, time]: the model's log-probability of each piece (temperature 1, none excluded, but after the
    word reward and the repetition penalty if there are any); 0 on PAD, and on the prefixes of `continue_from`."""
    best: np.ndarray | None = None
    """int32 [rows, time]: the most probable permitted piece, if alternatives to it were asked for."""
    alternatives: np.ndarray | None = None
    """int32 [rows, time, k]: the next best permitted pieces, the runner-up first; PAD where fewer were permitted."""
    alternative_probs: np.ndarray | None = None
    """float32 [rows, time, k]: their probabilities under the model; 0 where fewer were permitted."""


class Generator:
    """Greedy decoding or sampling of one sequence per row, optionally after a forced prefix.

    The last piece that a row's limit leaves room for is EOS, so every result is a complete hypothesis; PAD, BOS and
    (unless allowed) UNK are never chosen.

    Args:
        model: the built model; its current weights are used at each call.
        top_k: sample among this many most probable pieces; 0: all.
        top_p: sample among the fewest pieces that have this probability together; 1: all.
        alternatives: also return the best piece of each step and so many next best; 0: neither.
        allow_unknown: let UNK be chosen.
        restrictions: pieces that must not be chosen (again).
    """

    def __init__(
        self,
        model: Seq2Seq,
        top_k: int = 0,
        top_p: float = 1.0,
        alternatives: int = 0,
        allow_unknown: bool = False,
        restrictions: Restrictions = FREE,
    ) -> None:
        """See the class docstring."""
        self.top_k = top_k
        self.top_p = top_p
        self.alternatives = min(alternatives, model.embeddings.sizes[1] - 1)
        self.allow_unknown = allow_unknown
        self.restrictions = restrictions
        self.model = restrictions.rewarded(model)
        self._begin = Beginning(self.model)
        policies = ("greedy", "temperature", "epsilon")
        self._loops = {policy: compile_fn(self._loop, self.model) for policy in policies}
        # Of each policy its own, for their states differ: a compiled function takes arguments of one structure.
        self._keeps = {policy: compile_fn(partial(take_rows, beam=1)) for policy in policies}

    def __call__(
        self,
        source: np.ndarray,
        max_lengths: np.ndarray | int,
        prefix: np.ndarray | None = None,
        prefix_lengths: np.ndarray | None = None,
        temperature: np.ndarray | float | None = None,
        seed: int | Sequence[Sequence[int]] = 0,
        epsilon: np.ndarray | float | None = None,
    ) -> Generation:
        """Generate one sequence per source.

        Args:
            source: int [batch, source time], PAD-padded.
            max_lengths: int [batch] or one number, at least 1: most pieces including EOS. A prefix that leaves no
                room for EOS raises its row's limit.
            prefix: int [batch, prefix time], without BOS: the first pieces of each row.
            prefix_lengths: int [batch]; needed with `prefix`.
            temperature: float [batch] or one number, above 0: sample from softmax(logits / temperature). None: greedy.
            seed: of the sampling; the same seed and arguments give the same sequences. Or a seed of several numbers
                for each row, which then gets the same sequence whatever the others are. The random numbers are
                NumPy's, so both backends draw the same ones.
            epsilon: float [batch] or one number of [0, 1]: the greedy piece, but with this probability any of the
                top_k, all alike; in place of a temperature.
        """
        task = make_task(source, max_lengths, prefix, prefix_lengths)
        begun, log_probs = self._begin.scored(task)
        return self._generate(task, begun, log_probs, {"temperature": temperature, "epsilon": epsilon}, seed)

    def continue_from(
        self,
        source: np.ndarray,
        ids: np.ndarray,
        rows: np.ndarray,
        times: np.ndarray,
        pieces: np.ndarray,
        max_lengths: np.ndarray | int,
        temperature: np.ndarray | float | None = None,
        seed: int = 0,
    ) -> Generation:
        """Continue forks of given translations, each from a state on one of them and with another piece there.

        Like a call with the prefixes ids[rows, :times] + pieces, but each source is encoded once and each translation
        is fed to the decoder once, however many forks it has. The log-probabilities of the prefixes are 0.

        Args:
            source: int [sources, source time], PAD-padded.
            ids: int [sources, time], without BOS: one translation per source.
            rows: int [n]: on which translation each fork is; in any order, and any number of them.
            times: int [n]: how many of its pieces the fork keeps.
            pieces: int [n]: the piece that follows them.
            max_lengths: int [n] or one number: most pieces of a result, kept ones and EOS included.
            temperature, seed: see `__call__`; a number for each fork.
        """
        rows, times = np.asarray(rows, "int32"), np.asarray(times, "int32")
        prefix = np.where(np.arange(ids.shape[1] + 1) < times[:, None], np.pad(ids, ((0, 0), (0, 1)))[rows], PAD)
        prefix[np.arange(len(rows)), times] = pieces
        task = make_task(source, max_lengths, prefix, times + 1, ids, rows)
        return self._generate(task, self._begin(task), None, {"temperature": temperature}, seed)

    def _generate(
        self,
        task: Task,
        begun: dict[str, Any],
        prefix_log_probs: np.ndarray | None,
        chance: dict[str, np.ndarray | float | None],
        seed: int | Sequence[Sequence[int]],
    ) -> Generation:
        policy, options = self._policy(task, chance, seed)
        out = {"ids": task.blank, "log_probs": np.zeros_like(task.blank, "float32")}
        if self.alternatives:
            others = np.repeat(task.blank[..., None], self.alternatives, axis=2)
            probs = np.zeros_like(others, "float32")
            out |= {"best": out["ids"], "alternatives": others, "alternative_probs": probs}
        if self.restrictions.prefix:
            options = {**options, "prefix": _up_to_the_edge(task)}
        before = np.pad(task.prefix_lengths, (0, len(task.rows) - len(task.prefix)))
        state = {
            "task": {"steps": task.steps, "before": before, **options},
            "tokens": task.tokens,
            "active": task.steps > 0,
            "out": out,
            **begun,
        }
        found = play(self._loops[policy], self._keeps[policy], state)
        forced = {"ids": task.prefix, "log_probs": prefix_log_probs}
        # `behind_prefix` has time last; in the loop alternatives do, whose number is the width that graphs know.
        found = {name: value.swapaxes(1, 2) if value.ndim == 3 else value for name, value in found.items()}
        results = {name: task.behind_prefix(value, forced.get(name)) for name, value in found.items()}
        lengths = (results["ids"] != PAD).sum(axis=1).astype("int32")
        results = {name: value[..., : max(int(lengths.max(initial=0)), 1)] for name, value in results.items()}
        results = {name: value.swapaxes(1, 2) if value.ndim == 3 else value for name, value in results.items()}
        return Generation(lengths=lengths, **results)

    def _policy(
        self,
        task: Task,
        chance: dict[str, np.ndarray | float | None],
        seed: int | Sequence[Sequence[int]],
    ) -> tuple[str, dict[str, np.ndarray]]:
        """The name of the policy and the arrays [rows, ...] it needs."""
        given = {name: value for name, value in chance.items() if value is not None}
        if not given:
            return "greedy", {}
        if len(given) > 1:
            raise ValueError("temperature and epsilon exclude each other")
        ((name, value),) = given.items()
        count, padded = len(task.prefix), len(task.rows)
        values = np.broadcast_to(np.asarray(value, "float32"), (count,))
        if name == "temperature" and not (values > 0).all():
            raise ValueError(f"temperature must be above 0, found {values.min()}")
        if name == "epsilon" and not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"epsilon must be in [0, 1], found {values.min()} to {values.max()}")
        values = np.pad(values, (0, padded - count), constant_values=1.0)
        return name, {name: values, "uniforms": _uniforms(task, seed)}

    def _loop(self, state: dict[str, Any]) -> dict[str, Any]:
        """Until no row is active, half of many are not, or the cache is full."""
        task, until = state["task"], state["until"]
        columns = ops.arange(dimension(state["out"]["ids"], 1), dtype="int32")[None, :]

        def body(tokens: Any, active: Any, step: Any, cache: Any, out: Any) -> tuple[Any, ...]:
            output, after = self.model.step(tokens, cache)
            new = self._choose(step, output.logits, out["ids"], task)
            here = (columns == step) & active[:, None]
            out = {name: _placed(here, new[name], out[name]) for name in out}
            tokens = ops.where(active, new["ids"], PAD)
            active = active & (tokens != EOS)
            return tokens, active, step + 1, hold_time(after, cache, active), out

        names = ("tokens", "active", "step", "cache", "out")
        start = tuple(state[name] for name in names)
        with converted_weights(self.model):
            end = ops.while_loop(lambda _, active, step, *__: goes_on(active, step, until), body, start)
        return {"task": task, "until": until, **dict(zip(names, end, strict=True))}

    def _choose(self, step: Any, logits: Any, ids: Any, task: dict[str, Any]) -> dict[str, Any]:
        """The next piece of each row and what is told about it, all [rows]; `ids` are the pieces before it."""
        last, count = step >= task["steps"] - 1, step
        if "prefix" in task:
            ids, count = ops.concatenate([task["prefix"], ids], axis=1), step + dimension(task["prefix"], 1)
        logits = self.restrictions.rescaled(logits, ids, count)
        total = ops.logsumexp(logits, axis=-1)
        permitted = logits + free_pieces(logits.shape[-1], self.allow_unknown)
        permitted = self.restrictions.blocked(permitted, ids, count)
        permitted = self.restrictions.unended(permitted, task["before"] + step, last)
        best = best_piece(permitted)[1]
        tokens = ops.where(last, EOS, self._draw(step, permitted, best, task))
        new = {"ids": tokens, "log_probs": pick(logits, tokens) - total}
        if self.alternatives:
            scores, pieces = self._next_best(permitted, best)
            none = last[:, None] | (scores < NEVER / 2)
            new["best"] = ops.where(last, EOS, best)
            new["alternatives"] = ops.where(none, PAD, pieces)
            new["alternative_probs"] = ops.where(none, 0.0, ops.exp(scores - total[:, None]))
        return new

    def _next_best(self, permitted: Any, best: Any) -> tuple[Any, Any]:
        """Scores of the pieces after the best one, and the pieces: [rows, alternatives] each."""
        if self.alternatives == 1:
            score, piece = second_piece(permitted, best)
            return score[:, None], piece[:, None]
        scores, pieces = ops.top_k(permitted, self.alternatives + 1)
        return scores[:, 1:], ops.cast(pieces[:, 1:], "int32")

    def _draw(self, step: Any, permitted: Any, best: Any, task: dict[str, Any]) -> Any:
        if "uniforms" not in task:
            return best
        uniforms = ops.take(task["uniforms"], step, axis=1)
        if "epsilon" in task:
            return draw_epsilon_greedy(permitted, best, uniforms, task["epsilon"], self.top_k)
        return draw_boltzmann(permitted / task["temperature"][:, None], uniforms, self.top_k, self.top_p)


def _placed(here: Any, new: Any, out: Any) -> Any:
    """`out` [rows, time, ...] with `new` [rows, ...] where `here` [rows, time] is true."""
    if len(new.shape) == 2:
        here = here[..., None]
    return ops.where(here, new[:, None], out)


def _up_to_the_edge(task: Task) -> np.ndarray:
    """The prefixes of a task, each up to the right edge, int32 [rows (padded), width]; on JAX of few widths."""
    count, width = task.prefix.shape
    room = power_of_two(width, 8) if is_jax() else width
    places = np.arange(room) - (room - task.prefix_lengths[:, None])
    found = np.zeros((len(task.rows), room), "int32")
    if width:
        found[:count] = np.where(places >= 0, np.take_along_axis(task.prefix, np.maximum(places, 0), axis=1), PAD)
    return found


def _uniforms(task: Task, seed: int | Sequence[Sequence[int]]) -> np.ndarray:
    """Random numbers below 1 for each step, float32 [rows (padded), width]; 0 in the padding.

    Each place of a sequence has its own, so that a sample's own prefix is continued as it was.
    """
    count, steps = len(task.prefix), int(task.steps.max(initial=1))
    longest = int((task.prefix_lengths + task.steps[:count]).max(initial=1))
    # Below 1 by more than rounding, so that a draw never falls behind the last permitted piece.
    if isinstance(seed, int):
        drawn = np.random.default_rng(seed).random((count, longest))
    else:
        drawn = np.stack([np.random.default_rng(own).random(longest) for own in seed])
    drawn *= 1 - 2**-20
    places = np.minimum(task.prefix_lengths[:, None] + np.arange(steps), longest - 1)
    uniforms = np.zeros(task.blank.shape, "float32")
    uniforms[:count, :steps] = np.take_along_axis(drawn, places, axis=1)
    return uniforms
