from nmt_rl.corpus.overlap import HeldOut, Overlap

TRAIN = [("der Hund", "the dog"), ("die Katze", "the cat"), ("das Café", "the café"), ("der Baum", "the tree")]


def test_pairs_and_sources_are_counted_apart():
    valid = [
        ("der Hund", "the dog"),
        ("die Katze", "a cat"),
        ("  das Cafe\u0301 ", "the  cafe\u0301"),
        ("x", "the tree"),
    ]
    test = [("neu", "new"), ("", ""), ("", "the dog")]
    held_out = HeldOut({"valid": valid, "test": test})
    assert list(held_out.watched(TRAIN)) == TRAIN
    assert held_out.overlaps() == {"valid": Overlap(4, 2, 3), "test": Overlap(1, 0, 0)}


def test_only_a_split_that_overlaps_is_named(caplog):
    held_out = HeldOut({"valid": TRAIN[:2], "test": [("neu", "new")]})
    list(held_out.watched(TRAIN))
    held_out.warn()
    assert (
        "corpus.valid overlaps with corpus.train: 2 of 2 pairs are in the training text, and 2 of the sources;"
        in caplog.text
    )
    assert "corpus.test" not in caplog.text
