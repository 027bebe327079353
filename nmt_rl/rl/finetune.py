"""The second stage: the pretrained model as a token-level deep Q-network whose reward is BLEU."""

from __future__ import annotations

import functools
import logging
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nmt_rl.backend import batch_parts, use_devices
from nmt_rl.bundle import load_bundle, save_bundle
from nmt_rl.bundle.adapters import base_of
from nmt_rl.config import BatchConfig, Config
from nmt_rl.corpus.batches import ordered_batches, pad_mode
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import LABELS
from nmt_rl.models.q_guided import QGuided
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.results import finished, write_result
from nmt_rl.rl.actor import Actor, SentenceStream
from nmt_rl.rl.agent import Agent, Cut, by_length, by_source, whole
from nmt_rl.rl.divergence import Divergence
from nmt_rl.rl.family import Family, build_family
from nmt_rl.rl.reward import make_reward
from nmt_rl.rl.term import Objective
from nmt_rl.rl.validation_forks import ValidationForks
from nmt_rl.training.adapting import keep_adapter
from nmt_rl.training.card import model_card
from nmt_rl.training.events import EventLog
from nmt_rl.training.learner import Learner
from nmt_rl.training.length import tune_length, tuned_as
from nmt_rl.training.loop import TrainingLoop
from nmt_rl.training.validation import SENTENCES, Validator, is_whole, whole_validation

logger = logging.getLogger("nmt_rl")

PARTS = 3
"""Of a batch whose episodes are learnt from each alone, where nothing has to be compiled for each shape."""


def finetune(
    config: Config, prepared: Prepared, run: Path, distribute: Callable[[Family, Config], Actor] | None = None
) -> dict[str, Any]:
    """Fine-tune RUN/pretrain/model and write RUN/finetune/model; a finished stage is not run again.

    Both are compared on all validation lines, whatever `validation.sentences` says of those on the way, each with the
    word reward that was tuned for it (`tune_length`). The candidate is the average of the last validated checkpoints,
    not the best of a noisy validation. With Q heads its beta is the best on validation, so that its scores there are a
    little optimistic.

    Args:
        config: the experiment.
        prepared: its corpus.
        run: its folder.
        distribute: makes an actor that plays elsewhere what the family's own would play.

    Returns:
        The stage's result: validation scores of the pretrained model and of the candidate, updates, seconds; and, of
        methods with a Q, what the candidate's predicts (`q`, a QDiagnosis).

    Raises:
        UserError: if there is no pretrained model.
        RunError: if the loss becomes NaN or the disk is full.
    """
    stage = run / "finetune"
    if (result := finished(stage, config.finetune)) is not None:
        return result
    if not (run / "pretrain" / "model").is_dir():
        raise UserError(
            f"{run} holds no pretrained model; run nmt-rl pretrain with --out {shlex.quote(str(run))} first"
        )
    family, frozen = _start(config, prepared, run, distribute)
    plain, config, model, settings = config, family.config, family.model, family.config.finetune
    divergence = Divergence(model, frozen)
    forks = ValidationForks(family, family.q) if family.q is not None else None
    validator = PolicyValidator(divergence, prepared, config, forks)
    events = EventLog(run)
    loop = TrainingLoop("finetune", settings, make_agent(family), validator, run, events)
    before = loop.before()
    progress = loop.run()
    loop.load_average(loop.kept("last"))
    after = choose_beta(model, validator, config.score) if isinstance(model, QGuided) else validator()
    bundle, untuned = load_bundle(run / "pretrain" / "model"), config.decoding.word_reward
    plain, (config, length) = tuned_as(plain, bundle.config), tune_length(model, prepared, config)
    if not is_whole(settings, prepared) or {each.decoding.word_reward for each in (plain, config)} != {untuned}:
        before = before | whole_validation(bundle.model, prepared, plain)
        after = after | whole_validation(model, prepared, config)
    name = config.score
    logger.info("finetune: validation %s %.2f -> %.2f", LABELS[name], before[name], after[name])
    result = progress.told()
    result |= {"before": before, "valid": after, "lines": len(prepared.valid), "length": length}
    if forks is not None:
        result["q"] = asdict(forks.diagnosis())
    with loop.explained():
        events.write("finetune", "end", progress.step, **after)
        events.close()
        base = base_of(run / "pretrain" / "model", bundle.config)
        model = keep_adapter(stage, model, config, settings.adapt, base, result)
        card = model_card(config, prepared, "finetune", model.count_params(), validator.signature, result)
        if "start" in bundle.card:
            card["start"] = bundle.card["start"]
        save_bundle(stage / "model", config, prepared.tokenizers, model, card)
        write_result(stage, settings, result)
    return result


