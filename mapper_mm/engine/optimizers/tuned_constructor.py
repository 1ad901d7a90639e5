"""Build an optimizer for the trainable parameters only."""

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters.parameters import optimizer_names, trainable_params
from mapper_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

KNOWN_KEYS = {'custom_keys', 'norm_decay_mult', 'bias_decay_mult'}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TunedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Optimize trainable parameters, with one parameter group per learning rate and weight decay.

    MMEngine's constructor also adds frozen parameters and makes one group per parameter, which
    slows down schedulers and logging.

    ``paramwise_cfg`` may contain ``custom_keys`` (a part of the parameter's name to ``lr_mult`` and
    ``decay_mult``; the longest match is used), ``norm_decay_mult`` and ``bias_decay_mult``, with
    the same meaning as in MMEngine. Here the name of every parameter that an encoder's ``adapter``
    tunes contains ``adapter``, see :func:`~mapper_mm.models.adapters.parameters.optimizer_names`.

    Raises:
        WrongConfigError: for another key in ``paramwise_cfg``, a rate or decay that is not a
            number, or a ``lr_mult`` without ``lr`` in the config.
        ValueError: if nothing in the model requires a gradient.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        unknown = set(self.paramwise_cfg) - KNOWN_KEYS
        if unknown:
            raise WrongConfigError(
                f'optim_wrapper.paramwise_cfg: {", ".join(sorted(unknown))} is no setting of '
                f'{type(self).__name__}; there are {", ".join(sorted(KNOWN_KEYS))}.'
            )

        for key in ('lr', 'weight_decay'):
            value = self.optimizer_cfg.get(key, 0.0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise WrongConfigError(
                    f'optim_wrapper.optimizer.{key} is {value!r}: a number is wanted. Left out, it '
                    "is the optimizer's default."
                )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer and its wrapper for a model, wrapped in DDP or not."""
        model = getattr(model, 'module', model)
        # The base settings come first, because the learning rate of the first group is logged.
        groups = {(1.0, 1.0): []}
        norms = {
            f'{prefix}.{name}'
            for prefix, module in model.named_modules()
            if isinstance(module, _BatchNorm | nn.LayerNorm | nn.GroupNorm)
            for name, _ in module.named_parameters(recurse=False)
        }
        known_as = optimizer_names(model)
        for name, param in trainable_params(model).items():
            mults = self._mults(name, known_as[name], name in norms)
            groups.setdefault(mults, []).append(param)
        params = [self._group(*mults, members) for mults, members in groups.items() if members]
        if not params:
            raise ValueError(
                'nothing in the model is trainable: give it an adapter, a neck or a '
                'head that is not frozen.'
            )
        for group in params:
            print_log(
                f'optimizer: {sum(p.numel() for p in group["params"]):,} parameters, '
                + ', '.join(f'{key}={value:g}' for key, value in group.items() if key != 'params'),
                logger='current',
            )
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=params))
        wrapper = {'type': 'OptimWrapper', **self.optim_wrapper_cfg}
        return OPTIM_WRAPPERS.build(wrapper, default_args=dict(optimizer=optimizer))

    def _mults(self, name: str, known_as: str, is_norm: bool) -> tuple[float, float]:
        keys = self.paramwise_cfg.get('custom_keys', {})
        matches = [key for key in keys if key in name or key in known_as]
        if matches:
            settings = keys[max(matches, key=len)]
            return settings.get('lr_mult', 1.0), settings.get('decay_mult', 1.0)
        if is_norm:
            return 1.0, self.paramwise_cfg.get('norm_decay_mult', 1.0)
        if name.endswith('bias'):
            return 1.0, self.paramwise_cfg.get('bias_decay_mult', 1.0)
        return 1.0, 1.0

    def _group(self, lr_mult: float, decay_mult: float, params: list) -> dict:
        group = dict(params=params)
        if self.base_lr is not None:
            group['lr'] = self.base_lr * lr_mult
        elif lr_mult != 1:
            raise WrongConfigError(
                'optim_wrapper.paramwise_cfg has a lr_mult, and optim_wrapper.optimizer no lr to '
                'multiply: set it.'
            )
        if self.base_wd is not None:
            group['weight_decay'] = self.base_wd * decay_mult
        return group
