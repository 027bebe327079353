import json
from pathlib import Path

import pytest

from nmt_rl.evaluation.plots import PANELS, curve, score_panel
from nmt_rl.training.progress import DASHBOARD


def test_a_run_leaves_report_numbers_curves_and_a_model(tiny_run):
    names = {path.name for path in tiny_run.folder.iterdir()}
    assert {
        "config.yaml",
        "metrics.jsonl",
        "metrics.json",
        "report.html",
        "pretraining.png",
    } <= names
    assert {path.name for path in (tiny_run.folder / "model").iterdir()} == {
        "config.yaml",
        "tokenizer.model",
        "model.weights.h5",
        "card.json",
        "ctranslate2",
        "hashes.json",
        ".nmt-rl",
    }
    assert not [path for path in tiny_run.folder.rglob("*") if path.suffix in (".new", ".old", ".partial")]
    assert not list(tiny_run.folder.rglob(".nmt-rl-*"))
    numbers = json.loads((tiny_run.folder / "metrics.json").read_text())
    assert set(numbers["scores"]) == {"validation", "test"}
    assert [score["system"] for score in numbers["scores"]["test"]["scores"]] == ["pretrained", "fine-tuned"]
    assert numbers["scores"]["test"]["paired"]["samples"] == 100
    assert "case:mixed" in (tiny_run.folder / "report.html").read_text()


def test_result_card_and_report_tell_the_same_scores_of_all_validation_lines(tiny_run):
    """Although fine-tuning validates on the first half of the lines on its way."""
    reported = json.loads((tiny_run.folder / "metrics.json").read_text())
    validation = reported["scores"]["validation"]["scores"]
    results = {s: json.loads((tiny_run.folder / s / "result.json").read_text()) for s in ("pretrain", "finetune")}
    cards = {s: json.loads((tiny_run.folder / s / "model" / "card.json").read_text()) for s in results}
    told = [results["pretrain"]["valid"], results["finetune"]["before"], results["finetune"]["valid"]]
    assert [scores["lines"] for scores in validation] == [8, 8]
    for score in ("bleu", "chrf"):
        values = [scores["metrics"][score]["value"] for scores in validation]
        assert [t[score] for t in told] == pytest.approx([values[0], values[0], values[1]])
    assert cards["finetune"]["result"]["valid"] == results["finetune"]["valid"]
    better = told[2]["bleu"] > told[1]["bleu"]
    assert reported["released"] == ("finetuned" if better else "pretrained")


@pytest.mark.jax
def test_the_diary_has_both_stages_and_what_the_network_learns(tiny_run):
    events = [json.loads(line) for line in (tiny_run.folder / "metrics.jsonl").read_text().splitlines()]
    validated = [(e["stage"], e["step"]) for e in events if e["event"] == "valid"]
    assert validated == [("pretrain", step) for step in range(4, 25, 4)] + [("finetune", step) for step in (0, 2, 4)]
    update = next(e for e in events if (e["stage"], e["event"]) == ("finetune", "train"))
    assert {
        "td_error",
        "value_loss",
        "value_explained",
        "return",
        "replay",
        "forks",
        "cross_entropy",
    } <= update.keys()


@pytest.mark.jax
def test_the_dashboard_and_the_report_show_what_a_stage_measures(tiny_run):
    """Return, TD error, length ratio, greedy validation BLEU and updates per second; KL and entropy of validations."""
    events = [json.loads(line) for line in (tiny_run.folder / "metrics.jsonl").read_text().splitlines()]
    finetuning = [e for e in events if e["stage"] == "finetune"]
    panels = (score_panel("bleu"), *PANELS)
    empty = [panel.key for panel in panels if not curve(finetuning, "finetune", panel.event, panel.key)[0]]
    assert empty == ["sample_return"], "the policy is not sampled here"
    shown = {name for e in finetuning if e["event"] == "train" for name in e} & DASHBOARD.keys()
    told = {"return", "td_error", "length_ratio", "valid_bleu", "updates_per_second"}
    assert told <= shown


def test_prepare_tells_its_counts_once(tiny_recipe, tmp_path, command):
    result = command("prepare", tiny_recipe, "--out", tmp_path)
    assert result.out.startswith("60 pairs read, 60 kept") and "pairs read" not in result.err


