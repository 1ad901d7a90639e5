"""Checkpoints of what was trained, through everything that writes or reads one."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from safetensors.torch import load_file, save_file

import mapper_mm
from mapper_mm.apis import GroundingInferencer
from mapper_mm.apis.adapter_sets import AdapterSets, adapters_off
from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.checkpoints.stored_config import stored_config
from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.parameters import tuned_tensors
from mapper_mm.registry import MODELS

pytestmark = pytest.mark.slow

PACKAGE = Path(mapper_mm.__file__).parent
PUBLISH = 'tools/model_converters/publish_model.py'
MERGE = 'tools/model_converters/merge.py'
COMPLAINT = 'match exactly|missing key|unexpected key|size mismatch|WARNING.*weights'
EMA = """
_base_ = {base!r}
custom_hooks = [dict(type='EMAHook', momentum=0.3, priority=49)]
"""


@pytest.fixture(scope='module')
def tuned_names(small_config):
    init_default_scope('mapper_mm')
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(small_config).model)
    return set(tuned_tensors(model))


@pytest.fixture
def tested(small_config, run_tool, tmp_path, capsys):
    """The metrics that tools/test.py finds, by split, and all that it says."""

    def test(checkpoint, *options, config=small_config):
        run_tool(
            'tools/test.py',
            config,
            checkpoint,
            '--work-dir',
            tmp_path / 'test',
            '--json',
            tmp_path / 'test.json',
            *(['--cfg-options', *options] if options else []),
        )
        metrics = json.loads((tmp_path / 'test.json').read_text())['metrics']
        return metrics, ''.join(capsys.readouterr())

    return test


@pytest.fixture(scope='module')
def published(trained, run_tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp('published')
    run_tool(PUBLISH, trained / 'epoch_2.pth', folder / 'mapper_v1.0.safetensors')
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope='module')
def merged(published, small_config, run_tool, tmp_path_factory):
    path = tmp_path_factory.mktemp('merged') / 'whole.safetensors'
    run_tool(MERGE, small_config, published, path)
    return path


@pytest.fixture(scope='module')
def alone(published, small_config, run_tool, tmp_path_factory):
    """A config of which all weights, tokenizers and architectures are gone, and a merged file."""
    folder = tmp_path_factory.mktemp('alone')
    encoders = folder / 'encoders'
    shutil.copytree(PACKAGE / 'assets/tiny_encoders', encoders)
    config = Config.fromfile(small_config)
    model = config.model
    model.backbone.pretrained = str(encoders / 'dinov2_tiny.safetensors')
    for name, part in (('bert', model.language_model), ('clip_text', model.language_model.prior)):
        part.pretrained = part.arch = str(encoders / f'{name}_tiny')
    config.dump(folder / 'alone.py')
    first = folder / 'first.safetensors'
    run_tool(MERGE, folder / 'alone.py', published, first)
    shutil.rmtree(encoders)
    # A merged file needs nothing else to be merged, either.
    run_tool(MERGE, folder / 'alone.py', first, folder / 'whole.safetensors')
    assert first.read_bytes() == (folder / 'whole.safetensors').read_bytes()
    return folder / 'alone.py', folder / 'whole.safetensors'


def test_every_checkpoint_holds_what_was_trained(trained, tuned_names):
    files = sorted(trained.glob('*.pth'))
    assert len(files) == 3
    for path in files:
        assert set(torch.load(path, weights_only=True)['state_dict']) == tuned_names


def test_training_goes_on_only_from_what_holds_its_state(
    trained, published, small_config, run_tool, tmp_path
):
    (best,) = trained.glob('best_*.pth')
    assert set(torch.load(best, weights_only=True)) == {'meta', 'state_dict'}
    assert {'optimizer', 'message_hub'} < set(torch.load(trained / 'epoch_2.pth'))
    for path in (best, published):
        said = f'{re.escape(path.name)} holds no optimizer.*load_from'
        with pytest.raises(SystemExit, match=said):
            run_tool('tools/train.py', small_config, '--work-dir', tmp_path, '--resume', path)


def test_the_best_file_of_another_folder_stays(trained, small_config, run_tool, tmp_path):
    (best,) = trained.glob('best_*.pth')
    checkpoint = torch.load(trained / 'epoch_1.pth')
    assert {'best_score', 'best_ckpt'} < checkpoint['message_hub']['runtime_info'].keys()
    checkpoint['message_hub']['runtime_info'].update(best_score=-1.0, best_ckpt=str(best))
    torch.save(checkpoint, tmp_path / 'begun.pth')
    work_dir = tmp_path / 'elsewhere'
    run_tool(
        'tools/train.py', small_config, '--work-dir', work_dir, '--resume', tmp_path / 'begun.pth'
    )
    assert best.exists() and len([*work_dir.glob('best_*.pth')]) == 1


def test_testing_is_quiet(trained, tested):
    _, said = tested(trained / 'epoch_2.pth')
    assert 'epoch_2.pth' in said
    assert not re.search(COMPLAINT, said), said


def test_all_weights_can_be_written_too(small_config, run_tool, tested, tmp_path):
    whole = tmp_path / 'whole'
    run_tool(
        'tools/train.py',
        small_config,
        '--work-dir',
        whole,
        '--cfg-options',
        'default_hooks.checkpoint.type=CheckpointHook',
    )
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(small_config).model)
    state = torch.load(whole / 'epoch_2.pth')['state_dict']
    assert set(state) == set(model.state_dict())
    run_tool(
        'tools/train.py',
        small_config,
        '--work-dir',
        tmp_path / 'on',
        '--resume',
        whole / 'epoch_1.pth',
    )
    again = torch.load(tmp_path / 'on' / 'epoch_2.pth')['state_dict']
    assert set(again) < set(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.items())
    assert tested(whole / 'epoch_2.pth')[0] == tested(tmp_path / 'on' / 'epoch_2.pth')[0]


def test_averaged_weights_resume_and_are_what_is_tested(
    small_config, run_tool, tested, tuned_names, tmp_path, capsys
):
    config = tmp_path / 'ema.py'
    config.write_text(EMA.format(base=str(small_config)))
    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'whole')
    capsys.readouterr()
    run_tool(
        'tools/train.py',
        config,
        '--work-dir',
        tmp_path / 'resumed',
        '--resume',
        tmp_path / 'whole' / 'epoch_1.pth',
    )
    said = ''.join(capsys.readouterr())
    assert 'resumed epoch: 1' in said and not re.search(COMPLAINT, said), said
    one, other = (torch.load(tmp_path / n / 'epoch_2.pth') for n in ('whole', 'resumed'))
    names = {f'module.{name}' for name in tuned_names}
    assert set(one['ema_state_dict']) == set(other['ema_state_dict']) == {'steps', *names}
    (best,) = (tmp_path / 'whole').glob('best_*.pth')
    assert torch.load(best).keys() == {'meta', 'state_dict'}
    for entry in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(other[entry][k], tensor) for k, tensor in one[entry].items())
    name = 'neck.reg_token.weight'
    assert not torch.equal(one['state_dict'][name], one['ema_state_dict'][f'module.{name}'])
    # What validation saw, with averaged weights in the model, is what the file gives.
    validated = [
        re.findall(r'grounding/miou: ([\d.]+)', (next((tmp_path / n).glob('*/*.log'))).read_text())
        for n in ('whole', 'resumed')
    ]
    assert validated[0][-1] == validated[1][-1]
    metrics, same = (
        tested(tmp_path / 'whole' / 'epoch_2.pth', config=which)[0]
        for which in (config, small_config)
    )
    assert metrics == same
    assert metrics['val']['miou'] == pytest.approx(float(validated[0][-1]), abs=1.1e-4)


def test_averaged_weights_go_with_frozen_ones_in_one_file(small_config, run_tool, tested, tmp_path):
    config = tmp_path / 'ema.py'
    config.write_text(EMA.format(base=str(small_config)))
    run_tool(
        'tools/train.py',
        config,
        '--work-dir',
        tmp_path / 'whole',
        '--cfg-options',
        'default_hooks.checkpoint.type=CheckpointHook',
    )
    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'small')
    tables = [
        tested(tmp_path / name / 'epoch_2.pth', config=config)[0] for name in ('whole', 'small')
    ]
    assert tables[0] == tables[1]
    run_tool(
        'tools/train.py',
        config,
        '--work-dir',
        tmp_path / 'on',
        '--resume',
        tmp_path / 'whole' / 'epoch_1.pth',
    )


def test_a_published_file_says_who_it_is(published, trained, tuned_names):
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert published.name == f'mapper_v1.0-{digest[:8]}.safetensors'
    size = sum(
        t.numel() * t.element_size()
        for t in torch.load(trained / 'epoch_2.pth')['state_dict'].values()
    )
    assert size < published.stat().st_size < 1.1 * size + 60_000
    read, original = read_checkpoint(published), torch.load(trained / 'epoch_2.pth')
    assert set(read['state_dict']) == tuned_names
    assert read['meta'] == {key: original['meta'][key] for key in ('cfg', 'frozen_weights')}


def test_published_and_merged_files_test_and_train_alike(
    published, merged, trained, small_config, run_tool, tested, tmp_path
):
    expected, _ = tested(trained / 'epoch_2.pth')
    for path in (published, merged):
        assert tested(path)[0] == expected
    states = []
    for path in (trained / 'epoch_2.pth', published, merged):
        work_dir = tmp_path / path.stem
        run_tool(
            'tools/train.py',
            small_config,
            '--work-dir',
            work_dir,
            '--cfg-options',
            f'load_from={path}',
            'train_cfg.max_epochs=1',
        )
        states.append(torch.load(work_dir / 'epoch_1.pth')['state_dict'])
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in states[0].items())


def test_a_published_file_over_others_is_refused(published, small_config, tmp_path):
    weights = load_file(PACKAGE / 'assets/tiny_encoders/dinov2_tiny.safetensors')
    save_file({name: 1.01 * tensor for name, tensor in weights.items()}, tmp_path / 'a.safetensors')
    config = Config.fromfile(small_config)
    config.model.backbone.pretrained = str(tmp_path / 'a.safetensors')
    with pytest.raises(WrongWeightsError, match=f'{published.name}.*\n.*backbone: it was trained'):
        GroundingInferencer(config, str(published), 'cpu')


def test_merging_with_others_is_refused_unless_they_are_wanted(
    published, small_config, run_tool, tmp_path
):
    weights = load_file(PACKAGE / 'assets/tiny_encoders/dinov2_tiny.safetensors')
    save_file({name: 1.01 * tensor for name, tensor in weights.items()}, tmp_path / 'a.safetensors')
    merge = [MERGE, small_config, published, tmp_path / 'whole.pth', '--cfg-options']
    other = f'model.backbone.pretrained={tmp_path / "a.safetensors"}'
    with pytest.raises(SystemExit, match='backbone: it was trained on.*\n.*on_mismatch'):
        run_tool(*merge, other)
    run_tool(*merge, other, 'default_hooks.frozen_weights.on_mismatch=warn')
    merged = torch.load(tmp_path / 'whole.pth')['state_dict']
    assert torch.equal(merged['backbone.vit.norm.bias'], 1.01 * weights['norm.bias'])


def test_only_a_merged_file_needs_no_other(published, alone, small_data, tested):
    config, whole = alone
    expected, _ = tested(published)
    table, said = tested(whole, config=config)
    assert table == expected and not re.search(COMPLAINT, said), said
    with pytest.raises(SystemExit) as stop:
        tested(published, config=config)
    assert re.search('bert_tiny.*neither .base. nor a directory', stop.value.code)

    image = str(sorted(Path(small_data).glob('images/*val*'))[0])
    phrases = ['the red circle', 'star']
    found = [
        GroundingInferencer(model, str(weights), 'cpu')(image, phrases)['predictions']
        for model, weights in ((None, published), (None, whole), (str(config), whole))
    ]
    assert found[0] == found[1] == found[2]
    with pytest.raises(FileNotFoundError, match='bert_tiny'):
        GroundingInferencer(str(config), str(published), 'cpu')


def test_what_a_merged_file_brought_stays(alone, run_tool, tmp_path):
    """A training from its weights alone writes checkpoints that need nothing else either."""
    config, whole = alone
    from_it = tmp_path / 'from_it.py'
    stored = stored_config(read_checkpoint(whole), 'it')
    stored.model.backbone.pretrained = None
    stored.model.language_model.pretrained = None
    stored.model.language_model.prior.pretrained = None
    stored.load_from = str(whole)
    stored.train_cfg.max_epochs = 1
    stored.dump(from_it)
    run_tool('tools/train.py', from_it, '--work-dir', tmp_path / 'work')
    tokenizers = read_checkpoint(whole)['meta']['tokenizers']
    assert tokenizers.keys() == {'language_model', 'language_model.prior'}
    run_tool(PUBLISH, tmp_path / 'work/epoch_1.pth', tmp_path / 'out/it')
    (path,) = (tmp_path / 'out').iterdir()
    assert read_checkpoint(path)['meta']['tokenizers'] == tokenizers
    run_tool('tools/test.py', from_it, path, '--work-dir', tmp_path / 'test')


def test_what_nobody_could_use_is_not_published(trained, run_tool, tmp_path):
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta=dict(cfg='')), tmp_path / 'a.pth')
    with pytest.raises(SystemExit, match='a.pth.*no frozen_weights'):
        run_tool(PUBLISH, tmp_path / 'a.pth', tmp_path / 'b')
    with pytest.raises(SystemExit, match='There is no checkpoint'):
        run_tool(PUBLISH, tmp_path / 'nothing.pth', tmp_path / 'b')
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth']


def test_publishing_takes_nothing_away(published, run_tool, tmp_path):
    path = tmp_path / 'mapper.safetensors'
    path.write_bytes(published.read_bytes())
    for target in (path, tmp_path / 'mapper'):
        run_tool(PUBLISH, path, target)
        assert sorted(file.name for file in tmp_path.iterdir()) == [
            published.name.replace('mapper_v1.0', 'mapper'),
            'mapper.safetensors',
        ]
        assert path.read_bytes() == published.read_bytes()
    for folder in (tmp_path, f'{tmp_path}/new/'):
        with pytest.raises(SystemExit, match='is a folder: name the file'):
            run_tool(PUBLISH, path, folder)


@pytest.mark.parametrize('content', ['half', 'other'])
@pytest.mark.parametrize('tool', ['test', 'publish', 'merge', 'load_from'])
def test_what_is_no_checkpoint_ends_in_a_message(
    content, tool, trained, small_config, run_tool, tmp_path
):
    path = tmp_path / 'it.pth'
    if content == 'half':
        whole = (trained / 'epoch_2.pth').read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    else:
        torch.save(dict(model={}, epoch=3), path)
    command = {
        'test': ['tools/test.py', small_config, path],
        'publish': [PUBLISH, path, tmp_path / 'out'],
        'merge': [MERGE, small_config, path, tmp_path / 'out.pth'],
        'load_from': ['tools/train.py', small_config, '--cfg-options', f'load_from={path}'],
    }[tool]
    work = ['--work-dir', tmp_path / 'work'] if tool in ('test', 'load_from') else []
    said = 'it.pth (cannot be read|is no checkpoint|is not of this model)'
    with pytest.raises(SystemExit, match=said):
        run_tool(*command[:2], *work, *command[2:])


def test_sets_swap_in_an_inferencer(trained, published, small_data):
    first, last = (str(trained / f'epoch_{i}.pth') for i in (1, 2))
    image = cv2.imread(str(sorted(Path(small_data).glob('images/*val*'))[0]))

    def boxes(inferencer):
        return inferencer(image, ['the red circle', 'star'])['predictions']

    expected = {
        name: boxes(GroundingInferencer(weights=name, device='cpu')) for name in (first, last)
    }
    assert expected[first] != expected[last]
    assert boxes(GroundingInferencer(weights=str(published), device='cpu')) == expected[last]
    inferencer = GroundingInferencer(weights=first, device='cpu')
    sets = AdapterSets(inferencer.model)
    sets.keep('first')
    sets.load('last', str(published))
    for name, checkpoint in (('last', last), ('first', first)):
        sets.use(name)
        assert boxes(inferencer) == expected[checkpoint]
    with adapters_off(inferencer.model):
        assert boxes(inferencer) != expected[first]
    assert boxes(inferencer) == expected[first]
