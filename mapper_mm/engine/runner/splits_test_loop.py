"""All splits of a dataset in one test run."""

import copy
from collections.abc import Sequence

from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner, TestLoop

from mapper_mm.registry import LOOPS


@LOOPS.register_module()
class SplitsTestLoop(TestLoop):
    """Tests one split after the other, each as MMEngine's own loop would test it alone.

    mmdet's ``MultiDatasetsEvaluator`` does the same by cutting the results of a ConcatDataset at
    the datasets' borders, which is right only for a sampler that keeps the order.

    Metrics get the split in front: ``testA/grounding/acc@0.5``; and each sees it, while it is
    tested, as ``dataset_meta['split']``.

    Args:
        runner: The runner.
        dataloader: Config of the data loader; its ``dataset.split`` is replaced.
        evaluator: Config of the metrics.
        splits: What to test.
        fp16: Whether to test with automatic mixed precision.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict,
        evaluator: Evaluator | dict | list,
        splits: Sequence[str],
        fp16: bool = False,
    ) -> None:
        loaders = {}
        for split in splits:
            cfg = copy.deepcopy(dataloader)
            cfg['dataset']['split'] = split
            # Each loader is used once: its workers need not outlive that.
            cfg['persistent_workers'] = False
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
            metrics.update({f'{split}/{name}': value for name, value in results.items()})
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics
