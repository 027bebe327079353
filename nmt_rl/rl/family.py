"""From the experiment to the model that is fine-tuned and the terms of its loss."""

from __future__ import annotations

from dataclasses import dataclass

from nmt_rl.backend import seeded
from nmt_rl.config import Config, QHeadsConfig
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.models.build import build_model
from nmt_rl.models.q_guided import QGuided, QHeads
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.action_values import ActionValues
from nmt_rl.rl.baselines import PolicyGradientTerm, RiskTerm
from nmt_rl.rl.forks import ForkTerm
from nmt_rl.rl.q_network import KLNetwork, QNetwork
from nmt_rl.rl.references import ReferenceTerm
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.term import Term
from nmt_rl.rl.trajectories import TrajectoryTerm


@dataclass(frozen=True)
class Family:
    """What a fine-tuning objective is made of."""

    config: Config
    """The experiment with the model that is trained, Q heads included."""
    model: Seq2Seq
    terms: list[Term]


def build_family(config: Config, prior: Seq2Seq, prepared: Prepared, reward: Reward) -> Family:
    """The model of the configured objective, which starts as the prior, and its terms.

    Args:
        config: the experiment.
        prior: the frozen pretrained model.
        prepared: corpus and tokenizers.
        reward: what a translation is worth.
    """
    settings, tokenizer = config.finetune, prepared.tokenizers.target
    seed = config.finetune_seed
    model = copy_of(prior, config)
    terms: list[Term] = []
    if settings.objective in ("fork", "both"):
        terms.append(ForkTerm(model, prior, tokenizer, reward, config))
    if settings.objective in ("trajectory", "both"):
        config, model, network = _q_network(config, model, prior, reward, seed)
        terms.append(TrajectoryTerm(model, prior, network, reward, prepared.train, config))
    if settings.objective in ("reinforce", "scst", "rloo", "mixer"):
        terms.append(PolicyGradientTerm(model, tokenizer, reward, config, seed))
    if settings.objective == "mrt":
        terms.append(RiskTerm(model, tokenizer, reward, config))
    anchor = 1.0 if settings.objective == "cross-entropy" else settings.cross_entropy
    if anchor:
        terms.append(ReferenceTerm(config.pretrain.label_smoothing, anchor))
    return Family(config, model, terms)


def copy_of(prior: Seq2Seq, config: Config) -> Seq2Seq:
    """A second model with the weights of the first, trainable."""
    model = build_model(config.model, *prior.embeddings.sizes, config.seed, config.finetune.precision)
    model.set_weights(prior.get_weights())
    return model


def _q_network(
    config: Config, model: Seq2Seq, prior: Seq2Seq, reward: Reward, seed: int
) -> tuple[Config, Seq2Seq, QNetwork]:
    """The experiment and model, with Q heads where they are wanted, and the parameterisation of Q."""
    settings, part = config.finetune, config.finetune.trajectory
    if part.q == "kl":
        return config, model, KLNetwork(model, copy_of(prior, config), reward.features, settings, seed)
    if part.q == "logits":
        return config, model, ActionValues(model, copy_of(prior, config), prior, settings)
    heads = QHeadsConfig(kind=part.q, units=part.value_units)
    config = config.model_copy(update={"model": config.model.model_copy(update={"q_heads": heads})})
    model.trainable = False
    guided, target = (QGuided(model, draw_heads(model, heads, seed), part.beta) for _ in range(2))
    return config, guided, ActionValues(guided, target, prior, settings)


def draw_heads(base: Seq2Seq, config: QHeadsConfig, seed: int) -> QHeads:
    """Fresh Q heads for the states of a model; the same for the same seed."""
    with seeded(seed):
        return QHeads(config.kind, base.embeddings.width, base.embeddings.sizes[1], config.units)
