from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_rl.evaluation.examples import Texts, choose_examples, mark_differences

REFERENCES = [f"Sentence number {n} is about the weather in the north of town {n}." for n in range(12)]


def translations(first, second):
    return Texts([r.upper() for r in REFERENCES], REFERENCES, first, second)


def lines(examples):
    return [example.line for example in examples]


def test_gains_and_losses_are_the_largest_changes():
    pretrained, finetuned = list(REFERENCES), list(REFERENCES)
    pretrained[2] = "Nothing."  # the largest gain
    pretrained[5] = REFERENCES[5].replace("weather", "climate")
    finetuned[7] = "Nothing."  # the only loss
    chosen = choose_examples(translations(pretrained, finetuned), "en", seed=1, count=3)
    assert lines(chosen.gained) == [3, 6]
    assert lines(chosen.lost) == [8]
    assert len(chosen.drawn) == 3
    assert not {*lines(chosen.drawn)} & {3, 6, 8}
    assert chosen.gained[0].second_bleu > chosen.gained[0].first_bleu


def test_draw_is_seeded():
    same = translations(REFERENCES, REFERENCES)
    first = choose_examples(same, "en", seed=1)
    assert first == choose_examples(same, "en", seed=1)
    assert {tuple(lines(choose_examples(same, "en", seed=seed).drawn)) for seed in range(5)} != {
        tuple(lines(first.drawn))
    }


def test_without_a_second_system_lines_are_drawn():
    chosen = choose_examples(translations(REFERENCES, None), "en", seed=1, count=20)
    assert (chosen.gained, chosen.lost) == ((), ())
    assert lines(chosen.drawn) == list(range(1, 13))
    assert chosen.drawn[0].second is None


def test_differing_words_are_marked():
    old, new = mark_differences("the black cat sat", "the cat sat down")
    assert [text for text, differs in old if differs] == [" black"]
    assert [text for text, differs in new if differs] == [" down"]


def test_chinese_is_marked_by_character():
    old, new = mark_differences("他喜欢猫", "他喜欢狗")
    assert [text for text, differs in old if differs] == ["猫"]
    assert [text for text, differs in new if differs] == ["狗"]


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_marked_pieces_join_to_the_texts(first, second):
    old, new = mark_differences(first, second)
    assert "".join(text for text, _ in old) == first
    assert "".join(text for text, _ in new) == second
    assert [text for text, differs in old if not differs] == [text for text, differs in new if not differs]


def test_vowel_signs_and_accents_belong_to_their_words():
    """Hindi with its signs, and an accent of its own; Thai and Chinese are marked letter by letter."""
    for text, other, expected in [
        ("हिन्दी भाषा।", "उर्दू भाषा।", ["हिन्दी"]),
        ("cafe\u0301 olé", "cafe olé", ["cafe\u0301"]),
        ("ภาษานี้ดี", "ภาษานั้ดี", ["นี้"]),
        ("我们 go!", "我们 went!", ["go"]),
    ]:
        assert [piece for piece, differs in mark_differences(text, other)[0] if differs] == expected
