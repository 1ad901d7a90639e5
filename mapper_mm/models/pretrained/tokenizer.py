"""Load tokenizers from a transformers directory or hub name and check that they fit the model."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer
from transformers import (
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from mapper_mm.errors import MissingPackageError, MissingWeightsError, WrongWeightsError

from .files import resolve_source
from .text_families import TextFamily
from .transformers import missing
from .vocabulary import lower_cased, vocabulary_kind, why_truncated

# Tokenizer files with a JSON object, and those with lines.
_JSON = (
    *('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'),
    *('added_tokens.json', 'vocab.json', 'config.json'),
)
_LINES = ('vocab.txt', 'merges.txt')
# Files of sentencepiece, which transformers can only read if it is installed.
_SENTENCEPIECE = ('spm.model', 'spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model')


def load_tokenizer(
    name_or_dir: str | None, config_key: str, family: TextFamily, config: PreTrainedConfig
) -> PreTrainedTokenizerBase:
    """Load a tokenizer.

    From a directory, never from a vocabulary file: transformers 5 ignores ``vocab_file=...``
    without a word and then knows no word at all. So it does where a directory of CLIP holds no
    tokenizer's files.

    Args:
        name_or_dir: a directory with the tokenizer's files, or a hub name.
        config_key: its config key, for messages.
        family: the model's family, which defines the allowed kinds of vocabulary.
        config: the model's architecture.

    Raises:
        MissingWeightsError: if it does not exist.
        MissingPackageError: if a package is needed to read it.
        WrongWeightsError: if a file is damaged, or the tokenizer does not fit the model.
    """
    if name_or_dir is None:
        raise MissingWeightsError(
            f'`{config_key}` is None: without it there is no tokenizer to read phrases with. Name '
            'it, or a directory with a tokenizer as `tokenizer` beside it.'
        )
    source = resolve_source(name_or_dir)
    problem = _damage(Path(source))
    if problem is not None:
        raise WrongWeightsError(
            f'`{config_key}={name_or_dir!r}`: {problem}. Get the file again, or name another '
            'directory.'
        )
    for name in _SENTENCEPIECE:
        alone = Path(source, name).is_file() and not Path(source, 'tokenizer.json').is_file()
        if alone and find_spec('sentencepiece') is None:
            raise MissingPackageError(
                f'`{config_key}={name_or_dir!r}`: to read its {name} needs `pip install '
                'sentencepiece protobuf`; or put a tokenizer.json there.'
            )
    try:
        tokenizer = _read_tokenizer(source)
        problem = _why_not(tokenizer, family, config)
    except OSError as error:
        raise missing(name_or_dir, config_key, error) from error
    # transformers raises almost anything for invalid files.
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
            'merges.txt of CLIP or RoBERTa).'
        )
    return lower_cased(tokenizer) if family.lower_case else tokenizer


def tokenizer_to_files(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Return the files that transformers saves of a tokenizer: their texts by name.

    Args:
        tokenizer: any tokenizer of transformers.
    """
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        paths = sorted(Path(folder).iterdir())
        return {path.name: path.read_text(encoding='utf-8') for path in paths}


def tokenizer_from_files(
    files: Mapping[str, str], source: str, family: TextFamily, config: PreTrainedConfig
) -> PreTrainedTokenizerBase:
    """Load a tokenizer from the texts of its files, without running any code.

    Args:
        files: as returned by :func:`tokenizer_to_files`.
        source: name in messages.
        family: the model's family.
        config: the model's architecture.

    Raises:
        WrongWeightsError: if the files are not a tokenizer, or it does not fit the model.
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
            problem = _why_not(tokenizer, family, config)
        # tokenizers raises plain Exception for an invalid tokenizer.json.
        except Exception as error:
            raise WrongWeightsError(f'{source} cannot be read: {_short(error)}') from error
    if problem is not None:
        raise WrongWeightsError(f'{source} {problem}.')
    return lower_cased(tokenizer) if family.lower_case else tokenizer


def _read_tokenizer(source: str) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    # It needs the sentencepiece package.
    except ImportError:
        tokenizer = None
    # SigLIP's Python tokenizer gives no character offsets, so load tokenizer.json if it exists.
    if type(tokenizer).__name__ in ('NoneType', 'SiglipTokenizer'):
        return PreTrainedTokenizerFast.from_pretrained(source)
    return tokenizer


def _damage(folder: Path) -> str | None:
    """Return which tokenizer file in a directory is damaged, and how, or None."""
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
        # A JSONDecodeError, or a number with too many digits.
        except (ValueError, RecursionError) as error:
            return f'{name} is damaged: it is not JSON ({_short(error)})'
        if name == 'tokenizer.json':
            try:
                Tokenizer.from_str(text)
            # tokenizers raises nothing more specific.
            except Exception as error:
                return f'{name} is damaged, or no tokenizer ({_short(error)})'
    return None


def _why_not(
    tokenizer: PreTrainedTokenizerBase, family: TextFamily, config: PreTrainedConfig
) -> str | None:
    """Return why a tokenizer does not fit a family or a model, or None if it does."""
    # Models may have a few more embeddings than tokens, for round numbers. Vocabularies of other
    # models, such as the cased and uncased BERT, differ by more.
    vocab_size = config.vocab_size
    fewest = max(0.9 * vocab_size, vocab_size - family.rounded_by)
    if not fewest <= len(tokenizer) <= vocab_size:
        return f'has {len(tokenizer)} tokens, the model {vocab_size}'
    if not tokenizer.is_fast:
        return f'is a {type(tokenizer).__name__}, of which the characters of a token are not known'
    if max(tokenizer.get_vocab().values()) >= vocab_size:
        return f'has token {max(tokenizer.get_vocab().values())}, the model {vocab_size} tokens'
    kind, kinds = vocabulary_kind(tokenizer), family.vocabularies
    if kind not in kinds:
        return f"is another model's: its vocabulary is {kind}, not {' or '.join(kinds)}"
    (phrase,) = tokenizer(['a']).encodings
    mask = phrase.special_tokens_mask or [0]
    for wanted, special, where in zip(
        family.special_tokens, (mask[0], mask[-1]), ('before', 'behind'), strict=True
    ):
        if wanted and not special:
            return f'puts no special token {where} a phrase, as {family.name} wants'
    # Byte-level vocabularies have no unknown words.
    if tokenizer.pad_token_id is None or tokenizer.unk_token_id is None and 'byte' not in kind:
        return 'has no token for padding or for unknown words'
    padding = family.first_position(config) - 1
    if padding >= 0 and tokenizer.pad_token_id != padding:
        return (
            f'pads with token {tokenizer.pad_token_id}, the model with {padding} (`pad_token_id`)'
        )
    return why_truncated(tokenizer)


def _short(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.splitlines()[0][:300]
