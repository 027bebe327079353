import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nmt_rl
from nmt_rl.cli.options import named_folder


@pytest.fixture
def refuses(command):
    """Run a command that must end with exit code 2 and one sentence; the sentence."""

    def call(*args):
        result = command(*args)
        assert result.code == 2, result
        assert result.out == ""
        errors = result.err.splitlines()
        assert len(errors) == 1 and errors[0].startswith("nmt-rl: error: "), result.err
        return errors[0].removeprefix("nmt-rl: error: ")

    return call


@pytest.mark.parametrize("verb", ["translate", "info"])
def test_a_model_folder_that_is_not_there(refuses, tmp_path, verb):
    assert refuses(verb, tmp_path / "no") == (
        f"model folder {tmp_path / 'no'} does not exist; give RUN/model of a finished run"
    )


def test_a_recipe_that_is_not_there(refuses, tmp_path):
    text = refuses("pretrain", "multi30k-de-en-transfomer", "--out", tmp_path / "run")
    assert "there is no recipe" in text and "did you mean multi30k-de-en-transformer?" in text
    assert not (tmp_path / "run").exists()


def test_a_misspelt_key(refuses, tiny_recipe, tmp_path):
    text = refuses("run", tiny_recipe, "--out", tmp_path / "run", "--set", "pretrain.updats=3")
    assert text == "--set pretrain.updats=3: unknown key pretrain.updats; did you mean updates?"
    assert not (tmp_path / "run").exists()


def test_a_corpus_that_is_not_there(refuses, tiny_recipe, tmp_path):
    text = refuses("prepare", tiny_recipe, "--out", tmp_path / "run", "--set", f"corpus.valid={tmp_path}/dev")
    assert f"{tmp_path}/dev.de does not exist" in text


def test_finetune_without_a_pretrained_model(refuses, tiny_recipe, tmp_path):
    assert "nmt-rl prepare" in refuses("finetune", tiny_recipe, "--out", tmp_path / "run")


@pytest.mark.parametrize("verb", ["prepare", "pretrain", "finetune", "run"])
def test_out_has_no_name(refuses, tiny_recipe, verb):
    """As of a variable that is not set: it would be the working folder."""
    assert "Invalid value for '--out': needs the name of a folder, found ''" in refuses(verb, tiny_recipe, "--out", "")


def test_a_home_that_the_shell_has_left_to_others(monkeypatch, tmp_path):
    """As of `--out=~/run`; it would be a folder of that name in the working folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named_folder("~/run") == tmp_path / "run" and named_folder("a~") == Path("a~")


def test_a_users_own_folder_is_no_run(refuses, tiny_corpus, tmp_path, monkeypatch):
    """A project with a recipe named config.yaml and the text in corpus/."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_corpus, "corpus")
    recipe = "# mine\n" + (tiny_corpus / "tiny.yaml").read_text()
    Path("config.yaml").write_text(recipe)
    for options in ((), ("--fresh",)):
        text = refuses("prepare", "config.yaml", "--out", ".", *options)
        assert "config.yaml is not nmt-rl's, which would write its own there; give --out another folder" in text
    assert Path("config.yaml").read_text() == recipe and len(list(Path("corpus").iterdir())) == 7
    Path("config.yaml").rename("recipe.yaml")
    assert "corpus is not nmt-rl's" in refuses("run", "recipe.yaml", "--out", ".")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "recipe.yaml"]


def test_folders_that_cannot_be_made(refuses, tiny_recipe, tiny_run, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "x", file / "x" / "y"):
        for words in (("prepare", tiny_recipe, "--out"), ("run", tiny_recipe, "--out")):
            assert refuses(*words, path) == f"--out {path} cannot be written: {file} is not a folder"
    for path in (file / "x", file / "x" / "y"):
        for words in (("export", tiny_run.folder, "-o"), ("average", tiny_run.folder, tiny_run.folder, "-o")):
            assert refuses(*words, path) == f"output {path} cannot be written: {file} is not a folder"


