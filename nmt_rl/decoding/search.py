"""Greedy decoding, sampling and beam search, each one compiled loop on either backend.

Both searches are written against `Seq2Seq.start` and `Seq2Seq.step` and reorder only `cache["rows"]`. Both obey the
same constraints: a forced prefix comes first, PAD, BOS and (unless allowed) UNK are never chosen, and the last
piece a row's length limit leaves room for is EOS, so that every result is a complete hypothesis.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.decoding.loop import crowded, play, prepare_task, take_rows

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq

NEVER = -1e9
"""Score of a forbidden piece or a dead hypothesis: finite, so that sums stay free of NaN."""


class Generation(NamedTuple):
    """What `Generator` returns; NumPy arrays."""

    ids: np.ndarray
    """int32 [batch, time]: the forced prefix, the chosen pieces, EOS, then PAD."""
    lengths: np.ndarray
    """int32 [batch]: pieces including EOS."""
    log_probs: np.ndarray
    """float32 [batch, time]: the model's log-probability of each piece (temperature 1, none excluded); 0 on PAD."""
    runner_up: np.ndarray | None
    """int32 [batch, time]: the second most probable permitted piece; PAD where only one was permitted."""
    runner_up_probs: np.ndarray | None
    """float32 [batch, time]: its probability under the model; 0 where only one piece was permitted."""


class Hypotheses(NamedTuple):
    """What `Searcher` returns, best hypothesis first; NumPy arrays."""

    ids: np.ndarray
    """int32 [batch, beam, time]: pieces, EOS, then PAD; all PAD if there are fewer hypotheses than the beam holds."""
    lengths: np.ndarray
    """int32 [batch, beam]: pieces including EOS; 0 for a hypothesis that does not exist."""
    log_probs: np.ndarray
    """float32 [batch, beam]: log-probability of the sequence; -inf if it does not exist."""
    scores: np.ndarray
    """float32 [batch, beam]: `log_probs` divided by the length penalty; -inf if it does not exist."""


def length_penalty(length: Any, alpha: float) -> Any:
    """((5 + length) / 6)^alpha, the divisor of a hypothesis' log-probability (Wu et al., 2016, equation 14).

    Args:
        length: pieces including EOS; a number, an array or a tensor of floats.
        alpha: 0 turns the penalty off.
    """
    return ((5.0 + length) / 6.0) ** alpha


