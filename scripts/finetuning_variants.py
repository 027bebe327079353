"""Named sets of variants for compare_finetuning.py, `@methods` and so on: the keys of SETS.

Each variant is a name and settings of the section `finetune`, beside those that --set gives to all.
"""

import re

RATE, CONSTANT = "optimizer.learning_rate", "reward.metrics={constant: 1.0}"
SAME = f"sentences=32,{RATE}=6e-5,reward.brevity=0.4"
FORK = f"method=fork,sentences=64,updates=70,validation.every=10,{RATE}=6e-5,reward.brevity=0.4"
DQN = f"method=dqn,sentences=64,updates=140,validation.every=20,{RATE}=6e-5,reward.brevity=0.4"
TRAJECTORY = f"method=trajectory,{SAME},updates=92,validation.every=23"

METHODS = {
    "dqn": DQN,
    "fork": FORK,
    "trajectory": TRAJECTORY,
    "dueling": f"{TRAJECTORY},method.q=dueling",
    "ilql": f"{TRAJECTORY},method.q=ilql",
    "logits": f"{TRAJECTORY},method.q=logits,method.trace=0,method.monte_carlo=0",
    "reinforce": f"method=reinforce,method.samples=1,{SAME},updates=228,validation.every=57",
    "mixer": f"method=mixer,method.samples=1,method.every=20,{SAME},updates=200,validation.every=50",
    "scst": f"method=scst,method.samples=1,{SAME},updates=160,validation.every=54",
    "rloo": f"method=rloo,{SAME},updates=54,validation.every=18",
    "mrt": f"method=mrt,sentences=32,updates=54,validation.every=18,{RATE}=5e-5,reward.brevity=0.4",
    "cross-entropy": f"method=cross-entropy,sentences=128,updates=170,validation.every=34,{RATE}=1e-4",
    "constant": f"{DQN},{CONSTANT}",
    "constant-reinforce": f"method=reinforce,method.samples=1,{SAME},updates=228,validation.every=57,{CONSTANT}",
}
"""Every method, and constant rewards, the control for "it only got peakier"."""

DQN_ABLATIONS = {
    name: f"{DQN},{change}"
    for name, change in {
        "tau-0": "method.tau=0",
        "tau-.02": "method.tau=0.02",
        "anchor-.1": "cross_entropy=0.1",
        "forks-1": "method.per_source=1",
        "epsilon-0": "method.epsilon=0",
        "epsilon-.5": "method.epsilon=0.5",
        "cut-4": "method.steps=4",
        "ratio-1": "method.replay.ratio=1",
        "ratio-4": "method.replay.ratio=4",
        "uniform-replay": "method.replay.priority=0",
        "one-step": "method.trace=0,method.steps=4",
        "no-brevity": "reward.brevity=0",
        "chrf": "reward.metrics={chrf: 1.0},reward.brevity=0",
    }.items()
}
"""The deep Q-network with something changed."""

SETS = {"methods": METHODS, "ablations-dqn": DQN_ABLATIONS}


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
