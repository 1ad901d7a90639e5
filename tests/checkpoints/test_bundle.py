"""Tokenizers and architectures in a checkpoint; through the tools in tests/tools."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mapper_mm.checkpoints.bundle import (
    TOKENIZERS,
    bundle_meta,
    checkpoint_tokenizers,
    use_checkpoint_tokenizers,
    use_spelled_out_archs,
)
from mapper_mm.checkpoints.fingerprint import KEY, frozen_record
from mapper_mm.checkpoints.partial import restore_frozen
from mapper_mm.checkpoints.stored_config import stored_config
from mapper_mm.errors import MissingWeightsError, WrongConfigError
from mapper_mm.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
BOTH = {'language_model', 'language_model.prior'}


def read(name='mapper_shapes', **options):
    init_default_scope('mapper_mm')
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.merge_from_dict({f'model.{key}': value for key, value in options.items()})
    return config


@pytest.fixture(scope='module')
def whole():
    """A checkpoint that needs nothing else."""
    config = read()
    model = MODELS.build(config.model)
    model.init_weights()
    return dict(state_dict=model.state_dict(), meta=bundle_meta(model, config))


def test_it_names_no_directory_to_build_from(whole):
    config = read()
    use_spelled_out_archs(config.model, whole, 'whole.pth')
    language_model = config.model.language_model
    assert language_model.arch.num_hidden_layers == 4
    assert language_model.prior.arch.projection_dim == 64
    assert language_model.adapter == read().model.language_model.adapter


def test_an_architecture_with_a_name_keeps_it(whole):
    config = read('mapper_refcoco')
    use_spelled_out_archs(config.model, whole, 'whole.pth')
    assert config.model == read('mapper_refcoco').model
    with torch.device('meta'):
        model = MODELS.build(config.model)
    # Its tokenizers are not on this machine.
    with pytest.raises(MissingWeightsError, match='bert-base-uncased'):
        bundle_meta(model, config)


def test_other_checkpoints_change_no_config(whole):
    meta = {key: value for key, value in whole['meta'].items() if key != TOKENIZERS}
    for checkpoint in (dict(whole, meta=meta), dict(state_dict={}), dict(meta=None)):
        config = read()
        use_spelled_out_archs(config.model, checkpoint, 'other.pth')
        assert config.model == read().model


def test_what_a_config_spells_out_stays(whole):
    """Both in a merged file and where one is loaded: only directories are replaced."""
    arch = dict(vocab_size=396, hidden_size=128, num_hidden_layers=4, num_attention_heads=8)
    config = read()
    config.model.language_model.arch = ConfigDict(arch)
    use_spelled_out_archs(config.model, whole, 'whole.pth')
    assert config.model.language_model.arch == arch
    arch.update(num_attention_heads=4, intermediate_size=512, max_position_embeddings=32)
    config.model.language_model.arch = ConfigDict(arch)
    model = MODELS.build(config.model)
    model.init_weights()
    stored = stored_config(dict(meta=bundle_meta(model, config)), 'whole.pth')
    assert stored.model.language_model.arch == arch
    assert stored.model.language_model.prior.arch.projection_dim == 64


def test_a_config_that_could_not_be_read_again_is_refused():
    config = read()
    model = MODELS.build(config.model)
    model.init_weights()
    config.optim_wrapper.clip_grad.max_norm = float('inf')
    assert stored_config(dict(meta=bundle_meta(model, config)), 'it').optim_wrapper
    config.work_dir = Path('work_dirs')
    with pytest.raises(WrongConfigError, match='The file would not stand alone: the config'):
        bundle_meta(model, config)


def test_the_tokenizers_come_with_the_weights(whole):
    model = MODELS.build(read().model)
    restore_frozen(model, dict(whole), 'whole.pth')
    assert checkpoint_tokenizers(model) == whole['meta'][TOKENIZERS]
    assert checkpoint_tokenizers(model).keys() == BOTH


def test_who_has_the_same_weights_has_their_tokenizer(whole):
    model = MODELS.build(read().model)
    model.init_weights()
    restore_frozen(model, dict(whole), 'whole.pth')
    assert checkpoint_tokenizers(model) == {}
    with torch.no_grad():
        model.language_model.bert.embeddings.word_embeddings.weight.mul_(2)
    use_checkpoint_tokenizers(model, whole, 'whole.pth')
    assert checkpoint_tokenizers(model).keys() == {'language_model'}


def test_who_has_others_takes_the_tokenizer_of_what_it_loads(whole):
    """With on_mismatch='warn', where a checkpoint's weights replace those of ``pretrained``."""
    model = MODELS.build(read().model)
    model.init_weights()
    other = {'language_model': dict(source='x', sha256='0' * 64)}
    use_checkpoint_tokenizers(model, dict(meta={**whole['meta'], KEY: other}), 'whole.pth')
    assert checkpoint_tokenizers(model).keys() == BOTH


def test_an_encoder_without_words_needs_no_tokenizer():
    config = read(**{'language_model.prior.type': 'PublishedCLIPTextPrior'})
    model = MODELS.build(config.model)
    model.init_weights()
    meta = bundle_meta(model, config)
    assert meta[TOKENIZERS].keys() == {'language_model'} and meta[KEY] == frozen_record(model)
    # A model without a prior takes what it has a use for.
    small = MODELS.build(read('ablations/shapes_no_prior').model)
    use_checkpoint_tokenizers(small, dict(meta=meta), 'whole.pth')
    assert checkpoint_tokenizers(small).keys() == {'language_model'}