class Generator:
    """Greedy decoding or sampling, one sequence per source row, optionally after a forced prefix.

    Args:
        model: the built model; its current weights are used at each call.
        top_k: sample among this many most probable pieces; 0: all.
        runner_up: also return the second most probable piece of each step.
        allow_unknown: let UNK be chosen.
    """

    def __init__(self, model: Seq2Seq, top_k: int = 0, runner_up: bool = False, allow_unknown: bool = False) -> None:
        self.model = model
        self.top_k = top_k
        self.runner_up = runner_up
        self.allow_unknown = allow_unknown
        self._start = compile_fn(self._first, model)
        self._greedy = compile_fn(self._loop, model)
        self._sample = compile_fn(self._loop, model)
        self._keep = compile_fn(partial(take_rows, beam=1))

    def __call__(
        self,
        source: np.ndarray,
        max_lengths: np.ndarray | int,
        prefix: np.ndarray | None = None,
        prefix_lengths: np.ndarray | None = None,
        temperature: np.ndarray | float | None = None,
        seed: int = 0,
    ) -> Generation:
        """Generate one sequence per row.

        Args:
            source: int [batch, source time], PAD-padded.
            max_lengths: int [batch] or one number, at least 1: most pieces including EOS. A prefix that leaves no
                room for EOS raises its row's limit.
            prefix: int [batch, prefix time], without BOS: the first pieces of each row.
            prefix_lengths: int [batch]; needed with `prefix`.
            temperature: float [batch] or one number, above 0: sample from softmax(logits / temperature). None: greedy.
            seed: of the sampling; the same seed and arguments give the same sequences. The random numbers are
                NumPy's, so both backends draw the same ones.
        """
        rows = len(source)
        source, forced, prefix_lengths, limits = prepare_task(source, max_lengths, prefix, prefix_lengths)
        task = {"forced": forced, "prefix_lengths": prefix_lengths, "limits": limits}
        loop = self._greedy
        if temperature is not None:
            heat = np.broadcast_to(np.asarray(temperature, "float32"), (rows,))
            if not (heat > 0).all():
                raise ValueError(f"temperature must be above 0, found {heat.min()}")
            task |= _noise(forced, limits, rows, heat, seed)
            loop = self._sample
        state = self._start(source, forced, limits)
        out = {name: value[:rows] for name, value in play(loop, self._keep, {**state, "task": task}).items()}
        lengths = (out["ids"] != PAD).sum(axis=1).astype("int32")
        out = {name: value[:, : max(int(lengths.max(initial=0)), 1)] for name, value in out.items()}
        return Generation(out["ids"], lengths, out["log_probs"], out.get("runner_up"), out.get("runner_up_probs"))

    def _first(self, source: Any, forced: Any, limits: Any) -> dict[str, Any]:
        """What a loop begins with."""
        out = {"ids": ops.zeros_like(forced), "log_probs": ops.zeros_like(forced, dtype="float32")}
        if self.runner_up:
            out |= {"runner_up": out["ids"], "runner_up_probs": out["log_probs"]}
        cache = self.model.start(self.model.encode(source), ops.shape(forced)[1])
        return {"tokens": ops.full_like(limits, BOS), "active": limits > 0, "cache": cache, "out": out}

    def _loop(self, state: dict[str, Any]) -> dict[str, Any]:
        """Until no row is active, or half of many are not."""
        task = state["task"]
        columns = ops.arange(ops.shape(task["forced"])[1], dtype="int32")[None, :]

        def body(tokens: Any, active: Any, cache: Any, out: Any) -> tuple[Any, ...]:
            time = cache["time"]
            step, cache = self.model.step(tokens, cache)
            new = self._choose(time, step.logits, task)
            here = (columns == time) & active[:, None]
            out = {name: ops.where(here, new[name][:, None], out[name]) for name in out}
            tokens = ops.where(active, new["ids"], PAD)
            return tokens, active & (tokens != EOS), cache, out

        names = ("tokens", "active", "cache", "out")
        end = ops.while_loop(lambda tokens, active, *_: crowded(active), body, tuple(state[n] for n in names))
        return {"task": task, **dict(zip(names, end, strict=True))}

    def _choose(self, time: Any, logits: Any, task: dict[str, Any]) -> dict[str, Any]:
        """The next piece of each row and what is told about it, all [rows]."""
        bound, only = _bound(time, task["forced"], task["prefix_lengths"], task["limits"])
        total = ops.logsumexp(logits, axis=-1)
        permitted = logits + _free(logits.shape[-1], self.allow_unknown)
        if "uniforms" in task:
            heated = permitted / task["temperature"][:, None]
            tokens = _draw(heated, ops.take(task["uniforms"], time, axis=1), self.top_k)
        else:
            tokens = ops.cast(ops.argmax(permitted, axis=-1), "int32")
        tokens = ops.where(bound, only, tokens)
        new = {"ids": tokens, "log_probs": _pick(logits, tokens) - total}
        if self.runner_up:
            second, pieces = (x[:, 1] for x in ops.top_k(permitted, 2))
            new["runner_up"] = ops.where(bound, PAD, ops.cast(pieces, "int32"))
            new["runner_up_probs"] = ops.where(bound, 0.0, ops.exp(second - total))
        return new