def test_the_same_command_again_only_reports_again(tiny_run, command):
    weights = tiny_run.folder / "finetune" / "model" / "model.weights.h5"
    before = weights.stat().st_mtime_ns
    result = command("run", tiny_run.recipe, "--out", tiny_run.folder)
    assert result.code == 0
    assert weights.stat().st_mtime_ns == before
    assert "pretrain is finished already" in result.err and "finetune is finished already" in result.err
    assert f"nmt-rl translate {tiny_run.folder / 'model'} < input.txt > output.txt" in result.out
    assert "signature" in result.out or "nrefs:1" in result.out


def test_translate_gives_a_line_for_every_line_and_nothing_else(tiny_run, tiny_corpus, tmp_path, command):
    source = tmp_path / "source.txt"
    source.write_text("hund sieht katze\n\nalter baum\n", encoding="utf-8")
    result = command("translate", tiny_run.folder, "-i", source, "-o", tmp_path / "out.txt", "--beam", 1)
    assert (result.code, result.out) == (0, "")
    lines = (tmp_path / "out.txt").read_text().split("\n")
    assert len(lines) == 4 and lines[1] == "" and lines[3] == ""


def test_score_gives_the_scores_of_an_nbest_list_again(tiny_run, tmp_path, command):
    """The columns of a list of pieces are what `score --pieces` takes, to the last printed digit."""
    words = ["hund sieht katze", "", "alter baum"]
    (tmp_path / "source").write_text("\n".join(words) + "\n", encoding="utf-8")
    how = ("--length-penalty", 0.6, "--length-normalization", "gnmt", "--word-reward", 0.5)
    options = ("--beam", 3, "--nbest", 3, "--pieces", *how)
    listed = command("translate", tiny_run.folder, "-i", tmp_path / "source", *options).out.splitlines()
    lines, pieces, scores = zip(*(line.split(" ||| ") for line in listed), strict=True)
    (tmp_path / "sources").write_text("".join(f"{words[int(i)]}\n" for i in lines), encoding="utf-8")
    (tmp_path / "pieces").write_text("".join(f"{line}\n" for line in pieces), encoding="utf-8")
    result = command(
        "score", tiny_run.folder, "--source", tmp_path / "sources", "--target", tmp_path / "pieces", "--pieces", *how
    )
    found = [float(line.split("\t")[0]) for line in result.out.splitlines()]
    assert len(found) >= 5 and found == pytest.approx([float(score) for score in scores], abs=1.5e-4)


@pytest.mark.parametrize("nbest", [1, 2])
def test_translate_writes_the_alignments_that_score_gives(tiny_run, tmp_path, command, nbest):
    words = ["hund sieht katze", "", "alter baum"]
    (tmp_path / "source").write_text("\n".join(words) + "\n", encoding="utf-8")
    many = ("--nbest", 2) if nbest == 2 else ()
    (tmp_path / "prefix").write_text("dog sees\n\nold\n", encoding="utf-8")  # A tiny model may say nothing by itself.
    options = ("--beam", 2, "--pieces", "--alignment", "pharaoh", "--prefix", tmp_path / "prefix", *many)
    found = [
        line.split(" ||| ")
        for line in command("translate", tiny_run.folder, "-i", tmp_path / "source", *options).out.splitlines()
    ]
    assert {len(columns) for columns in found} == {4 if many else 2} and len(found) >= 3
    lines = [words[int(columns[0])] for columns in found] if many else words
    (tmp_path / "sources").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (tmp_path / "pieces").write_text("".join(f"{columns[-3 if many else 0]}\n" for columns in found), encoding="utf-8")
    files = ("--source", tmp_path / "sources", "--target", tmp_path / "pieces")
    scored = command("score", tiny_run.folder, *files, "--pieces", "--alignment", "pharaoh").out.splitlines()
    assert [line.split("\t")[3] for line in scored] == [columns[-1] for columns in found]
    assert found[0][-1] != "" and all(columns[-1] == "" for columns, line in zip(found, lines, strict=True) if not line)


def test_average_makes_a_model(tiny_run, tmp_path, command):
    result = command("average", tiny_run.folder / "pretrain", "--best", 2, "-o", tmp_path / "mean")
    assert result.code == 0 and result.out.startswith(f"{tmp_path / 'mean'} is the average of\n")
    assert command("info", tmp_path / "mean").code == 0


