import sys

import pytest

from nmt_rl.backend import hidden


def test_a_package_is_hidden_only_inside_and_only_if_nobody_has_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with hidden("wave", "json"):
        with pytest.raises(ImportError):
            import wave
        import json
    import wave

    assert json.loads(wave.__name__.replace("wave", "1")) == 1
