"""Sections of fine-tuning: the token-level deep Q-network and its baselines."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from nmt_rl.config.section import Section
from nmt_rl.config.training import OptimizerConfig, ValidationConfig

Objective = Literal["fork", "trajectory", "both", "reinforce", "scst", "rloo", "mrt", "mixer", "cross-entropy"]
METRICS = ("bleu", "chrf", "ter", "constant")
POLICY_GRADIENTS = ("reinforce", "scst", "rloo", "mrt", "mixer")


class RewardConfig(Section):
    """What a translation is worth, and when the reward is paid."""

    metrics: dict[str, float] = Field(default_factory=lambda: {"bleu": 1.0}, min_length=1)
    """Weights of sentence metrics, which are added: bleu, chrf, ter (as 1 - TER), constant (a control: always 0.5), or
    `module:function` of (hypotheses, references), two lists of text, that returns a number for each, about [0, 1].
    The mapping is given whole."""
    smoothing: Literal["add-k", "floor", "exp", "none"] = "add-k"
    """Of the sentence BLEU (Chen and Cherry, 2014): k added from bigrams on; a floor for counts of 0 (their method 1);
    halving for each order without a match (method 3, sacreBLEU's default); or none."""
    smoothing_value: float | None = Field(None, gt=0.0)
    """k of add-k (1 if absent), or the floor (0.1)."""
    brevity: float = Field(0.0, ge=0.0)
    """Words added to the reference's length in the sentence BLEU's brevity penalty (Nakov et al., 2012: 1), where
    fine-tuning makes translations too short."""
    shape: Literal["delta", "terminal"] = "delta"
    """Pay the gain of each completed word, or everything at the end; the sum is the same."""

    @model_validator(mode="after")
    def _value_is_used(self) -> RewardConfig:
        if self.smoothing_value is not None and self.smoothing in ("exp", "none"):
            raise ValueError(f"smoothing_value is for add-k and floor, found smoothing {self.smoothing}")
        return self

    @model_validator(mode="after")
    def _metrics_are_known(self) -> RewardConfig:
        for name in self.metrics:
            if name not in METRICS and ":" not in name:
                near = difflib.get_close_matches(name.lower(), METRICS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(METRICS)} and module:function"
                raise ValueError(f"metrics has no {name!r}; {hint}")
        if not any(self.metrics.values()):
            raise ValueError(f"metrics needs a weight that is not 0, found {self.metrics}")
        return self


class ForkConfig(Section):
    """Forked rollouts (part A of the objective)."""

    per_source: int = Field(5, ge=1)
    """Most forks per source."""
    probability: float = Field(0.05, ge=0.0, lt=1.0)
    """Fork only where the alternative's probability exceeds this."""
    choice: Literal["probability", "uniform"] = "probability"
    """Draw the states in proportion to the alternative's probability, or all alike."""
    alternatives: int = Field(1, ge=1)
    """1: the alternative is the runner-up; more: one drawn uniformly among so many next best (then with
    `probability: 0`, or few states qualify)."""
    path: Literal["greedy", "sampled"] = "greedy"
    """Fork from greedy translations; or from sampled ones, where both the best piece and the alternative are tried."""
    temperature: float = Field(1.0, ge=0.01)
    """Of the sampled translations."""


class BehaviourConfig(Section):
    """The policy that samples translations."""

    policy: Literal["boltzmann", "epsilon-greedy"] = "boltzmann"
    temperatures: tuple[Annotated[float, Field(ge=0.01)], ...] = Field((0.7, 1.0, 1.2), min_length=1)
    """Ladder of temperatures (boltzmann); each source gets some of them."""
    top_k: int = Field(20, ge=0)
    """Draw among this many pieces only; 0: all."""
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    """Draw among the fewest pieces that have this probability together (Holtzman et al., 2020)."""
    epsilon: float = Field(0.05, ge=0.0, le=1.0)
    """Probability of a piece drawn uniformly among the top_k (epsilon-greedy), at the start."""
    epsilon_end: float = Field(0.01, ge=0.0, le=1.0)
    epsilon_updates: int = Field(500, ge=1)
    """Updates over which epsilon falls linearly."""

    @model_validator(mode="after")
    def _uniform_among_some(self) -> BehaviourConfig:
        if self.policy == "epsilon-greedy" and self.top_k == 0:
            raise ValueError("epsilon-greedy needs top_k above 0, found 0: a uniform draw among all pieces is noise")
        if self.epsilon_end > self.epsilon:
            raise ValueError(f"epsilon falls to epsilon_end, found {self.epsilon:g} and {self.epsilon_end:g}")
        return self


class ReplayConfig(Section):
    """Replay of whole translations."""

    capacity: int = Field(20_000, ge=1)
    """Sequences kept, demonstrations not counted."""
    share: float = Field(0.25, ge=0.0, lt=1.0)
    """Share of each batch that is drawn from the replay; the rest is fresh."""
    demonstrations: float = Field(0.0, ge=0.0, lt=1.0)
    """Further share of each batch: references, which are never evicted (Hester et al., 2018)."""
    max_age: int = Field(0, ge=0)
    """Updates after which a sequence is not drawn any more; 0: never."""
    priority: float = Field(0.0, ge=0.0, le=1.0)
    """Exponent of the priorities (Schaul et al., 2016); 0: uniform."""
    priority_mix: float = Field(0.9, ge=0.0, le=1.0)
    """eta: priority is eta max |TD error| + (1 - eta) mean |TD error| of a sequence (Kapturowski et al., 2019)."""
    uniform_mix: float = Field(1e-3, ge=0.0, le=1.0)
    """Probability of a uniform draw instead."""
    importance: float = Field(0.4, ge=0.0, le=1.0)
    """Exponent of the importance weights at the start; it rises linearly to 1 at the last update."""

    @model_validator(mode="after")
    def _leaves_room(self) -> ReplayConfig:
        if self.share + self.demonstrations >= 1.0:
            total = f"{self.share} + {self.demonstrations}"
            raise ValueError(f"share and demonstrations together must leave room (below 1), found {total}")
        return self


class TrajectoryConfig(Section):
    """Temporal differences on sampled and replayed sequences (part B of the objective)."""

    q: Literal["kl", "dueling", "ilql", "logits"] = "kl"
    """Q = V + tau log(pi / prior); a dueling head V + A - mean A on the decoder's states (Wang et al., 2016); twin
    heads with an expectile V (Snell et al., 2023); or the raw logits as Q (the negative control)."""
    backup: Literal["soft", "max", "double", "psi", "munchausen"] = "soft"
    """Value of the next state. dueling: soft (G-learning), max, double; logits: max and double, with Q = z (the
    negative control), psi and munchausen, with Q = tau z; ilql has its own, and kl is soft by construction."""
    candidates: int = Field(0, ge=0)
    """Back up over so many pieces of the prior only; 0: all."""
    steps: int = Field(0, ge=0)
    """n-step targets, which `trace` is not for; 0: lambda-targets."""
    trace: float = Field(0.95, ge=0.0, le=1.0)
    """lambda of the targets: 0 one-step TD, 1 Monte Carlo (for heads and hard backups plain returns)."""
    monte_carlo_updates: int = Field(200, ge=0)
    """Use Monte Carlo targets for the first updates, while values are untrained; n-step targets wait, too."""
    samples: int = Field(2, ge=1)
    """Sampled translations per source and update."""
    behaviour: BehaviourConfig = BehaviourConfig()
    replay: ReplayConfig = ReplayConfig()
    target_rate: float = Field(0.02, gt=0.0, le=1.0)
    """Polyak rate of the target network per update."""
    target_period: int = Field(0, ge=0)
    """Copy the target network every so many updates instead; 0: Polyak."""
    value_units: int = Field(256, ge=1)
    """Hidden units of the heads."""
    value_learning_rate: float = Field(1e-3, gt=0.0)
    """Of V (kl) and of the heads (dueling, ilql)."""
    privileged: bool = True
    """Show V (kl) the reference's length and the n-gram precision so far (training only)."""
    expectile: float = Field(0.7, gt=0.0, lt=1.0)
    """Of V (ilql); 0.5 is the mean, 1 the maximum."""
    munchausen: float = Field(0.9, ge=0.0, le=1.0)
    """alpha of the Munchausen reward."""
    munchausen_floor: float = Field(-1.0, lt=0.0)
    """Lowest tau log pi in it; -1 as in the paper, which cuts nothing while tau is far below its 0.03."""
    beta: float = Field(8.0, ge=0.0)
    """Heads (dueling, ilql) act by log prior + beta times the advantage, in nats per BLEU of [0, 1]."""
    betas: tuple[NonNegativeFloat, ...] = (2.0, 4.0, 16.0, 32.0)
    """When the heads have learnt, these are tried as well; the one that validates best is stored with the model."""
    cql: float = Field(0.0, ge=0.0)
    """Weight of conservative Q-learning (Kumar et al., 2020) at temperature tau, for heads and logits, on all that is
    trained on, fresh samples included; for kl it is `cross_entropy`."""
    margin: float = Field(0.0, ge=0.0)
    """Weight of the large margin on demonstrations (Hester et al., 2018), for heads and logits."""
    margin_size: float = Field(0.05, gt=0.0)
    """By which a demonstrated piece should lead, in BLEU of [0, 1]."""

    @model_validator(mode="after")
    def _fits(self) -> TrajectoryConfig:
        known = {"dueling": ("soft", "max", "double"), "logits": ("max", "double", "psi", "munchausen")}
        if self.backup not in known.get(self.q, ("soft",)):
            allowed = ", ".join(known.get(self.q, ("soft",)))
            raise ValueError(f"q {self.q} needs a backup of {allowed}, found {self.backup}")
        if self.candidates and self.q in ("kl", "ilql"):
            raise ValueError(f"candidates are for q dueling and logits, found q {self.q}")
        for name, weight in (("cql", self.cql), ("margin", self.margin)):
            if self.q == "kl" and weight:
                raise ValueError(f"{name} is for q dueling, ilql and logits, found q kl; use finetune.cross_entropy")
        if self.margin and not self.replay.demonstrations:
            raise ValueError("margin needs replay.demonstrations above 0, found 0")
        return self

    @property
    def penalty_is_exact(self) -> bool:
        """Whether Q(s, a) less the value of s is tau times log-probabilities of the policy, and not an estimate."""
        return self.q == "kl" or self.backup in ("psi", "munchausen")


class PolicyGradientConfig(Section):
    """The baselines: reinforce, scst, rloo, mrt, mixer."""

    samples: int = Field(5, ge=1)
    """Sampled translations per source."""
    temperature: float = Field(1.0, ge=0.01)
    """Of the samples. Only 1, with top_k 0 and nothing in `decoding` that forbids repetitions, samples the policy whose
    gradient is taken; nothing corrects for others."""
    top_k: int = Field(0, ge=0)
    """Draw among this many pieces only; 0: all."""
    baseline_units: int = Field(256, ge=1)
    """Hidden units of the learned baseline (reinforce, mixer)."""
    baseline_learning_rate: float = Field(1e-3, gt=0.0)
    mrt_alpha: float = Field(0.005, gt=0.0)
    """Sharpness of the risk's distribution over the samples (Shen et al., 2016, for 100 samples)."""
    mrt_reference: bool = True
    """Put the reference among the samples."""
    mixer_pieces: int = Field(3, ge=1)
    """Pieces that move from cross-entropy to reinforce at a time, from the end on (Ranzato et al., 2016)."""
    mixer_updates: int = Field(50, ge=1)
    """Updates between two such moves."""


class ControllerConfig(Section):
    """Keeps the policy near the prior by moving tau (objectives fork, trajectory and both)."""

    every: int = Field(0, ge=0)
    """Updates between two moves; 0: tau is constant."""
    kl: float = Field(0.05, gt=0.0)
    """Largest KL to the prior, in nats per piece of the translations trained on."""
    length: float = Field(0.03, gt=0.0)
    """Largest deviation of the length ratio from 1."""
    rate: float = Field(0.1, gt=0.0, le=1.0)
    """tau is multiplied by e^rate above a limit, by e^-rate below both."""
    range: float = Field(10.0, gt=1.0)
    """tau stays between finetune.tau / range and finetune.tau * range: no tau brings back a length that was wrong
    from the start."""


class FinetuneOptimizerConfig(OptimizerConfig):
    """The optimizer with the defaults of fine-tuning: a small constant rate."""

    learning_rate: float = Field(5e-5, gt=0.0)
    schedule: Literal["constant", "inverse-sqrt", "cosine", "plateau"] = "constant"
    warmup: int = Field(100, ge=0)


class FinetuneValidationConfig(ValidationConfig):
    """Validation with the defaults of fine-tuning: often, and without early stopping."""

    every: int = Field(100, ge=1)
    patience: int = Field(1000, ge=1)


class FinetuneConfig(Section):
    """Token-level deep Q-network with a BLEU reward, or one of its baselines."""

    objective: Objective = "fork"
    """The Q-network by forked rollouts, by trajectories, or by both; or a baseline: policy gradients, minimum risk
    training, or cross-entropy continued."""
    updates: int = Field(1500, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    """Stop after this much fine-tuning time, in minutes, validation not counted, kept across restarts."""
    seed: int | None = Field(None, ge=0)
    """Of this stage alone; the experiment's if absent."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the products with weight matrices, of policy and prior, while they play and learn; all else stays
    float32."""
    sentences: int = Field(32, ge=1)
    """Source sentences per update."""
    max_length: int = Field(128, ge=4)
    """Longest side of a source or reference, pieces including the end symbol."""
    reward: RewardConfig = RewardConfig()
    tau: float = Field(0.005, ge=0.0)
    """Strength of the pull to the prior, in BLEU of [0, 1] per nat."""
    controller: ControllerConfig = ControllerConfig()
    prior_refresh: int = Field(0, ge=0)
    """Updates between two replacements of the prior by the policy; 0: never."""
    huber: float = Field(0.5, ge=0.0)
    """Cut of the Huber loss on TD errors; 0: squared."""
    cross_entropy: float = Field(0.0, ge=0.0)
    """Weight of the cross-entropy anchor on the references."""
    fork: ForkConfig = ForkConfig()
    trajectory: TrajectoryConfig = TrajectoryConfig()
    trajectory_weight: float = Field(1.0, gt=0.0)
    """Weight of the trajectory loss where objective is both."""
    policy_gradient: PolicyGradientConfig = PolicyGradientConfig()
    optimizer: FinetuneOptimizerConfig = FinetuneOptimizerConfig()
    validation: FinetuneValidationConfig = FinetuneValidationConfig()
    average: int = Field(3, ge=1)
    """The candidate model is the average of the last so many validated checkpoints."""
    checkpoint_every: int = Field(100, ge=1)
    log_every: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> FinetuneConfig:
        if self.objective in ("rloo", "mrt") and self.policy_gradient.samples < 2:
            raise ValueError(f"objective {self.objective} needs policy_gradient.samples of at least 2, found 1")
        if self.objective == "both" and self.trajectory.q != "kl":
            raise ValueError(f"objective both shares one policy and needs trajectory.q kl, found {self.trajectory.q}")
        return self

    @model_validator(mode="after")
    def _prior_and_tau_serve(self) -> FinetuneConfig:
        part = self.trajectory
        if self.objective == "trajectory" and part.q in ("dueling", "ilql") and self.prior_refresh:
            raise ValueError(f"prior_refresh is for a policy that is trained, found trajectory.q {part.q}")
        if self.prior_refresh and self.objective not in ("fork", "trajectory", "both"):
            raise ValueError(f"prior_refresh replaces the prior, which objective {self.objective} does not use")
        divided = part.cql or part.backup in ("psi", "munchausen") or (part.q, part.backup) == ("dueling", "soft")
        if self.objective == "trajectory" and divided and not self.tau:
            raise ValueError("tau must be above 0 for soft backups over all pieces and for cql, found 0")
        if self.controller.every and self.objective not in ("fork", "trajectory", "both"):
            raise ValueError(f"controller moves tau, which objective {self.objective} does not use")
        if self.controller.every and self.objective == "trajectory" and part.q != "kl" and not divided:
            raise ValueError(
                f"controller moves tau, which trajectory.q {part.q} with backup {part.backup} does not use"
            )
        if self.controller.every and not self.tau:
            raise ValueError("controller multiplies tau, which must then be above 0, found 0")
        return self
