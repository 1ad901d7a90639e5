import pytest
import timm
import torch

from mapper_mm.errors import WrongConfigError, WrongWeightsError
from mapper_mm.models.pretrained.timm_models import converted, timm_model, trained_as, unwrapped

TINY = dict(img_size=32, patch_size=16, depth=1, embed_dim=8, num_heads=2, num_classes=0)


def test_the_tag_says_what_weights_were_trained_with():
    plain, mae = (trained_as(f'vit_base_patch16_224.{tag}', 'it') for tag in ('augreg_in1k', 'mae'))
    assert plain.mean == (0.5, 0.5, 0.5) and mae.mean == (0.485, 0.456, 0.406)


def test_a_misspelt_name_or_tag_is_named():
    with pytest.raises(WrongConfigError, match='`it.model_name=.*near ones.*vit_base_patch16_224'):
        trained_as('vit_base_patch16_225', 'it')
    with pytest.raises(WrongConfigError, match="no weights 'mine' of vit_base_patch16_224; it has"):
        trained_as('vit_base_patch16_224.mine', 'it')


def test_options_are_timms():
    assert len(timm_model('vit_base_patch16_224', 'it', **TINY).blocks) == 1
    with pytest.raises(WrongConfigError, match='`it.checkpoint_path` is no option'):
        timm_model('vit_base_patch16_224', 'it', checkpoint_path='a.pth')
    with pytest.raises(WrongConfigError, match='cannot build vit_base_patch16_224 with .*num_h'):
        timm_model('vit_base_patch16_224', 'it', **dict(TINY, num_heads=3))


def test_what_training_code_stores_is_unwrapped():
    state = {'a': torch.ones(1)}
    assert unwrapped(dict(epoch=1, model_ema=dict(state_dict=state), model={})) is state
    assert unwrapped(state) is state


def test_own_names_stay_and_other_models_are_named():
    bare = timm.create_model('vit_base_patch16_224', **TINY)
    state = bare.state_dict()
    assert {name: t.shape for name, t in converted(state, bare, 'it').items()} == {
        name: t.shape for name, t in state.items()
    }
    broken = dict(state, **{'patch_embed.proj.weight': torch.ones(3)})
    with pytest.raises(WrongWeightsError, match='^it holds tensors.*VisionTransformer'):
        converted(broken, bare, 'it')
