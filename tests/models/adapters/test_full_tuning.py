from torch import nn

from mapper_mm.models.adapters.full_tuning import FullTuning


def test_all_that_is_saved_is_tuned_and_all_is_in_training_mode():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    module.register_buffer('scratch', module[0].bias.detach(), persistent=False)
    method = FullTuning()
    tuned = method.tuned(module)
    assert tuned == {
        *(name for name, _ in module.named_parameters()),
        *('1.running_mean', '1.running_var', '1.num_batches_tracked'),
    }
    method.train(module, True)
    assert all(part.training for part in module.modules())
    method.train(module, False)
    assert not any(part.training for part in module.modules())
