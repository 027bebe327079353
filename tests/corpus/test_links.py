"""Links of training pairs: given in files and mapped to pieces, or computed; through the whole preparation."""

import numpy as np
import pytest

from nmt_rl.config import parse_config
from nmt_rl.corpus.links import piece_links
from nmt_rl.corpus.prepare import prepare
from nmt_rl.corpus.prepared import open_prepared
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.word_pieces import word_starts
from nmt_rl.errors import UserError

WORDS = {
    "ein": "a", "kleiner": "small", "Hund": "dog", "läuft": "runs", "über": "across", "die": "the", "Wiese": "meadow",
    "schnell": "fast", "heute": "today", "grün": "green",
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """60 pairs translated word by word and written backwards, a blank one and one that is there twice; alignments."""
    pairs = drawn(60, -1)
    links = [" ".join(f"{i}-{len(source.split()) - 1 - i}" for i in range(len(source.split()))) for source, _ in pairs]
    write(tmp_path, [("", ""), pairs[0], *pairs])
    (tmp_path / "train.align").write_text("".join(f"{line}\n" for line in ["", links[0], *links]))
    return tmp_path


def drawn(count, step):
    """Pairs, the translations in the order of the sources or backwards."""
    rng, pairs = np.random.default_rng(1), []
    while len(pairs) < count:
        words = rng.permutation(list(WORDS))[: rng.integers(3, 8)].tolist()
        pairs.append((" ".join(words), " ".join(WORDS[word] for word in words[::step])))
    return pairs


def write(folder, pairs):
    for split in ("train", "valid"):
        for language, lines in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def config(data, guided=True, **source):
    train = {"prefix": str(data / "train"), **source}
    files = {"source_language": "de", "target_language": "en", "train": train, "valid": str(data / "valid")}
    return parse_config(
        {
            "name": "toy",
            "corpus": files,
            "tokenizer": {"vocabulary": 60, "vocabulary_is_bound": True, "byte_fallback": False},
            "pretrain": {"guided_alignment": {}} if guided else {},
            "model": {"type": "transformer"},
        },
        "toy.yaml",
    )


def word_links(prepared, number):
    """The words that a pair's links join, and all that are right."""
    sides = (prepared.tokenizers.source, prepared.tokenizers.target)
    corpus = prepared.train
    pieces = [side.pieces(ids) for side, ids in zip(sides, (corpus.source(number), corpus.target(number)), strict=True)]
    words = [np.searchsorted(word_starts(each), np.arange(len(each)), side="right") - 1 for each in pieces]
    flat = corpus.links.gather(np.array([number]))[0].reshape(-1, 2)
    found = {(int(words[0][i]), int(words[1][j])) for i, j in flat}
    return found, pieces, flat


def test_links_of_words_become_those_of_all_their_pieces():
    # Words of 2 and 1 pieces, and of 1 and 2.
    assert piece_links([(0, 1), (1, 0)], [0, 2, 3], [0, 1, 3]) == [0, 1, 0, 2, 1, 1, 1, 2, 2, 0]
    assert piece_links([], [0, 1], [0, 1]) == []
    assert piece_links([(2, 0)], [0, 2, 3], [0, 1, 3]) is None


@pytest.mark.parametrize("tag", [None, "<2en>"])
def test_given_links_are_those_of_the_pairs_that_cleaning_leaves(data, tmp_path, tag):
    """A blank pair before them, and one that occurs twice; a tag is one more word of the source."""
    prepared = prepare(config(data, alignment=str(data / "train.align"), tag=tag), tmp_path / "run")
    assert 50 < len(prepared.train) <= 60
    for number in range(len(prepared.train)):
        found, pieces, flat = word_links(prepared, number)
        count = len(word_starts(pieces[1]))
        assert found == {(i + (tag is not None), count - 1 - i) for i in range(count)}
        assert len(flat) == len({tuple(link) for link in flat.tolist()}) >= count


def test_without_a_file_the_text_is_aligned(data, tmp_path):
    write(data, drawn(300, 1))
    prepared = prepare(config(data), tmp_path / "run")
    right = wrong = 0
    for number in range(len(prepared.train)):
        found, pieces, _ = word_links(prepared, number)
        count = len(word_starts(pieces[1]))
        known = {(i, i) for i in range(count)}
        right, wrong = right + len(found & known), wrong + len(found - known)
    assert right > 5 * wrong, "of pieces that are single letters, mostly"
    assert len(open_prepared(config(data), tmp_path / "run").train.links.offsets) == len(prepared.train) + 1


def test_a_run_without_alignments_is_told_from_one_with_them(data, tmp_path):
    prepare(config(data, guided=False), tmp_path / "run")
    assert EncodedCorpus.open(tmp_path / "run" / "corpus" / "train").links is None
    with pytest.raises(UserError, match=r"was prepared without alignments, which pretrain\.guided_alignment needs"):
        open_prepared(config(data), tmp_path / "run")
    prepared = prepare(config(data), tmp_path / "guided")
    assert prepared.train.links is not None
    assert open_prepared(config(data, guided=False), tmp_path / "guided").train.links is None


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda lines: lines[:-1], "has 61 lines, but there are 62 pairs; line n aligns pair n"),
        (lambda lines: [*lines, ""], "has 63 lines, but there are 62 pairs; line n aligns pair n"),
        (lambda lines: [*lines[:4], "0=0", *lines[5:]], "line 5: '0=0' is no link of two words"),
        (lambda lines: [*lines[:4], "0-20", *lines[5:]], "line 5: 0-20 is beyond the target line, which has"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_the_work(data, tmp_path, change, words):
    file = data / "train.align"
    file.write_text("".join(f"{line}\n" for line in change(file.read_text().splitlines())))
    with pytest.raises(UserError) as error:
        prepare(config(data, alignment=str(file)), tmp_path / "run")
    assert str(file) in str(error.value) and words in str(error.value)
    assert not (tmp_path / "run" / "preparing").exists()


def test_a_missing_file_and_one_that_has_changed_are_told(data, tmp_path):
    with pytest.raises(UserError, match=r"none\.align does not exist"):
        prepare(config(data, alignment=str(data / "none.align")), tmp_path / "run")
    given = config(data, alignment=str(data / "train.align"))
    prepare(given, tmp_path / "run")
    with pytest.raises(UserError, match="was prepared with other settings"):
        open_prepared(config(data), tmp_path / "run")
