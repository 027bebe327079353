"""What every verb says about a model folder that is none, or damaged, or somebody's trap."""

import json
import shutil
import time

import pytest
from older import without_hashes

SECOND = 1.0


@pytest.fixture
def copy(tiny_run, tmp_path):
    """A model folder that a test may spoil."""
    return shutil.copytree(tiny_run.folder / "model", tmp_path / "copy")


@pytest.fixture
def refuses(command, monkeypatch):
    """Run a command that must end with exit code 2 and one sentence before any model is built; the sentence.

    Libraries are loaded before, so that a refusal is timed without them.
    """
    import nmt_rl.models.build  # noqa: F401

    def no_model(*_, **__):
        raise AssertionError("a model was built")

    def call(*args):
        monkeypatch.setattr("nmt_rl.models.build.build_model", no_model)
        result = command(*args)
        assert (result.code, result.out) == (2, ""), result
        (line,) = result.err.splitlines()
        assert line.startswith("nmt-rl: error: ") and len(line) < 600
        return line.removeprefix("nmt-rl: error: ")

    return call


def test_a_text_where_a_model_is_wanted(refuses, tiny_run, tiny_corpus, tmp_path):
    text, model = tiny_corpus / "test.de", tiny_run.folder
    pair = ("--source", text, "--reference", tiny_corpus / "test.en")
    for verb, arguments, hint in [
        ("translate", (model, text), f"did you mean -i {text}?"),
        ("score", (text, "--source", text, "--target", text), f"did you mean --source or --target {text}?"),
        ("evaluate", (text, *pair), f"did you mean --hypothesis {text}?"),
        ("average", (model, text, "-o", tmp_path / "out"), "give RUN/model of a finished run"),
        ("export", (text,), "give RUN/model of a finished run"),
        ("info", (text,), "give RUN/model of a finished run"),
        ("verify", (text,), "give RUN/model of a finished run"),
    ]:
        assert refuses(verb, *arguments) == f"{text} is a file, not a model folder; {hint}"


def test_a_model_where_a_text_is_wanted(refuses, tiny_run, tiny_corpus):
    text, model = tiny_corpus / "test.de", tiny_run.folder
    for verb, arguments in {
        "translate": [(model, "-i", model), (model, "-i", text, "--prefix", model)],
        "score": [(model, "--source", model, "--target", text), (model, "--source", text, "--target", model)],
        "evaluate": [
            ("--hypothesis", model, "--reference", text),
            ("--hypothesis", text, "--reference", model),
            (model, "--source", model, "--reference", text),
        ],
        "compare": [(model, text, "--source", model, "--reference", text), (text, model, "--reference", model)],
    }.items():
        for each in arguments:
            said = refuses(verb, *each)
            assert f"{model} is a model folder, not a text file; a MODEL stands without -" in said, (verb, each)


@pytest.mark.parametrize("verb", ["translate", "score", "evaluate", "compare", "average", "export", "info"])
def test_every_verb_names_a_damaged_file(refuses, tiny_run, tiny_corpus, copy, tmp_path, verb):
    (copy / "config.yaml").write_bytes(b"")
    text, reference = tiny_corpus / "test.de", tiny_corpus / "test.en"
    arguments = {
        "translate": ("-i", text),
        "score": ("--source", text, "--target", reference),
        "evaluate": ("--source", text, "--reference", reference),
        "compare": (tiny_run.folder, "--source", text, "--reference", reference),
        "average": (tiny_run.folder, "-o", tmp_path / "out"),
        "export": (),
        "info": (),
    }
    assert refuses(verb, copy, *arguments[verb]) == f"{copy / 'config.yaml'} is empty (0 bytes)"


def test_info_says_what_a_card_says(command, copy):
    for card in ({}, {"name": "x\x1b[2J\ny", "result": {}}, {"versions": {"a": "\x9b1m"}, "data": {"t\r": "1"}}):
        (copy / "card.json").write_text(json.dumps(card))
        result = command("info", copy)
        assert result.code == 0 and "architecture         transformer\n" in result.out
        assert not set("\x1b\x9b\r") & set(result.out)
        assert json.loads(command("info", copy, "--json").out)["card"] == card
    (copy / "card.json").unlink()
    assert "languages            de-en\n" in command("info", copy).out


def test_a_folder_without_a_card_translates(command, copy, tiny_corpus):
    (copy / "card.json").unlink()
    result = command("translate", copy, "-i", tiny_corpus / "test.de")
    assert result.code == 0 and result.out.count("\n") == 8


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "trap", "what"),
    [
        ("config.yaml", BOMB, "holds more than"),
        ("config.yaml", "a: " + "{a: " * 10**4, "is nested too deeply"),
        ("config.yaml", "x" * 2**21, "is too large"),
        ("card.json", "[" * 10**6, "is nested too deeply"),
        ("card.json", "/dev/zero", "is a device, not a file"),
        ("hashes.json", "/dev/zero", "is a device, not a file"),
        ("tokenizer.model", "/dev/zero", "is a device, not a file"),
        ("model.weights.h5", "/dev/zero", "is a device, not a file"),
        ("tokenizer.model", "x" * 2**10, "is damaged"),
    ],
)
def test_a_trap_is_refused_within_a_second(refuses, copy, name, trap, what, tiny_corpus):
    (copy / name).unlink()
    if trap.startswith("/dev"):
        (copy / name).symlink_to(trap)
    else:
        (copy / name).write_text(trap)
    begun = time.process_time()
    assert f"{copy / name} {what}" in refuses("translate", copy, "-i", tiny_corpus / "test.de")
    assert time.process_time() - begun < SECOND


def test_a_message_is_bounded(command, copy):
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("seed: 3", f"seed: {'x' * 10**5}"))
    result = command("info", copy)
    assert (
        result.code == 2 and len(result.err) < 6000 and f"{path}: seed: input should be a valid integer" in result.err
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 10**9),
        ("width", 60_000),
        ("encoder_layers", 10**7),
        ("decoder_layers", 1000),
        ("heads", 10**9),
        ("feed_forward", 10**12),
        ("max_positions", 10**12),
        ("beam", 10**6),
        ("samples", 10**9),
        ("max_length_extra", 10**12),
    ],
)
def test_absurd_sizes_are_refused_within_a_second(refuses, copy, key, value, tiny_corpus):
    """Also of a folder that has no hashes to compare with."""
    without_hashes(copy)
    path = copy / "config.yaml"
    lines = path.read_text().splitlines()
    changed = [f"{line.partition(':')[0]}: {value}" if line.strip().startswith(f"{key}:") else line for line in lines]
    assert changed != lines
    path.write_text("\n".join(changed))
    begun = time.process_time()
    said = refuses("translate", copy, "-i", tiny_corpus / "test.de")
    assert key in said or "does not fit" in said
    assert time.process_time() - begun < SECOND
