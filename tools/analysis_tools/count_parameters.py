"""Count trained and frozen parameters by part. Needs no weights and no data."""

import argparse
from collections import defaultdict
from dataclasses import asdict, dataclass

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import nn

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.models.adapters.insertion import added_params
from mapper_mm.models.adapters.parameters import adapters, num_tuned_in_encoders, trainable_params
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.registry import MODELS


@dataclass
class Count:
    """Numbers of parameters of a part."""

    total: int = 0
    trainable: int = 0


def count(model: nn.Module) -> dict[str, Count]:
    """Count a grounder's parameters by part, in the order of the forward pass.

    Args:
        model: With ``backbone``, ``language_model``, ``neck`` and ``bbox_head``.
    """
    trainable, added = trainable_params(model), added_params(model)
    counts: dict[str, Count] = defaultdict(Count)
    for name, param in model.named_parameters():
        part = added.get(name) or _part(name, model)
        counts[part].total += param.numel()
        counts[part].trainable += param.numel() if name in trainable else 0
    return dict(counts)


def _part(name: str, model: nn.Module) -> str:
    if name.startswith('backbone.'):
        return type(model.backbone).__name__
    if name.startswith('language_model.prior.'):
        return type(model.language_model.prior).__name__
    if name.startswith('language_model.'):
        return _language_model(model)
    if name.startswith('neck.layers.'):
        return 'fusion encoder layers'
    return 'projections, positions, [REG], head'


def _language_model(model: nn.Module) -> str:
    """Return the name of the language model: its family, if it is from transformers."""
    encoder = model.language_model
    return encoder.family.name if isinstance(encoder, TextEncoder) else type(encoder).__name__


@dataclass
class TunableShare:
    """The tuned share of the backbones.

    Attributes:
        tuned: Parameters tuned in them.
        backbones: All of their parameters.
        unused: Additional parameters that the published code tunes and never uses.
    """

    tuned: int
    backbones: int
    unused: int


def tunable_share(model: nn.Module, counts: dict[str, Count]) -> TunableShare:
    """Return the tuned share of the backbones, counted as in the paper.

    The paper includes the mask token of the image encoder and the pooler of BERT, which are unused
    and not loaded here; with full fine-tuning it counts them as tuned. It also counts
    ``clip_down_proj`` in each DyPA, whose output the published code never uses and which does not
    exist here.
    """
    tuned = num_tuned_in_encoders(model)
    mask_token, width = model.backbone.embed_dims, model.language_model.embed_dims
    not_loaded = mask_token + (width + 1) * width
    backbones = (
        counts[type(model.backbone).__name__].total
        + counts[_language_model(model)].total
        + not_loaded
    )
    unused = sum(
        (adapter.prior_dims + 1) * adapter.down.out_features
        for _, adapter in adapters(model)
        if getattr(adapter, 'prior_dims', None) and hasattr(adapter, 'scale')
    )
    return TunableShare(tuned, backbones, unused)


def print_report(counts: dict[str, Count], share: TunableShare) -> None:
    """Print the table, peft's line and the tunable share of the backbones."""
    total = sum(part.total for part in counts.values())
    trainable = sum(part.trainable for part in counts.values())
    table = Table(title='parameters')
    table.add_column('part', no_wrap=True)
    for column in ('frozen', 'trainable', 'share'):
        table.add_column(column, justify='right')
    for name, part in counts.items():
        frozen, of_all = part.total - part.trainable, part.trainable / max(trainable, 1)
        table.add_row(name, f'{frozen:,}', f'{part.trainable:,}', f'{of_all:.1%}')
    table.add_section()
    table.add_row('all', f'{total - trainable:,}', f'{trainable:,}', '')
    Console().print(table)
    print(
        f'trainable params: {trainable:,} || all params: {total:,} || '
        f'trainable%: {100 * trainable / total:.4f}'
    )
    tuned, backbones, unused = share.tuned, share.backbones, share.unused
    print(
        f'tunable share of the backbones: {tuned:,} / {backbones:,} = {tuned / backbones:.4%} '
        '(MaPPER in the paper, at full size: 1.41 %)'
    )
    if unused:
        print(
            f"with the published code's unused clip_down_proj ({unused:,}): "
            f'{tuned + unused:,} / {backbones:,} = {(tuned + unused) / backbones:.4%}'
        )


def as_json(counts: dict[str, Count], share: TunableShare) -> dict:
    """Return the same numbers as JSON values."""
    return dict(
        parts={
            name: dict(frozen=part.total - part.trainable, trainable=part.trainable)
            for name, part in counts.items()
        },
        total=sum(part.total for part in counts.values()),
        trainable=sum(part.trainable for part in counts.values()),
        backbones=asdict(share),
    )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    add_json_argument(parser, 'numbers of parameters, frozen and trainable, by part')
    return parser.parse_args()


def main() -> None:
    """Print the count for the config that the command line names."""
    args = parse_args()
    with exit_on_user_error():
        config = read_config(args)
        init_default_scope(config.default_scope)
        check_config(config)
        with torch.device('meta'), build_errors_name_settings(config):
            model = MODELS.build(config.model)
        counts = count(model)
        share = tunable_share(model, counts)
        print_report(counts, share)
        write_json(args.json, as_json(counts, share))


if __name__ == '__main__':
    main()
