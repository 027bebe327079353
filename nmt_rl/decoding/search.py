"""Beam search, one compiled loop on either backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn, dimension, gather, gather_rows
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix
from nmt_rl.decoding.loop import goes_on, hold_time, play, take_rows
from nmt_rl.decoding.penalties import coverage_penalty, length_penalty
from nmt_rl.decoding.policies import NEVER, largest, permitted_pieces
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.decoding.task import Beginning, Task, make_task
from nmt_rl.models.linear import converted_weights

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.models.seq2seq import Seq2Seq


class Searcher:
    """Beam search with a length penalty; a beam of 1 is greedy decoding.

    Each step takes the 2*beam best extensions of the live hypotheses. Those that end and are among the first `beam`
    move to the finished ones, of which the `beam` best by normalised score are kept; the best others live on. A row
    stops when `beam` are finished (early), or when no live hypothesis could, with the largest length penalty still
    attainable, displace one of them (exact).

    A beam may be divided into groups (Vijayakumar et al., 2018, algorithm 1), each a beam of its own; at each step the
    groups choose in turn, and a piece loses `diversity` for every hypothesis of an earlier group that has just said it.

    Args:
        model: the built model; its current weights are used at each call.
        settings: beam, groups, length and coverage penalty, stopping, repetitions.
        allow_unknown: let UNK be chosen.
        banned: piece ids of phrases that no hypothesis may contain.
    """

    def __init__(
        self,
        model: Seq2Seq,
        settings: DecodingConfig,
        allow_unknown: bool = False,
        banned: Sequence[Sequence[int]] = (),
    ) -> None:
        """See the class docstring."""
        self.settings, self.allow_unknown, self.max_length = settings, allow_unknown, model.max_length
        self.restrictions = Restrictions.of(settings, banned)
        self.model = self.restrictions.rewarded(model)
        self.beam = beam = settings.beam
        self.width = beam // settings.diverse_groups
        self._penalty = partial(length_penalty, alpha=settings.length_penalty, kind=settings.length_normalization)
        self._greedy = Generator(model, allow_unknown=allow_unknown, restrictions=self.restrictions)
        self._begin = Beginning(self.model, beam)
        self._beam = compile_fn(self._loop, self.model)
        self._keep = compile_fn(partial(take_rows, beam=beam))

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray | int, prefix: Prefix | None = None) -> Hypotheses:
        """See Search; `max_lengths` may be one number."""
        if self.beam == 1:
            best = self._greedy(source, max_lengths, *(prefix or ()))
            log_probs = best.log_probs.sum(axis=1, keepdims=True)
            scores = log_probs / self._penalty(np.maximum(best.lengths, 1).astype("float32"))[:, None]
            return Hypotheses(best.ids[:, None], best.lengths[:, None], log_probs, scores)
        task = make_task(source, max_lengths, *(prefix or ()))
        found = play(self._beam, self._keep, self._first(task))
        found = {name: value[: len(source)] for name, value in found.items()}
        order = np.argsort(-found["scores"], axis=1, kind="stable")  # Of several groups.
        ids, log_probs, scores = (_reordered(found[name], order) for name in ("ids", "log_probs", "scores"))
        exists = log_probs > NEVER / 2
        ids = np.where(exists[..., None], task.behind_prefix(ids, task.prefix), PAD)
        lengths = (ids != PAD).sum(axis=-1).astype("int32")
        log_probs, scores = (np.where(exists, values, -np.inf).astype("float32") for values in (log_probs, scores))
        return Hypotheses(ids[:, :, : max(int(lengths.max(initial=0)), 1)], lengths, log_probs, scores)

    def _first(self, task: Task) -> dict[str, Any]:
        """What the loop begins with: one live hypothesis per group; `out` are the finished ones, by falling score."""
        count, padded = len(task.prefix), len(task.rows)
        ids = np.repeat(task.blank[:, None], self.beam, axis=1)
        begun, log_probs = self._begin.scored(task)
        root = np.full((padded, self.beam), NEVER, "float32")
        root[:count, :: self.width] = log_probs.sum(axis=1)[:, None]
        before = np.pad(task.prefix_lengths, (0, padded - count))
        active, nothing = task.steps > 0, np.full_like(root, NEVER)
        live = {"ids": ids, "log_probs": np.where(active[:, None], root, nothing)}
        given = {"first": task.tokens, "steps": task.steps, "before": before}
        if self.settings.coverage_penalty:
            given["absent"] = task.source == PAD
            # The last dimension of three and more is compiled as it is, so it must not be the sources' length.
            live["coverage"] = np.zeros((padded, self.beam, task.source.shape[1], 1), "float32")
        # A row whose prefix holds EOS is finished before it begins.
        done = np.where(active[:, None], nothing, root)
        done[:, 1:] = NEVER
        scores = done / self._penalty(np.maximum(before, 1).astype("float32"))[:, None]
        scores = np.where(done > NEVER / 2, scores, NEVER).astype("float32")
        out = {"ids": ids, "log_probs": done, "scores": scores}
        return {"task": given, "live": live, "active": active, "out": out, **begun}

    def _loop(self, state: dict[str, Any]) -> dict[str, Any]:
        """Until too few rows are active or the cache is full; a row is active while its finished ones may improve."""
        task, until = state["task"], state["until"]
        rows = dimension(task["steps"], 0)
        longest = self._penalty(ops.cast(ops.maximum(task["before"] + task["steps"], 1), "float32"))

        def body(live: Any, active: Any, step: Any, cache: Any, done: Any) -> tuple[Any, ...]:
            before = ops.take(live["ids"], ops.maximum(step - 1, 0), axis=2)
            tokens = ops.reshape(ops.where(step == 0, task["first"][:, None], before), (-1,))
            output, after = self.model.step(tokens, cache)
            live = self._looked(live, output.attention)
            live, done, parents = self._advance(live, done, output.logits, step, task, longest)
            order = ops.reshape(parents + ops.arange(rows, dtype="int32")[:, None] * self.beam, (-1,))
            active = active & ops.any(self._may_improve(live, done, longest), axis=1)
            after = hold_time(after, cache, ops.repeat(active, self.beam))
            moved = {
                name: keras.tree.map_structure(lambda x: gather_rows(x, order), after[name])
                for name in ("rows", "past", "recent")
            }
            return live, active, step + 1, {**after, **moved}, done

        names = ("live", "active", "step", "cache", "out")
        start = tuple(state[name] for name in names)
        with converted_weights(self.model):
            end = ops.while_loop(lambda _, active, step, *__: goes_on(active, step, until), body, start)
        return {"task": task, "until": until, **dict(zip(names, end, strict=True))}

    def _looked(self, live: dict[str, Any], attention: Any) -> dict[str, Any]:
        """The live hypotheses after a step's attention [rows * beam, source], if its sum counts."""
        if not self.settings.coverage_penalty:
            return live
        coverage = live["coverage"]
        looked = ops.reshape(ops.cast(attention, "float32"), (-1, self.beam, dimension(coverage, 2), 1))
        return {**live, "coverage": coverage + looked}

    def _may_improve(self, live: dict[str, Any], done: dict[str, Any], longest: Any) -> Any:
        """Whether the finished hypotheses of each group may still improve: bool [rows, groups]."""
        groups = (-1, self.settings.diverse_groups, self.width)
        best = ops.max(ops.reshape(live["log_probs"], groups), axis=2)
        worst = ops.min(ops.reshape(done["scores"], groups), axis=2)
        bound = NEVER / 2 if self.settings.stopping == "early" else best / longest[:, None]
        return (best > NEVER / 2) & (bound > worst)

    def _advance(
        self, live: dict[str, Any], done: dict[str, Any], logits: Any, step: Any, task: dict[str, Any], longest: Any
    ) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """One step of all groups in turn: live and finished hypotheses, and which one each live hypothesis extends."""
        vocabulary = logits.shape[-1]
        last = step >= task["steps"] - 1
        logits = ops.reshape(logits, (-1, self.beam, vocabulary))
        going, length = self._may_improve(live, done, longest), task["before"] + step + 1
        said, parts = ops.zeros_like(logits[:, 0]), []
        for group in range(self.settings.diverse_groups):
            own = slice(group * self.width, (group + 1) * self.width)
            old, kept = ({name: value[:, own] for name, value in x.items()} for x in (live, done))
            flat = ops.reshape(logits[:, own], (-1, vocabulary))
            candidates, parents = self._extend(old, flat, last, said if group else None, step, task["before"])
            new, places = self._survivors(candidates)
            finished = self._finish(kept, candidates, length, task)
            # A group that has stopped is stepped along with the others, and must not improve by it.
            finished = {name: _where(going[:, group], finished[name], kept[name]) for name in kept}
            parts.append((new, finished, gather(parents, places) + group * self.width))
            if group + 1 < self.settings.diverse_groups:
                tokens = ops.take(new["ids"], step, axis=2)
                said = said + self.settings.diversity * ops.sum(ops.one_hot(tokens, vocabulary), axis=1)
        return keras.tree.map_structure(lambda *x: ops.concatenate(x, axis=1), *parts) if len(parts) > 1 else parts[0]

    def _extend(
        self, live: dict[str, Any], logits: Any, last: Any, said: Any | None, step: Any, before: Any
    ) -> tuple[dict[str, Any], Any]:
        """The 2*width best extensions of a group's live hypotheses, best first, and which hypothesis each extends.

        `last` bool [rows]: only EOS may follow; `said` float32 [rows, vocab] is what pieces lose when extensions are
        chosen; `before` int32 [rows] are the pieces of the prefix.
        """
        width = self.width
        held = ops.reshape(live["ids"], (-1, dimension(live["ids"], 2)))
        logits = self.restrictions.rescaled(logits, held, step)
        so_far = live["log_probs"] - ops.reshape(ops.logsumexp(logits, axis=-1), (-1, width))
        # The best of all are among the best of each hypothesis, so the vocabulary is gone through only once.
        last = ops.repeat(last, width)
        scores = self.restrictions.blocked(logits, held, step)
        scores = self.restrictions.unended(scores, ops.repeat(before, width) + step, last)
        if said is not None:
            scores = scores - ops.repeat(said, width, axis=0)
        scores, pieces = self._choices(live, scores, step, last)
        each = dimension(scores, 1)
        sums = ops.reshape(scores, (-1, width, each)) + so_far[:, :, None]
        pieces = ops.reshape(pieces, (-1, width, each))
        log_probs, worth, places = self._chosen(live, sums, pieces, step)
        parents = places // each
        tokens = gather(ops.reshape(pieces, (-1, width * each)), places)
        here = ops.arange(dimension(held, 1), dtype="int32")[None, None, :] == step
        found = {name: gather(value, parents) for name, value in live.items() if name != "log_probs"}
        found["ids"] = ops.where(here, tokens[:, :, None], found["ids"])
        if said is not None:
            log_probs = log_probs + gather(said, tokens)
        return {**found, "log_probs": log_probs, "worth": worth, "ends": tokens == EOS}, parents

    def _choices(self, live: dict[str, Any], scores: Any, step: Any, last: Any) -> tuple[Any, Any]:
        """The best pieces of each of a group's hypotheses and their scores [rows * width, pieces]; see `_extend`."""
        return permitted_pieces(scores, 2 * self.width, last, self.allow_unknown)

    def _chosen(self, live: dict[str, Any], sums: Any, pieces: Any, step: Any) -> tuple[Any, Any, Any]:
        """The 2*width extensions of a group that go on: their log-probabilities, what they are worth, and their places.

        Args:
            live: the hypotheses that are extended.
            sums: float32 [rows, width, pieces]: log-probabilities with each of the pieces.
            pieces: int32 [rows, width, pieces].
            step: pieces so far.
        """
        worth, places = largest(ops.reshape(sums, (-1, self.width * dimension(sums, 2))), 2 * self.width)
        return worth, worth, places

    def _survivors(self, candidates: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The best candidates that do not end, as many as a group holds, and their places [rows, width]."""
        worth = ops.where(candidates["ends"], 4 * NEVER, candidates["worth"])
        kept = ops.cast(ops.top_k(worth, self.width)[1], "int32")
        log_probs = ops.where(candidates["ends"], 4 * NEVER, candidates["log_probs"])
        found = {name: value for name, value in candidates.items() if name not in ("worth", "ends")}
        found = {name: gather(value, kept) for name, value in {**found, "log_probs": log_probs}.items()}
        # Clamped: the sum of a long dead hypothesis must not overtake the mark of one that ends.
        return {**found, "log_probs": ops.maximum(found["log_probs"], NEVER)}, kept

    def _finish(
        self, done: dict[str, Any], candidates: dict[str, Any], length: Any, task: dict[str, Any]
    ) -> dict[str, Any]:
        """The best of a group's finished hypotheses and its first candidates, as far as those end.

        `length` int32 [rows] is that of the candidates.
        """
        first = {name: value[:, : self.width] for name, value in candidates.items()}
        ended = first["ends"] & (first["log_probs"] > NEVER / 2)
        scores = first["log_probs"] / self._penalty(ops.cast(length, "float32"))[:, None]
        if self.settings.coverage_penalty:
            missed = coverage_penalty(first["coverage"][..., 0], task["absent"][:, None, :])
            scores = scores + self.settings.coverage_penalty * missed
        new = {
            "ids": first["ids"],
            "log_probs": ops.where(ended, first["log_probs"], NEVER),
            "scores": ops.where(ended, scores, NEVER),
        }
        both = {name: ops.concatenate([done[name], new[name]], axis=1) for name in done}
        scores, best = ops.top_k(both["scores"], self.width)
        found = {name: gather(both[name], best) for name in ("ids", "log_probs")}
        return {**found, "scores": scores}


def _reordered(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """values[b, order[b, i]], NumPy arrays [batch, beam, ...]."""
    return values[np.arange(len(values))[:, None], order]


def _where(rows: Any, new: Any, old: Any) -> Any:
    """`new` where bool [rows] is true, else `old`; [rows, ...] each."""
    return ops.where(ops.reshape(rows, (-1, *[1] * (len(new.shape) - 1))), new, old)
