"""Check a data folder: list present and missing files and compare numbers with published ones.

docs/data.md describes the folder's layout. The exit status is 1 if something is missing or
differs. A different number is only a note if the published number was not counted on these files.
"""

import argparse
import functools
import os.path as osp
import pickle
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mapper_mm.cli.arguments import exit_on_user_error
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.datasets import GroundingDataset
from mapper_mm.datasets.image_size import read_image_size
from mapper_mm.datasets.json_files import load_json
from mapper_mm.datasets.published_counts import PUBLISHED_COUNTS
from mapper_mm.errors import BadRecordError
from mapper_mm.registry import DATASETS
from mapper_mm.utils.text import printable


def refer(name: str, split_by: str, images: str = '../coco/train2014') -> dict:
    """Return the config of REFER's files."""
    return dict(
        type='ReferDataset', data_root=name, split_by=split_by, data_prefix=dict(img=images)
    )


def transvg(name: str, images: str = '../coco/train2014') -> dict:
    """Return the config of TransVG's index files."""
    return dict(
        type='TransVGDataset', data_root='transvg', dataset=name, data_prefix=dict(img=images)
    )


def mdetr(name: str) -> dict:
    """Return the config of MDETR's JSON files."""
    return dict(
        type='MDETRDataset',
        data_root='mdetr_annotations',
        dataset=name,
        data_prefix=dict(img='../coco/train2014'),
    )


# Kinds of files of each dataset. One kind is enough; each existing kind is checked.
SOURCES = {
    'refcoco': [refer('refcoco', 'unc'), transvg('unc'), mdetr('refcoco')],
    'refcoco+': [refer('refcoco+', 'unc'), transvg('unc+'), mdetr('refcoco+')],
    'refcocog_umd': [refer('refcocog', 'umd'), transvg('gref_umd'), mdetr('refcocog')],
    'refcocog_google': [refer('refcocog', 'google'), transvg('gref')],
    'refclef': [
        refer('refclef', 'berkeley', '../saiapr_tc-12'),
        transvg('referit', '../referit/images'),
    ],
    'flickr30k': [transvg('flickr', '../flickr30k/flickr30k_images')],
}

# The published numbers are of cleaned files, and nobody has counted this one: a number that differs
# by no more than this share is only a note.
UNCOUNTED = {'refs(berkeley).p': 0.25}
_COLOURS = dict(ok='green', note='yellow', no='red')
# A size in pixels that contains any box, for pictures that are not opened.
ANY_SIZE = (2**31, 2**31)


