from types import SimpleNamespace

from torch import nn

from mapper_mm.engine.hooks import LastImageHook


class Model(nn.Module):
    kept = None

    def keep_last_image(self, keep):
        self.kept = keep


def test_images_are_kept_while_testing_only():
    hook, model = LastImageHook(), Model()
    runner = SimpleNamespace(model=model)
    for before, after in (
        (hook.before_val_epoch, hook.after_val_epoch),
        (hook.before_test_epoch, hook.after_test_epoch),
    ):
        before(runner)
        assert model.kept is True
        after(runner, metrics={})
        assert model.kept is False


def test_other_models_are_left_alone():
    LastImageHook().before_val_epoch(SimpleNamespace(model=nn.Linear(1, 1)))
