"""The folder that is written, read back."""

import json
import os
import pickle
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mapper_mm.shapes_ref import is_current, write_shapes_ref, writer

SPLITS = {'train': 24, 'val': 8, 'testA': 8, 'testB': 8}


def read(root):
    with open(root / 'refs(shapes).p', 'rb') as file:
        refs = pickle.load(file)
    return refs, json.loads((root / 'instances.json').read_text())


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_shapes_ref(tmp_path_factory.mktemp('shapes') / 'out', seed=3, splits=SPLITS)


def test_fields_are_those_of_refcoco(root):
    refs, instances = read(root)
    assert type(refs) is list
    for ref in refs:
        assert set(ref) == {
            'sent_ids',
            'file_name',
            'ann_id',
            'ref_id',
            'image_id',
            'split',
            'sentences',
            'category_id',
        }
        for sentence in ref['sentences']:
            assert set(sentence) == {'tokens', 'raw', 'sent_id', 'sent'}
            assert sentence['tokens'] == sentence['sent'].split()
        assert ref['sent_ids'] == [s['sent_id'] for s in ref['sentences']]
    assert set(instances) == {'info', 'licenses', 'images', 'annotations', 'categories'}
    for image in instances['images']:
        assert set(image) == {'license', 'file_name', 'height', 'width', 'id'}
    for annotation in instances['annotations']:
        assert set(annotation) >= {'id', 'image_id', 'category_id', 'iscrowd', 'bbox'}
    for category in instances['categories']:
        assert set(category) == {'supercategory', 'id', 'name'}


def test_refs_holds_nothing_but_plain_values(root):
    def check(value):
        assert type(value) in (list, dict, str, int, float), type(value)
        for inner in value if isinstance(value, list) else ():
            check(inner)
        for key, inner in value.items() if isinstance(value, dict) else ():
            assert type(key) is str
            check(inner)

    check(read(root)[0])


def test_ids_are_unique_and_lead_to_each_other(root):
    refs, instances = read(root)
    images = {image['id']: image for image in instances['images']}
    annotations = {a['id']: a for a in instances['annotations']}
    assert len(images) == len(instances['images']) == sum(SPLITS.values())
    assert len(annotations) == len(instances['annotations'])
    assert len({ref['ref_id'] for ref in refs}) == len(refs)
    assert len({ref['ann_id'] for ref in refs}) == len(refs)
    sent_ids = [i for ref in refs for i in ref['sent_ids']]
    assert len(set(sent_ids)) == len(sent_ids) >= 3 * sum(SPLITS.values()) - 4
    for ref in refs:
        annotation = annotations[ref['ann_id']]
        assert annotation['image_id'] == ref['image_id']
        assert annotation['category_id'] == ref['category_id']
        stem = Path(images[ref['image_id']]['file_name']).stem
        assert ref['file_name'] == f'{stem}_{ref["ann_id"]}.jpg'
    counts = Counter(a['image_id'] for a in instances['annotations'])
    assert set(counts) == set(images) and 4 <= min(counts.values()) <= max(counts.values()) <= 9


