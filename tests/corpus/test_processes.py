import os
import signal
import time

import pytest

from nmt_rl.corpus.processes import ALONE, in_order, usable_processors
from nmt_rl.errors import RunError


def square(number, seconds=0.0):
    time.sleep(seconds)
    return number * number, os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_are_in_order_and_of_several_processes():
    calls = [(n, 0.3 if n == 4 else 0.0) for n in range(12)]  # One that is slow.
    found = list(in_order(square, iter(calls), 2))
    assert [value for value, _ in found] == [n * n for n in range(12)]
    assert {pid for _, pid in found[:ALONE]} == {os.getpid()}
    assert os.getpid() not in {pid for _, pid in found[ALONE:]}


def test_one_process_is_this_one():
    assert {pid for _, pid in in_order(square, [(n,) for n in range(9)], 1)} == {os.getpid()}
    assert list(in_order(square, [], 3)) == []
    assert usable_processors() >= 1


def test_calls_are_read_as_results_are_taken():
    read = []
    calls = ((read.append(n) or n,) for n in range(1000))
    results = in_order(square, calls, 2)
    assert [next(results)[0] for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(read) <= 5 + 2 * 2
    results.close()


def test_a_process_that_is_killed_is_told():
    calls = iter([(1,), (1,), (2,)])
    with pytest.raises(RunError, match=r"one of its processes was killed.*--processes 1"):
        list(in_order(_square_or_die, calls, 2))


def _square_or_die(number):
    if number == 2:
        die()
    return number
