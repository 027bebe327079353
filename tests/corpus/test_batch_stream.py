import itertools

import numpy as np
import pytest

from nmt_rl.config import BatchConfig, TokenizerConfig
from nmt_rl.corpus import batch_stream
from nmt_rl.corpus.batch_stream import BatchStream, Position, subword_sampler
from nmt_rl.corpus.batches import ordered_batches
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, Tokenizers, train_tokenizer
from nmt_rl.errors import UserError

N = 500


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """500 pairs of 0 to 29 pieces."""
    rng = np.random.default_rng(1)
    source = [rng.integers(4, 100, rng.integers(0, 30)).tolist() for _ in range(N)]
    target = [rng.integers(4, 100, rng.integers(0, 30)).tolist() for _ in range(N)]
    folder = tmp_path_factory.mktemp("corpus") / "train"
    with CorpusWriter(folder, 100, 100) as writer:
        writer.append(source, target)
    return EncodedCorpus.open(folder)


def config(**kw):
    return BatchConfig(**{"size": 200, "pool": 120, "pad": "longest", **kw})


PACKED = config(type="packed", packed_length=40, max_length=40)

KINDS = [
    config(),
    config(pad="buckets", buckets=(8, 16, 32)),
    config(type="sentences", size=16),
    config(type="sentences", size=16, pad="buckets", buckets=(8, 16, 32)),
    config(sort=False),
    config(type="sentences", size=16, sort=False),
    PACKED,
]
"""Packed ones last."""


@pytest.fixture(params=KINDS, ids=lambda c: f"{c.type}-{c.pad}-{'sorted' if c.sort else 'random'}")
def cfg(request):
    return request.param


def epoch(corpus, cfg, number=0, seed=1):
    found = itertools.takewhile(lambda b: b[0] == number, _numbered(corpus, cfg, Position(number, 0), seed))
    return [batch for _, batch in found]


def _numbered(corpus, cfg, position, seed):
    for batch, after in BatchStream(corpus, cfg, seed, position):
        yield position.epoch, batch
        position = after


def test_every_pair_once_per_epoch_and_orders_differ(corpus, cfg):
    first, again, second, other = (
        epoch(corpus, cfg),
        epoch(corpus, cfg),
        epoch(corpus, cfg, 1),
        epoch(corpus, cfg, 0, 2),
    )
    orders = [np.concatenate([b.indices[b.indices >= 0] for b in e]).tolist() for e in (first, again, second, other)]
    assert all(sorted(order) == list(range(N)) for order in orders)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] and orders[0] != orders[3]


@pytest.mark.parametrize("cfg", KINDS[:-1])
def test_content_of_the_rows(corpus, cfg):
    for batch in epoch(corpus, cfg):
        assert batch.source.dtype == batch.target_in.dtype == batch.target_out.dtype == np.int32
        assert batch.target_in.shape == batch.target_out.shape
        assert len(batch.source) == len(batch.target_in) == len(batch.indices)
        for row, i in enumerate(batch.indices):
            source = [] if i < 0 else [*corpus.source(i), EOS]
            target_in = [] if i < 0 else [BOS, *corpus.target(i)]
            target_out = [] if i < 0 else [*corpus.target(i), EOS]
            for array, expected in zip(
                (batch.source, batch.target_in, batch.target_out), (source, target_in, target_out), strict=True
            ):
                padding = [PAD] * (array.shape[1] - len(expected))
                assert array[row].tolist() == expected + padding


@pytest.mark.parametrize("sort", [True, False])
def test_token_budget(corpus, sort):
    sizes = []
    for batch in epoch(corpus, config(sort=sort)):
        sizes.append(len(batch.source) * max(batch.source.shape[1], batch.target_in.shape[1]))
        assert (batch.indices >= 0).all()
    assert max(sizes) <= 200
    assert np.mean(sizes) > 150


def test_a_sentence_beyond_the_budget_is_a_batch_of_its_own(corpus):
    found = epoch(corpus, config(size=10))
    assert sum(len(b.indices) for b in found) == N
    assert all(
        len(b.indices) == 1 or b.indices.size * max(b.source.shape[1], b.target_in.shape[1]) <= 10 for b in found
    )