def test_evaluate_with_unequal_files_names_both(refuses, tiny_run, tiny_corpus, tmp_path):
    short = tmp_path / "short.en"
    short.write_text("dog\ncat\n")
    reference = tiny_corpus / "test.en"
    text = refuses("evaluate", "--hypothesis", short, "--reference", reference)
    for part in (str(short), "2", str(reference), "8"):
        assert part in text
    text = refuses("evaluate", tiny_run.folder, "--source", short, "--reference", reference)
    assert f"{short} has 2 lines but {reference} has 8" in text


def test_evaluate_needs_one_system_and_a_test_set(refuses, tmp_path):
    (tmp_path / "x").touch()
    assert "neither" in refuses("evaluate")
    assert "model folder nowhere does not exist" in refuses("evaluate", "nowhere", "--reference", "a")
    assert "--metrics takes names of" in refuses(
        "evaluate", "--hypothesis", "a", "--reference", "a", "--metrics", "blue"
    )
    assert "--reference FILE" in refuses("evaluate", "--hypothesis", tmp_path / "x")
    assert "-l LANGUAGES" in refuses("evaluate", "--hypothesis", tmp_path / "x", "-t", "wmt14")
    text = refuses("evaluate", "--hypothesis", tmp_path / "x", "-t", "wmt144", "-l", "en-de")
    assert "sacreBLEU has no test set 'wmt144'; did you mean wmt14?" in text


def test_languages_are_a_pair(refuses, tiny_corpus):
    files = ("--hypothesis", tiny_corpus / "test.en", "--reference", tiny_corpus / "test.en")
    assert (
        refuses("evaluate", *files, "-l", "rubbish")
        == "-l takes a pair of languages such as en-de or zh_CN-en, found 'rubbish'"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_cannot_be_written_is_one_sentence(tiny_corpus, tiny_run, tmp_path):
    """Standard output on a full disk or closed, and a folder below a file."""
    scores = f"evaluate --hypothesis {tiny_corpus}/test.en --reference {tiny_corpus}/test.en > /dev/full"
    (tmp_path / "file").touch()
    folder = f"average {tiny_run.folder}/pretrain --last 1 -o {tmp_path}/file/x"
    for words, expected in ((scores, "No space left"), (folder, "is not a folder")):
        done = subprocess.run(f"{sys.executable} -m nmt_rl {words}", shell=True, capture_output=True, text=True)
        last = done.stderr.splitlines()[-1]
        assert done.returncode in (1, 2) and last.startswith("nmt-rl: error: ") and expected in last, done.stderr
        assert "Traceback" not in done.stderr
    done = subprocess.run(
        f"{sys.executable} -m nmt_rl translate {tiny_run.folder} <&-", shell=True, capture_output=True, text=True
    )
    assert done.returncode == 2 and "standard input is closed; name a file instead" in done.stderr


def test_compare_needs_two_systems(refuses, tmp_path):
    text = refuses("compare", tmp_path, tmp_path, "--source", "a", "--reference", "b")
    assert text == f"compare needs different systems, found {tmp_path} twice"
    text = refuses("compare", "a", "--reference", "b")
    assert text == "compare needs two systems or more, found 1; the first is the baseline"


def test_seeds_that_are_no_seeds(refuses, tiny_corpus):
    text, other = tiny_corpus / "test.en", tiny_corpus / "test.de"
    files = ("--reference", text)
    assert (
        refuses("compare", text, f"A={other},{other}", *files)
        == f"compare needs different systems, found {other} twice"
    )
    assert refuses("compare", f"A={text},{other}", *files).startswith("compare needs two systems or more, found 1")
    assert refuses("compare", f"A={text}", f"A={other}", *files).startswith("two systems are called A")
    assert refuses("compare", text, "A=", *files) == "A=: a path is missing after = or a comma; give NAME=X,Y,Z"
    refused = refuses("compare", text, f"A={other},b", *files, "--test", "randomization")
    assert refused.startswith("--test randomization exchanges translations of two outputs")
    assert refuses("compare", text, f"A={other},nothing", *files).startswith("nothing")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--beam", 3], "--beam is of models, but only files of translations are given"),
        (["--hypothesis", "{test}"], "{test} is given twice; each system is scored once"),
        (["--seed", 3], "--seed is of the resampling; give --confidence N, too"),
        (["--confidence", 50], "--confidence needs 100 resamples or more, found 50"),
        (["--sentences", "--confidence", 100], "--confidence is of whole test sets; leave out --sentences"),
        (["--sentences", "--format", "latex"], "--sentences makes a list, as --format text or json, found latex"),
        (["--metrics", "compound-bleu"], "compound-bleu needs the target language; give the pair, such as -l en-de"),
        (["--tokenize", "13"], "sacreBLEU has no tokenizer '13'; did you mean 13a?"),
        (["-l", "rubbish"], "-l takes a pair of languages such as en-de or zh_CN-en, found 'rubbish'"),
        (["--metrics", "comet", "--source", "{test}"], "COMET is not installed; pip install unbabel-comet, or leave"),
    ],
)
def test_evaluate_looks_before_it_scores(refuses, tiny_corpus, monkeypatch, options, expected):
    monkeypatch.setattr("nmt_rl.systems.score_systems", lambda *_: pytest.fail("scored"))
    monkeypatch.setitem(sys.modules, "comet", None)
    test = tiny_corpus / "test.en"
    given = [test if option == "{test}" else option for option in options]
    text = refuses("evaluate", "--hypothesis", test, "--reference", test, *given)
    assert text.startswith(expected.format(test=test))


