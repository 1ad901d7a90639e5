"""Test all splits of one or several datasets in one run."""

import copy
from collections.abc import Mapping, Sequence

from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner, TestLoop

from mapper_mm.registry import LOOPS


@LOOPS.register_module()
class SplitsTestLoop(TestLoop):
    """Test one split after the other, each like MMEngine's own loop.

    mmdet's ``MultiDatasetsEvaluator`` splits the results of a ConcatDataset instead, which is only
    correct for a sampler that keeps the order.

    The split's name is prepended to metrics: ``testA/grounding/acc@0.5``. While the split is
    tested, metrics can read it as ``dataset_meta['split']``.

    Args:
        runner: The runner.
        dataloader: Config of the data loader; its ``dataset`` is replaced for each split.
        evaluator: Config of the metrics.
        splits: The splits to test; see :func:`split_datasets`.
        fp16: Whether to test with automatic mixed precision.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict,
        evaluator: Evaluator | dict | list,
        splits: Sequence[str] | Mapping[str, dict],
        fp16: bool = False,
    ) -> None:
        loaders = {}
        for split, dataset in split_datasets(dataloader['dataset'], splits).items():
            # Each loader is used only once, so its workers need not persist.
            cfg = copy.deepcopy(dict(dataloader, dataset=dataset, persistent_workers=False))
            loaders[split] = runner.build_dataloader(cfg, seed=runner.seed)
        super().__init__(runner, next(iter(loaders.values())), evaluator, fp16)
        self.dataloaders = loaders

    def run(self) -> dict[str, float]:
        """Test every split.

        Returns:
            dict: The metrics of all splits.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        metrics = {}
        for split, dataloader in self.dataloaders.items():
            # Hooks read the length of the current loader.
            self.dataloader = dataloader
            dataset = dataloader.dataset
            print_log(f'Testing {split}: {len(dataset):,} expressions', 'current')
            self.evaluator.dataset_meta = dict(dataset.metainfo, split=split)
            for idx, data_batch in enumerate(dataloader):
                self.run_iter(idx, data_batch)
            results = self.evaluator.evaluate(len(dataset))
            results = {f'{split}/{name}': value for name, value in results.items()}
            self.runner.call_hook('after_test_split', metrics=results)
            metrics.update(results)
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics


def split_datasets(
    dataset: dict, splits: str | Sequence[str] | Mapping[str, dict]
) -> dict[str, dict]:
    """Return the dataset configs of all splits.

    Args:
        dataset: Config of the dataset of one split.
        splits: One or several names of splits; or, for several datasets, a map from the prefix of
            the metrics to the settings that differ from ``dataset``.

    Returns:
        dict[str, dict]: Configs by name.
    """
    if isinstance(splits, str):
        splits = [splits]
    if not isinstance(splits, Mapping):
        splits = {split: dict(split=split) for split in splits}
    return {name: dict(dataset, **different) for name, different in splits.items()}
