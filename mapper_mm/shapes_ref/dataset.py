"""Reader of ShapesRef, which generates the dataset on first use."""

import difflib
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from mapper_mm.datasets.refer_dataset import ReferDataset
from mapper_mm.errors import MissingDataError
from mapper_mm.registry import DATASETS

from .writer import (
    DEFAULT_SPLITS,
    PHRASES_PER_SCENE,
    check_replaceable,
    is_current,
    write_shapes_ref,
)

#: Folder in the configs.
DEFAULT_PLACE = 'data/shapes_ref'
# Similarity of names that differ in one or two letters.
_NEAR = 0.8


@DATASETS.register_module()
class ShapesRefDataset(ReferDataset):
    """Read ShapesRef, and generate it if ``data_root`` does not contain the requested data.

    A missing folder is created in ``data``, as in the configs, or in an existing folder. It is an
    error if the parent folder is also missing, or if a folder with nearly the same name contains
    the same data, because the name is probably misspelt.
    ``tools/dataset_converters/make_shapes.py`` writes to any folder.

    In distributed training the first process generates and the others wait; all must see the same
    ``data_root``.

    Args:
        data_root: Folder of the generated files.
        seed: Seed of scenes and phrases.
        num_scenes: Number of scenes by split (train, val, testA, testB), the same for every dataset
            with this data_root. Default: that of the generator.
        phrases_per_scene: Number of phrases about each scene.
        weather: Kinds of weather in the pictures; see `write_shapes_ref`.
        workers: Number of additional processes for generation.
        **kwargs: Arguments of `ReferDataset`.

    Raises:
        MissingDataError: If data_root does not exist and seems to be misspelt.
        FolderInUseError: If it contains other files.
    """

    def __init__(
        self,
        data_root: str = DEFAULT_PLACE,
        seed: int = 0,
        num_scenes: Mapping[str, int] | None = None,
        phrases_per_scene: int = PHRASES_PER_SCENE,
        weather: Sequence[str] = (),
        workers: int = 0,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self.num_scenes = None if num_scenes is None else dict(num_scenes)
        self.phrases_per_scene = phrases_per_scene
        self.weather = tuple(weather)
        self.workers = workers
        super().__init__(data_root=data_root, split_by='shapes', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Generate missing data, then read them like REFER's files."""
        if is_main_process():
            self._generate()
        barrier()
        return super().load_data_list()

    def check_place(self) -> None:
        """Check that the requested data are in ``data_root`` or can be generated there.

        Raises:
            MissingDataError: If the folder does not exist and seems to be misspelt.
            FolderInUseError: If it contains other files.
        """
        root = Path(self.data_root)
        check_replaceable(root)
        if root.exists():
            return
        parent = root.absolute().parent
        advice = (
            f'data_root={self.data_root!r}. To make one there: '
            f'python tools/dataset_converters/make_shapes.py --out {shlex.quote(self.data_root)}'
        )
        if not parent.is_dir() and root.parent != Path(DEFAULT_PLACE).parent:
            there = next(folder for folder in parent.parents if folder.is_dir())
            raise MissingDataError(
                f'There is no folder {parent} to make ShapesRef in, only {there}: {advice}'
            )
        beside = [entry.name for entry in os.scandir(parent)] if parent.is_dir() else []
        for name in difflib.get_close_matches(root.name, beside, cutoff=_NEAR):
            if is_current(parent / name, **self._wanted()):
                raise MissingDataError(
                    f'There is no ShapesRef in {root}, but in {root.with_name(name)}: {advice}'
                )

    def _wanted(self) -> dict:
        return dict(
            seed=self.seed,
            splits=self.num_scenes,
            phrases_per_scene=self.phrases_per_scene,
            weather=self.weather,
        )

    def _generate(self) -> None:
        wanted = self._wanted()
        if is_current(self.data_root, **wanted):
            return
        self.check_place()
        where = Path(self.data_root)
        what = 'replacing what is there' if where.exists() else 'which is new'
        print_log(
            f'Generating ShapesRef (seed {self.seed}, '
            f'{sum((self.num_scenes or DEFAULT_SPLITS).values()):,} scenes) in '
            f'{where.absolute()}, {what} ...',
            'current',
        )
        start = time.perf_counter()
        write_shapes_ref(self.data_root, **wanted, workers=self.workers)
        print_log(f'Generated ShapesRef in {time.perf_counter() - start:.0f} s.', 'current')
