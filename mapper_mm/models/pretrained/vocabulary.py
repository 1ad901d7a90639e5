"""What kind of vocabulary a tokenizer has, and what is missing from it."""

import json
import string

from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerBase

# Of vocabularies in bytes some tokens are for other uses.
_MADE_UP_AT_MOST = 0.01


def vocabulary_kind(tokenizer: PreTrainedTokenizerBase) -> str:
    """What kind of vocabulary a fast tokenizer has.

    Args:
        tokenizer: any with a ``backend_tokenizer``.

    Returns:
        str: as ``tokenizers`` names it: 'WordPiece', 'WordLevel', 'Unigram'. Of BPE there are
        several kinds: "CLIP's BPE", which marks the ends of words; 'byte-level BPE', as of RoBERTa;
        'BPE with byte fallback', as of Gemma; and 'plain BPE'.
    """
    model = tokenizer.backend_tokenizer.model
    kind = type(model).__name__
    if kind != 'BPE':
        return kind
    if model.end_of_word_suffix:
        return "CLIP's BPE"
    if '"ByteLevel"' in json.dumps(_state(tokenizer).get('pre_tokenizer')):
        return 'byte-level BPE'
    return 'BPE with byte fallback' if model.byte_fallback else 'plain BPE'


def why_cut(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Say so if tokens come of no merge of a BPE: its words would be read in pieces.

    Args:
        tokenizer: of any kind; None is said of other kinds than CLIP's and byte-level BPE.
    """
    kind = vocabulary_kind(tokenizer)
    if kind not in ("CLIP's BPE", 'byte-level BPE'):
        return None
    model = _state(tokenizer)['model']
    pairs = (pair.split(' ') if isinstance(pair, str) else pair for pair in model['merges'])
    made = {''.join(pair) for pair in pairs}
    suffix, special = model['end_of_word_suffix'] or '', set(tokenizer.get_added_vocab())
    never = [
        token
        for token in model['vocab'].keys() - made - special
        if len(token.removesuffix(suffix)) > 1
    ]
    allowed = 0 if suffix else _MADE_UP_AT_MOST * len(model['vocab'])
    if len(never) > allowed:
        return f'is cut: {len(never)} of its tokens, {min(never)!r} for one, come of no merge'
    return None


def lower_cased(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Let a tokenizer of SigLIP's read phrases as in training: in lower case.

    SigLIP itself, whose vocabulary is Unigram, was also trained without punctuation.

    Args:
        tokenizer: a fast one, which is changed in place, once.
    """
    own = tokenizer.backend_tokenizer.normalizer
    if '"Lowercase"' not in json.dumps(_state(tokenizer).get('normalizer')):
        before = [normalizers.Lowercase()]
        if vocabulary_kind(tokenizer) == 'Unigram':
            marks = ''.join(f'\\{mark}' for mark in string.punctuation)
            before += [
                normalizers.Replace(Regex(f'[{marks}]'), ''),
                normalizers.Replace(Regex(r'\s+'), ' '),
                normalizers.Strip(),
            ]
        tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
            [*before, *([] if own is None else [own])]
        )
    return tokenizer


def _state(tokenizer: PreTrainedTokenizerBase) -> dict:
    return json.loads(tokenizer.backend_tokenizer.to_str())
