import json
import os
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import synthetic

from mapper_mm.datasets import published_counts
from mapper_mm.utils.text import printable

ROOT = Path(__file__).parents[2]
TOOL = 'tools/dataset_converters/check_refer.py'
SPLITS = dict(
    refcoco=('train', 'val', 'testA', 'testB'),
    refcocog_umd=('train', 'val', 'test'),
    refcocog_google=('train', 'val'),
    refclef=('train', 'val', 'test'),
    flickr30k=('train', 'val', 'test'),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """As many expressions as are said to be published, but of RefCOCO+."""
    data = tmp_path_factory.mktemp('data')
    for split_by in ('google', 'umd'):
        synthetic.write_refer(data, 'refcocog', split_by, first=100)
    synthetic.write_refer(data, 'refcoco', first=200)
    synthetic.write_mdetr(data, 'refcoco', first=300)
    synthetic.write_refer(data, 'refclef', 'berkeley', first=400)
    synthetic.write_transvg(data, 'flickr', num=8, first=500)
    return data


@pytest.fixture(autouse=True)
def small_counts(monkeypatch):
    counts = {
        name: dict.fromkeys(splits, 8 if name == 'flickr30k' else 4)
        for name, splits in SPLITS.items()
    }
    counts['refcoco+'] = counts['refcoco']
    monkeypatch.setattr(published_counts, 'PUBLISHED_COUNTS', counts)


@pytest.fixture
def check(run_tool, capsys, tmp_path_factory):
    """Runs the tool; gives the rows of its report, what follows the table, and the exit status."""
    report = tmp_path_factory.mktemp('report') / 'report.json'
    # As it is before a test counts how often it is called.
    loads = json.loads

    def check(*args):
        report.unlink(missing_ok=True)
        try:
            run_tool(TOOL, *args, '--json', report)
            status = 0
        except SystemExit as error:
            status = error.code
        printed = capsys.readouterr().out
        if not report.exists():
            return [], printed, status
        found = loads(report.read_text())
        said = [printable(line) for row in found for line in row['problems'] + row['notes']]
        assert all(line in printed for line in said)
        following = printed[printed.index(said[0]) :] if said else ''
        return list(map(cells, found)), following.rstrip('\n'), status

    return check


def cells(row):
    """A row of the report, '-' for what was not counted."""
    columns = 'data_set', 'files', 'split', 'count', 'published'
    images = row['images'] and '{} of {}'.format(*row['images'])
    values = [*(row[name] for name in columns), images, row['verdict']]
    return tuple('-' if value is None else str(value) for value in values)


def test_complete_data_pass(folder, check):
    rows, problems, status = check(folder, '--datasets', *SPLITS)
    assert (problems, status) == ('', 0)
    expected = [
        ('refcoco', files, split) for files in ('Refer', 'MDETR') for split in SPLITS['refcoco']
    ]
    expected += [
        (name, 'TransVG' if name == 'flickr30k' else 'Refer', split)
        for name, splits in SPLITS.items()
        for split in splits
        if name != 'refcoco'
    ]
    assert [row[:3] for row in rows] == expected
    for row in rows:
        n, images = ('8', '2 of 2') if row[0] == 'flickr30k' else ('4', '1 of 1')
        assert row[3:] == (n, n, images, 'ok')


def test_everything_is_asked_for_by_default(folder, check):
    rows, problems, status = check(folder)
    assert status == 1
    assert [row[0] for row in rows if row[-1] == 'no'] == ['refcoco+'] * 4
    for file in ('refs(unc).p', 'instances.json'):
        assert problems.count(str(folder / 'refcoco+' / file)) == 1
    assert 'train2014' not in problems and 'docs/data.md' in problems


def test_other_numbers_are_told(tmp_path, check):
    num = dict(train=4, val=2, testA=4, testB=6)
    synthetic.write_refer(tmp_path, 'refcoco', num=num)
    rows, problems, status = check(tmp_path, '--datasets', 'refcoco')
    assert status == 1
    assert [row[3:5] + row[6:] for row in rows] == [
        ('4', '4', 'ok'),
        ('2', '4', 'no'),
        ('4', '4', 'ok'),
        ('6', '4', 'no'),
    ]
    assert 'refs(unc).p, val: 2 expressions instead of 4' in problems
    assert 'refs(unc).p, testB: 6 expressions instead of 4' in problems


def test_where_nobody_has_counted_another_number_is_a_note(tmp_path, check):
    num = dict(train=4, val=5, test=4)
    synthetic.write_refer(tmp_path, 'refclef', 'berkeley', num=num)
    rows, said, status = check(tmp_path, '--datasets', 'refclef')
    assert status == 0
    assert [row[3:5] + row[6:] for row in rows] == [
        ('4', '4', 'ok'),
        ('5', '4', 'note'),
        ('4', '4', 'ok'),
    ]
    (line,) = said.splitlines()
    assert line.startswith(f'note: {tmp_path}/refclef/refs(berkeley).p, val: 5 expressions instead')
    assert 'TransVG' in line and 'no failure' in line
    # As many are another data set's.
    synthetic.write_refer(tmp_path / 'all', 'refclef', 'berkeley', num=dict(num, val=8))
    assert [row[6] for row in check(tmp_path / 'all', '--datasets', 'refclef')[0]][1] == 'no'
    # TransVG's own are what was counted.
    synthetic.write_transvg(tmp_path, 'referit', num=num)
    rows, said, status = check(tmp_path, '--datasets', 'refclef')
    assert status == 1
    assert [row[1] for row in rows if row[-1] == 'no'] == ['TransVG']
    # Whatever else is wrong with REFER's is.
    (tmp_path / 'refclef/instances.json').write_text('{')
    rows, said, status = check(tmp_path, '--datasets', 'refclef')
    assert [row[-1] for row in rows if row[1] == 'Refer'] == ['no'] * 3


def test_missing_images_are_counted(tmp_path, check):
    synthetic.write_refer(tmp_path, 'refclef', 'berkeley', first=100)
    (tmp_path / 'saiapr_tc-12/00/images/102.jpg').unlink()
    rows, problems, status = check(tmp_path, '--datasets', 'refclef', '--full')
    assert status == 1
    assert [row[5] for row in rows] == ['1 of 1', '0 of 1', '1 of 1']
    assert f'val: 1 of 1 images are missing, the first: {tmp_path}/saiapr_tc-12' in problems
    (tmp_path / 'saiapr_tc-12').rename(tmp_path / 'images')
    rows, problems, status = check(tmp_path, '--datasets', 'refclef')
    assert [row[3] for row in rows] == ['4', '4', '4'], 'annotations count without images too'
    assert problems.startswith(f'missing: {tmp_path}/saiapr_tc-12 (the folder of the images)')


def test_missing_images_are_no_bad_records_of_files_without_sizes(tmp_path, check):
    synthetic.write_transvg(tmp_path, 'flickr', num=8, first=100)
    images = sorted((tmp_path / 'flickr30k/flickr30k_images').iterdir())
    images[0].unlink()
    images[-1].write_text('no picture')
    rows, problems, status = check(tmp_path, '--datasets', 'flickr30k', '--full')
    assert status == 1
    assert [row[3:6] for row in rows] == [
        ('8', '8', '1 of 2'),
        ('8', '8', '2 of 2'),
        ('8', '8', '1 of 1'),
    ]
    assert f'train: 1 of 2 images are missing, the first: {images[0]}' in problems
    assert 'test: 4 bad records, the first' in problems and str(images[-1]) in problems
    for image in images[1:]:
        image.unlink()
    rows, problems, status = check(tmp_path, '--datasets', 'flickr30k')
    assert [row[3:6] for row in rows] == [('8', '8', '0 of 2')] * 3
    assert 'bad records' not in problems


def test_of_files_without_sizes_as_many_images_are_opened_as_looked_for(tmp_path, monkeypatch):
    synthetic.write_transvg(tmp_path, 'flickr', num=40)
    tool = runpy.run_path(str(ROOT / TOOL))
    opened, names = [], tool['check_records'].__globals__
    read = names['read_image_size']
    monkeypatch.setitem(
        names, 'read_image_size', lambda path, **how: opened.append(path) or read(path, **how)
    )
    cfg = tool['transvg']('flickr', '../flickr30k/flickr30k_images')
    for number, expected in ((3, 3), (None, 10)):
        opened.clear()
        dataset = tool['open_split'](cfg, str(tmp_path), 'train')
        samples, bad = tool['check_records'](dataset, number)
        assert (len(samples), bad, len(opened)) == (40, [], expected)


def test_a_sample_of_the_images_unless_all_are_asked_for(tmp_path, check, monkeypatch):
    num = 2400
    counts = dict(published_counts.PUBLISHED_COUNTS, refcocog_google=dict(train=num, val=num))
    monkeypatch.setattr(published_counts, 'PUBLISHED_COUNTS', counts)
    monkeypatch.setattr(
        synthetic,
        '_write_image',
        lambda path, e: path.parent.mkdir(parents=True, exist_ok=True) or path.touch(),
    )
    synthetic.write_refer(tmp_path, 'refcocog', 'google', num=num)
    for args, images in ((), '500 of 500'), (('--full',), '600 of 600'):
        rows, _, status = check(tmp_path, '--datasets', 'refcocog_google', *args)
        assert [row[5] for row in rows] == [images] * 2 and status == 0


def test_bad_records_and_broken_files_are_named(tmp_path, check):
    synthetic.write_refer(tmp_path, 'refcocog', 'google')
    path = tmp_path / 'refcocog/instances.json'
    path.write_text(path.read_text().replace('"bbox": [', '"bbox": [99, ', 1))
    rows, problems, status = check(tmp_path, '--datasets', 'refcocog_google')
    assert [row[6] for row in rows] == ['no', 'ok'] and status == 1
    assert 'refs(google).p, train: 2 bad records, the first: refs(google).p: ref_id' in problems
    path.write_text('{')
    rows, problems, status = check(tmp_path, '--datasets', 'refcocog_google')
    assert [row[3] for row in rows] == ['-', '-'] and status == 1
    assert problems.count('instances.json is truncated') == 1
    path.unlink()
    path.mkdir()
    rows, problems, status = check(tmp_path, '--datasets', 'refcocog_google')
    assert re.search('directory: .*instances.json', problems) and status == 1


def test_boxes_of_all_splits_are_read_once(tmp_path, check, monkeypatch):
    synthetic.write_refer(tmp_path, 'refcoco', 'unc')
    loaded = []
    monkeypatch.setattr(
        json,
        'loads',
        lambda *args, loads=json.loads, **kwargs: loaded.append(1) or loads(*args, **kwargs),
    )
    rows, _, _ = check(tmp_path, '--datasets', 'refcoco')
    assert len(rows) == 4 and len(loaded) == 1


@pytest.fixture
def archives(tmp_path):
    """The archives of COCO and REFER, and a ``curl`` that takes files from there by their names."""
    source, folder, bin_folder = (tmp_path / name for name in ('source', 'archives', 'bin'))
    for i, (name, split_by) in enumerate(
        [('refcoco', 'unc'), ('refcoco+', 'unc'), ('refcocog', 'google'), ('refcocog', 'umd')]
    ):
        synthetic.write_refer(source, name, split_by, first=100 * min(i, 2))
    # RefCOCO's has Google's splits too, which nothing reads.
    (source / 'refcoco/refs(google).p').write_bytes(b'')
    folder.mkdir()
    for name in ('refcoco', 'refcoco+', 'refcocog', 'coco/train2014'):
        with zipfile.ZipFile(folder / f'{Path(name).name}.zip', 'w') as archive:
            for path in (source / name).iterdir():
                archive.write(path, path.relative_to((source / name).parent))
    bin_folder.mkdir()
    curl = bin_folder / 'curl'
    curl.write_text(
        '#!/bin/bash\n'
        'while [ $# -gt 1 ]; do if [ "$1" = -o ]; then out=$2; fi; shift; done\n'
        f'cp "{folder}/${{1##*/}}" "$out"\n'
    )
    curl.chmod(0o755)
    return bin_folder


def test_the_road_to_the_paper_leads_to_the_tree(archives, check, tmp_path):
    """The commands of the documentation, all but the network."""
    road = (ROOT / 'docs/road_to_the_paper.md').read_text(encoding='utf-8')
    download, test = re.findall(r'```bash\n(.*?)```', road.split('## 2. Data')[1], re.DOTALL)[:2]
    assert 'curl' in download and TOOL in test
    path = os.pathsep.join([str(archives), str(Path(sys.executable).parent), os.environ['PATH']])
    environ = {**os.environ, 'PATH': path}
    command = ['bash', '-euo', 'pipefail', '-c', download]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True)
    names = re.search(r'--datasets (.*?) --full', test)[1].split()
    rows, problems, status = check(tmp_path / 'data', '--datasets', *names, '--full')
    assert (problems, status) == ('', 0)
    assert {row[0] for row in rows} == set(names) and len(names) == 4
    assert not list((tmp_path / 'data').rglob('*.zip'))


def test_no_folder(tmp_path, check):
    assert check(tmp_path / 'no')[2] == f'There is no folder {tmp_path}/no.'
