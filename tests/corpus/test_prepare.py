import itertools
import json
import re
from pathlib import Path

import pytest
from older import corpus_without_hashes

from nmt_rl.config import TokenizerConfig, parse_config
from nmt_rl.corpus import clean_text, encoding
from nmt_rl.corpus import prepare as prepare_module
from nmt_rl.corpus.clean_text import CleanText
from nmt_rl.corpus.prepare import prepare
from nmt_rl.corpus.prepared import open_prepared
from nmt_rl.corpus.tokenizer import train_tokenizer
from nmt_rl.errors import UserError

MULTI30K = Path(__file__).parents[3] / "shared" / "data" / "multi30k"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    numbers = list(range(200))
    german = [f"der Hund Nummer {i} läuft über die Straße" for i in numbers]
    english = [f"dog number {i} runs across  the street" for i in numbers]
    extra = [("", "no source"), (german[3], english[3]), ("x " * 300, "y " * 300), ("OK gut", "OK gut")]
    _write(folder / "train", german + [s for s, _ in extra], english + [t for _, t in extra])
    _write(folder / "valid", ["", " der Hund ", "der Hund"], ["", "the  dog", "the dog"])
    _write(folder / "test", ["die Katze"], ["the cat"])
    return folder


def _write(prefix, source, target):
    Path(f"{prefix}.de").write_text("".join(f"{line}\n" for line in source), encoding="utf-8")
    Path(f"{prefix}.en").write_text("".join(f"{line}\n" for line in target), encoding="utf-8")


def config(data, max_length=60, **corpus):
    tree = {
        "name": "toy",
        "corpus": {
            "source_language": "de",
            "target_language": "en",
            "train": str(data / "train"),
            "valid": str(data / "valid"),
            "test": str(data / "test"),
            **corpus,
        },
        "tokenizer": {"vocabulary": 310},
        "pretrain": {"batch": {"max_length": max_length}},
        "model": {"type": "transformer"},
    }
    return parse_config(tree, "toy.yaml")


def test_whole_preparation(data, tmp_path):
    run = tmp_path / "run"
    prepared = prepare(config(data), run)
    assert prepared.report.read == 204
    assert dict(prepared.report.dropped) == {"empty side": 1, "duplicate": 1, "too long": 1, "identical sides": 1}
    assert len(prepared.train) == prepared.report.kept == 200
    ids = [prepared.train.source(7), prepared.train.source(199)]
    assert prepared.tokenizers.source.decode(ids) == [f"der Hund Nummer {i} läuft über die Straße" for i in (7, 199)]
    assert prepared.tokenizers.target.decode([prepared.train.target(7)]) == ["dog number 7 runs across the street"]
    assert prepared.valid == [("", ""), (" der Hund ", "the  dog"), ("der Hund", "the dog")]
    assert prepared.test == [("die Katze", "the cat")]
    assert set(prepared.hashes) == {"train", "valid", "test"}
    assert {path.name for path in run.iterdir()} == {"corpus"}
    names = {path.name for path in (run / "corpus").iterdir()}
    texts = {"valid.source", "valid.target", "test.source", "test.target"}
    assert names == {".nmt-rl", "train", "tokenizer.model", "cleaning.json", "prepared.json", "hashes.json", *texts}


def test_text_with_odd_ends_is_not_taken_for_damaged(data, tmp_path):
    (data / "valid.de").write_bytes(b"\xef\xbb\xbf\xef\xbb\xbfein Hund\r\r\n\n\x0c\xff\n")
    first = prepare(config(data), tmp_path / "run")
    assert prepare(config(data), tmp_path / "run").valid == first.valid


def test_the_run_no_longer_needs_the_sources(data, tmp_path, monkeypatch):
    first = prepare(config(data), tmp_path / "run")
    for path in data.iterdir():
        path.unlink()
    monkeypatch.setattr(prepare_module, "train_tokenizers", None)
    again = prepare(config(data), tmp_path / "run")
    assert (again.valid, again.test, again.report, again.hashes) == (
        first.valid,
        first.test,
        first.report,
        first.hashes,
    )
    assert again.train.source(5).tolist() == first.train.source(5).tolist()


