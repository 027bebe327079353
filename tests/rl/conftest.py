"""Real tiny models that several modules of tests look at and do not change."""

import pytest
from copy_task import make_model


@pytest.fixture(scope="module")
def model():
    """A policy whose distributions differ by state."""
    return make_model(noise=0.5, seed=5)


@pytest.fixture(scope="module")
def prior():
    """Another one."""
    return make_model(noise=0.5, seed=6)
