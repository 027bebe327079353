import pytest

from nmt_rl.config import CleaningConfig
from nmt_rl.corpus import clean_text
from nmt_rl.corpus.clean_text import CleanText
from nmt_rl.corpus.overlap import HeldOut

RAW = [(f"Satz  {i % 9}", f"sentence {i % 9}") for i in range(25)] + [("", "nothing"), ("a b c d", "e")]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(clean_text, "PART", 4)


def written(folder, raw=RAW, drop=True):
    text, held_out = CleanText(folder), HeldOut({"valid": [("Satz 3", "sentence 3"), ("neu", "new")]})
    text.write([raw], CleaningConfig(max_ratio=2.0), 1, len(RAW))
    text.mark_duplicates(held_out, drop)
    return text, held_out


def test_text_report_and_overlap(tmp_path):
    text, held_out = written(tmp_path / "text")
    assert list(text.read()) == [(f"Satz {i}", f"sentence {i}") for i in range(9)]
    assert dict(text.report.dropped) == {"empty side": 1, "length ratio": 1, "duplicate": 16}
    assert (text.report.read, text.report.kept) == (27, 9)
    assert held_out.overlaps()["valid"].same == 1
    assert sum(int(kept.sum()) for _, kept in text.parts()) == 9
    everything, _ = written(tmp_path / "all", drop=False)
    assert len(list(everything.read())) == everything.report.kept == 25
    assert all(kept is None for _, kept in everything.parts())


def test_going_on_makes_only_what_is_missing(tmp_path):
    """Whatever part is missing, one in the middle too; a text that was read to its end is not read again."""
    whole, _ = written(tmp_path / "text")
    every = ([], ["00001.json"], ["finished.json"], ["finished.json", "00002.json"], ["00005.json", "00006.json"])
    for gone in every:
        for name in gone:
            (tmp_path / "text" / name).unlink()
        before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "text").glob("*.text")}
        text, held_out = written(tmp_path / "text", RAW if gone else ())
        after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "text").glob("*.text")}
        made = {name.replace("json", "text") for name in gone if name != "finished.json"}
        assert {name for name in after if after[name] != before[name]} == made
        assert list(text.read()) == list(whole.read())
        assert text.report == whole.report
        assert held_out.overlaps()["valid"].same_source == 1


def test_no_part_is_of_two_sources(tmp_path):
    text = CleanText(tmp_path / "text")
    raw = [[(f"a {i}", "x y") for i in range(5)], [], [(f"b {i}", "x y") for i in range(2)]]
    text.write(raw, CleaningConfig(), 1, 7)
    assert (text.sizes, text.sources) == ([4, 1, 2], [0, 0, 2])
    again = CleanText(tmp_path / "text")
    again.write([], CleaningConfig(), 1, 7)
    assert (again.sizes, again.sources) == (text.sizes, text.sources)