def test_evaluate_prints_scores_with_their_signature(tiny_run, tiny_corpus, command):
    files = ("--source", tiny_corpus / "test.de", "--reference", tiny_corpus / "test.en")
    result = command("evaluate", tiny_run.folder / "model", *files, "--format", "json")
    assert result.code == 0
    (scores,) = json.loads(result.out)
    assert (scores["lines"], scores["test_set"]) == (8, "test.en")
    reported = json.loads((tiny_run.folder / "metrics.json").read_text())
    released = {"pretrained": 0, "finetuned": 1}[reported["released"]]
    assert scores["metrics"] == reported["scores"]["test"]["scores"][released]["metrics"]
    assert "nrefs:1|case:mixed" in scores["metrics"]["bleu"]["signature"]


def test_evaluate_scores_a_file_of_translations(tiny_corpus, command):
    reference = tiny_corpus / "test.en"
    options = ("--metrics", "ter,bleu", "--confidence", 100, "--format", "json")
    result = command("evaluate", "--hypothesis", reference, "--reference", reference, *options)
    assert result.code == 0
    metrics = json.loads(result.out)[0]["metrics"]
    assert list(metrics) == ["bleu", "ter"] and metrics["bleu"]["ci"] == 0.0
    assert metrics["bleu"]["value"] == pytest.approx(100.0)


def test_evaluate_scores_models_and_files_on_several_sets(tiny_run, tiny_corpus, command):
    model = tiny_run.folder / "model"
    files = [tiny_corpus / f"{name}.{language}" for name in ("valid", "test") for language in ("de", "en")]
    both = [word for pair in zip(["--source", "--reference"] * 2, files, strict=True) for word in pair]
    table = command("evaluate", model, *both, "--beam", 1).out.splitlines()
    assert [line.split()[0] for line in table[1:3]] == [str(model)] * 2
    assert [line.split()[-1] for line in table[1:3]] == ["valid.en", "test.en"]
    result = command("evaluate", "--hypothesis", tiny_corpus / "test.en", *both)
    assert result.code == 2 and "a file of translations goes with one test set, found 2" in result.err


def test_evaluate_takes_several_references_and_lists_sentences(tiny_corpus, command, tmp_path):
    (tmp_path / "other").write_text("a dog\n" * 8)
    files = ("--hypothesis", tiny_corpus / "test.en", "--reference", tmp_path / "other")
    files += ("--reference", tiny_corpus / "test.en", "--metrics", "BLEU,Ter", "-l", "de-en")
    table = command("evaluate", *files).out
    assert "other, test.en" in table and "BLEU nrefs:2|" in table and "100.00" in table
    listed = command("evaluate", *files, "--sentences", "--tokenize", "char")
    head, *rows = [line.split("\t") for line in listed.out.splitlines()]
    assert head == ["system", "test set", "line", "BLEU", "TER"]
    assert [row[2:] for row in rows] == [[str(n), "100.00", "0.00"] for n in range(1, 9)]
    assert "BLEU nrefs:2|case:mixed|eff:yes|tok:char|" in listed.err
    objects = [
        json.loads(line) for line in command("evaluate", *files, "--sentences", "--format", "json").out.splitlines()
    ]
    assert [(each["line"], each["test_set"]) for each in objects][-1] == (8, "other, test.en")
    assert objects[0]["metrics"]["ter"]["value"] == 0 and "nrefs:2" in objects[0]["metrics"]["ter"]["signature"]


def test_evaluate_takes_search_options(tiny_run, tiny_corpus, command):
    files = ("--source", tiny_corpus / "test.de", "--reference", tiny_corpus / "test.en")
    options = ("--samples", 1, "--sample-seed", 5, "--temperature", 0.5, "--no-repeat-ngram", 2, "--ban", "dog")
    result = command("evaluate", tiny_run.folder / "model", *files, *options)
    assert result.code == 0, result.err
    assert "1 sample at temperature 0.5, seed 5, no 2-gram twice, " in result.out and ', never "dog"' in result.out


def test_compare_of_three_systems(tiny_corpus, command, tmp_path):
    reference, page = tiny_corpus / "test.en", tmp_path / "page.html"
    for name, width in ("short", 12), ("longer", 20):
        (tmp_path / name).write_text("".join(line[:width] + "\n" for line in reference.read_text().splitlines()))
    files = (tmp_path / "short", tmp_path / "longer", reference, "--reference", reference, "--resamples", 100)
    result = command("compare", *files, "--html", page)
    assert result.code == 0, result.err
    assert result.out.count("By sentence BLEU") == 2 and "against" in page.read_text()
    tree = json.loads(command("compare", *files, "--json").out)
    assert len(tree["systems"]) == 3 and len(tree["contrast"]["changes"]) == 2
    assert [system["metrics"]["bleu"]["p_value"] is None for system in tree["systems"]] == [True, False, False]


