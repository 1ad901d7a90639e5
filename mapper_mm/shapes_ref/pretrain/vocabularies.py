"""The vocabularies of the tiny text encoders, in the manner of CLIP's, BERT's and RoBERTa's."""

import json

from tokenizers import BertWordPieceTokenizer, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as RawTokenizer
from transformers import BertTokenizer, CLIPTokenizer, RobertaTokenizer


def train_clip_tokenizer(captions: list[str]) -> CLIPTokenizer:
    """A byte-pair vocabulary in CLIP's manner."""
    raw = RawTokenizer(models.BPE(end_of_word_suffix='</w>'))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = [chr(c) for c in range(ord('!'), ord('~') + 1)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, end_of_word_suffix='</w>', initial_alphabet=letters, show_progress=False
    )
    raw.train_from_iterator(captions, trainer)
    model = json.loads(raw.to_str())['model']
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(' ')) for m in model['merges']]
    names = list(model['vocab'])
    names += [f'{c}</w>' for c in letters if f'{c}</w>' not in model['vocab']]
    names += ['<|startoftext|>', '<|endoftext|>']
    return CLIPTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=merges)


def train_bert_tokenizer(phrases: list[str]) -> BertTokenizer:
    """A WordPiece vocabulary in BERT's manner; single letters make every word readable."""
    raw = BertWordPieceTokenizer(lowercase=True)
    alphabet = [chr(c) for c in range(ord('!'), ord('~') + 1) if not chr(c).isupper()]
    raw.train_from_iterator(
        phrases + alphabet + [f'a{c}' for c in alphabet],
        vocab_size=500,
        min_frequency=1,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    vocab = raw.get_vocab()
    for piece in (f'##{c}' for c in alphabet if c.isalnum()):
        vocab.setdefault(piece, len(vocab))
    return BertTokenizer(vocab=vocab)


def train_roberta_tokenizer(phrases: list[str]) -> RobertaTokenizer:
    """A byte-pair vocabulary over bytes in RoBERTa's manner: no word is unknown to it."""
    raw = RawTokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=['<s>', '<pad>', '</s>', '<unk>'],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(phrases, trainer)
    model = json.loads(raw.to_str())['model']
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(' ')) for m in model['merges']]
    vocab = model['vocab'] | {'<mask>': len(model['vocab'])}
    # With a blank before it, a phrase's first word is the same token as elsewhere.
    return RobertaTokenizer(vocab=vocab, merges=merges, add_prefix_space=True)
