"""Figures that stay, whatever fails after they were computed."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class KeptResultsHook(Hook):
    """Keeps the metrics of a test.

    The runner gives them only if nothing fails until the end, such as a log on a full disk, or a
    damaged picture of the last split.

    Attributes:
        metrics: What was computed so far, by name. Where splits are tested one after the other,
            those of the splits that are done.
    """

    # Before hooks that write.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def after_test_split(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Keep those of one split, which SplitsTestLoop says."""
        self.metrics.update(metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep all."""
        self.metrics.update(metrics or {})
