"""Beam search, one compiled loop on either backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.hypotheses import Hypotheses
from nmt_rl.decoding.loop import goes_on, hold_time, play, take_rows
from nmt_rl.decoding.penalties import length_penalty
from nmt_rl.decoding.policies import NEVER, free_pieces, gather
from nmt_rl.decoding.restrictions import Restrictions
from nmt_rl.decoding.task import Beginning, Task, make_task

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.models.seq2seq import Seq2Seq


class Searcher:
    """Beam search with a length penalty; a beam of 1 is greedy decoding.

    Each step takes the 2*beam best extensions of the live hypotheses. Those that end and are among the first `beam`
    move to the finished ones, of which the `beam` best by normalised score are kept; the best others live on. A row
    stops when `beam` are finished (early), or when no live hypothesis could, with the largest length penalty still
    attainable, displace one of them (exact).

    Args:
        model: the built model; its current weights are used at each call.
        settings: beam, length penalty, stopping, repetitions.
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
        self.model, self.settings, self.allow_unknown = model, settings, allow_unknown
        self.max_length = model.max_length
        self.restrictions = Restrictions(settings.no_repeat_ngram, settings.repetition_penalty, banned)
        self.beam = beam = settings.beam
        self._penalty = partial(length_penalty, alpha=settings.length_penalty, kind=settings.length_normalization)
        self._greedy = Generator(model, allow_unknown=allow_unknown, restrictions=self.restrictions)
        self._begin = Beginning(model, beam)
        self._beam = compile_fn(self._loop, model)
        self._keep = compile_fn(partial(take_rows, beam=beam))

    def __call__(
        self,
        source: np.ndarray,
        max_lengths: np.ndarray | int,
        prefix: np.ndarray | None = None,
        prefix_lengths: np.ndarray | None = None,
    ) -> Hypotheses:
        """See Search; `max_lengths` may be one number."""
        if self.beam == 1:
            best = self._greedy(source, max_lengths, prefix, prefix_lengths)
            ids, log_probs = best.ids[:, None], best.log_probs.sum(axis=1, keepdims=True)
        else:
            task = make_task(source, max_lengths, prefix, prefix_lengths)
            found = play(self._beam, self._keep, self._first(task))
            ids, log_probs = task.behind_prefix(found["ids"], task.prefix), found["log_probs"][: len(source)]
        exists = log_probs > NEVER / 2
        ids = np.where(exists[..., None], ids, PAD)
        lengths = (ids != PAD).sum(axis=-1).astype("int32")
        log_probs = np.where(exists, log_probs, -np.inf).astype("float32")
        scores = log_probs / self._penalty(np.maximum(lengths, 1).astype("float32"))
        return Hypotheses(ids[:, :, : max(int(lengths.max(initial=0)), 1)], lengths, log_probs, scores)

    def _first(self, task: Task) -> dict[str, Any]:
        """What the loop begins with: one live hypothesis per row; `out` are the finished ones, by falling score."""
        count, padded = len(task.prefix), len(task.rows)
        ids = np.repeat(task.blank[:, None], self.beam, axis=1)
        begun, log_probs = self._begin.scored(task)
        root = np.full((padded, self.beam), NEVER, "float32")
        root[:count, 0] = log_probs.sum(axis=1)
        active, nothing = task.steps > 0, np.full_like(root, NEVER)
        # A row whose prefix holds EOS is finished before it begins.
        done = np.where(active[:, None], nothing, root)
        return {
            "task": {
                "first": task.tokens,
                "steps": task.steps,
                "before": np.pad(task.prefix_lengths, (0, padded - count)),
            },
            "live": {"ids": ids, "log_probs": np.where(active[:, None], root, nothing)},
            "active": active,
            "out": {"ids": ids, "log_probs": done, "scores": done},
            **begun,
        }

    def _loop(self, state: dict[str, Any]) -> dict[str, Any]:
        """Until too few rows are active or the cache is full; a row is active while its finished ones may improve."""
        task, until = state["task"], state["until"]
        rows = ops.shape(task["steps"])[0]
        longest = self._penalty(ops.cast(ops.maximum(task["before"] + task["steps"], 1), "float32"))

        def body(live: Any, active: Any, step: Any, cache: Any, done: Any) -> tuple[Any, ...]:
            before = ops.take(live["ids"], ops.maximum(step - 1, 0), axis=2)
            tokens = ops.reshape(ops.where(step == 0, task["first"][:, None], before), (-1,))
            output, after = self.model.step(tokens, cache)
            permitted = self._permitted(output.logits.shape[-1], step >= task["steps"] - 1)
            candidates, parents = self._extend(live, output.logits, permitted, step)
            live, kept = self._survivors(candidates)
            finished = self._finish(done, candidates, task["before"] + step + 1)
            # A row that has stopped is stepped along with the others, and must not improve by it.
            done = {name: _where(active, finished[name], done[name]) for name in done}
            parents = gather(parents, kept)
            order = ops.reshape(parents + ops.arange(rows, dtype="int32")[:, None] * self.beam, (-1,))
            best, worst = ops.max(live["log_probs"], axis=1), ops.min(done["scores"], axis=1)
            bound = NEVER / 2 if self.settings.stopping == "early" else best / longest
            active = active & (best > NEVER / 2) & (bound > worst)
            after = hold_time(after, cache, ops.repeat(active, self.beam))
            moved = {
                name: keras.tree.map_structure(lambda x: ops.take(x, order, axis=0), after[name])
                for name in ("rows", "past")
            }
            return live, active, step + 1, {**after, **moved}, done

        names = ("live", "active", "step", "cache", "out")
        start = tuple(state[name] for name in names)
        end = ops.while_loop(lambda _, active, step, *__: goes_on(active, step, until), body, start)
        return {"task": task, "until": until, **dict(zip(names, end, strict=True))}

    def _permitted(self, vocabulary: int, last: Any) -> Any:
        """0 for pieces that may be chosen, NEVER for others, float32 [rows, vocabulary]; EOS alone in a last step."""
        is_end = np.arange(vocabulary)[None, :] == EOS
        only_end = np.where(is_end, 0.0, NEVER).astype("float32")
        return ops.where(last[:, None], only_end, free_pieces(vocabulary, self.allow_unknown))

    def _extend(self, live: Any, logits: Any, permitted: Any, step: Any) -> tuple[dict[str, Any], Any]:
        """The 2*beam best extensions of the live hypotheses, best first, and which hypothesis each extends."""
        vocabulary, wide = logits.shape[-1], 2 * self.beam
        held = ops.reshape(live["ids"], (-1, ops.shape(live["ids"])[2]))
        logits = self.restrictions.rescaled(logits, held, step)
        before = live["log_probs"] - ops.reshape(ops.logsumexp(logits, axis=-1), (-1, self.beam))
        # The best of all are among the best of each hypothesis, so the vocabulary is gone through only once.
        scores = ops.reshape(self.restrictions.blocked(logits, held, step), (-1, self.beam, vocabulary))
        scores = scores + permitted[:, None, :]
        scores, pieces = ops.top_k(scores, min(wide, vocabulary))
        each = scores.shape[-1]
        totals = ops.reshape(scores + before[:, :, None], (-1, self.beam * each))
        best, places = ops.top_k(totals, wide)
        places = ops.cast(places, "int32")
        parents = places // each
        tokens = gather(ops.reshape(ops.cast(pieces, "int32"), (-1, self.beam * each)), places)
        ids = gather(live["ids"], parents)
        here = ops.arange(ops.shape(ids)[2], dtype="int32")[None, None, :] == step
        ids = ops.where(here, tokens[:, :, None], ids)
        return {"ids": ids, "log_probs": best, "ends": tokens == EOS}, parents

    def _survivors(self, candidates: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The `beam` best candidates that do not end, and their places among the candidates [batch, beam]."""
        going_on = ops.where(candidates["ends"], 4 * NEVER, candidates["log_probs"])
        log_probs, kept = ops.top_k(going_on, self.beam)
        kept = ops.cast(kept, "int32")
        # Clamped: the sum of a long dead hypothesis must not overtake the mark of one that ends.
        log_probs = ops.maximum(log_probs, NEVER)
        return {"ids": gather(candidates["ids"], kept), "log_probs": log_probs}, kept

    def _finish(self, done: dict[str, Any], candidates: dict[str, Any], length: Any) -> dict[str, Any]:
        """The `beam` best of the finished hypotheses and the first `beam` candidates, as far as those end.

        `length` int32 [rows] is that of the candidates.
        """
        log_probs = candidates["log_probs"][:, : self.beam]
        ended = candidates["ends"][:, : self.beam] & (log_probs > NEVER / 2)
        penalty = self._penalty(ops.cast(length, "float32"))[:, None]
        new = {
            "ids": candidates["ids"][:, : self.beam],
            "log_probs": ops.where(ended, log_probs, NEVER),
            "scores": ops.where(ended, log_probs / penalty, NEVER),
        }
        both = {name: ops.concatenate([done[name], new[name]], axis=1) for name in done}
        scores, best = ops.top_k(both["scores"], self.beam)
        return {
            "ids": gather(both["ids"], best),
            "log_probs": gather(both["log_probs"], best),
            "scores": scores,
        }


def _where(rows: Any, new: Any, old: Any) -> Any:
    """`new` where bool [rows] is true, else `old`; [rows, ...] each."""
    return ops.where(ops.reshape(rows, (-1, *[1] * (len(new.shape) - 1))), new, old)
