"""The optimizer of both pre-trainings."""

from collections.abc import Iterable

from torch.nn import Parameter
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR


def optimizer_for(params: Iterable[Parameter], steps: int, lr: float) -> tuple[AdamW, OneCycleLR]:
    """AdamW with a one-cycle learning rate.

    Args:
        params: What is trained.
        steps: Number of steps of the whole training.
        lr: The highest rate, after a tenth of the steps.

    Returns:
        tuple: The optimizer, and its schedule, which is stepped after each of the optimizer's.
    """
    optimizer = AdamW(params, lr=lr, weight_decay=0.02)
    return optimizer, OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
