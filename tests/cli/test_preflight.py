import re

import pytest
from mmengine.config import Config

from mapper_mm.cli import preflight
from mapper_mm.cli.preflight import check_requirements
from mapper_mm.errors import MissingDataError


def config(data_root, **pretrained):
    return Config(
        dict(
            train_dataloader=dict(dataset=dict(type='ReferDataset', data_root=str(data_root))),
            test_dataloader=dict(
                dataset=dict(type='ReferDataset', data_root=str(data_root), split='testA')
            ),
            model={name: dict(pretrained=weights) for name, weights in pretrained.items()},
        )
    )


def check(config, weights=True):
    check_requirements(config, ['train_dataloader', 'test_dataloader'], weights)


@pytest.fixture
def data(tmp_path):
    (tmp_path / 'images').mkdir()
    for name in ('refs(unc).p', 'instances.json'):
        (tmp_path / name).touch()
    return tmp_path


def test_nothing_is_missing(data):
    (data / 'vit.safetensors').touch()
    (data / 'bert').mkdir()
    (data / 'bert' / 'config.json').touch()
    check(config(data, backbone=str(data / 'vit.safetensors'), text=str(data / 'bert'), none=None))


@pytest.mark.parametrize('name', ['refs(unc).p', 'instances.json'])
def test_a_missing_file_is_named_once_with_how_to_get_it(data, name):
    (data / name).unlink()
    with pytest.raises(MissingDataError) as error:
        check(config(data))
    message = str(error.value)
    assert message.count(str(data / name)) == 1
    assert message.count('https://github.com/lichengunc/refer') == 1


def test_data_and_weights_are_listed_together(tmp_path):
    with pytest.raises(MissingDataError) as error:
        check(config(tmp_path / 'no', backbone='no.pth', text='some/bert-base-uncased'))
    message = str(error.value)
    for part in (
        'instances.json',
        'no.pth',
        'hf download google-bert/bert-base-uncased --local-dir some/bert-base-uncased',
    ):
        assert part in message


def test_incomplete_directory_is_missing(data):
    (data / 'bert').mkdir()
    with pytest.raises(MissingDataError, match='bert: pre-trained weights'):
        check(config(data, text=str(data / 'bert')))


NAMES = dict(backbone='vit_base_patch14_dinov2.lvd142m', text='some/other-clip')


def test_names_of_hubs_are_missing_offline(data):
    with pytest.raises(MissingDataError) as error:
        check(config(data, **NAMES, other='a/b/c', file='a/b.pth'))
    for part in (
        'hf download timm/vit_base_patch14_dinov2.lvd142m model.safetensors --local-dir '
        'pretrained/vit_base_patch14_dinov2.lvd142m\n',
        'name it: pretrained/vit_base_patch14_dinov2.lvd142m/model.safetensors',
        'hf download some/other-clip --local-dir some/other-clip',
        'a/b/c: pre-trained weights; put them there, or name others',
        'a/b.pth: pre-trained weights; put them there, or name others',
    ):
        assert part in str(error.value)


def test_names_of_hubs_are_fetched_later_or_were_before(data, monkeypatch):
    seen = []
    monkeypatch.setattr(preflight.HfApi, 'repo_exists', lambda _, name: seen.append(name) or True)
    check(config(data, **NAMES))
    assert seen == ['timm/vit_base_patch14_dinov2.lvd142m', 'some/other-clip']
    monkeypatch.undo()
    cached = []
    monkeypatch.setattr(
        preflight, 'try_to_load_from_cache', lambda *what: cached.append(what) or 'a file'
    )
    check(config(data, **NAMES))
    assert cached == [
        ('timm/vit_base_patch14_dinov2.lvd142m', 'model.safetensors'),
        ('some/other-clip', 'config.json'),
    ]


@pytest.mark.parametrize('weights', [True, False])
def test_a_mistyped_checkpoint_is_missing_and_an_address_is_not(data, weights):
    loaders = ['train_dataloader', 'test_dataloader']
    with pytest.raises(MissingDataError, match='epoch_l.pth: the checkpoint'):
        check_requirements(config(data), loaders, weights, 'work/epoch_l.pth')
    check_requirements(config(data), loaders, weights, 'https://a.b/epoch_1.pth')


def test_weights_do_not_matter_where_a_checkpoint_holds_them(data):
    check(config(data, backbone='no.pth'), weights=False)


@pytest.mark.parametrize(
    'reader, file',
    [
        (dict(type='TransVGDataset', dataset='gref_umd'), 'gref_umd/gref_umd_train.pth'),
        (dict(type='MDETRDataset', dataset='refcoco+'), 'finetune_refcoco+_train.json'),
        (dict(type='JSONLinesDataset', ann_file='{split}.jsonl', split='train'), 'train.jsonl'),
    ],
    ids=lambda reader: reader['type'] if isinstance(reader, dict) else '',
)
def test_every_reader_says_what_it_needs(data, reader, file):
    cfg = config(data)
    reader |= dict(data_root=str(data), data_prefix=dict(img='images'))
    # Wrapped, as where data sets are trained on together.
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[reader])
    )
    with pytest.raises(MissingDataError, match=re.escape(f'{data / file}: phrases and boxes')):
        check(cfg)
    (data / file).parent.mkdir(exist_ok=True)
    (data / file).touch()
    check(cfg)


def test_generated_data_are_never_missing(tmp_path):
    cfg = config(tmp_path)
    for key in ('train_dataloader', 'test_dataloader'):
        cfg[key].dataset = dict(type='ShapesRefDataset', data_root=str(tmp_path / 'no'))
    check(cfg)
    assert not (tmp_path / 'no').exists()


def test_a_misspelt_place_for_generated_data_is_found_before_anything_starts(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.dataset = dict(
        type='ShapesRefDataset', data_root=str(tmp_path / 'no/shapes_ref')
    )
    with pytest.raises(MissingDataError, match=f'only {tmp_path}: data_root='):
        check(cfg)
