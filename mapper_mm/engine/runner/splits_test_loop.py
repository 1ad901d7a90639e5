"""All splits of a dataset, or of several, in one test run."""

import copy
from collections.abc import Mapping, Sequence

from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner, TestLoop

from mapper_mm.registry import LOOPS


@LOOPS.register_module()
class SplitsTestLoop(TestLoop):
    """Tests one split after the other, each as MMEngine's own loop would test it alone.

    mmdet's ``MultiDatasetsEvaluator`` does the same by cutting the results of a ConcatDataset at
    the datasets' borders, which is right only for a sampler that keeps the order.

    Metrics get the split's name in front: ``testA/grounding/acc@0.5``; and each sees it, while the
    split is tested, as ``dataset_meta['split']``.

    Args:
        runner: The runner.
        dataloader: Config of the data loader, whose ``dataset`` differs from split to split.
        evaluator: Config of the metrics.
        splits: What to test; see :func:`split_datasets`.
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
            # Each loader is used once: its workers need not outlive that.
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
            # What is tested now: hooks ask for its length.
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
    """The datasets of all splits.

    Args:
        dataset: Config of the dataset of one split.
        splits: The splits' names, or one; or, for splits of several datasets, what differs from
            ``dataset`` by the name that the split gets in front of its metrics.

    Returns:
        dict[str, dict]: Configs by name.
    """
    if isinstance(splits, str):
        splits = [splits]
    if not isinstance(splits, Mapping):
        splits = {split: dict(split=split) for split in splits}
    return {name: dict(dataset, **different) for name, different in splits.items()}