def test_other_settings_are_refused_and_fresh_starts_over(data, tmp_path):
    run = tmp_path / "run"
    prepare(config(data), run)
    other = config(data, cleaning={"max_words": 100})
    with pytest.raises(UserError, match=r"corpus\.cleaning\.max_words was 175, now 100; .*nmt-rl prepare --fresh"):
        prepare(other, run)
    with pytest.raises(UserError, match=r"pretrain\.batch\.max_length was 60, now 50"):
        open_prepared(config(data, max_length=50), run)
    assert len(prepare(other, run, fresh=True).train) == 200
    with pytest.raises(UserError, match="was 100, now 175"):
        prepare(config(data), run)


def test_settings_that_preparation_does_not_use_may_change(data, tmp_path):
    first = config(data)
    prepare(first, tmp_path / "run")
    tree = first.model_dump(mode="json")
    tree["tokenizer"].update(sampling=True, sampling_alpha=0.3)
    tree["pretrain"]["batch"]["size"] = 77
    assert len(prepare(parse_config(tree, "toy.yaml"), tmp_path / "run").train) == 200


@pytest.mark.parametrize("broken", ["train_tokenizers", "encode", "write_json"])
def test_a_half_finished_preparation_starts_over(broken, data, tmp_path, monkeypatch):
    run = tmp_path / "run"
    expected = prepare(config(data), tmp_path / "other")

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepare_module, broken, die)
        prepare(config(data), run)
    with pytest.raises(UserError, match="no prepared corpus"):
        open_prepared(config(data), run)
    prepared = prepare(config(data), run)
    assert prepared.hashes == expected.hashes
    assert prepared.train.header == expected.train.header
    assert [path.name for path in run.iterdir()] == ["corpus"]


def test_several_processes_prepare_the_same_corpus(data, tmp_path, monkeypatch):
    monkeypatch.setattr(clean_text, "PART", 30)
    one, three = (prepare(config(data), tmp_path / f"run{n}", processes=n) for n in (1, 3))
    assert one.train.header == three.train.header
    assert (one.report, one.hashes) == (three.report, three.hashes)


@pytest.mark.parametrize("broken", ["clean_part", "mark_duplicates", "train_tokenizers", "encode_part", "write_hashes"])
def test_a_preparation_goes_on_where_it_was_interrupted(broken, data, tmp_path, monkeypatch):
    run, calls = tmp_path / "run", 0
    monkeypatch.setattr(clean_text, "PART", 30)
    expected = prepare(config(data), tmp_path / "other", processes=1)
    home = {"clean_part": clean_text, "mark_duplicates": CleanText, "encode_part": encoding}.get(broken, prepare_module)
    function = getattr(home, broken)

    def die_at_the_third(*args, **kw):
        nonlocal calls
        calls += 1
        if calls == (3 if broken.endswith("_part") else 1):
            raise KeyboardInterrupt
        return function(*args, **kw)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(home, broken, die_at_the_third)
        prepare(config(data), run, processes=1)
    before = {path.name: path.stat().st_mtime_ns for path in (run / "preparing").rglob("*") if path.is_file()}
    assert len([name for name in before if name.endswith(".text")]) == (2 if broken == "clean_part" else 7)
    kept = {}
    monkeypatch.setattr(
        prepare_module, "delete", lambda work, *_: kept.update({p.name: p.stat().st_mtime_ns for p in work.rglob("*")})
    )
    prepared = prepare(config(data), run, processes=1)
    assert prepared.train.header == expected.train.header
    assert (prepared.report, prepared.hashes) == (expected.report, expected.hashes)
    again = {name for name, time in before.items() if kept[name] != time}
    assert again <= {"finished.json", "first.bool"}


