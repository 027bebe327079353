"""Named sets of variants for compare_finetuning.py, `@methods` and so on: the keys of SETS.

Each variant is a name and settings of the section `finetune`, beside those that --set gives to all.
"""

import re

METHODS = {
    "fork": "",
    "trajectory": "objective=trajectory",
    "both": "objective=both",
    "dueling": "objective=trajectory,trajectory.q=dueling",
    "ilql": "objective=trajectory,trajectory.q=ilql,trajectory.beta=2",
    "logits": "objective=trajectory,trajectory.q=logits,trajectory.backup=double,trajectory.trace=0,"
    "trajectory.monte_carlo_updates=0",
    "reinforce": "objective=reinforce,policy_gradient.samples=1",
    "scst": "objective=scst,policy_gradient.samples=1",
    "rloo": "objective=rloo",
    "mrt": "objective=mrt",
    "mixer": "objective=mixer,policy_gradient.samples=1",
    "cross-entropy": "objective=cross-entropy",
    "constant": "reward.metrics={constant: 1.0}",
    "constant-reinforce": "objective=reinforce,policy_gradient.samples=1,reward.metrics={constant: 1.0}",
    "constant-mrt": "objective=mrt,policy_gradient.mrt_reference=false,reward.metrics={constant: 1.0}",
}
"""Every method, cross-entropy continued, and constant rewards, the control for "it only got peakier"."""

FORK_ABLATIONS = {
    "fork": "",
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
    "rate-3e-5": "optimizer.learning_rate=3e-5",
    "rate-3e-4": "optimizer.learning_rate=3e-4",
    "chrf": "reward.metrics={chrf: 1.0}",
    "prior-refresh-50": "prior_refresh=50",
}
"""Forked rollouts with one thing changed."""

TRAJECTORY_ABLATIONS = {
    "trajectory": "objective=trajectory",
    "one-step": "objective=trajectory,trajectory.trace=0,trajectory.monte_carlo_updates=0",
    "lambda-.5": "objective=trajectory,trajectory.trace=0.5",
    "monte-carlo": "objective=trajectory,trajectory.trace=1",
    "5-step": "objective=trajectory,trajectory.steps=5",
    "terminal-reward": "objective=trajectory,reward.shape=terminal",
    "v-sees-no-reference": "objective=trajectory,trajectory.privileged=false",
    "no-replay": "objective=trajectory,trajectory.replay.share=0",
    "replay-.5": "objective=trajectory,trajectory.replay.share=0.5",
    "prioritised": "objective=trajectory,trajectory.replay.share=0.5,trajectory.replay.priority=0.6",
    "target-.1": "objective=trajectory,trajectory.target_rate=0.1",
    "target-.005": "objective=trajectory,trajectory.target_rate=0.005",
    "dueling-beta-2": "objective=trajectory,trajectory.q=dueling,trajectory.beta=2",
    "dueling-beta-8": "objective=trajectory,trajectory.q=dueling,trajectory.beta=8",
}
"""Trajectories with one thing changed."""

RATE, SAMPLES, ALPHA = "optimizer.learning_rate", "policy_gradient.samples", "policy_gradient.mrt_alpha"
SLOW_MOMENT = "optimizer.beta_2=0.999"
FORK_TRIALS = {
    "fork-5e-5": f"{RATE}=5e-5",
    "fork-1e-4": f"{RATE}=1e-4",
    "fork-2e-4": f"{RATE}=2e-4",
    "fork-tau-0": f"{RATE}=1e-4,tau=0",
    "fork-tau-.02": f"{RATE}=1e-4,tau=0.02",
    "fork-8-forks": f"{RATE}=1e-4,fork.per_source=8",
    "fork-16-sentences": f"{RATE}=1e-4,sentences=16",
    "fork-slow-moment": f"{RATE}=1e-4,{SLOW_MOMENT}",
}
SCST_TRIALS = {
    "scst-1-1e-5": f"objective=scst,{SAMPLES}=1,{RATE}=1e-5",
    "scst-1-3e-5": f"objective=scst,{SAMPLES}=1,{RATE}=3e-5",
    "scst-1-1e-4": f"objective=scst,{SAMPLES}=1,{RATE}=1e-4",
    "scst-2-3e-5": f"objective=scst,{SAMPLES}=2,{RATE}=3e-5",
    "scst-2-1e-4": f"objective=scst,{SAMPLES}=2,{RATE}=1e-4",
    "scst-5-3e-5": f"objective=scst,{SAMPLES}=5,{RATE}=3e-5",
    "scst-5-1e-4": f"objective=scst,{SAMPLES}=5,{RATE}=1e-4",
    "scst-1-slow-moment": f"objective=scst,{SAMPLES}=1,{RATE}=3e-5,{SLOW_MOMENT}",
}
MRT_TRIALS = {
    "mrt-.005-1e-5": f"objective=mrt,{RATE}=1e-5",
    "mrt-.005-3e-5": f"objective=mrt,{RATE}=3e-5",
    "mrt-.005-1e-4": f"objective=mrt,{RATE}=1e-4",
    "mrt-.05-3e-5": f"objective=mrt,{ALPHA}=0.05,{RATE}=3e-5",
    "mrt-.05-1e-4": f"objective=mrt,{ALPHA}=0.05,{RATE}=1e-4",
    "mrt-.5-3e-5": f"objective=mrt,{ALPHA}=0.5,{RATE}=3e-5",
    "mrt-no-reference": f"objective=mrt,{ALPHA}=0.05,policy_gradient.mrt_reference=false,{RATE}=3e-5",
    "mrt-slow-moment": f"objective=mrt,{RATE}=3e-5,{SLOW_MOMENT}",
}
CROSS_ENTROPY_TRIALS = {
    f"ce-{rate}": f"objective=cross-entropy,{RATE}={rate}" for rate in ("1e-5", "3e-5", "1e-4", "3e-4")
}
"""Trials on the validation set: as many of the Q-network as of each method it is compared with."""

SETS = {"methods": METHODS, "ablations-fork": FORK_ABLATIONS, "ablations-trajectory": TRAJECTORY_ABLATIONS}
SETS |= {
    "trials-fork": FORK_TRIALS,
    "trials-scst": SCST_TRIALS,
    "trials-mrt": MRT_TRIALS,
    "trials-cross-entropy": CROSS_ENTROPY_TRIALS,
}


def variants(words: list[str]) -> dict[str, list[str]]:
    """Names and settings of `name:key=value,key=value` and of `@set`; raises ValueError for a set that is not there."""
    found: dict[str, str] = {}
    for word in words:
        if not word.startswith("@"):
            name, _, settings = word.partition(":")
            found[name] = settings
        elif word[1:] in SETS:
            found |= SETS[word[1:]]
        else:
            raise ValueError(f"there is no set {word}; known sets: {', '.join(f'@{name}' for name in SETS)}")
    # Commas inside brackets belong to the value.
    return {name: [s for s in re.split(r",(?![^\[{]*[\]}])", settings) if s] for name, settings in found.items()}