class Searcher:
    """Beam search with the length penalty of Wu et al. (2016); a beam of 1 is greedy decoding.

    Each step takes the 2*beam best extensions of the live hypotheses. Those that end and are among the first `beam`
    move to the finished ones, of which the `beam` best by normalised score are kept; the best others live on. A row
    stops when no live hypothesis could, with the largest length penalty still attainable, displace a finished one.

    Args:
        model: the built model; its current weights are used at each call.
        beam: hypotheses kept and returned.
        alpha: exponent of the length penalty.
        allow_unknown: let UNK be chosen.
    """

    def __init__(self, model: Seq2Seq, beam: int, alpha: float = 1.0, allow_unknown: bool = False) -> None:
        self.model = model
        self.beam = beam
        self.alpha = alpha
        self.allow_unknown = allow_unknown
        self._greedy = Generator(model, allow_unknown=allow_unknown)
        self._start = compile_fn(self._first, model)
        self._beam = compile_fn(self._loop, model)
        self._keep = compile_fn(partial(take_rows, beam=beam))

    def __call__(
        self,
        source: np.ndarray,
        max_lengths: np.ndarray | int,
        prefix: np.ndarray | None = None,
        prefix_lengths: np.ndarray | None = None,
    ) -> Hypotheses:
        """The best hypotheses of each row.

        Args:
            source: int [batch, source time], PAD-padded.
            max_lengths: int [batch] or one number, at least 1: most pieces including EOS. A prefix that leaves no
                room for EOS raises its row's limit.
            prefix: int [batch, prefix time], without BOS: the first pieces of every hypothesis of the row.
            prefix_lengths: int [batch]; needed with `prefix`.
        """
        if self.beam == 1:
            best = self._greedy(source, max_lengths, prefix, prefix_lengths)
            ids, log_probs = best.ids[:, None], best.log_probs.sum(axis=1, keepdims=True)
        else:
            task = prepare_task(source, max_lengths, prefix, prefix_lengths)
            found = play(self._beam, self._keep, self._start(*task))
            ids, log_probs = found["ids"][: len(source)], found["log_probs"][: len(source)]
        exists = log_probs > NEVER / 2
        ids = np.where(exists[..., None], ids, PAD)
        lengths = (ids != PAD).sum(axis=-1).astype("int32")
        log_probs = np.where(exists, log_probs, -np.inf).astype("float32")
        scores = log_probs / length_penalty(lengths.astype("float32"), self.alpha)
        return Hypotheses(ids[:, :, : max(int(lengths.max(initial=0)), 1)], lengths, log_probs, scores)

    def _first(self, source: Any, forced: Any, prefix_lengths: Any, limits: Any) -> dict[str, Any]:
        """What the loop begins with: one live hypothesis per row; `out` are the finished ones, by falling score."""
        cache = self.model.start(self.model.encode(source), ops.shape(forced)[1], beam=self.beam)
        empty = ops.repeat(ops.zeros_like(forced)[:, None], self.beam, axis=1)
        nothing = ops.cast(empty[:, :, 0], "float32") + NEVER
        root = ops.where(ops.arange(self.beam)[None, :] == 0, 0.0, nothing)
        return {
            "task": {"forced": forced, "prefix_lengths": prefix_lengths, "limits": limits},
            "live": {"ids": empty, "log_probs": ops.where((limits > 0)[:, None], root, nothing)},
            "active": limits > 0,
            "cache": cache,
            "out": {"ids": empty, "log_probs": nothing, "scores": nothing},
        }

    def _loop(self, state: dict[str, Any]) -> dict[str, Any]:
        """Until no row is active, or half of many are not; a row is active while its finished ones may be improved."""
        task = state["task"]
        rows = ops.shape(task["limits"])[0]
        longest = length_penalty(ops.cast(task["limits"], "float32"), self.alpha)

        def body(live: Any, active: Any, cache: Any, done: Any) -> tuple[Any, ...]:
            time = cache["time"]
            before = ops.take(live["ids"], ops.maximum(time - 1, 0), axis=2)
            tokens = ops.reshape(ops.where(time == 0, BOS, before), (-1,))
            step, cache = self.model.step(tokens, cache)
            free = _free(step.logits.shape[-1], self.allow_unknown)
            candidates, parents = self._extend(live, step.logits, _permitted(free, *_bound(time, **task)), time)
            live, kept = self._survivors(candidates)
            done = self._finish(done, candidates, time)
            parents = _gather(parents, kept)
            order = ops.reshape(parents + ops.arange(rows, dtype="int32")[:, None] * self.beam, (-1,))
            moved = keras.tree.map_structure(lambda x: ops.take(x, order, axis=0), cache["rows"])
            best, worst = ops.max(live["log_probs"], axis=1), ops.min(done["scores"], axis=1)
            return live, (best > NEVER / 2) & (best / longest > worst), {**cache, "rows": moved}, done

        names = ("live", "active", "cache", "out")
        end = ops.while_loop(lambda live, active, *_: crowded(active), body, tuple(state[n] for n in names))
        return {"task": task, **dict(zip(names, end, strict=True))}

    def _extend(self, live: Any, logits: Any, permitted: Any, time: Any) -> tuple[dict[str, Any], Any]:
        """The 2*beam best extensions of the live hypotheses, best first, and which hypothesis each extends."""
        vocabulary, wide = logits.shape[-1], 2 * self.beam
        before = live["log_probs"] - ops.reshape(ops.logsumexp(logits, axis=-1), (-1, self.beam))
        # The best of all are among the best of each hypothesis, so the vocabulary is gone through only once.
        scores = ops.reshape(logits, (-1, self.beam, vocabulary)) + permitted[:, None, :]
        scores, pieces = ops.top_k(scores, min(wide, vocabulary))
        each = scores.shape[-1]
        totals = ops.reshape(scores + before[:, :, None], (-1, self.beam * each))
        best, places = ops.top_k(totals, wide)
        places = ops.cast(places, "int32")
        parents = places // each
        tokens = _gather(ops.reshape(ops.cast(pieces, "int32"), (-1, self.beam * each)), places)
        ids = _gather(live["ids"], parents)
        here = ops.arange(ops.shape(ids)[2], dtype="int32")[None, None, :] == time
        ids = ops.where(here, tokens[:, :, None], ids)
        return {"ids": ids, "log_probs": best, "ends": tokens == EOS}, parents

    def _survivors(self, candidates: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The `beam` best candidates that do not end, and their places among the candidates [batch, beam]."""
        going_on = ops.where(candidates["ends"], 4 * NEVER, candidates["log_probs"])
        log_probs, kept = ops.top_k(going_on, self.beam)
        kept = ops.cast(kept, "int32")
        # Clamped: the sum of a long dead hypothesis must not overtake the mark of one that ends.
        log_probs = ops.maximum(log_probs, NEVER)
        return {"ids": _gather(candidates["ids"], kept), "log_probs": log_probs}, kept

    def _finish(self, done: dict[str, Any], candidates: dict[str, Any], time: Any) -> dict[str, Any]:
        """The `beam` best of the finished hypotheses and the first `beam` candidates, as far as those end."""
        log_probs = candidates["log_probs"][:, : self.beam]
        ended = candidates["ends"][:, : self.beam] & (log_probs > NEVER / 2)
        penalty = length_penalty(ops.cast(time + 1, "float32"), self.alpha)
        new = {
            "ids": candidates["ids"][:, : self.beam],
            "log_probs": ops.where(ended, log_probs, NEVER),
            "scores": ops.where(ended, log_probs / penalty, NEVER),
        }
        both = {name: ops.concatenate([done[name], new[name]], axis=1) for name in done}
        scores, best = ops.top_k(both["scores"], self.beam)
        return {
            "ids": _gather(both["ids"], best),
            "log_probs": _gather(both["log_probs"], best),
            "scores": scores,
        }


def _noise(forced: np.ndarray, limits: np.ndarray, rows: int, heat: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """`uniforms` [batch, width] below 1, and `temperature` [batch], padded as the task is."""
    padded, longest = len(forced), int(limits.max(initial=1))
    uniforms = np.zeros(forced.shape, "float32")
    # Below 1 by more than rounding, so that a draw never falls behind the last permitted piece.
    uniforms[:rows, :longest] = np.random.default_rng(seed).random((rows, longest)) * (1 - 2**-20)
    return {"uniforms": uniforms, "temperature": np.pad(heat, (0, padded - rows), constant_values=1.0)}


def _free(vocabulary: int, allow_unknown: bool) -> np.ndarray:
    """0 for pieces a search may choose, NEVER for others: float32 [1, vocabulary]."""
    free = np.zeros((1, vocabulary), "float32")
    free[:, [PAD, BOS] if allow_unknown else [PAD, BOS, UNK]] = NEVER
    return free


def _bound(time: Any, forced: Any, prefix_lengths: Any, limits: Any) -> tuple[Any, Any]:
    """Rows without a choice (in their prefix or at their limit), bool [batch], and their piece, int32 [batch]."""
    in_prefix = time < prefix_lengths
    return in_prefix | (time >= limits - 1), ops.where(in_prefix, ops.take(forced, time, axis=1), EOS)


def _permitted(free: np.ndarray, bound: Any, only: Any) -> Any:
    """0 for pieces each row may choose, NEVER for others: float32 [batch, vocabulary]."""
    is_only = ops.arange(free.shape[1], dtype="int32")[None, :] == only[:, None]
    return ops.where(bound[:, None], ops.where(is_only, 0.0, NEVER), free)


def _gather(values: Any, index: Any) -> Any:
    """values[b, index[b, i]]: [batch, index, ...] of values [batch, places, ...] and int32 [batch, index]."""
    shape = ops.shape(values)
    flat = ops.reshape(values, (shape[0] * shape[1], *shape[2:]))
    return ops.take(flat, index + ops.arange(shape[0], dtype="int32")[:, None] * shape[1], axis=0)


def _pick(values: Any, index: Any) -> Any:
    """values[b, index[b]]: [batch]."""
    return _gather(values, index[:, None])[:, 0]


def _draw(scores: Any, uniforms: Any, top_k: int) -> Any:
    """A piece per row from softmax(scores), or from its top_k, by inverting the distribution: int32 [batch]."""
    kept = None
    if 0 < top_k < scores.shape[-1]:
        scores, kept = ops.top_k(scores, top_k)
    heights = ops.cumsum(ops.softmax(scores, axis=-1), axis=-1)
    below = heights <= uniforms[:, None] * heights[:, -1:]
    drawn = ops.sum(ops.cast(below, "int32"), axis=-1)
    return drawn if kept is None else ops.cast(_pick(kept, drawn), "int32")
