import pytest

from nmt_rl.config import OptimizerConfig
from nmt_rl.training.schedules import cosine, inverse_sqrt, learning_rate


def rates(updates, total=100, scale=1.0, **settings):
    config = OptimizerConfig(learning_rate=0.8, **settings)
    return [learning_rate(config, update, total, scale) for update in updates]


@pytest.mark.parametrize("schedule", ["constant", "inverse-sqrt", "cosine", "plateau", "wsd"])
def test_every_schedule_warms_up_linearly_to_its_peak(schedule):
    assert rates([1, 2, 3, 4], schedule=schedule, warmup=4) == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_inverse_sqrt():
    assert rates([4, 16, 36, 400], schedule="inverse-sqrt", warmup=4) == pytest.approx([0.8, 0.4, 0.8 / 3, 0.08])
    assert inverse_sqrt(0.8, 1, 0) == 0.8


def test_inverse_sqrt_is_noams_schedule_scaled_to_its_peak():
    width, warmup = 512, 4000
    noam = [width**-0.5 * min(step**-0.5, step * warmup**-1.5) for step in (10, 4000, 50_000)]
    peak = (width * warmup) ** -0.5
    config = OptimizerConfig(learning_rate=peak, schedule="inverse-sqrt", warmup=warmup)
    assert [learning_rate(config, step, 10**6) for step in (10, 4000, 50_000)] == pytest.approx(noam)


def test_cosine_starts_at_the_peak_and_ends_at_the_floor():
    settings = {"schedule": "cosine", "warmup": 20, "floor": 0.2}
    assert rates([20, 60, 100, 140], **settings) == pytest.approx([0.8, 0.5, 0.2, 0.2])
    assert cosine(1.0, 1, 3, 0.0) == pytest.approx(0.75)


def test_plateau_scales_down_to_its_floor():
    settings = {"schedule": "plateau", "warmup": 0, "floor": 0.3}
    assert [rates([7], scale=scale, **settings)[0] for scale in (1.0, 0.5, 0.25)] == pytest.approx([0.8, 0.4, 0.3])


def test_constant_stays():
    assert rates([1, 50, 10**6], schedule="constant", warmup=0) == [0.8, 0.8, 0.8]


def test_wsd_is_constant_until_the_last_updates():
    settings = {"schedule": "wsd", "warmup": 10, "floor": 0.2, "decay": 0.4}
    assert rates([5, 10, 60, 80, 100, 120], **settings) == pytest.approx([0.4, 0.8, 0.8, 0.5, 0.2, 0.2])