def test_what_was_begun_with_other_text_or_settings_starts_over(data, tmp_path, monkeypatch):
    def begin(settings, run):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(prepare_module, "encode", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            prepare(settings, run)

    run, other = tmp_path / "run", tmp_path / "other"
    begin(config(data, cleaning={"drop_identical": False}), run)
    assert prepare(config(data), run).report.kept == 200
    begin(config(data), other)
    german = (data / "train.de").read_text().splitlines()
    _write(data / "train", german[:150], (data / "train.en").read_text().splitlines()[:150])
    assert prepare(config(data), other).report.kept == 150
    assert {path.name for path in other.iterdir()} == {"corpus"}


def test_a_hub_that_breaks_off_costs_only_what_it_was_reading(data, tmp_path, monkeypatch):
    run, read = tmp_path / "run", prepare_module.read_pairs
    monkeypatch.setattr(clean_text, "PART", 30)

    def breaking(spec, config, *split):
        pairs = read(spec, config, *split)
        yield from itertools.islice(pairs, 70) if spec is settings.corpus.train[0] else pairs
        if spec is settings.corpus.train[0]:
            raise UserError("hub set 'x' cannot be read: connection lost")

    settings = config(data)
    with monkeypatch.context() as patch, pytest.raises(UserError, match="connection lost"):
        patch.setattr(prepare_module, "read_pairs", breaking)
        prepare(settings, run, processes=1)
    before = {path: path.stat().st_mtime_ns for path in (run / "preparing" / "text").glob("*.text")}
    assert len(before) == 2
    kept = {}
    monkeypatch.setattr(
        prepare_module, "delete", lambda work, *_: kept.update({p: p.stat().st_mtime_ns for p in work.rglob("*")})
    )
    assert prepare(settings, run, processes=1).report.kept == 200
    assert all(kept[path] == time for path, time in before.items())


def test_what_is_not_ours_is_not_deleted(data, tmp_path):
    own = tmp_path / "run" / "preparing"
    own.mkdir(parents=True)
    (own / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="preparing would be deleted, but nmt-rl did not make it"):
        prepare(config(data), tmp_path / "run")
    assert (own / "mine.txt").read_text() == "mine"


def cut_last_line(path):
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))


def flip_last_byte(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("cleaning.json", lambda p: p.write_text("{"), "damaged"),
        ("cleaning.json", lambda p: p.write_text(""), "is empty"),
        ("cleaning.json", Path.unlink, "is missing"),
        ("prepared.json", lambda p: p.write_text("[]"), "should hold a mapping, found an empty list"),
        ("prepared.json", lambda p: p.write_text("{}"), "settings should hold a mapping, found nothing"),
        ("hashes.json", lambda p: p.write_text("{"), "not valid JSON"),
        ("hashes.json", lambda p: p.unlink(), "is missing"),
        ("valid.source", cut_last_line, "is damaged"),
        ("test.target", Path.unlink, "is missing"),
        ("valid.target", flip_last_byte, "is not what hashes.json says of it"),
        ("test.target", flip_last_byte, "are not what preparation wrote"),
        ("tokenizer.model", flip_last_byte, "is not what hashes.json says of it"),
        ("train/target.tokens.npy", flip_last_byte, "is not what hashes.json says of it"),
    ],
)
def test_a_damaged_file_of_the_corpus_is_named(name, spoil, words, data, tmp_path):
    run = tmp_path / "run"
    prepare(config(data), run)
    spoil(run / "corpus" / name)
    with pytest.raises(UserError) as error:
        open_prepared(config(data), run)
    assert str(run / "corpus" / name).rpartition(".t")[0] in str(error.value) and words in str(error.value)
    assert str(error.value).endswith(f"delete {run / 'corpus'}, then nmt-rl prepare makes it anew")


