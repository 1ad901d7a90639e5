"""docs/extending.md: every snippet is trained and used, in a folder outside of the project."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest
from mmengine.registry import Registry

from mapper_mm import registry
from mapper_mm.apis import GroundingInferencer
from mapper_mm.checkpoints.best import best_checkpoint
from mapper_mm.errors import WrongConfigError
from mapper_mm.models.pretrained import text_families
from mapper_mm.shapes_ref import ShapesRefDataset, write_shapes_ref

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'extending.md').read_text(encoding='utf-8')
PARTS = {
    *('Image encoder', 'Language model', 'Prior', 'Neck', 'Head', 'Loss'),
    *('Dataset', 'Transform', 'Adapter', 'Hook', 'Metric'),
}
NUM_SCENES = dict(train=6, val=2, testA=1, testB=1)
# What an inferencer has no use for, so that the config in the checkpoint is enough.
NOT_OF_THE_MODEL = ('Dataset', 'Transform', 'Hook', 'Metric')
ONE_EPOCH = """
_base_ = './my_config.py'
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
test_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
train_cfg = dict(max_epochs=1)
default_hooks = dict(pictures=None)
"""
LITTLE_DATA = f"""
dataset = dict(num_scenes={NUM_SCENES}, phrases_per_scene=3, workers=0)
test_cfg = dict(splits=('val',))
"""


def snippets():
    """(part, code, config) of each pair of snippets."""
    for section in re.split(r'^## ', PAGE, flags=re.M)[1:]:
        blocks = re.findall(r'```python\n(.*?)```', section, re.S)
        for code, config in zip(blocks[::2], blocks[1::2], strict=True):
            yield section.splitlines()[0], code, config


SNIPPETS = list(snippets())


def test_every_part_has_a_short_snippet():
    assert {part for part, *_ in SNIPPETS} == PARTS
    assert PAGE.count('```python') == 2 * len(SNIPPETS)
    for part, code, config in SNIPPETS:
        assert len(code.splitlines()) <= 40 and len(config.splitlines()) <= 40, part
        assert "_base_ = 'mapper_mm::" in config and "imports=['my_parts']" in config, part


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shapes_ref')
    return str(write_shapes_ref(folder, splits=NUM_SCENES, phrases_per_scene=3))


@pytest.fixture
def project(tmp_path, monkeypatch, scenes):
    """A user's folder; nothing that was registered from it is left behind."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'shapes_ref').symlink_to(scenes)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(text_families, 'FAMILIES', list(text_families.FAMILIES))
    yield tmp_path
    forget_my_parts()


def forget_my_parts():
    sys.modules.pop('my_parts', None)
    for node in vars(registry).values():
        own = node.module_dict if isinstance(node, Registry) else {}
        for name, kind in list(own.items()):
            if getattr(kind, '__module__', None) == 'my_parts':
                del own[name]


def write_csv(scenes):
    """The same pictures and phrases as rows of data/my_csv/<split>.csv."""
    folder = Path('data/my_csv')
    folder.mkdir()
    (folder / 'images').symlink_to(Path(scenes) / 'images')
    for split in ('train', 'val'):
        dataset = ShapesRefDataset(
            data_root=scenes, split=split, num_scenes=NUM_SCENES, phrases_per_scene=3
        )
        with open(folder / f'{split}.csv', 'w', newline='') as file:
            rows = csv.writer(file)
            rows.writerow(['file', 'phrase', *'xywh'])
            for sample in (dataset.get_data_info(number) for number in range(len(dataset))):
                x1, y1, x2, y2 = sample['instances'][0]['bbox']
                name = Path(sample['img_path']).name
                rows.writerow([name, sample['text'], x1, y1, x2 - x1, y2 - y1])


@pytest.mark.slow
@pytest.mark.parametrize(
    'part, code, config', SNIPPETS, ids=[f'{part} {n}' for n, (part, *_) in enumerate(SNIPPETS)]
)
def test_the_snippet_trains_tests_and_finds(part, code, config, project, scenes, run_tool, capsys):
    Path('my_parts.py').write_text(code)
    Path('my_config.py').write_text(config)
    if part == 'Dataset':
        write_csv(scenes)
    Path('small.py').write_text(ONE_EPOCH + ('' if part == 'Dataset' else LITTLE_DATA))
    run_tool('tools/train.py', 'small.py', '--work-dir', 'work')
    weights = best_checkpoint('work')
    if part in ('Image encoder', 'Metric'):
        run_tool('tools/test.py', 'small.py', weights, '--json', 'figures.json')
        metrics = json.loads(Path('figures.json').read_text())['metrics']['val']
        assert 'acc@0.5' in metrics and ('hit' in metrics) == (part == 'Metric')
    picture = str(next((Path(scenes) / 'images').iterdir()))
    named = GroundingInferencer('my_config.py', weights, device='cpu')
    found = named(picture, 'the white star')['predictions'][0]['bbox']
    if part in ('Image encoder', 'Language model'):
        capsys.readouterr()
        run_tool(
            *('demo/image_demo.py', picture, 'the white star', '--config', 'my_config.py'),
            *('--weights', weights, '--device', 'cpu'),
        )
        assert 'the white star: [' + ', '.join(f'{v:.1f}' for v in found) in capsys.readouterr().out
    # Elsewhere, where nothing of the folder was imported.
    forget_my_parts()
    text_families.FAMILIES[:] = [f for f in text_families.FAMILIES if f.name != 'ConvBERT']
    if part in NOT_OF_THE_MODEL:
        alone = GroundingInferencer(weights=weights, device='cpu')
        assert alone(picture, 'the white star')['predictions'][0]['bbox'] == found
    else:
        with pytest.raises(WrongConfigError, match='Name the config that it was trained with'):
            GroundingInferencer(weights=weights, device='cpu')
    assert 'my_parts' not in sys.modules
