"""The tool that makes the tiny encoders, on a handful of scenes."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mapper_mm.models.pretrained.files import resolve_source
from mapper_mm.registry import MODELS

OPTIONS = ('--scenes', 16, '--epochs', 1, '--bert-steps', 2, '--batch', 8)


@pytest.fixture(scope='module')
def encoders(run_tool, tmp_path_factory):
    out = tmp_path_factory.mktemp('encoders')
    run_tool('tools/pretrain_tiny.py', '--out', out, *OPTIONS)
    return out


def test_what_it_writes_is_what_the_default_loads(encoders, pytestconfig):
    model = Config.fromfile(pytestconfig.rootpath / 'configs/mapper_shapes.py').model
    shipped = resolve_source(model.language_model.pretrained).removesuffix('bert_tiny')
    model.backbone.pretrained = str(encoders / 'dinov2_tiny.safetensors')
    language_model = model.language_model
    language_model.arch = language_model.pretrained = str(encoders / 'bert_tiny')
    language_model.prior.arch = language_model.prior.pretrained = str(encoders / 'clip_text_tiny')
    MODELS.build(model).init_weights()
    files = {str(path.relative_to(encoders)) for path in encoders.rglob('*') if path.is_file()}
    assert 'bert_tiny/tokenizer.json' in files
    for name in files:
        if name.endswith('tokenizer.json'):
            assert (encoders / name).read_text() == Path(shipped, name).read_text()


def test_a_seed_gives_the_same_weights(encoders, run_tool, tmp_path):
    run_tool('tools/pretrain_tiny.py', '--out', tmp_path, *OPTIONS)
    for path in encoders.rglob('*.safetensors'):
        assert (tmp_path / path.relative_to(encoders)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize('name', ['vit_small_patch16_dinov3', 'vit_base_patch16_siglip_224'])
def test_another_vision_transformer(name, run_tool, tmp_path):
    run_tool('tools/pretrain_tiny.py', '--out', tmp_path, *OPTIONS, '--vit', name)
    assert [path.name for path in tmp_path.iterdir()] == [f'{name}.safetensors']
    small = dict(embed_dim=128, depth=6, num_heads=4, init_values=1.0)
    source = str(tmp_path / f'{name}.safetensors')
    MODELS.build(
        dict(type='TimmViT', model_name=name, img_size=128, pretrained=source, **small)
    ).init_weights()


def test_new_vocabularies(run_tool, tmp_path):
    run_tool('tools/pretrain_tiny.py', '--out', tmp_path, *OPTIONS, '--new-vocabularies')
    assert (tmp_path / 'clip_text_tiny' / 'tokenizer.json').is_file()


def test_fewer_scenes_than_a_batch_is_a_usage_error(run_tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_tool('tools/pretrain_tiny.py', '--out', tmp_path, '--scenes', 4)
    assert '--scenes 4 must be at least --batch 32' in capsys.readouterr().err