def test_nothing_is_translated_before_all_is_looked_at(refuses, tiny_run, tiny_corpus, monkeypatch, tmp_path):
    monkeypatch.setattr("nmt_rl.decoding.translator.Translator.from_folders", lambda *_: pytest.fail("loaded"))
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    model, other = tiny_run.folder / "model", tiny_run.folder / "pretrain" / "model"
    files = ("--source", tiny_corpus / "test.de", "--reference", tiny_corpus / "test.en")
    for verb, systems in ("evaluate", [model]), ("compare", [model, other]):
        text = refuses(verb, *systems, *files, "--metrics", "compound-bleu")
        assert text.startswith("compound-bleu needs Moses' tokenizer; pip install sacremoses")
        assert refuses(verb, *systems, *files, "--tokenize", "2").startswith("sacreBLEU has no tokenizer '2'")
        assert (
            refuses(verb, *systems, *files, "--temperature", 2) == "--temperature is of samples; give --samples N, too"
        )
        text = refuses(verb, *systems, *files, "--beam", 1, "--length-penalty", 2)
        assert text == "--length-penalty chooses among a beam; give --beam N, too"
        text = refuses(verb, *systems, *files, "--samples", 3)
        assert text == "--samples 3 needs --mbr: without, only the first is taken"
        text = refuses(verb, *systems, *files, "--engine", "ctranslate2", "--samples", 2, "--mbr", "bleu")
        assert text == "CTranslate2 draws samples without a seed; --engine keras translates it"
    assert "of memory" in refuses("evaluate", model, *files, "--confidence", 10**12)
    assert "of memory" in refuses("compare", model, other, *files, "--resamples", 10**12)
    page = tmp_path / "no" / "page"
    assert refuses("compare", model, other, *files, "--html", page).startswith(f"--html {page} cannot be written: ")
    assert refuses("compare", model, tiny_run.folder, *files) == f"compare needs different systems, found {model} twice"


def test_one_text_at_most_is_standard_input(refuses, tiny_corpus):
    text = "standard input can be read only once; name files for the other texts"
    assert refuses("evaluate", "--hypothesis", "-", "--reference", "-") == text
    assert refuses("compare", "-", tiny_corpus / "test.en", "--reference", "-") == text


