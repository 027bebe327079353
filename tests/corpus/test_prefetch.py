import itertools
import threading
import time

import pytest

from nmt_rl.corpus.prefetch import Prefetcher


def test_prefetcher_keeps_the_order_and_ends():
    with Prefetcher(range(100), depth=3) as ahead:
        assert list(ahead) == list(range(100))
        assert list(ahead) == []


def test_prefetcher_is_bounded():
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    with Prefetcher(items(), depth=2) as ahead:
        assert next(ahead) == 0
        time.sleep(0.3)
        assert len(taken) <= 5


def test_prefetcher_raises_what_the_iterator_raised():
    def items():
        yield 1
        raise ValueError("bad line")

    with Prefetcher(items()) as ahead:
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="bad line"):
            next(ahead)
        with pytest.raises(StopIteration):
            next(ahead)


def test_prefetcher_closes_in_the_middle():
    ahead = Prefetcher(itertools.count(), depth=2)
    assert next(ahead) == 0
    ahead.close()
    ahead.close()
    assert not any(thread.name == "prefetch" and thread.is_alive() for thread in threading.enumerate())
    with pytest.raises(StopIteration):
        next(ahead)


def test_what_has_arrived_is_given_together():
    gate = threading.Event()

    def items():
        yield from (1, 2, 3)
        gate.wait()
        yield 4

    with Prefetcher(items()) as ahead:
        found = ahead.arrived(10)
        while found != [1, 2, 3]:  # the thread may need a moment
            found += ahead.arrived(10)
        gate.set()
        assert ahead.arrived(10) == [4]
        assert ahead.arrived(10) == []


def test_an_error_comes_after_what_arrived_before_it():
    def items():
        yield 1
        raise ValueError("bad line")

    with Prefetcher(items()) as ahead:
        time.sleep(0.1)
        assert ahead.arrived(10) == [1]
        with pytest.raises(ValueError, match="bad line"):
            ahead.arrived(10)


def test_no_more_arrive_together_than_are_wanted():
    with Prefetcher(iter(range(100)), depth=20) as ahead:
        sizes = []
        while found := ahead.arrived(7):
            sizes.append(len(found))
            time.sleep(0.01)
    assert max(sizes) == 7 and sum(sizes) == 100
