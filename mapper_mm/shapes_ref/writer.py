"""Write generated scenes and phrases in REFER's file layout."""

from __future__ import annotations

import glob
import json
import multiprocessing
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mapper_mm.errors import FolderInUseError

from .phrases import STYLES, sample_phrases
from .render import render
from .scene import SHAPES, sample_scene
from .weather import WEATHER, through_weather

VERSION = 3
# Seconds.
_ABANDONED = 3600
MARKER = 'shapes_ref.json'
REFS = 'refs(shapes).p'
INSTANCES = 'instances.json'
DEFAULT_SPLITS = {'train': 5000, 'val': 300, 'testA': 300, 'testB': 300}
# A picture is encoded once for all of its phrases, see ImageGroupSampler.
PHRASES_PER_SCENE = 6
SPLIT_STYLES = {
    'train': STYLES,
    'val': STYLES,
    'testA': ('attributes', 'size'),
    'testB': ('location', 'relation', 'ordinal'),
}
# Full colour resolution, because a stripe of a small thing is two pixels wide.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


def write_shapes_ref(
    root: str | os.PathLike,
    seed: int = 0,
    splits: Mapping[str, int] | None = None,
    phrases_per_scene: int = PHRASES_PER_SCENE,
    weather: Sequence[str] = (),
    workers: int = 0,
) -> Path:
    """Generate ShapesRef.

    The files are ``images/*.jpg``, ``refs(shapes).p``, ``instances.json`` and ``shapes_ref.json``
    (the arguments, see :func:`is_current`). The fields are those of RefCOCO's files, without
    segmentation. Boxes contain the whole thing, including hidden parts.

    No scene is in two splits. testA contains phrases about the looks of things (attributes,
    superlatives of size), testB phrases about their places (locations, relations, ordinals), and
    train and val contain all. (RefCOCO's testA contains people, its testB everything else.)

    The folder is renamed into place when everything is written; an existing one is replaced.

    Args:
        root: The folder to write.
        seed: Seed of scenes and phrases, together with the split and the number of the scene, so
            that the number of workers has no influence.
        splits: Number of scenes by split: any of train, val, testA, testB.
        phrases_per_scene: Number of phrases a scene gets, if that many can be found.
        weather: Kinds of weather, in equal shares: any of ``WEATHER``. Empty: clear weather. Scenes
            and phrases do not depend on it.
        workers: Number of additional processes.

    Returns:
        Path: ``root``.

    Raises:
        ValueError: If a split or weather is unknown or a number out of range.
        FolderInUseError: If ``root`` contains files that this function did not write.
    """
    root = Path(root)
    splits = _check_splits(splits)
    for kind in weather:
        if kind not in WEATHER:
            raise ValueError(f'unknown weather {kind!r}: use some of {", ".join(WEATHER)}')
    if phrases_per_scene < 1:
        raise ValueError(f'phrases_per_scene must be at least 1, not {phrases_per_scene}')
    check_replaceable(root)
    wanted = {
        'seed': seed,
        'splits': splits,
        'phrases_per_scene': phrases_per_scene,
        'weather': weather,
    }
    was_current = is_current(root, **wanted)
    root.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned_drafts(root)
    draft = Path(tempfile.mkdtemp(prefix=f'.{root.name}-draft-', dir=root.parent))
    try:
        draft.chmod(0o755)
        (draft / 'images').mkdir()
        jobs = [(split, number) for split, count in splits.items() for number in range(count)]
        make = partial(_make_scene, seed, phrases_per_scene, tuple(weather), str(draft))
        refs, instances = _collect(jobs, _run(make, jobs, workers))
        with open(draft / REFS, 'wb') as file:
            pickle.dump(refs, file, protocol=2)
        (draft / INSTANCES).write_text(json.dumps(instances), encoding='utf-8')
        marker = _marker(**wanted)
        marker['expressions'] = {
            split: sum(len(r['sentences']) for r in refs if r['split'] == split) for split in splits
        }
        (draft / MARKER).write_text(json.dumps(marker, indent=2) + '\n', encoding='utf-8')
        if is_current(root, **wanted) and not was_current:
            # Another process was faster and may already read its files.
            shutil.rmtree(draft)
        else:
            _replace(draft, root)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return root


def check_replaceable(root: str | os.PathLike) -> None:
    """Check that a folder is missing, empty, or was written by :func:`write_shapes_ref`.

    Raises:
        FolderInUseError: If it contains other files, or is a file.
    """
    root = Path(root)
    if root.exists() and not root.is_dir():
        raise FolderInUseError(f'{root} is a file, where ShapesRef needs a folder.')
    if root.exists() and any(root.iterdir()) and not (root / MARKER).is_file():
        raise FolderInUseError(
            f'{root} has files in it but no {MARKER}, so it is not a ShapesRef folder that may be '
            'replaced: delete it or choose another folder'
        )


def _remove_abandoned_drafts(root: Path) -> None:
    """Remove files of a killed process: those older than an hour."""
    for draft in root.parent.glob(f'.{glob.escape(root.name)}-draft-*'):
        with suppress(FileNotFoundError):
            written = [path.stat().st_mtime for path in (draft, draft / 'images') if path.exists()]
            if draft.is_dir() and time.time() - max(written) > _ABANDONED:
                shutil.rmtree(draft, ignore_errors=True)


