"""What decoding gains by the advantage that forks have taught: greedy and beam search by log pi_0 + beta A.

Usage: python scripts/measure_guided_decoding.py PRETRAINED FINETUNED OUT.json [--betas 1 2 4] [--lines 500]

PRETRAINED and FINETUNED are model folders of one run, the second fine-tuned by dqn or fork, whose advantage is
A(s, a) = log pi(a|s) - log pi_0(a|s) up to tau: beta 0 is the pretrained model, beta 1 the fine-tuned one, and more
is a search guided by Q. Translates the first lines of validation; the word reward (greedy) and the length penalty
(beam 5) are chosen for each beta. Writes and prints BLEU and length ratio.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

from keras import ops

from nmt_rl.bundle import load_bundle
from nmt_rl.config import load_config
from nmt_rl.corpus.prepared import open_prepared
from nmt_rl.decoding.translator import Translator
from nmt_rl.evaluation.metrics import corpus_scores
from nmt_rl.models.ensemble import Ensemble
from nmt_rl.models.seq2seq import Tensor
from nmt_rl.models.word_reward import rewarded

BETAS = (0.0, 1.0, 2.0, 4.0)
REWARDS = (0.0, 0.5)
PENALTIES = (1.0, 1.8)


class Guided(Ensemble):
    """log pi_0(a|s) + beta A(s, a) of two members, the prior first."""

    beta: float

    def project(self, states: Tensor) -> Tensor:
        """Guided logits float32 [..., vocab] of states [..., both widths]."""
        width = self.widths[0]
        parts = states[..., :width], states[..., width:]
        prior, policy = (ops.log_softmax(member.project(x)) for member, x in zip(self.members, parts, strict=True))
        return prior + self.beta * (policy - prior)


def measure(guided: Guided, config: Any, prepared: Any, lines: int) -> dict[str, Any]:
    """The best greedy and the best beam search of one beta: by word reward, and by length penalty."""
    sources, references = zip(*prepared.valid[:lines], strict=True)

    def score(how: Any, **chosen: float) -> dict[str, float]:
        model = rewarded(guided, chosen.get("word_reward", 0.0))
        texts = [t.text for t in Translator.of_model(model, prepared.tokenizers, how).translate(list(sources))]
        language = config.corpus.target_language
        scores = corpus_scores(texts, references, test_set="valid", target_language=language)
        return {**chosen, "bleu": round(scores.bleu, 2), "length_ratio": round(scores.length_ratio, 3)}

    plain = config.decoding.model_copy(update={"word_reward": 0.0})
    greedy = [score(plain.greedy(), word_reward=reward) for reward in REWARDS]
    beam = [
        score(plain.model_copy(update={"beam": 5, "length_penalty": penalty}), length_penalty=penalty)
        for penalty in PENALTIES
    ]
    return {name: max(found, key=lambda x: x["bleu"]) for name, found in (("greedy", greedy), ("beam", beam))}


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pretrained", type=Path)
    parser.add_argument("finetuned", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path, help="run that holds the corpus; default: the folder of PRETRAINED's stage")
    parser.add_argument("--betas", type=float, nargs="+", default=BETAS)
    parser.add_argument("--lines", type=int, default=500)
    options = parser.parse_args()
    run = options.run or options.pretrained.parent.parent
    config = load_config(str(run / "config.yaml"))
    prepared = open_prepared(config, run)
    guided = Guided([load_bundle(folder).model for folder in (options.pretrained, options.finetuned)])
    rows = []
    for beta in options.betas:
        guided.beta = beta
        rows.append({"beta": beta, **measure(guided, config, prepared, options.lines)})
        print(json.dumps(rows[-1]), flush=True)
    result = {"date": datetime.date.today().isoformat(), "name": config.name, "lines": options.lines, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