def test_compare_pools_seeds(tiny_run, tiny_corpus, command, tmp_path):
    reference, page = tiny_corpus / "test.en", tmp_path / "page.html"
    for name, width in ("one", 12), ("two", 20):
        (tmp_path / name).write_text("".join(line[:width] + "\n" for line in reference.read_text().splitlines()))
    files = ("--source", tiny_corpus / "test.de", "--reference", reference, "--resamples", 100)
    given = (tiny_run.folder, f"cut={tmp_path / 'one'},{tmp_path / 'two'}", f"all={reference}")
    result = command("compare", *given, *files, "--html", page)
    assert result.code == 0, result.err
    assert "cut, 2 seeds" in result.out and "cut is better than" in result.out and "Holm" in result.out
    assert "of several seeds, the first is shown" in page.read_text()
    tree = json.loads(command("compare", *given, *files, "--json").out)
    seeds = [
        command("evaluate", "--hypothesis", tmp_path / name, *files[2:4], "--format", "json") for name in ("one", "two")
    ]
    scores = [json.loads(seed.out)[0]["metrics"]["bleu"]["value"] for seed in seeds]
    bleu = tree["systems"][1]["metrics"]["bleu"]
    assert [system["system"] for system in tree["systems"]][1:] == ["cut", "all"]
    assert bleu["by_seed"] == pytest.approx(scores) and bleu["score"] == pytest.approx(sum(scores) / 2)
    assert bleu["p_value"] <= bleu["p_holm"] and tree["systems"][1]["decoding"] == ""


def test_compare_takes_files_and_writes_a_page(tiny_corpus, command, tmp_path):
    reference = tiny_corpus / "test.en"
    (tmp_path / "short").write_text("".join(line[:20] + "\n" for line in reference.read_text().splitlines()))
    page = tmp_path / "page.html"
    options = ("--reference", reference, "--test", "randomization", "--resamples", 100, "--html", page)
    result = command("compare", tmp_path / "short", reference, *options)
    assert result.code == 0 and "approximate randomization, 100 trials" in result.out
    assert "corpus/test.en is better than" in result.out and "Largest gains" in page.read_text()
    assert command("compare", reference, tmp_path / "short", *options[:-1], tmp_path / "no" / "page").code == 2


def test_compare_gives_both_scores_and_a_p_value(tiny_run, tiny_corpus, command):
    stages = [tiny_run.folder / stage / "model" for stage in ("pretrain", "finetune")]
    files = ("--source", tiny_corpus / "test.de", "--reference", tiny_corpus / "test.en")
    result = command("compare", *stages, *files, "--resamples", 100, "--json")
    assert result.code == 0
    tree = json.loads(result.out)
    assert [system["system"] for system in tree["systems"]] == ["pretrain/model", "finetune/model"]
    assert 0 < tree["systems"][1]["metrics"]["bleu"]["p_value"] <= 1
    assert [system["decoding"] for system in tree["systems"]] == [
        "beam 2, length penalty 1 (average), at most 1 times the source + 4 pieces, sources cut after 40 pieces"
    ] * 2


def test_info_tells_where_a_model_comes_from(tiny_run, command):
    result = command("info", tiny_run.folder)
    assert result.code == 0
    facts = dict(line.split("  ", 1) for line in result.out.splitlines())
    assert facts["languages"].strip() == "de-en"
    assert facts["architecture"].strip() == "transformer"
    assert facts["data train"].strip().startswith("sha256 ")
    tree = json.loads(command("info", tiny_run.folder, "--json").out)
    assert tree["config"]["name"] == tree["card"]["name"] == "tiny"


def test_quickstart_needs_no_options(command, monkeypatch):
    called = []
    monkeypatch.setattr("nmt_rl.cli.train.run", lambda *arguments: called.append(arguments))
    assert command("quickstart").code == 0
    assert command("quickstart", "--out", "elsewhere", "--fresh").code == 0
    assert called == [("quickstart", Path("quickstart"), None, False), ("quickstart", Path("elsewhere"), None, True)]
