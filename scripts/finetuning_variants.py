"""Named sets of variants for compare_finetuning.py, `@methods` and so on: the keys of SETS.

Each variant is a name and settings of the section `finetune`, beside those that --set gives to all.
"""

import re


def _each(base: str, changes: dict[str, str]) -> dict[str, str]:
    """Variants of one setting, each with something changed."""
    return {name: f"{base},{change}" for name, change in changes.items()}


RATE, BREVITY = "optimizer.learning_rate", "reward.brevity=0.4"
CE = "objective=cross-entropy"
SCST, MRT, ALPHA = "objective=scst,policy_gradient.samples=1", "objective=mrt", "policy_gradient.mrt_alpha"
REINFORCE, MIXER = "objective=reinforce,policy_gradient.samples=1", "objective=mixer,policy_gradient.samples=1"
TRAJECTORY = "objective=trajectory,trajectory.monte_carlo_updates=30"
BOTH = "objective=both,trajectory.samples=1,trajectory.monte_carlo_updates=30"
LOGITS = "trajectory.q=logits,trajectory.backup=double,trajectory.trace=0,trajectory.monte_carlo_updates=0"
COSINE = "optimizer.schedule=cosine"
CONSTANT = "reward.metrics={constant: 1.0}"
SAME = f"sentences=32,{RATE}=6e-5,{BREVITY}"

FINAL = {
    "fork": f"sentences=64,updates=70,validation.every=10,{RATE}=6e-5,{BREVITY}",
    "scst": f"{SCST},sentences=32,updates=160,validation.every=54,{RATE}=6e-5,{BREVITY}",
    "mrt": f"{MRT},sentences=32,updates=54,validation.every=18,{RATE}=5e-5,{BREVITY}",
    "cross-entropy": f"{CE},sentences=128,updates=170,validation.every=34,{RATE}=1e-4",
}
"""For the test set, after the trials. Forks are validated more often; MRT is the best of those near the same time."""

METHODS = {
    **FINAL,
    "trajectory": f"{TRAJECTORY},{SAME},updates=92,validation.every=23",
    "both": f"{BOTH},{SAME},updates=76,validation.every=19",
    "dueling": f"{TRAJECTORY},trajectory.q=dueling,{SAME},updates=108,validation.every=27",
    "ilql": f"{TRAJECTORY},trajectory.q=ilql,{SAME},updates=108,validation.every=27",
    "logits": f"objective=trajectory,{LOGITS},{SAME},updates=60,validation.every=15",
    "reinforce": f"{REINFORCE},{SAME},updates=228,validation.every=57",
    "rloo": f"objective=rloo,{SAME},updates=54,validation.every=18",
    "mixer": f"{MIXER},policy_gradient.mixer_updates=20,{SAME},updates=200,validation.every=50",
    "constant": f"{FINAL['fork']},{CONSTANT}",
    "constant-reinforce": f"{REINFORCE},{SAME},updates=228,validation.every=57,{CONSTANT}",
    "constant-mrt": f"{MRT},policy_gradient.mrt_reference=false,{SAME},updates=54,validation.every=18,{CONSTANT}",
}
"""Every objective, cross-entropy continued, and constant rewards, the control for "it only got peakier"."""

DUELING = f"{TRAJECTORY},trajectory.q=dueling,{SAME},updates=108,validation.every=27"
LOGITS_WITH = f"objective=trajectory,trajectory.q=logits,{SAME},updates=60,validation.every=15"
OPTIONS = {
    "dueling-max": f"{DUELING},trajectory.backup=max",
    "dueling-double-20": f"{DUELING},trajectory.backup=double,trajectory.candidates=20",
    "dueling-cql": f"{DUELING},trajectory.cql=0.1",
    "dueling-margin": f"{DUELING},trajectory.replay.demonstrations=0.25,trajectory.margin=0.1",
    "logits-psi": f"{LOGITS_WITH},trajectory.backup=psi",
    "logits-munchausen": f"{LOGITS_WITH},trajectory.backup=munchausen",
    "demonstrations": f"{METHODS['trajectory']},trajectory.replay.demonstrations=0.25",
    "fork-controller": f"{FINAL['fork']},controller.every=5,controller.kl=0.01",
    "fork-prior-refresh": f"{FINAL['fork']},prior_refresh=23",
}
"""Options of METHODS that its rows leave as they are."""