def test_pictures_have_the_size_they_are_said_to_have_and_hold_their_boxes(root):
    _, instances = read(root)
    names = {path.name for path in (root / 'images').iterdir()}
    assert names == {image['file_name'] for image in instances['images']}
    sizes = {}
    for image in instances['images']:
        pixels = cv2.imread(str(root / 'images' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
        sizes[image['id']] = image['width'], image['height']
    for annotation in instances['annotations']:
        x, y, w, h = annotation['bbox']
        width, height = sizes[annotation['image_id']]
        assert x >= 0 and y >= 0 and w > 8 and h > 8
        assert x + w <= width + 0.01 and y + h <= height + 0.01


def test_colours_are_not_swapped_on_the_way_to_the_file(root):
    """Things the phrases call red are red in the file."""
    refs, instances = read(root)
    images = {image['id']: image['file_name'] for image in instances['images']}
    boxes = {a['id']: a['bbox'] for a in instances['annotations']}
    redness = []
    for ref in refs:
        for sentence in ref['sentences']:
            sign = {'red': 1, 'orange': 1, 'blue': -1}.get(
                next((w for w in sentence['tokens'] if w in ('red', 'orange', 'blue')), None)
            )
            simple = len(sentence['tokens']) <= 3 and 'one' not in sentence['tokens']
            if sign and simple:
                x, y, w, h = (round(v) for v in boxes[ref['ann_id']])
                pixels = cv2.imread(str(root / 'images' / images[ref['image_id']])).astype(int)
                inner = pixels[y + h // 4 : y + 3 * h // 4, x + w // 4 : x + 3 * w // 4]
                redness.append(sign * (inner[..., 2] - inner[..., 0]).mean())
    assert len(redness) >= 5
    assert np.mean(redness) > 40


def test_no_scene_is_in_two_splits(root):
    refs, instances = read(root)
    by_split = {
        split: {ref['image_id'] for ref in refs if ref['split'] == split} for split in SPLITS
    }
    assert {split: len(ids) for split, ids in by_split.items()} == SPLITS
    assert len(set.union(*by_split.values())) == sum(SPLITS.values())
    pictures = [data for name, data in contents(root).items() if name.endswith('.jpg')]
    assert len(set(pictures)) == len(pictures)


def test_testa_is_about_looks_and_testb_about_places(root):
    places = set(
        'left right top bottom leftmost rightmost lower upper lowest highest topmost '
        'bottommost middle center above below under beneath higher next closest nearest '
        'beside'.split()
    )
    for ref in read(root)[0]:
        for sentence in ref['sentences']:
            about_places = bool(places & set(sentence['tokens']))
            if ref['split'] == 'testA':
                assert not about_places, sentence['sent']
            if ref['split'] == 'testB':
                assert about_places, sentence['sent']


@pytest.mark.slow
def test_bytes_depend_on_the_seed_and_not_on_the_workers(root, tmp_path):
    spread = write_shapes_ref(tmp_path / 'spread', seed=3, splits=SPLITS, workers=2)
    assert contents(spread) == contents(root)
    other = write_shapes_ref(tmp_path / 'other', seed=4, splits={'val': 8})
    assert not set(contents(other).values()) & set(contents(root).values())


def test_a_scene_does_not_depend_on_how_many_there_are(root, tmp_path):
    fewer = write_shapes_ref(tmp_path / 'fewer', seed=3, splits={'val': 2})
    for path in (fewer / 'images').iterdir():
        assert path.read_bytes() == (root / 'images' / path.name).read_bytes()


def test_is_current_only_for_what_was_asked_for(root, tmp_path, monkeypatch):
    assert is_current(root, 3, SPLITS)
    assert not is_current(root, 4, SPLITS)
    assert not is_current(root, 3, {**SPLITS, 'val': 9})
    assert not is_current(root, 3, SPLITS, phrases_per_scene=2)
    assert not is_current(root, 3)
    assert not is_current(tmp_path / 'missing', 3, SPLITS)
    monkeypatch.setattr(writer, 'VERSION', writer.VERSION + 1)
    assert not is_current(root, 3, SPLITS)


def test_marker_says_how_many_expressions_there_are(root):
    marker = json.loads((root / 'shapes_ref.json').read_text())
    counts = Counter()
    for ref in read(root)[0]:
        counts[ref['split']] += len(ref['sentences'])
    assert marker['expressions'] == counts


def test_a_damaged_marker_is_not_current(tmp_path):
    (tmp_path / 'shapes_ref.json').write_text('{"version": ')
    assert not is_current(tmp_path)


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_dying_half_way_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch, error):
    target = tmp_path / 'out'
    write_shapes_ref(target, splits={'val': 2})
    before = contents(target)
    make, calls = writer._make_scene, []

    def dies(*args):
        calls.append(args)
        if len(calls) > 3:
            raise error('power cut')
        return make(*args)

    monkeypatch.setattr(writer, '_make_scene', dies)
    with pytest.raises(error, match='power cut'):
        write_shapes_ref(target, splits={'val': 6})
    assert contents(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ['out']
    with pytest.raises(error, match='power cut'):
        write_shapes_ref(tmp_path / 'new', splits={'val': 6})
    assert not (tmp_path / 'new').exists()


def test_what_a_killed_process_left_goes_after_an_hour(tmp_path):
    left, busy, others = (
        tmp_path / name for name in ('.out-draft-1', '.out-draft-2', '.out2-draft-1')
    )
    for draft in (left, busy, others):
        (draft / 'images').mkdir(parents=True)
        long_ago = time.time() - 2 * 3600
        os.utime(draft / 'images', (long_ago, long_ago))
        os.utime(draft, (long_ago, long_ago))
    # Of one that still writes only this folder is young.
    os.utime(busy / 'images')
    write_shapes_ref(tmp_path / 'out', splits={'val': 1})
    assert not left.exists() and busy.exists() and others.exists()


def test_an_old_folder_is_replaced_and_a_foreign_one_is_not(tmp_path):
    target = write_shapes_ref(tmp_path / 'out', splits={'val': 3})
    write_shapes_ref(target, splits={'val': 1})
    assert is_current(target, splits={'val': 1})
    assert len(list((target / 'images').iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ['out']
    foreign = tmp_path / 'thesis'
    foreign.mkdir()
    (foreign / 'chapter1.txt').write_text('precious')
    with pytest.raises(FileExistsError, match='thesis'):
        write_shapes_ref(foreign, splits={'val': 1})
    assert (foreign / 'chapter1.txt').read_text() == 'precious'


def test_when_another_process_was_faster_its_folder_stays(tmp_path, monkeypatch):
    target = tmp_path / 'out'
    collect = writer._collect

    def slow(*args):
        result = collect(*args)
        monkeypatch.setattr(writer, '_collect', collect)
        write_shapes_ref(target, splits={'val': 2})
        (target / 'images' / 'seen').touch()
        return result

    monkeypatch.setattr(writer, '_collect', slow)
    write_shapes_ref(target, splits={'val': 2})
    assert (target / 'images' / 'seen').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="'test'.*testA"):
        write_shapes_ref(tmp_path / 'out', splits={'test': 1})
    with pytest.raises(ValueError, match="'val'.*-1"):
        write_shapes_ref(tmp_path / 'out', splits={'val': -1})
    with pytest.raises(ValueError, match='phrases_per_scene.*0'):
        write_shapes_ref(tmp_path / 'out', splits={'val': 1}, phrases_per_scene=0)
    assert not (tmp_path / 'out').exists()


def test_weather_changes_pictures_and_nothing_else(root, tmp_path):
    kinds = ('fog', 'dusk')
    out = write_shapes_ref(tmp_path / 'out', seed=3, splits=SPLITS, weather=kinds)
    assert is_current(out, seed=3, splits=SPLITS, weather=kinds)
    assert not is_current(out, seed=3, splits=SPLITS)
    assert not is_current(root, seed=3, splits=SPLITS, weather=kinds)
    assert read(out) == read(root)
    brighter = 0
    for path in sorted((root / 'images').iterdir()):
        clear, seen = (cv2.imread(str(folder / 'images' / path.name)) for folder in (root, out))
        assert np.abs(clear.astype(int) - seen).mean() > 5
        brighter += seen.mean() > 0.7 * clear.mean()
    # Both kinds, about as often.
    assert 12 < brighter < 36


def test_unknown_weather_is_named(tmp_path):
    with pytest.raises(ValueError, match="unknown weather 'hail': use some of fog"):
        write_shapes_ref(tmp_path / 'out', weather=['hail'])