@dataclass
class Result:
    """The result of checking a split in one kind of files.

    Attributes:
        data_set: Name in PUBLISHED_COUNTS.
        files: Kind of files: 'Refer', 'TransVG' or 'MDETR'.
        split: Name of the split.
        published: Published number of expressions.
        count: Number of expressions found, including those that cannot be used.
        images: Number of images found, of those that were checked.
        problems: Errors, one line each.
        notes: Other remarks, one line each.
    """

    data_set: str
    files: str
    split: str
    published: int
    count: int | None = None
    images: tuple[int, int] | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Return 'ok', 'note' or 'no'."""
        return 'no' if self.problems else 'note' if self.notes else 'ok'


def open_split(cfg: dict, folder: str, split: str) -> GroundingDataset:
    """Return the reader of a split, before it reads."""
    cfg = dict(cfg, data_root=osp.join(folder, cfg['data_root']), split=split)
    return DATASETS.build(dict(cfg, lazy_init=True, test_mode=True))


def is_there(cfg: dict, folder: str, splits: list[str]) -> bool:
    """Whether the phrases of any split exist."""
    return any(osp.isfile(open_split(cfg, folder, split).source) for split in splits)


def check(result: Result, dataset: GroundingDataset, num_images: int | None) -> None:
    """Fill in the rest of a result.

    Args:
        result: The result with its expected values.
        dataset: The reader of the split.
        num_images: Number of images to check, drawn at random with a fixed seed; None for all.
    """
    absent = [(path, what) for path, what in dataset.required_files() if not osp.exists(path)]
    result.problems += [f'missing: {osp.normpath(path)} ({what})' for path, what in absent]
    # Without the images' folder the expressions can still be counted.
    if any(path != dataset.data_prefix['img'] for path, _ in absent):
        return
    name = f'{osp.normpath(dataset.source)}, {result.split}'
    try:
        samples, bad = check_records(dataset, num_images)
    # OSError: for example a folder instead of a file.
    except (BadRecordError, pickle.UnpicklingError, OSError) as error:
        result.problems.append(str(error))
        return
    result.count = len(samples) + len(bad)
    if result.count != result.published:
        difference = f'{name}: {result.count:,} expressions instead of {result.published:,}'
        tolerance = UNCOUNTED.get(osp.basename(dataset.source), 0) * result.published
        if abs(result.count - result.published) <= tolerance:
            result.notes.append(
                f"note: {difference}, which TransVG's cleaned files have. How many REFER's own "
                'should have is not known, so this is no failure.'
            )
        else:
            result.problems.append(difference)
    if bad:
        result.problems.append(f'{name}: {len(bad):,} bad records, the first: {bad[0]}')
    paths = draw({sample['img_path'] for sample in samples}, num_images)
    holes = [path for path in paths if not osp.isfile(path)]
    result.images = len(paths) - len(holes), len(paths)
    if holes and not absent:
        result.problems.append(
            f'{name}: {len(holes):,} of {len(paths):,} images are missing, the first: '
            f'{osp.normpath(holes[0])}'
        )


def check_records(
    dataset: GroundingDataset, num_images: int | None
) -> tuple[list[dict], list[str]]:
    """Run ``dataset.check_records``, but open only some pictures of files without sizes.

    These are the images to check, as far as they exist.
    """
    asked_for = set()
    found = dataset.check_records(lambda path: asked_for.add(path) or ANY_SIZE)
    if not asked_for:
        return found
    opened = set(filter(osp.isfile, draw(asked_for, num_images)))
    read_size = functools.partial(read_image_size, exif_orientation=dataset.exif_orientation)
    return dataset.check_records(lambda path: read_size(path) if path in opened else ANY_SIZE)


def draw(paths: set[str], number: int | None) -> list[str]:
    """Draw some of the paths, at random with a fixed seed; None for all."""
    ordered = sorted(paths)
    if number is None or number >= len(ordered):
        return ordered
    return random.Random(0).sample(ordered, number)


def check_data_set(name: str, folder: str, num_images: int | None) -> Iterator[Result]:
    """Check every split of a dataset in all existing kinds of files, or report the first kind."""
    counts = PUBLISHED_COUNTS[name]
    there = [cfg for cfg in SOURCES[name] if is_there(cfg, folder, list(counts))]
    # REFER's splits have their boxes in one large file.
    load_once = functools.lru_cache(maxsize=1)(load_json)
    for cfg in there or SOURCES[name][:1]:
        for split, published in counts.items():
            result = Result(name, cfg['type'].removesuffix('Dataset'), split, published)
            dataset = open_split(cfg, folder, split)
            dataset.load_json = load_once
            check(result, dataset, num_images)
            yield result


def print_report(results: list[Result], console: Console) -> None:
    """Print the table, and below it the problems and notes."""
    table = Table(title='expressions and images')
    for column in ('data set', 'files', 'split'):
        table.add_column(column, no_wrap=True)
    for column in ('found', 'published', 'images'):
        table.add_column(column, justify='right', no_wrap=True)
    table.add_column('', no_wrap=True)
    for _, rows in groupby(results, key=lambda result: (result.data_set, result.files)):
        table.add_section()
        for row in rows:
            table.add_row(
                row.data_set,
                row.files,
                row.split,
                '-' if row.count is None else f'{row.count:,}',
                f'{row.published:,}',
                '-' if row.images is None else f'{row.images[0]:,} of {row.images[1]:,}',
                f'[{_COLOURS[row.verdict]}]{row.verdict}[/]',
            )
    console.print(table)
    # Print lines of several splits only once.
    lines = (line for row in results for line in (*row.problems, *row.notes))
    for line in dict.fromkeys(lines):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    if any(row.problems for row in results):
        console.print('docs/data.md says where everything belongs and how to get it.')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('folder', help='data folder, for example data')
    parser.add_argument(
        '--datasets', nargs='+', choices=SOURCES, default=list(SOURCES), help='default: all'
    )
    parser.add_argument(
        '--full', action='store_true', help='check every image instead of 500 per split'
    )
    add_json_argument(
        parser, 'what was found of each split, wanted, and wrong, as a list of the rows'
    )
    return parser.parse_args()


def main() -> None:
    """Check the folder that the command line names."""
    args = parse_args()
    init_default_scope('mapper_mm')
    console = Console()
    with exit_on_user_error():
        if not osp.isdir(args.folder):
            raise FileNotFoundError(f'There is no folder {args.folder}.')
        results = []
        for name in args.datasets:
            with console.status(f'checking {name}'):
                results += check_data_set(name, args.folder, None if args.full else 500)
        print_report(results, console)
        write_json(args.json, [dict(asdict(row), verdict=row.verdict) for row in results])
    if any(row.problems for row in results):
        sys.exit(1)


if __name__ == '__main__':
    main()