@pytest.mark.parametrize(
    ("name", "tree"),
    [("cleaning.json", {"read": 3}), ("cleaning.json", {"read": 3, "dropped": {"a": "b"}}), ("valid.source", None)],
)
def test_a_corpus_of_an_older_version_has_no_hashes(name, tree, data, tmp_path):
    run = tmp_path / "run"
    prepare(config(data), run)
    corpus_without_hashes(run / "corpus")
    assert len(open_prepared(config(data), run).valid) == 3
    path = run / "corpus" / name
    cut_last_line(path) if tree is None else path.write_text(json.dumps(tree))
    with pytest.raises(UserError, match=name):
        open_prepared(config(data), run)


def test_too_many_pieces_are_counted(data, tmp_path):
    longest = max(len(ids) for ids in (prepare(config(data), tmp_path / "all").train.source(i) for i in range(200))) + 1
    prepared = prepare(config(data, max_length=longest - 1), tmp_path / "run")
    dropped = prepared.report.dropped["too many pieces"]
    assert 0 < dropped < 200
    assert len(prepared.train) == prepared.report.kept == 200 - dropped
    assert max(prepared.train.source_lengths.max(), prepared.train.target_lengths.max()) + 1 == longest - 1


def test_duplicates_kept_on_request(data, tmp_path):
    twice = [str(data / "train")] * 2
    assert len(prepare(config(data, train=twice), tmp_path / "a").train) == 200
    kept = prepare(config(data, train=twice, cleaning={"drop_duplicates": False}), tmp_path / "b")
    assert len(kept.train) == 402
    assert "duplicate" not in kept.report.dropped


def test_nothing_left_and_empty_validation(data, tmp_path):
    with pytest.raises(UserError, match=r"no training pair is left of 204 after cleaning \(too short 202, "):
        prepare(config(data, cleaning={"min_words": 170}), tmp_path / "run")
    with pytest.raises(
        UserError, match=r"longer than pretrain\.batch\.max_length 4; .* 0 of 204 .*too many pieces 200,"
    ):
        prepare(config(data, max_length=4), tmp_path / "run")
    _write(data / "valid", [], [])
    with pytest.raises(UserError, match=r"corpus\.valid has no sentence pairs: there is no line in \S*/data/valid$"):
        prepare(config(data), tmp_path / "run")


def test_an_empty_training_file_is_named(data, tmp_path):
    _write(data / "train", [], [])
    with pytest.raises(UserError, match=r"corpus\.train has no sentence pairs: there is no line in \S*/data/train$"):
        prepare(config(data), tmp_path / "run")


def test_an_empty_file_among_others_is_told(data, tmp_path, caplog):
    _write(data / "more", [], [])
    prepared = prepare(config(data, train=[str(data / "train"), str(data / "more")]), tmp_path / "run")
    assert prepared.report.read == 204 and "there is no line in" in caplog.text and "more" in caplog.text


def test_most_pairs_gone_is_told_with_the_reasons(data, tmp_path, caplog):
    """Also by the error of a vocabulary that what is left does not permit, which is not what must be mended."""
    strict = config(data, cleaning={"max_ratio": 1.0})
    _write(data / "train", ["ein Hund läuft"] * 3 + ["der Hund"], ["a dog"] * 3 + ["the dog"])
    expected = "cleaning kept 1 of 4 training pairs (dropped: length ratio 3; see corpus.cleaning)"
    with pytest.raises(UserError, match=f"^{re.escape(expected)}; tokenizer.vocabulary 310 is more"):
        prepare(strict, tmp_path / "run")
    assert expected in caplog.text


def test_held_out_pairs_in_the_training_text_are_told(data, tmp_path, caplog):
    _write(data / "valid", [f"der Hund Nummer {i} läuft  über die Straße" for i in (3, 4)], ["a", "b"])
    prepare(config(data), tmp_path / "run")
    told = "corpus.valid overlaps with corpus.train: 0 of 2 pairs are in the training text, and 2 of the sources;"
    assert told in caplog.text and "corpus.test" not in caplog.text


