import pytest

from mapper_mm.errors import FolderInUseError, MissingDataError
from mapper_mm.shapes_ref import ShapesRefDataset

PIPELINE = [
    dict(type='LoadGroundingImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Letterbox', size=70),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'ref_id', 'sent_id', 'record', 'text', 'content_box'),
    ),
]
SCENES = dict(train=3, val=2, testA=1, testB=1)


def test_shapes_ref_is_generated_once_and_read(tmp_path):
    kwargs = dict(data_root=str(tmp_path / 'shapes'), num_scenes=SCENES, pipeline=PIPELINE)
    dataset = ShapesRefDataset(split='val', **kwargs)
    images = {dataset.get_data_info(i)['img_id'] for i in range(len(dataset))}
    assert len(images) == 2 and len(dataset) >= 2
    assert dataset[0]['inputs'].shape == (3, 70, 70)

    marker = tmp_path / 'shapes/instances.json'
    before = marker.stat().st_mtime_ns
    ShapesRefDataset(split='train', **kwargs)
    assert marker.stat().st_mtime_ns == before
    ShapesRefDataset(split='train', seed=1, **kwargs)
    assert marker.stat().st_mtime_ns != before


def test_shapes_ref_generates_in_the_first_process_only(tmp_path, monkeypatch):
    module = 'mapper_mm.shapes_ref.dataset'
    waits = []
    monkeypatch.setattr(f'{module}.is_main_process', lambda: False)
    monkeypatch.setattr(f'{module}.barrier', lambda: waits.append(1))
    with pytest.raises(MissingDataError):
        ShapesRefDataset(data_root=str(tmp_path / 'shapes'), num_scenes=SCENES)
    assert waits == [1]


def test_a_misspelt_folder_is_not_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = tmp_path / 'mine/shapes_ref'
    (tmp_path / 'mine').mkdir()
    assert len(ShapesRefDataset(data_root=str(made), split='val', num_scenes=SCENES))
    before = sorted(tmp_path.rglob('*'))
    for wrong, message in (
        ('mine/shape_ref', f'no ShapesRef in .*/shape_ref, but in {made}'),
        ('mien/shapes_ref', f'no folder .*/mien to make ShapesRef in, only {tmp_path}: '),
        ('mien/deep/shapes_ref', f'only {tmp_path}: data_root=.*make_shapes.py --out .*mien/deep'),
    ):
        with pytest.raises(MissingDataError, match=message):
            ShapesRefDataset(data_root=str(tmp_path / wrong), num_scenes=SCENES)
    (tmp_path / 'mine/file').touch()
    before.append(tmp_path / 'mine/file')
    for other in ('mine', 'mine/file'):
        with pytest.raises(FolderInUseError, match=str(tmp_path / other)):
            ShapesRefDataset(data_root=str(tmp_path / other), num_scenes=SCENES)
    assert sorted(tmp_path.rglob('*')) == sorted(before)
    # A short name with two letters that changed places.
    made.rename(tmp_path / 'mine/shapes')
    with pytest.raises(MissingDataError, match='no ShapesRef in .*/shaeps, but in .*/shapes:'):
        ShapesRefDataset(data_root=str(tmp_path / 'mine/shaeps'), num_scenes=SCENES)
    # Where the configs have it, and what is another data set.
    assert len(ShapesRefDataset(data_root='data/shapes_ref_2', split='val', num_scenes=SCENES))
    other = str(tmp_path / 'mine/shapes_ref2')
    assert len(ShapesRefDataset(data_root=other, split='val', num_scenes=SCENES, seed=1))
