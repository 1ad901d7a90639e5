from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mapper_mm.published.convert import convert_published
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
# Names and shapes of a checkpoint of 20 tokens, without CLIP's image tower.
KEYS = ROOT / 'tests' / 'data' / 'published_checkpoint_keys.txt'


def published(tokens):
    """A full-size checkpoint without numbers."""
    state = {}
    for line in KEYS.read_text().splitlines():
        if not line.startswith('#'):
            name, _, shape = line.partition(' ')
            numbers = [int(number) for number in shape.strip('()').split(',') if number.strip()]
            whole = name.endswith(('position_ids', 'num_batches_tracked'))
            dtype = torch.long if whole else torch.half if 'clip.' in name else torch.float
            state[name] = torch.empty(numbers, dtype=dtype, device='meta')
    state['vl_pos_embed.weight'] = torch.empty(1371 + tokens, 256, device='meta')
    return state


def full_size(config):
    with torch.device('meta'):
        return MODELS.build(Config.fromfile(ROOT / 'configs' / 'published' / config).model)


@pytest.mark.parametrize(
    'tokens, config',
    [
        (20, 'mapper_refcoco.py'),
        (20, 'mapper_refcocoplus.py'),
        (40, 'mapper_refcocog_umd.py'),
        (40, 'mapper_refcocog_google.py'),
    ],
)
def test_every_tensor_of_a_published_checkpoint_has_its_place(tokens, config):
    state, model = published(tokens), full_size(config)
    result = convert_published(state, model)
    own = model.state_dict()
    assert list(result.state) == list(own)
    for name, tensor in result.state.items():
        assert (tensor.shape, tensor.dtype) == (own[name].shape, own[name].dtype), name
    dropped = [name for names in result.dropped.values() for name in names]
    assert sorted([*result.used, *dropped]) == sorted(state)
    sizes = {reason.split(':')[0]: len(names) for reason, names in result.dropped.items()}
    assert sizes == {
        'mask_token': 1,
        'position_ids': 1,
        'crossattention': 12 * 10,
        'clip_down_proj': 3 * 2,
        'logit_scale': 1,
    }


def test_the_number_of_words_must_fit():
    with pytest.raises(ValueError, match=r'vl_pos_embed.weight: \(1411, 256\).*\(1391, 256\)'):
        convert_published(published(40), full_size('mapper_refcoco.py'))
