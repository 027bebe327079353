"""Which sentences are drawn, and what is played and told of them."""

import numpy as np
import pytest
from copy_task import (
    FIRST,
    WordTokenizer,
    make_corpus,
    make_model,
    make_reward,
    make_sentences,
    make_sources,
)
from gradients import taken_log_probs

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.decoding.generator import Generator
from nmt_rl.rl.actor import MixerActor, ReferenceActor, SampleActor, Sentences, SentenceStream
from nmt_rl.rl.episode import Origin
from nmt_rl.rl.padding import source_limits

PAIRS, SENTENCES = 512, 16
REWARD = make_reward()
DECODING = DecodingConfig(max_length_ratio=1.0, max_length_extra=2)
CORPUS = make_corpus(PAIRS, shortest=1, longest=29)


def stream(seed=3, size=SENTENCES, longest=40):
    return SentenceStream(CORPUS, WordTokenizer(), REWARD, size, longest, seed)


@pytest.fixture(scope="module")
def epoch():
    """What is drawn until every pair was."""
    sentences = stream()
    return [sentences.next() for _ in range(PAIRS // SENTENCES)]


def test_a_batch_holds_long_and_short_sentences_alike(epoch):
    """A batch of one length would pull the length of all translations its way (docs/methods.md)."""
    lengths = [(sentences.rows.target_out != PAD).sum(axis=1) for sentences in epoch]
    everything = np.concatenate(lengths)
    assert np.std([np.mean(x) for x in lengths]) < 2 * np.std(everything) / np.sqrt(SENTENCES)
    assert np.mean([np.std(x) for x in lengths]) > 0.8 * np.std(everything)


def test_an_epoch_draws_every_pair_once_with_its_reference(epoch):
    indices = np.concatenate([sentences.rows.indices for sentences in epoch])
    np.testing.assert_array_equal(np.sort(indices), np.arange(PAIRS))
    for index, reference in zip(epoch[0].rows.indices, epoch[0].references, strict=True):
        assert reference.text == WordTokenizer().decode([CORPUS.target(int(index))])[0]


def test_batches_are_joined_and_sorted_into_parts(epoch):
    one, other = epoch[0], epoch[1]
    both = Sentences.joined([one, other])
    assert both.rows.indices.tolist() == [*one.rows.indices, *other.rows.indices]
    assert both.references == [*one.references, *other.references] and both.sorted(len(both.references)) == [both]
    parts = both.sorted(3)
    assert max(len(part.references) for part in parts) <= 3
    lengths = [int(n) for part in parts for n in (part.rows.source != PAD).sum(axis=1)]
    assert lengths == sorted(lengths)
    found = {int(i): (s[s != PAD].tolist(), t[t != PAD].tolist(), r) for i, s, t, r in _each(parts)}
    assert found == {int(i): (s[s != PAD].tolist(), t[t != PAD].tolist(), r) for i, s, t, r in _each([one, other])}
    assert all(part.rows.source[:, -1].any() for part in parts), "no wider than the longest source"


def _each(parts):
    for part in parts:
        yield from zip(part.rows.indices, part.rows.source, part.rows.target_out, part.references, strict=True)


def test_sentences_that_are_too_long_are_left_out_and_no_row_is_padding():
    sentences, drawn = stream(longest=12), set()
    while len(drawn) < sum(len(CORPUS.target(i)) + 1 <= 12 for i in range(PAIRS)):
        rows = sentences.next().rows
        assert rows.source.shape[1] <= 12 and (rows.indices >= 0).all() and (rows.source[:, 0] != PAD).all()
        drawn |= set(rows.indices.tolist())
    assert all(len(CORPUS.target(i)) + 1 <= 12 for i in drawn)


def test_the_order_goes_on_where_it_was_left():
    first, other = stream(), stream()
    for _ in range(3):
        first.next()
    other.go_to(first.position)
    np.testing.assert_array_equal(other.next().rows.indices, first.next().rows.indices)
    assert first.rng(1).random() == other.rng(1).random() != first.rng(2).random()
    assert first.rng(1).random() != stream(seed=4).rng(1).random()


@pytest.fixture(scope="module")
def model():
    return make_model(noise=0.5, seed=2)


@pytest.fixture(scope="module")
def sentences():
    return make_sentences(make_sources(6), REWARD)


def play(actor, sentences, version=4, seed=0):
    return actor.play(sentences, version, np.random.default_rng(seed))


@pytest.mark.jax
def test_what_the_episodes_of_samples_say(model, sentences):
    """Rewards of their own sentence, and log-probabilities under policy and prior at the temperature 1."""
    prior = make_model(noise=0.5, seed=3)
    actor = SampleActor(model, REWARD, DECODING, 3, (0.5, 2.0), prior=prior)
    episodes, numbers = play(actor, sentences)
    assert [episode.source_id for episode in episodes] == np.repeat(10 * np.arange(6), 3).tolist()
    assert len({len(episode.tokens) for episode in episodes}) > 1
    for episode in episodes:
        row = episode.source_id // 10
        assert (episode.origin, episode.policy_version) == (Origin.SAMPLE, 4)
        assert episode.tokens[-1] == EOS and not {EOS, PAD} & set(episode.tokens[:-1].tolist())
        np.testing.assert_allclose(
            episode.rewards, REWARD.episode(episode.tokens, sentences.references[row]).rewards, atol=1e-6
        )
        source, target_in = sentences.rows.source[row : row + 1], np.array([[BOS, *episode.tokens[:-1]]], np.int32)
        for each, found in ((model, episode.log_probs), (prior, episode.prior_log_probs)):
            logits = each.decode(target_in, each.encode(source)).logits
            np.testing.assert_allclose(taken_log_probs(logits, episode.tokens[None])[0], found, atol=1e-4)
    assert numbers["sample_return"] == pytest.approx(np.mean([episode.score for episode in episodes]))
    pieces = 3 * (sentences.rows.target_out != PAD).sum()
    assert numbers["length_ratio"] == pytest.approx(sum(len(e.tokens) for e in episodes) / pieces)


def test_every_temperature_of_the_ladder_gets_its_share(model, sentences, monkeypatch):
    actor = SampleActor(model, REWARD, DECODING, 2, (0.5, 1.0, 2.0))
    sample, ladders = actor._sample, []

    def noted(*arguments, temperature, **options):
        ladders.append(temperature.tolist())
        return sample(*arguments, temperature=temperature, **options)

    monkeypatch.setattr(actor, "_sample", noted)
    play(actor, sentences, seed=1), play(actor, sentences, seed=2)
    for ladder in ladders:
        assert sorted(ladder) == [0.5] * 4 + [1.0] * 4 + [2.0] * 4
    assert ladders[0] != ladders[1]


def test_a_ladder_of_epsilons_is_shared_out_too(model, sentences):
    """Half of the translations are greedy, the others are mostly not."""
    actor = SampleActor(model, REWARD, DECODING, 2, epsilons=(0.0, 0.9))
    source = sentences.rows.source
    best = Generator(model)(source, source_limits(source, DECODING, model.max_length))
    greedy = 0
    for episode in play(actor, sentences)[0]:
        row = episode.source_id // 10
        greedy += episode.tokens.tolist() == best.ids[row, : best.lengths[row]].tolist()
    assert 6 <= greedy <= 8


def test_the_same_chance_plays_the_same(model, sentences):
    actor = SampleActor(model, REWARD, DECODING, 2)
    one, same, other = (
        [episode.tokens.tolist() for episode in play(actor, sentences, seed=seed)[0]] for seed in (5, 5, 6)
    )
    assert one == same != other


def test_samples_obey_what_validation_obeys(model):
    sentences, repeated = make_sentences(make_sources(12), REWARD), []
    for ngram in (0, 1):
        decoding = DECODING.model_copy(update={"no_repeat_ngram": ngram})
        episodes, _ = play(SampleActor(model, REWARD, decoding, 1, (2.0,)), sentences)
        repeated.append(sum(len(set(e.tokens.tolist())) < len(e.tokens) for e in episodes))
    assert repeated[0] > 3 and repeated[1] == 0


def test_what_samples_are_compared_with_comes_behind_them(model, sentences):
    """The greedy translation of each source, and the reference, which is worth 1."""
    source = sentences.rows.source
    episodes, numbers = play(SampleActor(model, REWARD, DECODING, 2, greedy=True, references=True), sentences)
    alone, plain = play(SampleActor(model, REWARD, DECODING, 2), sentences)
    assert numbers == plain and len(alone) == 12 and len(episodes) == 24
    greedy = Generator(model)(source, source_limits(source, DECODING, model.max_length))
    for row in range(6):
        best, reference = episodes[12 + row], episodes[18 + row]
        assert (best.origin, reference.origin) == (Origin.GREEDY, Origin.REFERENCE)
        assert best.source_id == reference.source_id == 10 * row
        assert best.tokens.tolist() == greedy.ids[row, : greedy.lengths[row]].tolist()
        assert reference.tokens.tolist() == source[row][source[row] != PAD].tolist()
        assert reference.score == pytest.approx(1.0)
    assert len({episode.id for episode in episodes}) == 24


def test_ids_go_on_after_a_restore(model, sentences):
    actor, other = (SampleActor(model, REWARD, DECODING, 1) for _ in range(2))
    before, _ = play(actor, sentences)
    other.restore(actor.state())
    after, _ = play(other, sentences)
    assert not {episode.id for episode in before} & {episode.id for episode in after}


def test_mixer_begins_with_the_reference_and_gives_it_up_from_the_end(model, sentences):
    """Two pieces more after every five updates."""
    actor = MixerActor(model, REWARD, DECODING, 2, pieces=2, every=5)
    for version, sampled in ((0, 2), (4, 2), (5, 4), (25, 99)):
        for episode in play(actor, sentences, version)[0]:
            reference = sentences.rows.target_out[episode.source_id // 10]
            forced = max((reference != PAD).sum() - sampled, 0)
            assert episode.tokens[:forced].tolist() == reference[:forced].tolist()
    assert any(e.tokens[0] != sentences.rows.target_out[e.source_id // 10, 0] for e in play(actor, sentences, 25)[0])


def test_the_references_as_they_are(sentences):
    episodes, numbers = play(ReferenceActor(), sentences)
    assert numbers == {} and [episode.source_id for episode in episodes] == [0, 10, 20, 30, 40, 50]
    for episode, row in zip(episodes, sentences.rows.target_out, strict=True):
        assert episode.tokens.tolist() == row[row != PAD].tolist() and episode.tokens[0] >= FIRST
        assert episode.origin is Origin.REFERENCE and episode.score == 0.0