def test_an_input_file_that_is_not_there(refuses, tiny_run, tmp_path):
    assert f"{tmp_path / 'no.txt'}" in refuses("translate", tiny_run.folder, "-i", tmp_path / "no.txt")


def test_more_hypotheses_than_the_beam(refuses, tiny_run, tiny_corpus):
    text = refuses("translate", tiny_run.folder, "-i", tiny_corpus / "test.de", "--nbest", 3)
    assert text == "--nbest 3 needs --beam 3 or more, or --samples, found 2"


def test_an_option_that_does_not_exist(command):
    result = command("translate", "--beem", "3")
    assert result.code == 2 and result.out == ""
    assert "--beem" in result.err and "Traceback" not in result.err


def test_a_failed_run_is_exit_code_1(command, tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run.folder, run, ignore=shutil.ignore_patterns("pretrain", "finetune", "model", "tensorboard"))
    options = ("--set", "pretrain.optimizer.learning_rate=1e30", "--set", "pretrain.optimizer.warmup=0")
    result = command("--quiet", "pretrain", tiny_run.recipe, "--out", run, *options)
    assert (result.code, result.out) == (1, "")
    assert "pretrain.optimizer.learning_rate (now 1e+30)" in result.err.splitlines()[-1]


def console(*args):
    """The real program in a process of its own, on one core."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    return subprocess.run([sys.executable, "-m", "nmt_rl", *args], capture_output=True, text=True, env=environment)


def test_help_is_fast_and_imports_nothing_heavy():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = console("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    for verb in ("quickstart", "prepare", "pretrain", "finetune", "run", "translate", "evaluate", "compare", "info"):
        assert verb in done.stdout
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    heavy = {"keras", "tensorflow", "jax", "numpy", "datasets", "matplotlib", "sacrebleu", "sentencepiece", "pydantic"}
    assert not imported & heavy
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_version():
    done = console("--version")
    assert (done.returncode, done.stdout) == (0, f"nmt-rl {nmt_rl.__version__}\n")


def test_score_looks_at_its_files_before_it_loads_a_model(refuses, tiny_run, tiny_corpus, monkeypatch):
    monkeypatch.setattr("nmt_rl.bundle.load_ensemble", lambda *_: pytest.fail("loaded"))
    files = ("--source", tiny_corpus / "test.de", "--target", "nowhere.en")
    assert refuses("score", tiny_run.folder / "model", *files) == "nowhere.en does not exist"
    files = ("--source", tiny_corpus / "test.de", "--target", tiny_corpus / "train.en")
    assert refuses("score", tiny_run.folder / "model", *files) == (
        f"{tiny_corpus / 'test.de'} has 8 lines but {tiny_corpus / 'train.en'} has 60; they must agree"
    )
    files = ("--source", tiny_corpus / "test.de", "--target", tiny_corpus / "test.en")
    text = refuses("score", tiny_run.folder / "model", *files, "--length-penalty", "inf")
    assert text == "--length-penalty takes numbers from 0 to 10, found inf"


def test_average_of_nothing_in_particular(refuses, tiny_run, tmp_path):
    out, model = ("-o", tmp_path / "out"), tiny_run.folder / "model"
    assert refuses("average", model, *out).startswith("average needs two or more model folders")
    assert refuses("average", model, "--last", 2, "--best", 2, *out) == "--last and --best exclude each other"
    assert "take one stage" in refuses("average", model, model, "--last", 2, *out)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--temperature", 0.8], "--temperature is of samples; give --samples N, too"),
        (["--samples", 2, "--beam", 3, "--mbr", "bleu"], "--beam is of a search; --samples 0 searches"),
        (["--seed", 0], "--seed is of samples; give --samples N, too"),
        (["--samples", 5], "--samples 5 needs --nbest or --mbr: without, only the first is printed"),
        (["--diversity", 1.0], "--diversity is of several groups; give --diverse-groups N, too"),
        (["--beam", 3, "--diverse-groups", 2], "beam 3 is not a multiple of diverse_groups 2"),
        (["--beam", 1, "--coverage-penalty", 0.2], "--coverage-penalty is of a beam; give --beam N, too"),
        (
            ["--beam", 1, "--length-penalty", 0.6],
            "--length-penalty chooses among a beam, and is in the scores of --nbest; give --beam N or --nbest N, too",
        ),
        (
            ["--samples", 4, "--nbest", 2, "--mbr", "bleu", "--length-normalization", "gnmt"],
            "--length-normalization is not in the utilities of --mbr",
        ),
        (["--word-reward", "nan"], "--word-reward takes numbers from -100 to 100, found nan"),
        (["--length-penalty", "inf"], "--length-penalty takes numbers from 0 to 10, found inf"),
        (
            ["--precision", "bfloat16", "--engine", "ctranslate2"],
            "--precision is that of Keras; CTranslate2 has --quantization; --engine keras translates it",
        ),
        (["--prefix", "nowhere"], "nowhere does not exist"),
        (["--ban", " "], "--ban needs a phrase, found a blank one"),
        (["--scores", "--nbest", 2], "--scores is in n-best lists already; leave it out"),
        (["--scores", "--format", "json"], "--scores is in JSON already; leave it out"),
        (
            ["--beam", 1, "--mbr", "bleu"],
            "--mbr chooses among several translations; give --beam N or --samples N, or --mbr none",
        ),
        (["--beam", 1_000_000], "--beam takes numbers from 1 to 10,000, found 1000000"),
        (["--length-penalty", 1000], "--length-penalty takes numbers from 0 to 10, found 1000"),
        (["--beam", 1, "--stopping", "exact"], "--stopping is of a beam; give --beam N, too"),
        (
            ["--quantization", "int8", "--engine", "keras"],
            "--quantization is CTranslate2's; leave it out, or --engine keras",
        ),
        (
            ["--alignment", "pharaoh", "--split-sentences"],
            "n-best lists, prefixes and alignments are of single sentences; leave out --split-sentences",
        ),
    ],
)
def test_an_option_that_would_do_nothing(refuses, tiny_run, tiny_corpus, options, expected):
    assert refuses("translate", tiny_run.folder, "-i", tiny_corpus / "test.de", *options) == expected


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("translate", "model", "--beam", 2, "--beam", 3), "--beam"),
        (("translate", "model", "-o", "a", "--output", "b"), "--output"),
        (("score", "model", "--source", "a", "--source", "b", "--target", "c"), "--source"),
        (("prepare", "recipe", "--out", "a", "--out", "a"), "--out"),
        (("compare", "a", "b", "-l", "en-de", "-l", "de-en"), "--languages"),
    ],
)
def test_an_option_of_one_value_that_is_given_twice(refuses, words, option):
    assert refuses(*words) == f"{option} takes one value, but it is given 2 times"


def test_options_that_may_be_repeated(refuses):
    assert refuses("evaluate", "--hypothesis", "a", "--hypothesis", "b") == "a does not exist"
    assert refuses("info", "nowhere", "--json", "--json") != ""


@pytest.mark.parametrize(
    ("words", "beginning", "end"),
    [
        (("trnslate",), "No such command 'trnslate'", "; try nmt-rl --help"),
        (("translate", "--bema", 1), "No such option: --bema", "; try nmt-rl translate --help"),
        (("translate", "--beam", "x", "model"), "Invalid value for '--beam'", "; try nmt-rl translate --help"),
        (("translate",), "Missing argument", "; try nmt-rl translate --help"),
    ],
)
def test_a_mistyped_command_line(refuses, words, beginning, end):
    text = refuses(*words)
    assert text.startswith(beginning) and text.endswith(end)


def test_what_is_interrupted_says_so(command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt_rl.bundle.bundle_folder", interrupt)
    monkeypatch.setattr("nmt_rl.bundle.start.load_experiment", interrupt)
    result = command("info", "model")
    assert (result.code, result.err) == (130, "nmt-rl: interrupted\n")
    result = command("-q", "pretrain", "recipe", "--out", "run")
    assert (result.code, result.err) == (
        130,
        "nmt-rl: interrupted; the same command goes on from what is saved\n",
    )
    result = command("-q", "pretrain", "recipe", "--out", "run", "--fresh")
    assert result.err == "nmt-rl: interrupted; the same command without --fresh goes on from what is saved\n"


def test_a_message_steers_no_terminal(refuses, tmp_path):
    text = refuses("info", tmp_path / "\x1b[2Jno\nmodel")
    assert r"\x1b[2Jno\nmodel" in text and "\x1b" not in text


def test_prefixes_are_found_fewer_than_the_lines_before_a_model_is_loaded(refuses, tiny_run, tiny_corpus, tmp_path):
    (tmp_path / "prefix").write_text("dog\n")
    words = ("translate", tiny_run.folder, "-i", tiny_corpus / "test.de", "--prefix", tmp_path / "prefix")
    assert refuses(*words) == f"{tmp_path / 'prefix'} has 1 line, but {tiny_corpus / 'test.de'} has 8; they must agree"
    text = refuses(*words, "--coverage-penalty", 0.2, "--beam", 2)
    assert text.startswith("a coverage penalty does not know what --prefix has looked at")


def test_a_number_out_of_range_is_named_as_it_was_typed(refuses, tiny_run, tiny_corpus):
    model, (de, en) = tiny_run.folder / "model", (tiny_corpus / "test.de", tiny_corpus / "test.en")
    texts = ("--source", de, "--reference", en)
    assert refuses("evaluate", model, *texts, "--max-length-ratio", 2000) == (
        "--max-length-ratio takes numbers above 0 and at most 1,000, found 2000"
    )
    assert refuses("score", model, "--source", de, "--target", en, "--length-penalty", 11) == (
        "--length-penalty takes numbers from 0 to 10, found 11"
    )
    assert "'--beam': Input should be" in (text := refuses("compare", model, en, *texts, "--beam", "0"))
    assert ", found '0'; try " in text


def test_what_needs_no_model_is_said_before_one_is_loaded(refuses, tiny_run, tiny_corpus, monkeypatch):
    def load(*arguments):
        raise AssertionError("loaded")

    monkeypatch.setattr("nmt_rl.bundle.load_ensemble", load)
    monkeypatch.setattr("nmt_rl.decoding.translator.load_ensemble", load)
    model, (de, en) = tiny_run.folder / "model", (tiny_corpus / "test.de", tiny_corpus / "test.en")
    text = refuses("score", model, "--source", de, "--target", en, "--pieces")
    assert "translation 1 holds" in text and "no piece of the model" in text

    def missing(language):
        return "ja-mecab"

    monkeypatch.setattr("nmt_rl.decoding.mbr.bleu_tokenizer", missing)
    monkeypatch.setitem(sys.modules, "MeCab", None)
    monkeypatch.delitem(sys.modules, "sacrebleu.tokenizers.tokenizer_ja_mecab", raising=False)
    assert "sacrebleu[ja]" in refuses("translate", model, "-i", de, "--mbr", "bleu", "--engine", "keras")


def test_a_page_over_a_reference(refuses, tiny_corpus, tmp_path):
    reference = tmp_path / "reference"
    reference.write_bytes((tiny_corpus / "test.en").read_bytes())
    files = (tiny_corpus / "test.en", tiny_corpus / "test.de", "--reference", reference)
    assert refuses("compare", *files, "--html", reference).startswith(f"--html {reference} is read by the same command")
    assert reference.read_bytes() == (tiny_corpus / "test.en").read_bytes()