def is_current(
    root: str | os.PathLike,
    seed: int = 0,
    splits: Mapping[str, int] | None = None,
    phrases_per_scene: int = PHRASES_PER_SCENE,
    weather: Sequence[str] = (),
) -> bool:
    """Whether a folder contains the output of :func:`write_shapes_ref` with these arguments.

    Args:
        root: The folder.
        seed: See :func:`write_shapes_ref`.
        splits: See :func:`write_shapes_ref`.
        phrases_per_scene: See :func:`write_shapes_ref`.
        weather: See :func:`write_shapes_ref`.

    Returns:
        bool: False also if the folder is missing, unfinished or from another generator version.
    """
    root = Path(root)
    wanted = _marker(seed, _check_splits(splits), phrases_per_scene, weather)
    try:
        found = json.loads((root / MARKER).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    complete = all((root / name).exists() for name in ('images', REFS, INSTANCES))
    return complete and isinstance(found, dict) and wanted.items() <= found.items()


def _check_splits(splits: Mapping[str, int] | None) -> dict[str, int]:
    splits = dict(DEFAULT_SPLITS if splits is None else splits)
    for split, count in splits.items():
        if split not in SPLIT_STYLES:
            raise ValueError(f'unknown split {split!r}: use some of {", ".join(SPLIT_STYLES)}')
        if count < 0:
            raise ValueError(f'split {split!r} cannot have {count} scenes')
    return splits


def _marker(
    seed: int, splits: dict[str, int], phrases_per_scene: int, weather: Sequence[str]
) -> dict:
    return {
        'version': VERSION,
        'seed': seed,
        'splits': splits,
        'phrases_per_scene': phrases_per_scene,
        'weather': list(weather),
    }


def _run(make, jobs: list, workers: int) -> Iterator[dict]:
    """Apply ``make`` to each job, in order."""
    if workers <= 0:
        yield from map(make, jobs)
        return
    # Not forked, because the caller may have threads, and PyTorch's do not survive a fork.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, context, initializer=_quiet_worker) as pool:
        yield from pool.map(make, jobs, chunksize=32)


def _quiet_worker() -> None:
    cv2.setNumThreads(0)


def _make_scene(
    seed: int, phrases_per_scene: int, weather: tuple[str, ...], folder: str, job: tuple[str, int]
) -> dict:
    """Write one picture and return the things and phrases in it."""
    split, number = job
    entropy = np.random.SeedSequence(seed, spawn_key=(list(SPLIT_STYLES).index(split), number))
    rng = np.random.default_rng(entropy)
    found = []
    # A few scenes have no phrase of the requested styles.
    while not found:
        scene = sample_scene(rng)
        found = sample_phrases(scene, rng, phrases_per_scene, SPLIT_STYLES[split])
    name = f'shapes_{split}_{number:06d}.jpg'
    picture = render(scene)
    if weather:
        picture = through_weather(picture, weather[int(rng.integers(len(weather)))], rng)
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode('.jpg', pixels, _JPEG)
    if not encoded:
        raise RuntimeError(f'OpenCV could not encode {name}')
    Path(folder, 'images', name).write_bytes(data.tobytes())
    things = []
    for thing in scene.things:
        x1, y1, x2, y2 = (round(v, 2) for v in thing.box)
        box = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
        things.append((SHAPES.index(thing.shape) + 1, box, round(thing.area, 2)))
    return {
        'file_name': name,
        'height': scene.height,
        'width': scene.width,
        'things': things,
        'phrases': [(r.target_index, r.text) for r in found],
    }


def _collect(jobs: list, scenes: Iterator[dict]) -> tuple[list[dict], dict]:
    """Number everything and arrange it as REFER's refs and COCO's instances."""
    refs, images, annotations = [], [], []
    sent_id = 0
    for image_id, ((split, _), scene) in enumerate(zip(jobs, scenes, strict=True), start=1):
        images.append(
            {
                'license': 1,
                'file_name': scene['file_name'],
                'height': scene['height'],
                'width': scene['width'],
                'id': image_id,
            }
        )
        first = len(annotations) + 1
        for category, box, area in scene['things']:
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image_id,
                    'category_id': category,
                    'iscrowd': 0,
                    'area': area,
                    'bbox': box,
                }
            )
        for target in dict.fromkeys(index for index, _ in scene['phrases']):
            sentences = []
            for text in (text for index, text in scene['phrases'] if index == target):
                # A pickle depends on which equal strings are one object, which depends on their
                # process. Interning makes them one object in all cases.
                text, tokens = sys.intern(text), [sys.intern(word) for word in text.split()]
                sentences.append({'tokens': tokens, 'raw': text, 'sent_id': sent_id, 'sent': text})
                sent_id += 1
            ann_id = first + target
            stem, suffix = os.path.splitext(scene['file_name'])
            refs.append(
                {
                    'sent_ids': [s['sent_id'] for s in sentences],
                    # REFER's refs name the picture and the annotation here; the picture's own
                    # name is in instances.json.
                    'file_name': f'{stem}_{ann_id}{suffix}',
                    'ann_id': ann_id,
                    'ref_id': len(refs),
                    'image_id': image_id,
                    'split': split,
                    'sentences': sentences,
                    'category_id': scene['things'][target][0],
                }
            )
    instances = {
        'info': {'description': 'ShapesRef', 'version': str(VERSION)},
        'licenses': [{'id': 1, 'name': 'Apache-2.0', 'url': ''}],
        'images': images,
        'annotations': annotations,
        'categories': [
            {'supercategory': 'shape', 'id': i, 'name': name} for i, name in enumerate(SHAPES, 1)
        ],
    }
    return refs, instances


def _replace(draft: Path, root: Path) -> None:
    """Move a finished folder into place, and replace an old or empty one."""
    if root.exists():
        old = Path(tempfile.mkdtemp(prefix=f'.{root.name}-old-', dir=root.parent))
        os.rename(root, old / root.name)
        os.rename(draft, root)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(draft, root)
