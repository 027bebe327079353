"""Keras against CTranslate2 on one model: the same translations, BLEU, and processor time per sentence.

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 python scripts/measure_engines.py RUN/model SOURCE REFERENCE [--lines N]

Start-up is not counted: every engine translates the
first lines once before. Scores are averaged over the length, searches stop early. The last row of each beam is
CTranslate2 by itself: pieces in, pieces out, batches of 64.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

from nmt_rl.corpus.lines import read_lines
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.decoding.conversions import export_ctranslate2
from nmt_rl.decoding.request import Quantization, Request
from nmt_rl.decoding.translator import Translator
from nmt_rl.evaluation.metrics import corpus_scores

WARM_UP = 200
SETTINGS = {"length_normalization": "average", "stopping": "early"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    arguments = parser.parse_args()
    sources = list(read_lines(arguments.source))[: arguments.lines]
    references = list(read_lines(arguments.reference))[: arguments.lines]
    print(f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {len(sources):,} sentences")
    print("| engine | beam | the same | BLEU | CPU s per 1,000 sentences |\n|---|---|---|---|---|")
    for beam in (1, 5):
        expected: list[str] = []
        for name in ("keras", "float32", "int8"):
            translator = _translator(arguments.model, name, beam)
            translator.translate(sources[:WARM_UP])
            began = time.process_time()
            texts = [t.text for t in translator.translate(sources)]
            seconds = (time.process_time() - began) * 1000 / len(sources)
            expected = expected or texts
            same = sum(a == b for a, b in zip(texts, expected, strict=True)) / len(texts)
            scores = corpus_scores(texts, references, test_set=arguments.source.name)
            kind = "Keras" if name == "keras" else f"CTranslate2, {name}"
            print(f"| {kind} | {beam} | {same:.1%} | {scores.bleu:.2f} | {seconds:.1f} |")
        print(f"| CTranslate2 itself, int8 | {beam} | | | {_bare_seconds(arguments.model, sources, beam):.1f} |")
    print(scores.metrics["bleu"].signature)


def _bare_seconds(model: Path, sources: list[str], beam: int) -> float:
    """Processor seconds of the exported model per 1,000 sentences, already in pieces."""
    import ctranslate2

    tokenizer = Tokenizers.load(model).source
    rows = [[*tokenizer.pieces(ids), "</s>"] for ids in tokenizer.encode(sources)]
    translator = ctranslate2.Translator(str(export_ctranslate2(model, "int8")), device="cpu", inter_threads=1)
    options = {"beam_size": beam, "length_penalty": 1.0, "max_batch_size": 64}
    translator.translate_batch(rows[:WARM_UP], **options)
    began = time.process_time()
    translator.translate_batch(rows, **options)
    return (time.process_time() - began) * 1000 / len(sources)


def _translator(model: Path, name: str, beam: int) -> Translator:
    settings = SETTINGS | {"beam": beam}
    if name == "keras":
        return Translator.from_folders([model], Request(settings, engine="keras"))
    quantization: Quantization = "float32" if name == "float32" else "int8"
    return Translator.from_folders([model], Request(settings, engine="ctranslate2", quantization=quantization))


if __name__ == "__main__":
    main()
