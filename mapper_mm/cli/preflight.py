"""Check that the data and weights that a config needs are on this machine."""

import os.path as osp
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from mmengine.config import Config
from mmengine.registry import init_default_scope
from timm import get_pretrained_cfg, is_model_pretrained

from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.checkpoints.partial import encoders_missing_from
from mapper_mm.datasets import GroundingDataset
from mapper_mm.engine.runner import split_datasets
from mapper_mm.errors import MissingDataError
from mapper_mm.models.pretrained.files import PACKAGE, WEIGHT_FILES, how_to_get, resolve_source
from mapper_mm.registry import DATASETS, MODELS
from mapper_mm.shapes_ref import ShapesRefDataset

# Also matches a relative folder.
_HUB_NAME = re.compile(r'[\w-][\w.-]*/[\w.-]+(?<!\.pth)(?<!\.safetensors)')


def check_requirements(
    config: Config,
    loaders: Sequence[str],
    weights: bool,
    checkpoint: str | None = None,
    held: Collection[str] | None = None,
) -> None:
    """Check that all required data and weights exist, and list all missing ones at once.

    Args:
        config: The whole config.
        loaders: Config keys of the data loaders that will be used.
        weights: Whether all pre-trained weights will be used.
        checkpoint: Checkpoint that will be tested or resumed from. Pre-trained weights that it does
            not contain will be used. Only files are checked, not addresses.
        held: Names of the weights in the checkpoint, if it has been read already.

    Raises:
        MissingDataError: If anything is missing; the message says what, where it belongs and how to
            get it.
    """
    problems = list(_missing_data(config, loaders))
    there = checkpoint is not None and Path(checkpoint).is_file()
    if checkpoint is not None and not there and '://' not in checkpoint:
        problems.append(f'  {osp.normpath(checkpoint)}: the checkpoint')
    if weights:
        problems += _missing_weights(_named_weights(config.model))
    elif there:
        if held is None:
            held = read_checkpoint(checkpoint)['state_dict']
        problems += _missing_weights(_left_out_weights(config, held))
    if problems:
        where = f'{config.filename} needs' if config.filename else 'The config needs'
        raise MissingDataError(
            '\n'.join([f'{where} what is not on this machine:', *dict.fromkeys(problems)])
        )


def _missing_data(config: Config, loaders: Sequence[str]) -> Iterator[str]:
    hints = {}
    for cfg in _datasets([cfg for key in loaders for cfg in _loaded(config, key)]):
        dataset = DATASETS.build(dict(cfg, pipeline=[], lazy_init=True))
        # The files of other datasets are not known.
        if not isinstance(dataset, GroundingDataset):
            continue
        # Generated data are created when they are needed, if this is allowed.
        if isinstance(dataset, ShapesRefDataset):
            dataset.check_place()
            continue
        for path, what in dataset.required_files():
            if not Path(path).exists():
                yield f'  {osp.normpath(path)}: {what}'
                hints[dataset.how_to_get] = None
    yield from (f'    {hint}' for hint in hints)


def _loaded(config: Config, key: str) -> list[dict]:
    """Return the datasets of a loader; a test may have one per split."""
    # MMEngine validates only if the config has a validation loop.
    if config.get(key) is None:
        return []
    dataset = config[key]['dataset']
    splits = (config.get('test_cfg') or {}).get('splits') if key == 'test_dataloader' else None
    return [dataset] if splits is None else list(split_datasets(dataset, splits).values())


def _datasets(cfgs: Sequence[dict]) -> Iterator[dict]:
    """Iterate over the datasets inside wrappers (ConcatDataset, RepeatDataset ...)."""
    for cfg in cfgs:
        if 'datasets' in cfg:
            yield from _datasets(cfg['datasets'])
        elif isinstance(cfg.get('dataset'), dict):
            yield from _datasets([cfg['dataset']])
        else:
            yield cfg


def _missing_weights(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if _is_there(name):
            continue
        what = f'  {osp.normpath(name)}: pre-trained weights'
        if name.startswith(PACKAGE):
            yield what
            yield '    It comes with the package: install it again, or run tools/pretrain_tiny.py.'
        elif how_to_get(name) is not None:
            yield what
            yield f'    {how_to_get(name)}'
            if is_model_pretrained(name):
                yield f'    and name it: pretrained/{name}/model.safetensors'
        else:
            yield f'{what}; put them there, or name others'
            if _HUB_NAME.fullmatch(name):
                yield f'    If it is a name on the hub: hf download {name} --local-dir {name}'


def _left_out_weights(config: Config, held: Collection[str]) -> Iterator[str]:
    init_default_scope(config.get('default_scope', 'mapper_mm'))
    with torch.device('meta'):
        model = MODELS.build(config.model)
    for encoder in encoders_missing_from(model, held).values():
        if encoder.pretrained is not None:
            yield encoder.pretrained
        yield from _elsewhere(getattr(encoder, 'tokenizer_source', None))


def _named_weights(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get('pretrained'), str):
            yield node['pretrained']
        yield from _elsewhere(node.get('tokenizer'))
        node = list(node.values())
    if isinstance(node, list | tuple):
        for part in node:
            yield from _named_weights(part)


def _elsewhere(tokenizer: object) -> Iterator[str]:
    # Unlike a model's directory, a tokenizer's needs no config.json.
    if isinstance(tokenizer, str) and not Path(resolve_source(tokenizer)).is_dir():
        yield tokenizer


def _is_there(name: str) -> bool:
    path = Path(resolve_source(name))
    if path.suffix in WEIGHT_FILES:
        return path.is_file()
    if path.is_dir():
        return (path / 'config.json').is_file()
    # './pretrained/bert' is a missing folder; 'pretrained/bert' might be a name on the hub.
    return not name.startswith((PACKAGE, '.', '/', '~')) and _is_on_a_hub(name)


def _is_on_a_hub(name: str) -> bool:
    repository, file = name, 'config.json'
    if is_model_pretrained(name):
        repository, file = get_pretrained_cfg(name).hf_hub_id, 'model.safetensors'
    try:
        if isinstance(try_to_load_from_cache(repository, file), str):
            return True
        return HfApi().repo_exists(repository)
    # Not a hub name, no network or the hub is down: in any case the weights are not available.
    except Exception:
        return False