def test_a_failing_fresh_preparation_keeps_the_old_one(data, tmp_path):
    run = tmp_path / "run"
    prepare(config(data), run)
    (data / "train.en").write_text("one line\n")
    with pytest.raises(UserError, match=r"204 lines but .* has 1"):
        prepare(config(data), run, fresh=True)
    assert len(open_prepared(config(data), run).train) == 200


def test_a_folder_with_anything_else_in_it_is_never_replaced(data, tmp_path):
    run = tmp_path / "run"
    (run / "corpus").mkdir(parents=True)
    (run / "corpus" / "mine.txt").write_text("years of work")
    with pytest.raises(UserError, match="corpus would be replaced, but nmt-rl did not make it"):
        prepare(config(data), run)
    assert (run / "corpus" / "mine.txt").read_text() == "years of work"
    (run / "corpus").rename(tmp_path / "mine")
    prepare(config(data), run)
    (run / "corpus" / "train" / "mine.txt").touch()
    with pytest.raises(UserError, match=r"train/mine\.txt in it is not nmt-rl's"):
        prepare(config(data), run, fresh=True)
    assert (run / "corpus" / "train" / "mine.txt").exists()


def test_a_test_set_may_be_added_renamed_changed_and_left_out(data, tmp_path):
    run = tmp_path / "run"
    assert prepare(config(data, test=None), run).test == []
    prepared = prepare(config(data), run)
    assert prepared.test == [("die Katze", "the cat")]
    renamed = {"prefix": str(data / "test"), "name": "holiday"}
    assert prepare(config(data, test=renamed), run).hashes == prepared.hashes
    _write(data / "test", ["der Hund", "die Maus"], ["the dog", "the mouse"])
    changed = prepare(config(data, test=renamed), run)
    assert changed.test == [("der Hund", "the dog"), ("die Maus", "the mouse")]
    assert changed.hashes["test"] != prepared.hashes["test"] and changed.hashes["valid"] == prepared.hashes["valid"]
    assert "test" not in prepare(config(data, test=None), run).hashes
    (data / "test.en").write_text("one line\n")
    with pytest.raises(UserError, match=r"2 lines but .* has 1"):
        prepare(config(data), run)
    assert open_prepared(config(data), run).test == changed.test


def test_a_test_set_that_is_added_later_is_looked_for_in_the_training_text(data, tmp_path, caplog):
    run = tmp_path / "run"
    prepare(config(data, test=None), run)
    prepare(config(data), run)
    assert "overlaps" not in caplog.text
    german = [f"der Hund Nummer 7 läuft über die Straße{end}" for end in ("", "!")]
    _write(data / "test", german, ["dog number 7 runs across the street"] * 2)
    prepare(config(data), run)
    assert "corpus.test overlaps with corpus.train: 1 of 2 pairs are in the training text" in caplog.text


def test_a_language_whose_words_need_a_package_is_refused_first(data, tmp_path, monkeypatch):
    def refuse(**_):
        raise RuntimeError("not installed")

    monkeypatch.setattr("sacrebleu.metrics.BLEU", refuse)
    for name in ("train", "valid", "test"):
        (data / f"{name}.en").rename(data / f"{name}.ko")
    with pytest.raises(UserError, match=r"run pip install 'sacrebleu\[ko\]'"):
        prepare(config(data, target_language="ko"), tmp_path / "run")


def own_tokenizer(config, **tokenizer):
    """The experiment with another tokenizer section."""
    return parse_config(config.model_dump(mode="json") | {"tokenizer": tokenizer}, "toy.yaml")


