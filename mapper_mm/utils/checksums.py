"""Checksums of weight files, because torch and safetensors do not notice damaged numbers."""

import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def check_zip(path: str | Path) -> None:
    """Check the checksums in a file of ``torch.save``, which ``torch.load`` does not check.

    This takes no more memory than the size of the file. Files of another format, or without
    checksums, are ignored.

    Args:
        path: the file.

    Raises:
        ValueError: if the file is damaged.
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
    # zipfile raises almost any error for a damaged directory of the archive.
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
    """Add the CRC-32 of a text and tensors to the text.

    Args:
        text: a JSON object.
        tensors: by name, on the CPU.

    Returns:
        str: the object with one more key, at the beginning.
    """
    rest = text.removeprefix('{')
    return f'{_BEGINNING}{_checksum(text, tensors)}"{"" if rest == "}" else ", "}{rest}'


def check_text(header: Mapping[str, str], key: str, tensors: Mapping[str, Tensor]) -> str:
    """Compare a text and tensors with the checksum in the text, if there is one.

    Args:
        header: texts by key.
        key: key of the text from :func:`with_checksum`. Files of other programs have no such text,
            or one without a checksum.
        tensors: by name, on the CPU.

    Returns:
        str: the text without the checksum.

    Raises:
        ValueError: if the text or a tensor has changed.
    """
    text = header.get(key, '{}')
    recorded = _RECORDED.match(text)
    if recorded is not None:
        text = '{' + text[recorded.end() :]
    # The key of the text or of the checksum may itself be damaged.
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
