"""Testing in the order of images: what goes on from a batch to the next."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mapper_mm.registry import HOOKS
from mapper_mm.utils.wrappers import unwrapped


@HOOKS.register_module()
class LastImageHook(Hook):
    """Keeps a batch's last image encoded while a model is validated or tested.

    With ``ImageOrderSampler`` the next batch often goes on with it, and need not encode it again.
    It is forgotten at the end: weights change in training. Models without ``keep_last_image`` are
    left alone.
    """

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to keep."""
        _keep(runner, True)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Forget."""
        _keep(runner, False)

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin to keep."""
        _keep(runner, True)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Forget."""
        _keep(runner, False)


def _keep(runner: Runner, keep: bool) -> None:
    model = unwrapped(runner.model)
    if hasattr(model, 'keep_last_image'):
        model.keep_last_image(keep)
