import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.comparison import Choice, Comparison, Translations, signed
from nmt_rl.evaluation.page import escape, format_duration
from nmt_rl.evaluation.report import write_report

REFERENCES = [f"The dog number {n} runs quickly through the garden of house {n}." for n in range(40)]
SOURCES = [f"Der Hund Nummer {n} läuft schnell durch den Garten von Haus {n}." for n in range(40)]
WORSE = [line.replace("quickly", "slow").replace("garden", "park") for line in REFERENCES]


def split(name="validation", pretrained=WORSE, finetuned=REFERENCES):
    return Translations(name, f"toy/{name}", "greedy", SOURCES, REFERENCES, pretrained, finetuned)


def comparison(**changes):
    values = {
        "name": "toy",
        "source_language": "de",
        "target_language": "en",
        "released": "finetuned",
        "validation": split(),
        "test": split("test"),
        "config": "name: toy\nseed: 1\n",
        "cleaning": {"read": 1234, "dropped": {"empty_side": 5}},
        "wall_seconds": {"pretrain": 61.0, "finetune": 5.0},
        "resamples": 100,
    }
    return Comparison(**{**values, **changes})


def log(run, *stages):
    events = [
        {"stage": stage, "event": event, "step": step, "loss": 3.0, "bleu": 30.0 + step, "kl": 0.1}
        for stage in stages
        for event in ("train", "valid")
        for step in (1, 2)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


VOID = {"meta", "br", "img", "wbr"}


class Page(HTMLParser):
    """Visible text, the tags opened, and every address the page would load."""

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.addresses, self.open = "", [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def page(report):
    parsed = Page(report.path.read_text(encoding="utf-8"))
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A report with everything in it."""
    run = tmp_path_factory.mktemp("run")
    log(run, "pretrain", "finetune")
    return write_report(run, comparison())


def test_report_holds_scores_significance_curves_and_setting(full):
    text = page(full).text
    assert "The released model is the fine-tuned one: 100.00 BLEU on validation" in text
    for expected in (
        "toy/validation, 40 lines, greedy",
        "toy/test, 40 lines",
        "p = 0.010",
        "its p-value is optimistic",
        "nrefs:1|bs:100|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:",
        "Largest gains",
        "dropped: empty side",
        "1,234",
        "wall time, pretrain1 min 1 s",
        "name: toy",
        "sacrebleu",
        "length ratio",
    ):
        assert expected in text
    for figure in ("pretraining.png", "finetuning.png"):
        assert full.path.with_name(figure).read_bytes().startswith(b"\x89PNG")


def test_page_loads_nothing_and_runs_nothing(full):
    parsed = page(full)
    assert "script" not in parsed.tags
    assert len(parsed.addresses) == 2
    assert all(address.startswith("data:image/png;base64,") for address in parsed.addresses)


def test_metrics_json_agrees_with_the_returned_scores(full):
    numbers = json.loads(full.path.with_name("metrics.json").read_text())
    validation = numbers["scores"]["validation"]["scores"]
    found = [entry["metrics"]["bleu"]["value"] for entry in validation]
    assert found == [scores.bleu for scores in full.splits[0].scores]
    assert validation[0]["test_set"] == "toy/validation"
    assert validation[0]["lines"] == 40
    assert numbers["bleu_gain"]["test"] == pytest.approx(found[1] - found[0])
    assert numbers["scores"]["test"]["paired"]["systems"][1]["metrics"]["bleu"]["p_value"] < 0.05
    assert numbers["released"] == "finetuned"


def test_pretrained_only_without_test_set_and_events(tmp_path):
    alone = comparison(released="pretrained", validation=split(finetuned=None), test=None)
    report = write_report(tmp_path, alone)
    parsed = page(report)
    assert report.sentence.startswith("The released model is the pretrained one: ")
    assert "fine-tuned" not in parsed.text
    assert "no training events" in parsed.text
    assert "img" not in parsed.tags
    assert json.loads((tmp_path / "metrics.json").read_text())["bleu_gain"] == {}
    assert "toy/validation" in report.text()


Q = {
    "forks": 2468,
    "sentences": 500,
    "explained": 0.123,
    "explained_beyond": 0.057,
    "correlation": 0.4,
    "gain": 0.0123,
    "gain_interval": [0.0045, 0.0201],
    "calibration": [
        {"forks": 1234, "predicted": -0.1, "true": -0.05, "error": 0.01},
        {"forks": 1234, "predicted": 0.2, "true": 0.1, "error": None},
    ],
}


def test_what_q_predicts(tmp_path, full):
    log(tmp_path, "pretrain", "finetune")
    report = write_report(tmp_path, comparison(q=Q))
    text = page(report).text
    for expected in ("What Q predicts", "2,468", "0.057", "+0.0123", "+0.0045 to +0.0201", "Calibration"):
        assert expected in text
    assert (tmp_path / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "metrics.json").read_text())["q"] == Q
    assert "What Q predicts" not in page(full).text  # a method without Q


def test_figure_of_an_earlier_report_is_removed(tmp_path):
    (tmp_path / "finetuning.png").write_bytes(b"of an earlier run")
    (tmp_path / "calibration.png").write_bytes(b"of an earlier run")
    log(tmp_path, "pretrain")
    write_report(tmp_path, comparison(test=None))
    assert not (tmp_path / "finetuning.png").exists() and not (tmp_path / "calibration.png").exists()
    assert (tmp_path / "pretraining.png").exists()
    assert not list(tmp_path.glob(".*"))


def test_sentence_says_when_finetuning_did_not_help(tmp_path):
    swapped = split(pretrained=REFERENCES, finetuned=WORSE)
    sentence = write_report(tmp_path, comparison(released="pretrained", validation=swapped, test=None)).sentence
    worse = re.search(r"against (\S+) for the fine-tuned one \(\+(\S+), p", sentence)
    assert sentence.startswith("The released model is the pretrained one: 100.00 BLEU on validation")
    assert float(worse[1]) + float(worse[2]) == pytest.approx(100, abs=0.011)


def test_a_choice_on_fewer_lines_than_are_reported_is_told(tmp_path):
    """On the first lines the pretrained model was the better one, on all it is not."""
    choice = Choice(lines=10, pretrained=40.0, finetuned=39.5)
    report = write_report(tmp_path, comparison(released="pretrained", choice=choice, test=None))
    said = (
        r"The released model is the pretrained one, chosen on the first 10 lines of validation "
        r"\(40\.00 BLEU against 39\.50\): \d+\.\d\d BLEU on all 40, against 100\.00 for the fine-tuned one \(−"
    )
    assert re.match(said, report.sentence)
    assert "Models were chosen on the first 10 lines of this set" in page(report).text
    assert json.loads((tmp_path / "metrics.json").read_text())["choice"]["lines"] == 10


def test_text_of_users_cannot_become_markup(tmp_path):
    nasty = ["<script>alert('x')</script> & \"quoted\" \x00 \ud800 \u202e"] * 40
    report = write_report(
        tmp_path,
        comparison(
            name="<b>toy</b>",
            validation=dataclasses.replace(split(finetuned=nasty), sources=nasty, test_set="<i>set</i>"),
            test=None,
            config="name: </pre><script>",
            cleaning={"<u>read</u>": 1},
        ),
    )
    parsed = page(report)
    assert not {"script", "b", "i", "u"} & {*parsed.tags}
    assert "<script>alert('x')</script> & \"quoted\" \ufffd \ufffd" in parsed.text
    assert "<b>toy</b>" in parsed.text
    assert "\x00" not in parsed.text


def test_blank_translations_are_shown_as_empty(tmp_path):
    text = page(write_report(tmp_path, comparison(validation=split(finetuned=[""] * 40), test=None))).text
    assert "(empty)" in text


def test_terminal_text_has_tables_and_ends_with_the_sentence(full):
    text = full.text()
    assert text.endswith(full.sentence)
    assert "Validation (greedy)" in text
    assert "one-sided paired bootstrap, 100 resamples, seed 12345" in text
    assert "tok:13a" in text


def test_line_counts_that_differ_are_named(tmp_path):
    with pytest.raises(UserError, match="fine-tuned has 39 lines but the reference of toy/validation has 40"):
        write_report(tmp_path, comparison(validation=split(finetuned=REFERENCES[:-1])))
    assert not (tmp_path / "report.html").exists()


def test_released_model_must_be_there(tmp_path):
    with pytest.raises(ValueError, match="no translations"):
        write_report(tmp_path, comparison(validation=split(finetuned=None), test=None))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (48, "48 s"), (59.7, "1 min 0 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min")]
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(1.204, "+1.20"), (-0.3, "−0.30"), (-0.001, "±0.00")])
def test_signed(value, text):
    assert signed(value) == text


def test_escape_keeps_line_ends():
    assert escape("a\n<b>\t\x1b") == "a\n&lt;b&gt;\t\ufffd"


def test_evaluation_imports_no_deep_learning_library():
    code = (
        "import sys, nmt_rl.evaluation.report, nmt_rl.evaluation.testsets; "
        "print(sorted({'keras', 'tensorflow', 'jax', 'matplotlib', 'sacrebleu'} & {*sys.modules}))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert output.strip() == "[]"


def test_further_validation_sets_stand_between_validation_and_test(tmp_path):
    other = dataclasses.replace(split("further validation"), test_set="news")
    report = write_report(tmp_path, comparison(further=[other], test=None))
    assert [each.title for each in report.splits] == ["validation", "further validation news"]
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert list(numbers["scores"]) == list(numbers["bleu_gain"]) == ["validation", "further validation news"]
    text = page(report).text
    assert text.count("its p-value is optimistic") == 1 and "From toy/validation" in text
    assert "Further validation news (greedy)" in report.text()
