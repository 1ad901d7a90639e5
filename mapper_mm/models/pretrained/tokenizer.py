"""Tokenizers from a transformers directory or hub name: those of the model, or an error."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mapper_mm.errors import MissingWeightsError, WrongWeightsError

from .files import resolve_source
from .transformers import missing

# The files of tokenizers that hold an object, and those that hold lines.
_JSON = (
    *('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'),
    *('added_tokens.json', 'vocab.json', 'config.json'),
)
_LINES = ('vocab.txt', 'merges.txt')
# No more embeddings than that are without a token, for their number to be round.
_ROUNDED_BY = 128


def load_tokenizer(
    name_or_dir: str | None, config_key: str, vocab_size: int, kinds: tuple[str, ...]
) -> PreTrainedTokenizerBase:
    """Load a tokenizer.

    From a directory, never from a vocabulary file: transformers 5 ignores ``vocab_file=...``
    without a word and then knows no word at all. So it does where a directory of CLIP holds no
    tokenizer's files.

    Args:
        name_or_dir: a directory with the tokenizer's files, or a hub name.
        config_key: the config key it stands under, for the error message.
        vocab_size: how many tokens the model has embeddings of.
        kinds: the kinds of vocabulary that it may have, as ``tokenizers`` names them: 'WordPiece',
            'BPE' and so on.

    Raises:
        MissingWeightsError: if there is neither.
        WrongWeightsError: if a file is damaged, or it is not the model's tokenizer.
    """
    if name_or_dir is None:
        raise MissingWeightsError(
            f'`{config_key}` is None: without it there is no tokenizer to read phrases with.'
        )
    source = resolve_source(name_or_dir)
    problem = _damage(Path(source))
    if problem is not None:
        raise WrongWeightsError(
            f'`{config_key}={name_or_dir!r}`: {problem}. Get the file again, or name another '
            'directory.'
        )
    try:
        tokenizer = _read_tokenizer(source)
        problem = _why_not(tokenizer, vocab_size, kinds)
    except OSError as error:
        raise missing(name_or_dir, config_key, error) from error
    # Of files that are none of a tokenizer's, transformers raises almost anything.
    except Exception as error:
        if isinstance(error, ValueError) and not (Path(source) / 'tokenizer.json').is_file():
            raise missing(name_or_dir, config_key, error) from error
        raise WrongWeightsError(
            f'`{config_key}={name_or_dir!r}`: the tokenizer in it cannot be read: {_short(error)}'
        ) from error
    if problem is not None:
        raise WrongWeightsError(
            f'`{config_key}={name_or_dir!r}`: its tokenizer {problem}. Put the tokenizer files '
            'that belong to the model there (tokenizer.json; or vocab.txt of BERT, vocab.json and '
            'merges.txt of CLIP).'
        )
    return tokenizer


def tokenizer_to_files(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """What transformers writes of a tokenizer: the texts of files by their names.

    Args:
        tokenizer: any that it has.
    """
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        paths = sorted(Path(folder).iterdir())
        return {path.name: path.read_text(encoding='utf-8') for path in paths}


def tokenizer_from_files(
    files: Mapping[str, str], source: str, vocab_size: int, kinds: tuple[str, ...]
) -> PreTrainedTokenizerBase:
    """Load a tokenizer from the texts of its files, without running any code.

    Args:
        files: as of :func:`tokenizer_to_files`.
        source: what messages call it.
        vocab_size: how many tokens the model has embeddings of.
        kinds: as of :func:`load_tokenizer`.

    Raises:
        WrongWeightsError: if they are no tokenizer, or not the model's.
    """
    with TemporaryDirectory() as folder:
        try:
            for name, text in files.items():
                if Path(name).name != name:
                    raise ValueError(f'{name!r} is no name of a file')
                Path(folder, name).write_text(text, encoding='utf-8')
            damage = _damage(Path(folder))
            if damage is not None:
                raise ValueError(damage)
            tokenizer = _read_tokenizer(folder)
            problem = _why_not(tokenizer, vocab_size, kinds)
        # Of what is no tokenizer.json, tokenizers raises Exception itself.
        except Exception as error:
            raise WrongWeightsError(f'{source} cannot be read: {_short(error)}') from error
    if problem is not None:
        raise WrongWeightsError(f'{source} {problem}.')
    return tokenizer


def _read_tokenizer(source: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def _damage(folder: Path) -> str | None:
    """Say which of a tokenizer's files in a directory is damaged, and how; None: none is."""
    for name in (*_JSON, *_LINES):
        path = folder / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding='utf-8')
            if not text.strip():
                return f'{name} is empty'
            if name in _JSON and not isinstance(json.loads(text), dict):
                return f'{name} holds no JSON object'
        except UnicodeDecodeError:
            return f'{name} is damaged: it is not UTF-8'
        # A JSONDecodeError, or a number of too many digits.
        except (ValueError, RecursionError) as error:
            return f'{name} is damaged: it is not JSON ({_short(error)})'
        if name == 'tokenizer.json':
            try:
                Tokenizer.from_str(text)
            # It is all that tokenizers raises.
            except Exception as error:
                return f'{name} is damaged, or no tokenizer ({_short(error)})'
    return None


def _why_not(
    tokenizer: PreTrainedTokenizerBase, vocab_size: int, kinds: tuple[str, ...]
) -> str | None:
    """Say why a tokenizer is not one of BERT's or CLIP's kind, or of another model; None: it is."""
    # Embeddings are made a few more than there are tokens, for round numbers. Vocabularies of
    # other models, as BERT's cased one beside the uncased, differ by more.
    fewest = max(0.9 * vocab_size, vocab_size - _ROUNDED_BY)
    if not fewest <= len(tokenizer) <= vocab_size:
        return f'has {len(tokenizer)} tokens, the model {vocab_size}'
    if not tokenizer.is_fast:
        return f'is a {type(tokenizer).__name__}, of which the characters of a token are not known'
    if max(tokenizer.get_vocab().values()) >= vocab_size:
        return f'has token {max(tokenizer.get_vocab().values())}, the model {vocab_size} tokens'
    model = tokenizer.backend_tokenizer.model
    kind = type(model).__name__
    if kind not in kinds:
        return f"is another model's: its vocabulary is {kind}, not {' or '.join(kinds)}"
    # RoBERTa's and GPT-2's, which are BPE too, mark the beginnings of words.
    if kind == 'BPE' and not model.end_of_word_suffix:
        return "is another model's: its BPE does not mark the ends of words, as CLIP's does"
    (phrase,) = tokenizer(['a']).encodings
    if not phrase.ids or phrase.special_tokens_mask[0] != 1 or phrase.special_tokens_mask[-1] != 1:
        return 'puts no special token before or behind a phrase'
    if None in (tokenizer.pad_token_id, tokenizer.unk_token_id):
        return 'has no token for padding or for unknown words'
    if kind == 'BPE':
        return _cut_merges(tokenizer)
    return None


def _cut_merges(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Say so if tokens come of no merge of a BPE: its words would be read in pieces."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())['model']
    pairs = (pair.split(' ') if isinstance(pair, str) else pair for pair in model['merges'])
    made = {''.join(pair) for pair in pairs}
    suffix, special = model['end_of_word_suffix'], set(tokenizer.get_added_vocab())
    never = [
        token
        for token in model['vocab'].keys() - made - special
        if len(token.removesuffix(suffix)) > 1
    ]
    if never:
        return f'is cut: {len(never)} of its tokens, {min(never)!r} for one, come of no merge'
    return None


def _short(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.splitlines()[0][:300]