def _start(
    config: Config, prepared: Prepared, run: Path, distribute: Callable[[Family, Config], Actor] | None
) -> tuple[Family, Seq2Seq]:
    """The method's parts, and the pretrained model, frozen."""
    reward = make_reward(config.finetune.reward, prepared.tokenizers.target, config.corpus.target_language)
    use_devices(config.finetune.devices)
    frozen = load_bundle(run / "pretrain" / "model", config.finetune.precision).model
    frozen.trainable = False
    family = build_family(config, frozen, prepared, reward)
    if distribute is not None:
        family.actor = distribute(family, config)
    return family, frozen


def make_agent(family: Family) -> Agent:
    """The loop of a method's parts."""
    settings, prepared = family.config.finetune, family.prepared
    longest = min(settings.max_length, family.model.max_length)
    seed = family.config.finetune_seed
    target = prepared.tokenizers.target
    sentences = SentenceStream(prepared.train, target, family.reward, settings.sentences, longest, seed)
    learner = Learner(family.model, Objective(family.terms), settings.optimizer)
    return Agent(
        family.actor, family.replay, learner, family.terms, sentences, settings, family.ratio, family.together,
        _cut(family),
    )  # fmt: skip


def _cut(family: Family) -> Cut:
    """How a batch is cut before an update: because of padding, and to be divided among devices."""
    parts, devices = PARTS if family.apart and pad_mode(BatchConfig()) == "longest" else 1, batch_parts()
    parts = -(-parts // devices) * devices
    return whole if parts == 1 else functools.partial(by_length if family.apart else by_source, parts=parts)


def choose_beta(model: QGuided, validate: Callable[[], dict[str, float]], metric: str = "bleu") -> dict[str, float]:
    """Let the Q heads guide as strongly as validates best: give the model the beta with the highest score.

    Args:
        model: its own beta is tried, a quarter and a half of it, twice and four times as much; of two that are equally
            good the smaller is chosen.
        validate: scores of the model as it is.
        metric: the one that counts.

    Returns:
        The scores with that beta, and `beta`.
    """
    scores = {}
    for beta in [round(float(model.beta), 6) * factor for factor in (0.25, 0.5, 1.0, 2.0, 4.0)]:
        model.beta.assign(beta)
        scores[beta] = validate()
        logger.info("finetune: beta %g validates at %s %.2f", beta, LABELS[metric], scores[beta][metric])
    best = max(scores, key=lambda beta: scores[beta][metric])
    model.beta.assign(best)
    return scores[best] | {"beta": best}


class PolicyValidator:
    """Validation of a policy: BLEU, chrF and length ratio of greedy translations, their KL to the prior and entropy,
    and what its Q predicts.

    Args:
        divergence: of the policy from the pretrained model.
        prepared: validation pairs and tokenizers.
        config: the experiment.
        forks: that Q is measured on; None: the method has no Q.
    """

    def __init__(
        self, divergence: Divergence, prepared: Prepared, config: Config, forks: ValidationForks | None = None
    ) -> None:
        """See the class docstring."""
        self._divergence, self.tokenizers, self._forks = divergence, prepared.tokenizers, forks
        pairs = prepared.valid[: config.finetune.validation.sentences]
        self._validator = Validator(divergence.policy, prepared.tokenizers, pairs, config, prepared.further)
        self._room = divergence.policy.max_length
        self._longest = min(self._room, config.decoding.max_source_length)

    @property
    def signature(self) -> str:
        """sacreBLEU's, of the last validation."""
        return self._validator.signature

    def __call__(self) -> dict[str, float]:
        """The metrics, `length_ratio`, `loss` (cross-entropy), `kl` and `entropy` in nats, further scores, and the
        numbers of `ValidationForks`."""
        hypotheses = self._validator.translate()
        scores = self._validator.scores(hypotheses)
        kl, entropy = self._policy_statistics(hypotheses)
        return {
            **scores.values,
            "length_ratio": scores.length_ratio,
            "loss": self._validator.loss(),
            "kl": kl,
            "entropy": entropy,
            **self._validator.further_scores(),
            **(self._forks.numbers() if self._forks is not None else {}),
        }

    def _policy_statistics(self, hypotheses: list[str]) -> tuple[float, float]:
        sources = [ids[: self._longest - 1] for ids in self.tokenizers.source.encode(self._validator.sources)]
        targets = [ids[: self._room - 1] for ids in self.tokenizers.target.encode(hypotheses)]
        sums = np.zeros(3)
        for rows in ordered_batches(sources, targets, BatchConfig(type="sentences", size=SENTENCES)):
            sums += self._divergence(rows.source, rows.target_in, rows.target_out)
        return sums[0] / sums[2], sums[1] / sums[2]
