"""Sources are cut before they are encoded, and batched within a budget."""

from nmt_rl.decoding.sources import batches_within, beginning


def test_the_first_words_of_a_text_and_so_many_characters_of_them():
    assert beginning(" a " * 9, 3) == "a a" and beginning("x" * 100, 8) == "x" * 8
    assert beginning(" as it is ", 10) == " as it is "


def test_batches_stay_in_the_budget_but_one_that_is_too_large_alone():
    assert list(batches_within({7: 3, 1: 20, 4: 2, 5: 3}, 6)) == [[4, 7], [5], [1]]
    assert list(batches_within({}, 6)) == []