def test_sentence_batches_are_full_but_for_one(corpus):
    sizes = [len(b.indices) for b in epoch(corpus, config(type="sentences", size=16))]
    assert sorted(sizes)[1:] == [16] * (N // 16)
    assert min(sizes) == N % 16


@pytest.mark.parametrize("cfg_", [KINDS[1], KINDS[3]], ids=["tokens", "sentences"])
def test_buckets_give_few_shapes(corpus, cfg_):
    found = epoch(corpus, cfg_) + epoch(corpus, cfg_, 1)
    shapes = {(b.source.shape, b.target_in.shape) for b in found}
    assert len(shapes) <= 3 * 3
    for (rows, source), (_, target) in shapes:
        wider = max(source, target)
        assert wider in (8, 16, 32) and min(source, target) in (wider, wider // 2)
        assert rows == (16 if cfg_.type == "sentences" else 200 // wider)


def test_packed_rows_hold_whole_pairs_side_by_side(corpus):
    for batch in epoch(corpus, PACKED):
        pairs, width = batch.indices.tolist(), 40
        assert batch.source.shape == batch.target_in.shape == batch.target_out.shape == (200 // 40, 40)
        for source, target_in, target_out in zip(batch.source, batch.target_in, batch.target_out, strict=True):
            here = [pairs.pop(0) for _ in range((source == EOS).sum())]
            sides = (
                (source, [[*corpus.source(i), EOS] for i in here]),
                (target_in, [[BOS, *corpus.target(i)] for i in here]),
                (target_out, [[*corpus.target(i), EOS] for i in here]),
            )
            for row, expected in sides:
                flat = list(itertools.chain(*expected))
                assert row.tolist() == flat + [PAD] * (width - len(flat))
        assert not pairs


def test_packing_fills_rows(corpus):
    found = epoch(corpus, config(type="packed", size=400, packed_length=80, max_length=40, pool=N))
    assert sum((b.target_out != PAD).sum() for b in found[:-1]) / sum(b.target_out.size for b in found[:-1]) > 0.9


@pytest.mark.parametrize("kind", ["sentences", "tokens"])
def test_no_batch_has_more_rows_than_there_are_pairs(corpus, kind):
    """A size for a large corpus on a small one: padding to it would take gigabytes."""
    large = config(type=kind, size=10**8, pad="buckets", buckets=(8, 16, 32))
    assert {len(b.source) for b in epoch(corpus, large)} == {N}
    assert {len(b.source) for b in ordered_batches([[5], [6, 7]], [[8], [9]], large)} == {2}


def test_a_bucket_is_not_wider_than_the_longest_pair_that_is_let_in(corpus):
    """A model of 20 positions has no room for a bucket of 32."""
    found = epoch(corpus, config(type="sentences", size=16, pad="buckets", buckets=(8, 16, 32), max_length=20))
    assert {b.source.shape[1] for b in found} == {8, 16, 20}


def test_sorting_saves_padding(corpus):
    def fill(pool):
        found = epoch(corpus, config(type="sentences", size=16, pool=pool))
        return sum((b.source != PAD).sum() for b in found) / sum(b.source.size for b in found)

    assert fill(N) > fill(16) + 0.1


def test_batches_that_are_not_sorted_have_the_mean_length_of_the_corpus(corpus):
    """So that no batch pulls the length of translations its way."""

    def deviation(sort):
        found = epoch(corpus, config(type="sentences", size=16, pool=N, sort=sort))
        return np.std([(b.target_out != PAD).sum() / len(b.target_out) for b in found])

    everything = np.std([len(corpus.target(i)) for i in range(N)])
    assert deviation(False) < 2 * everything / 4  # 16 sentences: the standard error is a quarter
    assert deviation(True) > 2 * deviation(False)


def test_resuming_anywhere_gives_the_same_batches(corpus, cfg):
    stream = BatchStream(corpus, cfg, 3)
    whole = list(itertools.islice(stream, 2 * len(epoch(corpus, cfg))))
    for start in (0, 1, 7, len(whole) // 2 - 1, len(whole) // 2, len(whole) - 2):
        position = Position(0, 0) if start == 0 else whole[start - 1][1]
        resumed = BatchStream(corpus, cfg, 3, position)
        for (batch, after), (expected, then) in zip(resumed, whole[start:], strict=False):
            assert after == then
            assert np.array_equal(batch.source, expected.source)
            assert np.array_equal(batch.target_out, expected.target_out)


def test_resuming_reads_no_tokens_of_earlier_pools(corpus, monkeypatch):
    cfg = config()
    end = len(epoch(corpus, cfg)) - 1
    loaded = []
    load = EncodedCorpus.load
    monkeypatch.setattr(EncodedCorpus, "load", lambda self, indices: loaded.append(len(indices)) or load(self, indices))
    next(iter(BatchStream(corpus, cfg, 1, Position(0, end))))
    assert loaded == [N % cfg.pool]  # the last pool only


def test_the_plan_is_what_the_stream_gives(corpus, cfg):
    found = [b.indices[b.indices >= 0].tolist() for b in epoch(corpus, cfg)]
    assert found == [indices.tolist() for indices in BatchStream(corpus, cfg, 1).plan(0)]


def test_epoch_ends_where_the_position_says(corpus, cfg):
    count = len(epoch(corpus, cfg))
    positions = [after for _, after in itertools.islice(BatchStream(corpus, cfg, 1), count + 1)]
    assert positions == [Position(0, i) for i in range(1, count)] + [Position(1, 0), Position(1, 1)]


def test_too_long_pairs_are_left_out_and_counted(corpus):
    stream = BatchStream(corpus, config(max_length=20), 1)
    keeps = np.maximum(corpus.source_lengths, corpus.target_lengths) + 1 <= 20
    found = np.concatenate([b.indices for b in epoch(corpus, config(max_length=20))])
    assert stream.left_out == N - keeps.sum() > 0
    assert sorted(found) == np.flatnonzero(keeps).tolist()


def test_nothing_left_is_an_error(tmp_path):
    with CorpusWriter(tmp_path / "train", 10, 10) as writer:
        writer.append([[5] * 9], [[5]])
    with pytest.raises(UserError, match=r"longer than 8 pieces, of batch\.max_length and"):
        BatchStream(EncodedCorpus.open(tmp_path / "train"), config(max_length=8), 1)


@pytest.mark.parametrize("pairs", [1, 99, 100, 101, 1234])
def test_blocks_cover_a_large_corpus(pairs, monkeypatch):
    monkeypatch.setattr(batch_stream, "SINGLE_PAIRS", 100)
    monkeypatch.setattr(batch_stream, "BLOCKS", 30)
    pools = list(batch_stream._pools(pairs, 50, seed=1, epoch=0))
    assert sorted(np.concatenate(pools)) == list(range(pairs))
    assert all(len(pool) <= 50 + pairs // 30 + 1 for pool in pools)


def test_single_pairs_are_shuffled_over_the_whole_corpus():
    order = np.concatenate(list(batch_stream._pools(10_000, 1000, seed=1, epoch=0)))
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05
    assert np.count_nonzero(np.diff(order) == 1) < 10


def test_subword_sampling_keeps_the_text_and_resumes(tmp_path):
    lines = [f"Zeile {i} mit Wörtern und noch mehr Wörtern" for i in range(100)]
    kind = TokenizerConfig(vocabulary=290, sampling=True, sampling_alpha=0.2)
    tokenizer = train_tokenizer(lines, kind)
    both = Tokenizers(tokenizer, tokenizer)
    ids = tokenizer.encode(lines)
    with CorpusWriter(tmp_path / "train", tokenizer.size, tokenizer.size) as writer:
        writer.append(ids, ids)
    stored = EncodedCorpus.open(tmp_path / "train")
    cfg = config(size=600, max_length=60)
    resample = subword_sampler(both, kind, 60)
    whole = list(itertools.islice(BatchStream(stored, cfg, 1, resample=resample), 20))
    changed = 0
    for batch, _ in whole:
        assert tokenizer.decode(batch.source) == [lines[i] for i in batch.indices]
        assert tokenizer.decode(batch.target_out) == [lines[i] for i in batch.indices]
        assert batch.source.shape[1] <= 60
        changed += sum(
            [p for p in row if p != PAD][:-1] != ids[i] for row, i in zip(batch.source, batch.indices, strict=True)
        )
    assert changed > 50
    resumed, _ = next(iter(BatchStream(stored, cfg, 1, whole[4][1], resample)))
    assert np.array_equal(resumed.source, whole[5][0].source)
