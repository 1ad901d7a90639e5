"""Families of text encoders in transformers and their properties. Add a family as one entry.

A family is what computes alike: its directories have one ``model_type``, or a few.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from transformers import (
    BertModel,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    DebertaV2Model,
    DistilBertModel,
    ElectraModel,
    ModernBertModel,
    MPNetModel,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaModel,
    Siglip2TextModel,
    SiglipTextModel,
    XLMRobertaModel,
)

from mapper_mm.models.adapters.insertion import (
    AdapterWrapper,
    ParallelWrapper,
    PostNormWrapper,
    ResidualWrapper,
    SequentialWrapper,
)
from mapper_mm.models.adapters.reads_wrapper import ReadsWrapper

Points = Mapping[tuple[str, str], tuple[str, Callable[..., AdapterWrapper]]]


@dataclass(frozen=True)
class TextFamily:
    """Properties of a family of text encoders.

    Attributes:
        name: name in messages.
        model_types: values of ``model_type`` in config.json.
        model_class: transformers' class of the encoder.
        layers: name of the list of layers in the encoder.
        insertion_points: where adapters can be inserted in a layer, see
            :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder`.
        vocabularies: kinds of vocabulary of its tokenizers, see
            :func:`~mapper_mm.models.pretrained.tokenizer.vocabulary_kind`.
        rounded_by: maximum number of embeddings without a token (sizes are often rounded up).
        special_tokens: whether its tokenizers add special tokens before and after a phrase.
        heads: name prefixes of tensors in its released files that the encoder does not use.
        unused: name prefixes of optional tensors inside the encoder that it does not use.
        options: other arguments of the class.
        sizes: names of sizes in addition to those that every family has.
        compared: names of settings that change features but no shapes.
        first_position: position of the first token, computed from the architecture. If it is not
            0, the model finds padding by its token id, which the tokenizer must also use.
        reads_mask: whether the encoder gets an attention mask. Causal encoders do not need it, and
            encoders trained with visible padding must not get it.
        padded: whether phrases are always padded to all positions, as in training.
        lower_case: whether phrases must be lowercased before its tokenizers.
        prior_class: the class for a prior. Default: ``model_class``.
        tower: name of the encoder in that class; '' if it is the class itself.
        head: name of the linear projection of a prior's features, or None.
        pooling: a prior's default feature of a phrase: 'mean' of its tokens, that of its
            'first' or its 'last' one, or of the last 'position', padding or not.
    """

    name: str
    model_types: tuple[str, ...]
    model_class: type[PreTrainedModel]
    layers: str
    insertion_points: Points
    vocabularies: tuple[str, ...]
    rounded_by: int = 128
    special_tokens: tuple[bool, bool] = (True, True)
    heads: tuple[str, ...] = ()
    unused: tuple[str, ...] = ('pooler.', 'embeddings.position_ids')
    options: Mapping[str, object] = field(default_factory=dict)
    sizes: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    first_position: Callable[[PreTrainedConfig], int] = lambda config: 0
    reads_mask: bool = True
    padded: bool = False
    lower_case: bool = False
    prior_class: type[PreTrainedModel] | None = None
    tower: str = ''
    head: str | None = None
    pooling: str = 'mean'

    @property
    def config_class(self) -> type[PreTrainedConfig]:
        """Transformers' config class."""
        return self.model_class.config_class

    @property
    def not_needed(self) -> tuple[str, ...]:
        """Name prefixes of tensors in its files that the encoder does not use."""
        prefixes = {
            '',
            f'{self.model_class.base_model_prefix}.',
            'text_model.' if self.tower else '',
        }
        return (*self.heads, *(f'{prefix}{name}' for prefix in prefixes for name in self.unused))

    @property
    def directory(self) -> str:
        """Name of its directories in messages."""
        whole = any(kind.endswith('_text_model') for kind in self.model_types)
        return f'{self.name}, whole or its text side' if whole else self.name

    def positions(self, config: PreTrainedConfig) -> int:
        """Return the maximum number of tokens, including special tokens."""
        return config.max_position_embeddings - self.first_position(config)


def _points(attention: dict[str, tuple], mlp: dict[str, tuple]) -> Points:
    return {
        (sublayer, placement): point
        for sublayer, points in (('attention', attention), ('mlp', mlp))
        for placement, point in points.items()
    }


def _residual_points(end: str) -> dict[str, tuple]:
    """Points of a sub-layer whose last module ``end``, with the norm, also gets the residual."""
    return dict(
        parallel=(end, ResidualWrapper),
        sequential=(f'{end}.dense', SequentialWrapper),
        post_norm=(end, PostNormWrapper),
    )


def _joined_points(last: str, first: str, norm: str) -> dict[str, tuple]:
    """Points of a sub-layer from ``first`` to ``last``, followed by ``norm``."""
    return dict(
        parallel=(last, partial(ReadsWrapper, reads=first)),
        sequential=(last, SequentialWrapper),
        post_norm=(norm, partial(ReadsWrapper, reads=first)),
    )


def _pre_norm_points(last: str, first: str, norm: str) -> dict[str, tuple]:
    """Points of a pre-norm sub-layer; 'post_norm' reads the norm's input, the residual stream."""
    return dict(
        parallel=(last, partial(ReadsWrapper, reads=first)),
        sequential=(last, SequentialWrapper),
        post_norm=(last, partial(ReadsWrapper, reads=norm)),
    )


_BERT = _points(_residual_points('attention.output'), _residual_points('output'))
_CLIP = _points(
    _pre_norm_points('self_attn.out_proj', 'self_attn.q_proj', 'layer_norm1'),
    _pre_norm_points('mlp', 'mlp', 'layer_norm2') | dict(parallel=('mlp', ParallelWrapper)),
)
_WORD_PIECES = ('WordPiece', 'WordLevel', 'Unigram')
_TOKEN_TYPES = ('type_vocab_size',)

_siglip = partial(
    TextFamily,
    layers='encoder.layers',
    insertion_points=_CLIP,
    # SigLIP's vocabulary is Unigram, SigLIP2's is Gemma's.
    vocabularies=('Unigram', 'BPE with byte fallback'),
    special_tokens=(False, True),
    heads=('vision_model.', 'logit_scale', 'logit_bias'),
    unused=('embeddings.position_ids',),
    sizes=('projection_size',),
    reads_mask=False,
    padded=True,
    lower_case=True,
    head='head',
    pooling='position',
)

FAMILIES = [
    TextFamily(
        name='BERT',
        model_types=('bert',),
        model_class=BertModel,
        layers='encoder.layer',
        insertion_points=_BERT,
        # Multilingual BERTs use Unigram.
        vocabularies=_WORD_PIECES,
        heads=('cls.',),
        options=dict(add_pooling_layer=False),
        sizes=_TOKEN_TYPES,
    ),
    TextFamily(
        name='RoBERTa',
        model_types=('roberta',),
        model_class=RobertaModel,
        layers='encoder.layer',
        insertion_points=_BERT,
        vocabularies=('byte-level BPE',),
        heads=('lm_head.',),
        options=dict(add_pooling_layer=False),
        sizes=_TOKEN_TYPES,
        first_position=lambda config: config.pad_token_id + 1,
    ),
    TextFamily(
        name='XLM-RoBERTa',
        model_types=('xlm-roberta',),
        model_class=XLMRobertaModel,
        layers='encoder.layer',
        insertion_points=_BERT,
        vocabularies=('Unigram',),
        heads=('lm_head.',),
        options=dict(add_pooling_layer=False),
        sizes=_TOKEN_TYPES,
        first_position=lambda config: config.pad_token_id + 1,
    ),
    TextFamily(
        name='DistilBERT',
        model_types=('distilbert',),
        model_class=DistilBertModel,
        layers='transformer.layer',
        insertion_points=_points(
            _joined_points('attention.out_lin', 'attention.q_lin', 'sa_layer_norm'),
            _joined_points('ffn', 'ffn', 'output_layer_norm')
            | dict(parallel=('ffn', ParallelWrapper), sequential=('ffn.lin2', SequentialWrapper)),
        ),
        vocabularies=_WORD_PIECES,
        heads=('vocab_transform.', 'vocab_layer_norm.', 'vocab_projector.'),
        compared=('activation',),
    ),
    TextFamily(
        name='ELECTRA',
        model_types=('electra',),
        model_class=ElectraModel,
        layers='encoder.layer',
        insertion_points=_BERT,
        vocabularies=_WORD_PIECES,
        heads=('discriminator_predictions.', 'generator_predictions.', 'generator_lm_head.'),
        sizes=('type_vocab_size', 'embedding_size'),
    ),
    TextFamily(
        name='MPNet',
        model_types=('mpnet',),
        model_class=MPNetModel,
        layers='encoder.layer',
        insertion_points=_points(
            _joined_points('attention.attn.o', 'attention.attn.q', 'attention.LayerNorm'),
            _residual_points('output'),
        ),
        vocabularies=_WORD_PIECES,
        heads=('lm_head.',),
        options=dict(add_pooling_layer=False),
        # The class does not read the id of padding from the config.
        first_position=lambda config: 2,
    ),
    TextFamily(
        name='DeBERTa-v2',
        model_types=('deberta-v2',),
        model_class=DebertaV2Model,
        layers='encoder.layer',
        insertion_points=_BERT,
        vocabularies=('Unigram',),
        # As many as the one for many languages has.
        rounded_by=1024,
        heads=('lm_predictions.', 'mask_predictions.', 'cls.'),
        unused=('pooler.', 'embeddings.position_ids', 'embeddings.position_embeddings.'),
        compared=(
            *('relative_attention', 'position_buckets', 'max_relative_positions', 'pos_att_type'),
            *('share_att_key', 'norm_rel_ebd', 'position_biased_input', 'conv_act'),
            *('conv_kernel_size', 'conv_groups', 'embedding_size'),
        ),
    ),
    TextFamily(
        name='ModernBERT',
        model_types=('modernbert',),
        model_class=ModernBertModel,
        layers='layers',
        insertion_points=_points(
            _pre_norm_points('attn.Wo', 'attn.Wqkv', 'attn_norm'),
            _pre_norm_points('mlp', 'mlp', 'mlp_norm') | dict(parallel=('mlp', ParallelWrapper)),
        ),
        # The latter is that of ModernBERTs for many languages.
        vocabularies=('byte-level BPE', 'BPE with byte fallback'),
        heads=('head.', 'decoder.'),
        compared=(
            *('hidden_activation', 'norm_eps', 'local_attention', 'layer_types'),
            *('rope_parameters', 'norm_bias', 'attention_bias', 'mlp_bias'),
        ),
    ),
    TextFamily(
        name='CLIP',
        model_types=('clip', 'clip_text_model'),
        model_class=CLIPTextModel,
        layers='encoder.layers',
        insertion_points=_CLIP,
        vocabularies=("CLIP's BPE",),
        heads=('vision_model.', 'visual_projection.', 'logit_scale', 'text_projection.'),
        unused=('embeddings.position_ids',),
        sizes=('projection_dim',),
        reads_mask=False,
        prior_class=CLIPTextModelWithProjection,
        tower='text_model',
        head='text_projection',
        pooling='last',
    ),
    _siglip(
        name='SigLIP', model_types=('siglip', 'siglip_text_model'), model_class=SiglipTextModel
    ),
    _siglip(
        name='SigLIP2', model_types=('siglip2', 'siglip2_text_model'), model_class=Siglip2TextModel
    ),
]


def add_family(family: TextFamily) -> None:
    """Let another family be read, in place of one with the same ``model_type`` if there is one.

    Args:
        family: what is known of it.
    """
    FAMILIES[:] = [
        known for known in FAMILIES if not {*known.model_types} & {*family.model_types}
    ] + [family]


def families() -> Iterator[tuple[str, TextFamily]]:
    """Iterate over all supported values of ``model_type`` and their families."""
    for family in FAMILIES:
        for model_type in family.model_types:
            yield model_type, family


def family_of(model_type: str) -> TextFamily | None:
    """Return the family of a ``model_type``, or None if it is not supported."""
    return dict(families()).get(model_type)
