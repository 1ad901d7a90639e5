"""Generated scenes, made when they are first needed."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from mapper_mm.registry import DATASETS

from .refer_dataset import ReferDataset
from .shapes import PHRASES_PER_SCENE, is_current, write_shapes_ref


@DATASETS.register_module()
class ShapesRefDataset(ReferDataset):
    """ShapesRef, generated if what is in ``data_root`` is not what was asked for.

    In distributed training the first process generates and the others wait; ``data_root`` must be
    a folder that all of them see.

    Args:
        data_root: Where the generated files are or go.
        seed: What scenes and phrases depend on.
        num_scenes: Number of scenes by split (train, val, testA, testB), the same for every dataset
            with this data_root. Defaults to the generator's.
        phrases_per_scene: Number of phrases about each scene.
        weather: Kinds of weather that the pictures are taken in; see `write_shapes_ref`.
        workers: Number of further processes that generate; 0 for none.
        **kwargs: Of `ReferDataset`.
    """

    def __init__(
        self,
        data_root: str = 'data/shapes_ref',
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
        """Generate what is missing, then read it as REFER's files are read."""
        if is_main_process():
            self._generate()
        barrier()
        return super().load_data_list()

    def _generate(self) -> None:
        wanted = dict(
            seed=self.seed,
            splits=self.num_scenes,
            phrases_per_scene=self.phrases_per_scene,
            weather=self.weather,
        )
        if is_current(self.data_root, **wanted):
            return
        print_log(f'Generating ShapesRef (seed {self.seed}) in {self.data_root} ...', 'current')
        start = time.perf_counter()
        write_shapes_ref(self.data_root, **wanted, workers=self.workers)
        print_log(f'Generated ShapesRef in {time.perf_counter() - start:.0f} s.', 'current')
