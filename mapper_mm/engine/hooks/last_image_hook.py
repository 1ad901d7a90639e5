"""Reuse an encoded image in the next batch, in validation and testing."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mapper_mm.registry import HOOKS
from mapper_mm.utils.wrappers import unwrapped


@HOOKS.register_module()
class LastImageHook(Hook):
    """Keep the tokens of a batch's last image during validation and testing.

    With ``ImageOrderSampler`` the next batch often starts with the same image, which is then not
    encoded again. The tokens are discarded at the end, because training changes the weights. Models
    without a method ``keep_last_image`` are not changed.
    """

    def before_val_epoch(self, runner: Runner) -> None:
        """Start keeping tokens."""
        _keep(runner, True)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Discard the tokens."""
        _keep(runner, False)

    def before_test_epoch(self, runner: Runner) -> None:
        """Start keeping tokens."""
        _keep(runner, True)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Discard the tokens."""
        _keep(runner, False)


def _keep(runner: Runner, keep: bool) -> None:
    model = unwrapped(runner.model)
    if hasattr(model, 'keep_last_image'):
        model.keep_last_image(keep)