FORK_ABLATIONS = _each(
    f"sentences=64,updates=36,validation.every=12,{RATE}=6e-5,{BREVITY}",
    {
        "half": "",
        "tau-0": "tau=0",
        "tau-.02": "tau=0.02",
        "tau-.1": "tau=0.1",
        "anchor-.02": "cross_entropy=0.02",
        "anchor-.1": "cross_entropy=0.1",
        "forks-1": "fork.per_source=1",
        "forks-3": "fork.per_source=3",
        "forks-8": "fork.per_source=8",
        "uniform-states": "fork.choice=uniform",
        "random-of-top-5": "fork.alternatives=4,fork.probability=0",
        "sampled-path": "fork.path=sampled",
        "rate-3e-5": f"{RATE}=3e-5",
        "rate-2e-4": f"{RATE}=2e-4",
        "epsilon-1e-5": "optimizer.epsilon=1e-5",
        "no-brevity": "reward.brevity=0",
        "chrf": "reward.metrics={chrf: 1.0},reward.brevity=0",
        "prior-refresh-12": "prior_refresh=12",
    },
)
"""Forked rollouts for half the updates of FINAL, and with something changed."""

TRAJECTORY_ABLATIONS = _each(
    f"objective=trajectory,trajectory.monte_carlo_updates=10,{SAME},updates=45,validation.every=15",
    {
        "trajectory-half": "",
        "one-step": "trajectory.trace=0,trajectory.monte_carlo_updates=0",
        "lambda-.5": "trajectory.trace=0.5",
        "monte-carlo": "trajectory.trace=1",
        "5-step": "trajectory.steps=5",
        "terminal-reward": "reward.shape=terminal",
        "v-sees-no-reference": "trajectory.privileged=false",
        "no-replay": "trajectory.replay.share=0",
        "replay-.5": "trajectory.replay.share=0.5",
        "prioritised": "trajectory.replay.share=0.5,trajectory.replay.priority=0.6",
        "target-.1": "trajectory.target_rate=0.1",
        "target-.005": "trajectory.target_rate=0.005",
        "trajectory-chrf": "reward.metrics={chrf: 1.0},reward.brevity=0",
        "trajectory-constant": CONSTANT,
    },
)
"""Trajectories for half the updates of METHODS, and with something changed."""

