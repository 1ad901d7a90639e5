"""Find the kind of a tokenizer's vocabulary and check that it is complete."""

import json
import string

from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerBase

# Byte-level vocabularies have some tokens for other uses.
_MADE_UP_AT_MOST = 0.01


def vocabulary_kind(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the kind of vocabulary of a fast tokenizer.

    Args:
        tokenizer: any with a ``backend_tokenizer``.

    Returns:
        str: the name in ``tokenizers``: 'WordPiece', 'WordLevel', 'Unigram'. For BPE there are
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


def why_truncated(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return an error message if merges of a BPE vocabulary are missing, or None.

    Without them, words would be split into pieces.

    Args:
        tokenizer: of any kind; the result is None for other kinds than CLIP's and byte-level BPE.
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
        return (
            f'is truncated: no merge gives {len(never)} of its tokens, for example {min(never)!r}'
        )
    return None


def lower_cased(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Let a tokenizer of SigLIP lowercase phrases, as in training.

    For SigLIP (1), whose vocabulary is Unigram, punctuation is also removed, as in training.

    Args:
        tokenizer: a fast tokenizer, which is changed in place, once.
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
