import pytest

from nmt_rl.corpus.languages import short_code


@pytest.mark.parametrize(
    ("language", "code"), [("zh", "zh"), ("zh-CN", "zh"), ("zh_TW", "zh"), ("cmn", "zh"), ("JPN", "ja"), ("de", "de")]
)
def test_codes_that_sacrebleu_knows(language, code):
    assert short_code(language) == code