FORK_TRIALS = {
    "fork-64-6e-5": f"sentences=64,updates=112,validation.every=14,{RATE}=6e-5",
    "fork-64-6e-5-brevity": f"sentences=64,updates=66,validation.every=22,{RATE}=6e-5,{BREVITY}",
    "fork-64-1e-4-brevity": f"sentences=64,updates=66,validation.every=22,{RATE}=1e-4,{BREVITY}",
    "fork-32-8e-5-brevity": f"sentences=32,updates=126,validation.every=42,{RATE}=8e-5,{BREVITY}",
    "fork-64-8e-5-brevity-likely": f"sentences=64,updates=72,validation.every=18,{RATE}=8e-5,{BREVITY},"
    "fork.probability=0.15",
    "fork-64-8e-5-brevity-sampled": f"sentences=64,updates=54,validation.every=18,{RATE}=8e-5,{BREVITY},"
    "fork.path=sampled",
    "fork-64-8e-5-chrf": f"sentences=64,updates=66,validation.every=22,{RATE}=8e-5,"
    "reward.metrics={bleu: 0.5, chrf: 0.5}",
}
SCST_TRIALS = {
    "scst-32-3e-5": f"{SCST},sentences=32,updates=160,validation.every=54,{RATE}=3e-5",
    "scst-32-1e-4": f"{SCST},sentences=32,updates=160,validation.every=54,{RATE}=1e-4",
    "scst-32-6e-5-brevity": f"{SCST},sentences=32,updates=160,validation.every=54,{RATE}=6e-5,{BREVITY}",
    "scst-64-6e-5": f"{SCST},sentences=64,updates=84,validation.every=28,{RATE}=6e-5",
    "scst-64-8e-5-brevity": f"{SCST},sentences=64,updates=80,validation.every=20,{RATE}=8e-5,{BREVITY}",
    "scst-32-6e-5-brevity-cosine": f"{SCST},sentences=32,updates=160,validation.every=40,{RATE}=6e-5,{BREVITY},"
    f"{COSINE}",
    "scst-32-3e-5-brevity": f"{SCST},sentences=32,updates=160,validation.every=40,{RATE}=3e-5,{BREVITY}",
}
MRT_TRIALS = {
    "mrt-32-1e-4": f"{MRT},sentences=32,updates=66,validation.every=22,{RATE}=1e-4",
    "mrt-32-5e-5": f"{MRT},sentences=32,updates=66,validation.every=22,{RATE}=5e-5",
    "mrt-32-1e-4-.05": f"{MRT},{ALPHA}=0.05,sentences=32,updates=54,validation.every=18,{RATE}=1e-4",
    "mrt-32-5e-5-brevity": f"{MRT},sentences=32,updates=52,validation.every=17,{RATE}=5e-5,{BREVITY}",
    "mrt-32-1e-4-brevity-cosine": f"{MRT},sentences=32,updates=56,validation.every=14,{RATE}=1e-4,{BREVITY},{COSINE}",
    "mrt-32-2e-4-brevity-cosine": f"{MRT},sentences=32,updates=56,validation.every=14,{RATE}=2e-4,{BREVITY},{COSINE}",
    "mrt-64-1e-4-brevity-3": f"{MRT},policy_gradient.samples=3,sentences=64,updates=44,validation.every=11,{RATE}=1e-4,"
    f"{BREVITY}",
}
CROSS_ENTROPY_TRIALS = {
    f"ce-{rate}": f"{CE},sentences=128,updates=170,validation.every=34,{RATE}={rate}"
    for rate in ("3e-5", "1e-4", "3e-4")
}
"""Trials on the validation set, of four to ten processor minutes (docs/fine-tuning-trials.md)."""

LSTM_TRIALS = {
    "fork-64-2e-4": f"sentences=64,updates=110,validation.every=22,{RATE}=2e-4,{COSINE}",
    "fork-64-4e-4": f"sentences=64,updates=110,validation.every=22,{RATE}=4e-4,{COSINE}",
    "fork-128-4e-4": f"sentences=128,updates=60,validation.every=12,{RATE}=4e-4,{COSINE}",
    "scst-32-3e-5": f"{SCST},sentences=32,updates=200,validation.every=50,{RATE}=3e-5,{COSINE}",
    "scst-64-5e-5": f"{SCST},sentences=64,updates=116,validation.every=29,{RATE}=5e-5,{COSINE}",
    "scst-64-1e-4": f"{SCST},sentences=64,updates=116,validation.every=29,{RATE}=1e-4,{COSINE}",
    "mrt-32-5e-5": f"{MRT},sentences=32,updates=72,validation.every=18,{RATE}=5e-5,{COSINE}",
    "mrt-32-1e-4": f"{MRT},sentences=32,updates=72,validation.every=18,{RATE}=1e-4,{COSINE}",
    "mrt-64-1e-4": f"{MRT},policy_gradient.samples=3,sentences=64,updates=60,validation.every=15,{RATE}=1e-4,{COSINE}",
    "cross-entropy": f"{CE},sentences=128,updates=240,validation.every=60,{RATE}=1e-4,{COSINE}",
    "fork-128-3e-4": f"sentences=128,updates=60,validation.every=10,{RATE}=3e-4,{COSINE}",
    "both-32-3e-4": f"{BOTH},sentences=32,updates=80,validation.every=16,{RATE}=3e-4,{COSINE}",
    "fork-256-4e-4": f"sentences=256,updates=60,validation.every=12,{RATE}=4e-4,{COSINE}",
    "scst-256-2e-4": f"{SCST},sentences=256,updates=72,validation.every=18,{RATE}=2e-4,{COSINE}",
    "mrt-128-2e-4": f"{MRT},sentences=128,updates=45,validation.every=9,{RATE}=2e-4,{COSINE}",
    "cross-entropy-310": f"{CE},sentences=128,updates=310,validation.every=62,{RATE}=1e-4,{COSINE}",
    "fork-256-long": f"sentences=256,updates=120,validation.every=20,{RATE}=4e-4,{COSINE}",
}
"""The same for the LSTMs; give them the direction's brevity. Up to both-32-3e-4 three to four processor minutes (but
cross-entropy), the next four about seven, the last eleven."""