def test_a_tokenizer_of_ones_own_is_copied_and_known_by_its_content(data, tmp_path):
    first, second, name = tmp_path / "first", tmp_path / "second", tmp_path / "own.model"
    trained = prepare(own_tokenizer(config(data), vocabulary_is_bound=True), first).tokenizers.source
    name.write_bytes(trained.model)
    own = own_tokenizer(config(data), model=str(name))
    assert prepare(own, second).tokenizers.source == trained
    with pytest.raises(UserError, match=r"tokenizer.model was \[\], now .*own.model"):
        open_prepared(own, first)
    moved = tmp_path / "moved.model"
    name.rename(moved)
    assert prepare(own, second).tokenizers.source == trained  # a copy is in the run
    assert prepare(own_tokenizer(config(data), model=str(moved)), second).tokenizers.source == trained
    with pytest.raises(UserError, match=r"none\.model is missing"):
        prepare(own_tokenizer(config(data), model=str(tmp_path / "none.model")), second)
    name.write_bytes(train_tokenizer(["a b c"] * 9, TokenizerConfig(vocabulary=264)).model)
    with pytest.raises(UserError, match=r"prepared with other settings: tokenizer.model was .*own.model"):
        prepare(own, second)


def test_a_tokenizer_that_does_not_fit_is_refused_before_anything_is_read(data, tmp_path):
    (data / "train.de").write_text("one line\n")
    with pytest.raises(UserError, match=r"train\.de is not a SentencePiece model"):
        prepare(own_tokenizer(config(data), model=str(data / "train.de")), tmp_path / "run")


def test_further_validation_sets_may_be_added_and_changed_but_not_the_first(data, tmp_path):
    run, first, more = tmp_path / "run", str(data / "valid"), str(data / "test")
    assert prepare(config(data), run).further == {}
    prepared = prepare(config(data, valid=[first, {"prefix": more, "name": "cats"}]), run)
    assert prepared.further == {"cats": [("die Katze", "the cat")]} and len(prepared.valid) == 3
    assert prepare(config(data, valid=[first, {"prefix": first, "name": "again"}]), run).further["again"]
    with pytest.raises(UserError, match=r"corpus\.valid was prefix .*/valid, now prefix .*/test"):
        prepare(config(data, valid=[more, first]), run)


def test_same_seed_same_everything(data, tmp_path):
    runs = [prepare(config(data), tmp_path / name) for name in "ab"]
    assert runs[0].train.header == runs[1].train.header
    assert runs[0].tokenizers.source.model == runs[1].tokenizers.source.model


@pytest.mark.skipif(not MULTI30K.is_dir(), reason="needs the Multi30k text")
def test_real_text(tmp_path):
    tree = config(MULTI30K).model_dump(mode="json")
    tree["corpus"].update(
        train=[{"prefix": str(MULTI30K / "train"), "limit": 3000}],
        valid={"prefix": str(MULTI30K / "val")},
        test={"prefix": str(MULTI30K / "test_2016_flickr")},
    )
    tree["tokenizer"]["vocabulary"] = 2000
    prepared = prepare(parse_config(tree, "multi30k.yaml"), tmp_path / "run")
    assert (len(prepared.valid), len(prepared.test)) == (1014, 1000)
    assert len(prepared.train) == prepared.report.kept > 2990
    text = [target for _, target in prepared.test]
    assert prepared.tokenizers.target.decode(prepared.tokenizers.target.encode(text)) == text
    assert json.loads((tmp_path / "run" / "corpus" / "cleaning.json").read_text())["read"] == 3000


@pytest.mark.parametrize(("language", "told"), [("zh", False), ("chinese", True)])
def test_text_without_blanks_in_a_language_that_has_them_is_told(data, tmp_path, caplog, language, told):
    for name in ("train", "valid", "test"):
        lines = [f"猫在垫子上{i}" for i, _ in enumerate((data / f"{name}.en").read_text().splitlines())]
        (data / f"{name}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    prepare(config(data, target_language=language, cleaning={"max_ratio": 10}), tmp_path / "run")
    assert ("corpus.valid has no blanks between words" in caplog.text) == told
