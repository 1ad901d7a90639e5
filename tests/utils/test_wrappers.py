from mmengine.model import MMDistributedDataParallel
from torch import nn

from mapper_mm.utils.wrappers import unwrapped


def test_a_wrapped_model_is_taken_out():
    model = nn.Linear(1, 1)
    wrapper = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapper)
    wrapper.module = model
    assert unwrapped(wrapper) is model and unwrapped(model) is model