EN_DE_TRIALS = {
    "fork-64-3e-4-cosine": f"sentences=64,updates=80,validation.every=10,{RATE}=3e-4,{COSINE},reward.brevity=0.8",
    "fork-64-1e-4-cosine": f"sentences=64,updates=80,validation.every=10,{RATE}=1e-4,{COSINE},reward.brevity=0.8",
    "fork-128-1e-4-cosine": f"sentences=128,updates=60,validation.every=10,{RATE}=1e-4,{COSINE},reward.brevity=0.8",
    "fork-128-1e-4-cosine-long": f"sentences=128,updates=200,validation.every=25,{RATE}=1e-4,{COSINE},"
    "reward.brevity=0.8",
    "fork-256-1.5e-4": f"sentences=256,updates=60,validation.every=12,{RATE}=1.5e-4,{COSINE},reward.brevity=0.8",
    "fork-256-7e-5": f"sentences=256,updates=60,validation.every=12,{RATE}=7e-5,{COSINE},reward.brevity=0.8",
}
"""The same for the Transformer from English to German, beside the fork of FINAL."""

EN_FR_TRIALS = {
    "fork-128-1e-4-cosine": f"sentences=128,updates=60,validation.every=10,{RATE}=1e-4,{COSINE},{BREVITY}",
    "fork-128-3e-4-cosine": f"sentences=128,updates=60,validation.every=10,{RATE}=3e-4,{COSINE},reward.brevity=0.8",
    "fork-128-1e-4-cosine-1.5": f"sentences=128,updates=60,validation.every=10,{RATE}=1e-4,{COSINE},reward.brevity=1.5",
    "fork-128-1e-4-cosine-.8": f"sentences=128,updates=60,validation.every=10,{RATE}=1e-4,{COSINE},reward.brevity=0.8",
    "fork-64-6e-5-1.5": f"sentences=64,updates=110,validation.every=22,{RATE}=6e-5,reward.brevity=1.5",
    "fork-64-6e-5-1.5-long": f"sentences=64,updates=176,validation.every=22,{RATE}=6e-5,reward.brevity=1.5",
    "fork-256-7e-5": f"sentences=256,updates=60,validation.every=12,{RATE}=7e-5,{COSINE},reward.brevity=1.5",
    "both-32-1e-4-cosine-1.5": f"{BOTH},sentences=32,updates=110,validation.every=22,{RATE}=1e-4,{COSINE},"
    "reward.brevity=1.5",
}
"""The same from English to French."""

FINAL_EN_DE = {
    "fork": EN_DE_TRIALS["fork-128-1e-4-cosine"],
    "cross-entropy": f"{CE},sentences=128,updates=170,validation.every=34,{RATE}=1e-4",
    "scst": f"{SCST},sentences=32,updates=260,validation.every=65,{RATE}=1e-4,reward.brevity=0.8",
    "mrt": f"{MRT},sentences=32,updates=90,validation.every=18,{RATE}=1e-4,reward.brevity=0.8",
}
"""For the test set, from English to German; only the fork's settings were chosen by trials in that direction."""

FINAL_EN_FR = {
    "fork": EN_FR_TRIALS["fork-64-6e-5-1.5-long"],
    "cross-entropy": f"{CE},sentences=128,updates=270,validation.every=54,{RATE}=1e-4",
    "scst": f"{SCST},sentences=32,updates=360,validation.every=72,{RATE}=6e-5,reward.brevity=1.5",
    "mrt": f"{MRT},sentences=32,updates=120,validation.every=24,{RATE}=5e-5,reward.brevity=1.5",
}
"""For the test set, from English to French; only the fork's settings were chosen by trials in that direction."""


