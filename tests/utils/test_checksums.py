"""What is compared with a checksum; in files: tests/checkpoints/test_damaged_checkpoints.py."""

import json

import pytest
import torch

from mapper_mm.utils.checksums import check_text, with_checksum

TENSORS = {'a': torch.arange(6.0).view(2, 3), 'b': torch.tensor(1, dtype=torch.int64)}


@pytest.mark.parametrize('meta', [{}, dict(a=1), dict(crc32='own', b=[1.5, None, 'é"'])])
def test_the_text_comes_back(meta):
    text = json.dumps(meta, sort_keys=True)
    written = with_checksum(text, TENSORS)
    assert check_text({'it': written}, 'it', dict(reversed(TENSORS.items()))) == text
    assert isinstance(json.loads(written), dict)
    assert check_text({'it': '{"a": 1}', 'format': 'pt'}, 'it', TENSORS) == '{"a": 1}'
    assert check_text({'format': 'pt'}, 'it', TENSORS) == '{}'


@pytest.mark.parametrize(
    'change',
    [
        dict(a=torch.arange(6.0).view(3, 2)),
        dict(a=torch.arange(6).view(2, 3)),
        dict(a=-torch.arange(6.0).view(2, 3)),
        dict(c=torch.ones(0)),
        dict(b=torch.tensor(2)),
    ],
)
def test_whatever_is_another_is_noticed(change):
    written = with_checksum('{"a": 1}', TENSORS)
    for text, tensors in ((written, {**TENSORS, **change}), (written.replace('1}', '3}'), TENSORS)):
        with pytest.raises(ValueError, match='not what its checksum says'):
            check_text({'it': text}, 'it', tensors)


@pytest.mark.parametrize('position', range(len('{"crc32": "')))
def test_the_checksums_own_name_is_no_way_around(position):
    written = with_checksum('{"a": 1}', TENSORS)
    changed = written[:position] + 'x' + written[position + 1 :]
    for header in ({'it': changed}, {'jt': written}):
        with pytest.raises(ValueError, match='header is not what was written'):
            check_text(header, 'it', TENSORS)
