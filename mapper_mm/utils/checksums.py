"""Checksums of files of weights: torch and safetensors read damaged numbers without a word."""

import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def check_zip(path: str | Path) -> None:
    """Check the checksums in a file that ``torch.save`` wrote, which ``torch.load`` does not.

    It also takes no more memory than the file has bytes. A file of another format is left alone, as
    is one that was written without checksums.

    Args:
        path: the file.

    Raises:
        ValueError: if something in it is damaged.
    """
    with open(path, 'rb') as file:
        if file.read(4) != b'PK\x03\x04':
            return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = [entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
            if packed or sum(entry.file_size for entry in entries) > Path(path).stat().st_size:
                raise ValueError('it is packed, as torch.save writes no file')
            # torch.serialization.set_crc32_options(False)
            damaged = archive.testzip() if any(entry.CRC for entry in entries) else None
    # Of another directory of the archive than there was, zipfile raises almost anything.
    except (
        zipfile.BadZipFile,
        ArithmeticError,
        EOFError,
        LookupError,
        NotImplementedError,
        OSError,
        RuntimeError,
        struct.error,
    ) as error:
        raise ValueError(f'the archive is damaged: {error}') from error
    if damaged is not None:
        raise ValueError(f'{damaged} in it is not what its checksum says')


def with_checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Write the CRC-32 of a text and tensors into the text.

    Args:
        text: a JSON object.
        tensors: by name, on the CPU.

    Returns:
        str: the object with one key more, the first.
    """
    rest = text.removeprefix('{')
    return f'{_BEGINNING}{_checksum(text, tensors)}"{"" if rest == "}" else ", "}{rest}'


def check_text(header: Mapping[str, str], key: str, tensors: Mapping[str, Tensor]) -> str:
    """Compare a text and tensors with the checksum in the text, if it has one.

    Args:
        header: texts by key.
        key: whose text it is, as of :func:`with_checksum`; files of other programs have none, or
            one without a checksum.
        tensors: by name, on the CPU.

    Returns:
        str: the text as it was before.

    Raises:
        ValueError: if something is not as it was.
    """
    text = header.get(key, '{}')
    recorded = _RECORDED.match(text)
    if recorded is not None:
        text = '{' + text[recorded.end() :]
    # Neither the name of the text nor that of the checksum may be what is damaged.
    elif any(map(_is_nearly_one, header.values())):
        raise ValueError('what is in its header is not what was written')
    if recorded is not None and _checksum(text, tensors) != recorded[1]:
        raise ValueError('what is in it is not what its checksum says')
    return text


_BEGINNING = '{"crc32": "'
_RECORDED = re.compile(re.escape(_BEGINNING) + '(.*?)"(?:, )?')


def _is_nearly_one(text: str) -> bool:
    same = sum(one == other for one, other in zip(text, _BEGINNING, strict=False))
    return same >= len(_BEGINNING) - 3


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        value = zlib.crc32(f'{name} {tensor.dtype} {tuple(tensor.shape)};'.encode(), value)
        value = zlib.crc32(tensor.contiguous().reshape(-1).view(torch.uint8).numpy(), value)
    return f'{value:08x}'
