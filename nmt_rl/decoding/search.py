"""Greedy decoding, sampling and beam search, each one compiled loop on either backend.

Both searches are written against `Seq2Seq.start` and `Seq2Seq.step` and reorder only `cache["rows"]`. Both obey the
same constraints: a forced prefix comes first, PAD, BOS and (unless allowed) UNK are never chosen, and the last
piece a row's length limit leaves room for is EOS, so that every result is a complete hypothesis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn, is_jax
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq

FEW = 8
"""So few rows are finished together; of more, finished ones leave the loop when they are half of them."""

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
        self._keep = compile_fn(_take_rows)

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
        source, forced, prefix_lengths, limits = _prepare(source, max_lengths, prefix, prefix_lengths)
        task = {"forced": forced, "prefix_lengths": prefix_lengths, "limits": limits}
        loop = self._greedy
        if temperature is not None:
            heat = np.broadcast_to(np.asarray(temperature, "float32"), (rows,))
            if not (heat > 0).all():
                raise ValueError(f"temperature must be above 0, found {heat.min()}")
            task |= _noise(forced, limits, rows, heat, seed)
            loop = self._sample
        out = {name: value[:rows] for name, value in self._play(source, task, loop).items()}
        lengths = (out["ids"] != PAD).sum(axis=1).astype("int32")
        out = {name: value[:, : max(int(lengths.max(initial=0)), 1)] for name, value in out.items()}
        return Generation(out["ids"], lengths, out["log_probs"], out.get("runner_up"), out.get("runner_up_probs"))

    def _play(self, source: np.ndarray, task: dict[str, Any], loop: Any) -> dict[str, np.ndarray]:
        """Run the loop, and again without the rows that are finished, until all are."""
        time, state = self._start(source, task["forced"], task["limits"])
        state["task"] = task
        result = {name: np.array(ops.convert_to_numpy(value)) for name, value in state["out"].items()}
        here = np.arange(len(source))
        while True:
            time, state = loop(time, state)
            for name, value in state["out"].items():
                result[name][here] = ops.convert_to_numpy(value)[: len(here)]
            going_on = np.flatnonzero(~ops.convert_to_numpy(state["finished"])[: len(here)])
            if not len(going_on):
                return result
            here = here[going_on]
            state = self._keep(state, _padded_rows(going_on))

    def _first(self, source: Any, forced: Any, limits: Any) -> tuple[Any, dict[str, Any]]:
        """Time 0, and everything a loop carries that has a row per sequence."""
        out = {"ids": ops.zeros_like(forced), "log_probs": ops.zeros_like(forced, dtype="float32")}
        if self.runner_up:
            out |= {"runner_up": out["ids"], "runner_up_probs": out["log_probs"]}
        cache = self.model.start(self.model.encode(source), ops.shape(forced)[1])
        del cache["time"]
        return _zero(), {"tokens": ops.full_like(limits, BOS), "finished": limits <= 0, "cache": cache, "out": out}

    def _loop(self, time: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Until all rows are finished, or half of many."""
        task, state = state["task"], {name: value for name, value in state.items() if name != "task"}
        columns = ops.arange(ops.shape(task["forced"])[1], dtype="int32")[None, :]

        def body(time: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            step, cache = self.model.step(state["tokens"], {**state["cache"], "time": time})
            del cache["time"]
            new = self._choose(time, step.logits, task)
            finished, out = state["finished"], state["out"]
            here = (columns == time) & ops.logical_not(finished)[:, None]
            out = {name: ops.where(here, new[name][:, None], out[name]) for name in out}
            tokens = ops.where(finished, PAD, new["ids"])
            return time + 1, {"tokens": tokens, "finished": finished | (tokens == EOS), "cache": cache, "out": out}

        def crowded(time: Any, state: dict[str, Any]) -> Any:
            going_on = ops.sum(ops.cast(ops.logical_not(state["finished"]), "int32"))
            rows = ops.shape(state["finished"])[0]
            return going_on > ops.where(rows > FEW, rows // 2, 0)

        time, state = ops.while_loop(crowded, body, (time, state))
        return time, {"task": task, **state}

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
        self._beam = compile_fn(self._loop, model)

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
            task = _prepare(source, max_lengths, prefix, prefix_lengths)
            ids, log_probs = (ops.convert_to_numpy(x)[: len(source)] for x in self._beam(*task))
        exists = log_probs > NEVER / 2
        ids = np.where(exists[..., None], ids, PAD)
        lengths = (ids != PAD).sum(axis=-1).astype("int32")
        log_probs = np.where(exists, log_probs, -np.inf).astype("float32")
        scores = log_probs / length_penalty(lengths.astype("float32"), self.alpha)
        return Hypotheses(ids[:, :, : max(int(lengths.max(initial=0)), 1)], lengths, log_probs, scores)

    def _loop(self, source: Any, forced: Any, prefix_lengths: Any, limits: Any) -> tuple[Any, Any]:
        """Finished hypotheses by falling score: ids int32 [batch, beam, time], log-probabilities [batch, beam]."""
        rows, width = ops.shape(forced)
        cache = self.model.start(self.model.encode(source), width, beam=self.beam)
        empty = ops.repeat(ops.zeros_like(forced)[:, None], self.beam, axis=1)
        nothing = ops.cast(empty[:, :, 0], "float32") + NEVER
        root = ops.where(ops.arange(self.beam)[None, :] == 0, 0.0, nothing)
        live = {"ids": empty, "log_probs": ops.where((limits > 0)[:, None], root, nothing)}
        done = {"ids": empty, "log_probs": nothing, "scores": nothing}
        longest = length_penalty(ops.cast(limits, "float32"), self.alpha)

        def body(time: Any, live: Any, done: Any, cache: Any) -> tuple[Any, ...]:
            before = ops.take(live["ids"], ops.maximum(time - 1, 0), axis=2)
            tokens = ops.reshape(ops.where(time == 0, BOS, before), (-1,))
            step, cache = self.model.step(tokens, cache)
            free = _free(step.logits.shape[-1], self.allow_unknown)
            permitted = _permitted(free, *_bound(time, forced, prefix_lengths, limits))
            candidates, parents = self._extend(live, step.logits, permitted, time)
            live, kept = self._survivors(candidates)
            done = self._finish(done, candidates, time)
            parents = _gather(parents, kept)
            order = ops.reshape(parents + ops.arange(rows, dtype="int32")[:, None] * self.beam, (-1,))
            moved = keras.tree.map_structure(lambda x: ops.take(x, order, axis=0), cache["rows"])
            return time + 1, live, done, {**cache, "rows": moved}

        def improvable(time: Any, live: Any, done: Any, cache: Any) -> Any:
            best = ops.max(live["log_probs"], axis=1)
            worst = ops.min(done["scores"], axis=1)
            return ops.any((best > NEVER / 2) & (best / longest > worst))

        done = ops.while_loop(improvable, body, (_zero(), live, done, cache))[2]
        return done["ids"], done["log_probs"]

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


def _prepare(
    source: np.ndarray,
    max_lengths: np.ndarray | int,
    prefix: np.ndarray | None,
    prefix_lengths: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """int32 arrays for a loop: source, forced pieces [batch, width], prefix lengths [batch], limits [batch].

    The width of the forced pieces is the width of the result. On JAX rows, source and width are padded to powers of
    two, so that few shapes are compiled; the rows added have a limit of 0.
    """
    rows = len(source)
    source = np.asarray(source, "int32")
    limits = np.broadcast_to(np.asarray(max_lengths, "int32"), (rows,))
    if rows and limits.min() < 1:
        raise ValueError(f"max_lengths must be at least 1, found {limits.min()}")
    if prefix is None or prefix_lengths is None:
        prefix, prefix_lengths = np.zeros((rows, 0), "int32"), np.zeros(rows, "int32")
    prefix_lengths = np.asarray(prefix_lengths, "int32")
    limits = np.maximum(limits, prefix_lengths + 1)
    width = int(limits.max(initial=1))
    forced = np.full((rows, width), PAD, "int32")
    used = min(prefix.shape[1], width)
    forced[:, :used] = prefix[:, :used]
    if is_jax():
        extra = _power_of_two(rows, 1) - rows
        source = np.pad(source, ((0, extra), (0, _power_of_two(source.shape[1], 8) - source.shape[1])))
        # A row of PAD alone would leave attention nothing to look at.
        source[rows:] = source[:1]
        forced = np.pad(forced, ((0, extra), (0, _power_of_two(width, 16) - width)))
        prefix_lengths, limits = np.pad(prefix_lengths, (0, extra)), np.pad(limits, (0, extra))
    return source, forced, prefix_lengths, limits


def _power_of_two(number: int, least: int) -> int:
    return max(least, 1 << (number - 1).bit_length())


def _noise(forced: np.ndarray, limits: np.ndarray, rows: int, heat: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """`uniforms` [batch, width] below 1, and `temperature` [batch], padded as the task is."""
    padded, longest = len(forced), int(limits.max(initial=1))
    uniforms = np.zeros(forced.shape, "float32")
    # Below 1 by more than rounding, so that a draw never falls behind the last permitted piece.
    uniforms[:rows, :longest] = np.random.default_rng(seed).random((rows, longest)) * (1 - 2**-20)
    return {"uniforms": uniforms, "temperature": np.pad(heat, (0, padded - rows), constant_values=1.0)}


def _padded_rows(kept: np.ndarray) -> np.ndarray:
    """Rows to keep, int32; on JAX up to a power of two, so that few shapes are compiled: the last row again."""
    room = _power_of_two(len(kept), 1) if is_jax() else len(kept)
    return np.pad(kept, (0, room - len(kept)), mode="edge").astype("int32")


def _take_rows(state: dict[str, Any], rows: Any) -> dict[str, Any]:
    """The same rows int32 [kept] of every array of a loop's state."""
    return keras.tree.map_structure(lambda x: ops.take(x, rows, axis=0), state)


def _zero() -> Any:
    return ops.zeros((), dtype="int32")


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
