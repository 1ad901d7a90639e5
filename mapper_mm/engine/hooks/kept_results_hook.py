"""Keep metrics even if something fails later."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class KeptResultsHook(Hook):
    """Keep the metrics of a test.

    The runner returns them only if nothing fails until the end, such as writing a log to a full
    disk or reading a damaged picture of the last split.

    Attributes:
        metrics: The metrics so far, by name; with several splits, those of the finished splits.
    """

    # Run before hooks that write files.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def after_test_split(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Keep the metrics of one split; called by SplitsTestLoop."""
        self.metrics.update(metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep all metrics."""
        self.metrics.update(metrics or {})
