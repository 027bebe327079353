from nmt_rl.rl.memory import Memory


def test_asks_once_for_equal_keys_and_forgets():
    asked = []

    def square(keys):
        asked.append(list(keys))
        return [key * key for key in keys]

    memory = Memory(square, 3)
    assert memory([2, 1, 2]) == [4, 1, 4]
    assert memory([1, 3]) == [1, 9]
    assert memory([]) == []
    assert asked == [[2, 1], [3]]
    assert memory([3, 4]) == [9, 16]  # a fourth: 1 and 2 are forgotten
    assert memory([4, 3, 2]) == [16, 9, 4]
    assert asked == [[2, 1], [3], [4], [2]]
