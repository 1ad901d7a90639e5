"""Every family of text encoders made tiny: architecture, tokenizer of its kind, released files."""

import json
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from mapper_mm.models.pretrained.text_families import family_of

TINY_CLIP = Path(__file__).parents[3] / 'mapper_mm/assets/tiny_encoders/clip_text_tiny'
SENTENCES = (
    'the red laptop on the left of the girl',
    'a small white star right of the blue circle',
    'the phone that the second man from the right holds',
    'girl in green, not the one with the umbrella!',
    'bottom left corner of a wooden table',
) * 3
SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
_BERT_SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
_ROBERTA_SPECIAL = ['<s>', '<pad>', '</s>', '<unk>']


def _around(tokenizer, first, last):
    """Put special tokens before and behind, as the releases' tokenizer.json do."""
    ends = [(name, tokenizer.token_to_id(name)) for name in (first, last) if name]
    before, behind = (f'{name}:0 ' if name else '' for name in (first, last))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f'{before}$A:0 {behind}'.strip(), special_tokens=ends
    )


def _wordpiece(special, first, last):
    tokenizer = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    _around(tokenizer, first, last)
    return tokenizer


def _byte_level(special, first, last):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    _around(tokenizer, first, last)
    return tokenizer


def _unigram(special, unknown, first, last, mask=None):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Replace(Regex(' {2,}'), ' ')
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=100, special_tokens=special, unk_token=unknown, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    # Behind all others, as in the releases.
    tokenizer.add_special_tokens([mask] if mask else [])
    _around(tokenizer, first, last)
    return tokenizer


def _gemma():
    special = ['<pad>', '<eos>', '<bos>', '<unk>', '<mask>']
    fallback = [f'<0x{number:02X}>' for number in range(256)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(' ', '▁')
    tokenizer.pre_tokenizer = pre_tokenizers.Split('▁', 'merged_with_next')
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    state = json.loads(tokenizer.to_str())
    vocab = [*special, *fallback, *(w for w in state['model']['vocab'] if w not in special)]
    state['model'] |= dict(
        vocab={word: number for number, word in enumerate(vocab)},
        byte_fallback=True,
        unk_token='<unk>',
        fuse_unk=True,
    )
    for token in state['added_tokens']:
        token['id'] = vocab.index(token['content'])
    state['pre_tokenizer'] = dict(
        type='Split', pattern={'String': ' '}, behavior='MergedWithPrevious', invert=False
    )
    tokenizer = Tokenizer.from_str(json.dumps(state))
    _around(tokenizer, None, '<eos>')
    return tokenizer


def _bert():
    return _wordpiece(_BERT_SPECIAL, '[CLS]', '[SEP]'), dict(
        cls_token='[CLS]', sep_token='[SEP]', pad_token='[PAD]', unk_token='[UNK]'
    )


def _roberta():
    return _byte_level([*_ROBERTA_SPECIAL, '<mask>'], '<s>', '</s>'), dict(
        cls_token='<s>',
        sep_token='</s>',
        bos_token='<s>',
        eos_token='</s>',
        pad_token='<pad>',
        unk_token='<unk>',
    )


def _modernbert():
    return _byte_level(_BERT_SPECIAL, '[CLS]', '[SEP]'), _bert()[1]


def _xlm_roberta():
    return _unigram(_ROBERTA_SPECIAL, '<unk>', '<s>', '</s>', '<mask>'), _roberta()[1]


def _mpnet():
    special = ['<s>', '<pad>', '</s>', '<unk>', '[UNK]', '<mask>']
    return _wordpiece(special, '<s>', '</s>'), dict(_roberta()[1], unk_token='[UNK]')


def _deberta():
    special = ['[PAD]', '[CLS]', '[SEP]', '[UNK]']
    return _unigram(special, '[UNK]', '[CLS]', '[SEP]', '[MASK]'), _bert()[1]


def _siglip():
    return _unigram(['<unk>', '</s>'], '<unk>', None, '</s>'), dict(
        eos_token='</s>', pad_token='</s>', unk_token='<unk>'
    )


def _siglip2():
    return _gemma(), dict(
        eos_token='<eos>', bos_token='<bos>', pad_token='<pad>', unk_token='<unk>'
    )


def _clip():
    settings = json.loads((TINY_CLIP / 'tokenizer_config.json').read_text())
    tokens = {key: value for key, value in settings.items() if key.endswith('_token')}
    return Tokenizer.from_file(str(TINY_CLIP / 'tokenizer.json')), tokens


# By model_type the tokenizer, the class that the release's tokenizer_config.json names, and
# settings of the architecture as the release has them.
_DEBERTA_V3 = dict(
    relative_attention=True,
    position_buckets=16,
    norm_rel_ebd='layer_norm',
    share_att_key=True,
    pos_att_type='p2c|c2p',
    position_biased_input=False,
    type_vocab_size=0,
    max_position_embeddings=64,
)
_DISTILBERT = dict(dim=16, n_layers=2, n_heads=2, hidden_dim=32)
TINY = {
    'bert': (_bert, 'BertTokenizer', {}),
    'roberta': (_roberta, 'RobertaTokenizer', dict(max_position_embeddings=66, type_vocab_size=1)),
    'xlm-roberta': (
        _xlm_roberta,
        'XLMRobertaTokenizer',
        dict(max_position_embeddings=66, type_vocab_size=1),
    ),
    'distilbert': (_bert, 'DistilBertTokenizer', _DISTILBERT),
    'electra': (_bert, 'ElectraTokenizer', dict(embedding_size=8)),
    'mpnet': (_mpnet, 'MPNetTokenizer', dict(max_position_embeddings=66)),
    'deberta-v2': (_deberta, 'DebertaV2Tokenizer', _DEBERTA_V3),
    'modernbert': (
        _modernbert,
        'PreTrainedTokenizerFast',
        dict(
            global_attn_every_n_layers=2,
            local_attention=6,
            pad_token_id=0,
            cls_token_id=2,
            bos_token_id=2,
            sep_token_id=3,
            eos_token_id=3,
        ),
    ),
    'clip': (_clip, 'CLIPTokenizer', dict(projection_dim=12)),
    'siglip': (
        _siglip,
        'SiglipTokenizer',
        dict(max_position_embeddings=32, projection_size=12, bos_token_id=0, eos_token_id=1),
    ),
    'siglip2': (
        _siglip2,
        'GemmaTokenizer',
        dict(
            max_position_embeddings=32,
            projection_size=12,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=1,
        ),
    ),
}
# What the releases hold besides the encoder: names that the files on the hub have, and any shape.
HEADS = {
    'bert': ('cls.predictions.bias', 'cls.seq_relationship.weight', 'bert.pooler.dense.weight'),
    'roberta': (
        *('lm_head.bias', 'lm_head.dense.weight', 'lm_head.layer_norm.bias'),
        *('roberta.embeddings.position_ids', 'roberta.pooler.dense.weight'),
    ),
    'xlm-roberta': ('lm_head.bias', 'lm_head.decoder.weight', 'roberta.pooler.dense.bias'),
    'distilbert': ('vocab_transform.weight', 'vocab_layer_norm.bias', 'vocab_projector.bias'),
    'electra': (
        'discriminator_predictions.dense.weight',
        'discriminator_predictions.dense_prediction.bias',
        'electra.embeddings.position_ids',
    ),
    'mpnet': ('lm_head.bias', 'lm_head.dense.weight', 'mpnet.pooler.dense.weight'),
    'deberta-v2': (
        'lm_predictions.lm_head.bias',
        'lm_predictions.lm_head.LayerNorm.weight',
        'mask_predictions.classifier.weight',
        'mask_predictions.dense.bias',
        'deberta.embeddings.position_embeddings.weight',
    ),
    'modernbert': ('head.dense.weight', 'head.norm.weight', 'decoder.bias'),
    'clip': (
        'logit_scale',
        'visual_projection.weight',
        'vision_model.embeddings.class_embedding',
        'vision_model.pre_layrnorm.weight',
        'text_model.embeddings.position_ids',
    ),
    'siglip': ('logit_scale', 'logit_bias', 'vision_model.head.probe'),
    'siglip2': ('logit_scale', 'logit_bias', 'vision_model.embeddings.patch_embedding.weight'),
}
PREFIX = {
    'bert': 'bert.',
    'roberta': 'roberta.',
    'xlm-roberta': 'roberta.',
    'distilbert': 'distilbert.',
    'electra': 'electra.',
    'mpnet': 'mpnet.',
    'deberta-v2': 'deberta.',
    'modernbert': 'model.',
    'clip': 'text_model.',
    'siglip': 'text_model.',
    'siglip2': 'text_model.',
}


@cache
def tokenizer(model_type):
    """A tokenizer of the family's kind, of a hundred tokens or a few."""
    backend, tokens = TINY[model_type][0]()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)