def _baselines(brevity: str, scale: float) -> dict[str, str]:
    """Trials of SCST and MRT for a Transformer, beside those of its FINAL; `scale` makes them as long as its forks."""
    scst, mrt = round(260 * scale), round(90 * scale)
    trials = {
        "scst-32-3e-5": f"{SCST},sentences=32,updates={scst},validation.every={scst // 4},{RATE}=3e-5,{brevity}",
        "scst-64-6e-5": f"{SCST},sentences=64,updates={scst // 2},validation.every={scst // 8},{RATE}=6e-5,{brevity}",
        "scst-128-1e-4": f"{SCST},sentences=128,updates={scst // 4},validation.every={scst // 16},{RATE}=1e-4,"
        f"{brevity}",
        "scst-32-6e-5": f"{SCST},sentences=32,updates={scst},validation.every={scst // 4},{RATE}=6e-5,"
        "reward.brevity=0.8",
        "mrt-32-3e-5": f"{MRT},sentences=32,updates={mrt},validation.every={mrt // 5},{RATE}=3e-5,{brevity}",
        "mrt-32-1e-4": f"{MRT},sentences=32,updates={mrt},validation.every={mrt // 5},{RATE}=1e-4,{brevity}",
        "mrt-64-1e-4": f"{MRT},policy_gradient.samples=3,sentences=64,updates={mrt * 2 // 3},"
        f"validation.every={mrt * 2 // 15},{RATE}=1e-4,{brevity}",
        "mrt-32-5e-5": f"{MRT},sentences=32,updates={mrt},validation.every={mrt // 5},{RATE}=5e-5,reward.brevity=0.8",
    }
    return {name: f"{settings},{COSINE}" for name, settings in trials.items()}


EN_DE_BASELINES, EN_FR_BASELINES = _baselines("reward.brevity=0.8", 1.0), _baselines("reward.brevity=1.5", 1.35)
"""As many trials of SCST and MRT as of forks before the test set was translated, and one more."""

LSTM_BASELINES = {
    "scst-32-3e-5-0": f"{LSTM_TRIALS['scst-32-3e-5']},reward.brevity=0",
    "scst-64-5e-5-0": f"{LSTM_TRIALS['scst-64-5e-5']},reward.brevity=0",
    "scst-128-1e-4-0": f"{SCST},sentences=128,updates=72,validation.every=18,{RATE}=1e-4,{COSINE},reward.brevity=0",
    "mrt-32-5e-5-0": f"{LSTM_TRIALS['mrt-32-5e-5']},reward.brevity=0",
}
"""More of SCST and MRT for the LSTMs from English, without brevity."""

SETS = {
    "methods": METHODS,
    "options": OPTIONS,
    "ablations-fork": FORK_ABLATIONS,
    "ablations-trajectory": TRAJECTORY_ABLATIONS,
}
SETS |= {
    "trials-fork": FORK_TRIALS,
    "trials-scst": SCST_TRIALS,
    "trials-mrt": MRT_TRIALS,
    "trials-cross-entropy": CROSS_ENTROPY_TRIALS,
    "trials-lstm": LSTM_TRIALS,
    "final": FINAL,
    "trials-en-de": EN_DE_TRIALS,
    "trials-en-fr": EN_FR_TRIALS,
    "final-en-de": FINAL_EN_DE,
    "final-en-fr": FINAL_EN_FR,
    "trials-baselines-en-de": EN_DE_BASELINES,
    "trials-baselines-en-fr": EN_FR_BASELINES,
    "trials-baselines-lstm": LSTM_BASELINES,
}


def variants(words: list[str]) -> dict[str, list[str]]:
    """Names and settings of `name:key=value,key=value` and of `@set`; ValueError for an unknown set, two of a name."""
    found: dict[str, str] = {}
    for word in words:
        if not word.startswith("@"):
            name, _, settings = word.partition(":")
            found[name] = settings
        elif word[1:] in SETS:
            again = [name for name, settings in SETS[word[1:]].items() if found.get(name, settings) != settings]
            if again:
                raise ValueError(f"{word} has another {again[0]} than the words before it; compare them in two runs")
            found |= SETS[word[1:]]
        else:
            raise ValueError(f"there is no set {word}; known sets: {', '.join(f'@{name}' for name in SETS)}")
    # Commas inside brackets belong to the value.
    return {name: [s for s in re.split(r",(?![^\[{]*[\]}])", settings) if s] for name, settings in found.items()}