def arch(model_type):
    """``arch`` of the family's tiny encoder, a dict."""
    sizes = {} if model_type == 'distilbert' else SIZES
    words = tokenizer(model_type)
    ends = {}
    if model_type == 'clip':
        ends = dict(bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id)
    return dict(
        model_type=model_type,
        vocab_size=len(words),
        **{**sizes, **TINY[model_type][2], **ends},
    )


def write_tokenizer(model_type, folder):
    """Write the files of a tokenizer as the release has them."""
    tokenizer(model_type).save_pretrained(folder)
    path = Path(folder) / 'tokenizer_config.json'
    settings = json.loads(path.read_text()) | dict(tokenizer_class=TINY[model_type][1])
    path.write_text(json.dumps(settings))


def write_release(model_type, folder):
    """Write a directory as the release has it, with random weights; transformers' model of it."""
    folder.mkdir()
    write_tokenizer(model_type, folder)
    family = family_of(model_type)
    values = {key: value for key, value in arch(model_type).items() if key != 'model_type'}
    whole = family.prior_class or family.model_class
    model = whole(family.config_class(**values), **family.options).eval()
    with torch.no_grad():
        for param in model.parameters():
            param.normal_(0, 0.1)
    prefix = '' if family.tower else PREFIX[model_type]
    state = {f'{prefix}{name}': tensor for name, tensor in model.state_dict().items()}
    state |= {name: torch.randn(3, 2) for name in HEADS[model_type]}
    save_file({k: v.contiguous() for k, v in state.items()}, folder / 'model.safetensors')
    config = dict(model_type=model_type, **values)
    if model_type in ('clip', 'siglip', 'siglip2'):
        size = values.pop('projection_dim', None)
        # As in OpenCLIP's files the text side says another width than there is.
        values |= {} if size is None else dict(projection_dim=7)
        config = dict(model_type=model_type, text_config=values, vision_config={})
        config |= {} if size is None else dict(projection_dim=size)
    (folder / 'config.json').write_text(json.dumps(config))
    return model
