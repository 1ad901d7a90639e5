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
    except (zipfile.BadZipFile, ArithmeticError, EOFError, LookupError, NotImplementedError,
            OSError, RuntimeError, struct.error) as error:  # fmt: skip
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
    return f'{{"crc32": "{_checksum(text, tensors)}"{"" if rest == "}" else ", "}{rest}'


def check_text(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Compare a text and tensors with the checksum in the text, if it has one.

    Args:
        text: as of :func:`with_checksum`; files of other programs have no checksum.
        tensors: by name, on the CPU.

    Returns:
        str: the text as it was before.

    Raises:
        ValueError: if something is not as it was.
    """
    recorded = _RECORDED.match(text)
    if recorded is None:
        return text
    text = '{' + text[recorded.end() :]
    if _checksum(text, tensors) != recorded[1]:
        raise ValueError('what is in it is not what its checksum says')
    return text


_RECORDED = re.compile(r'\{"crc32": "(.*?)"(?:, )?')


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        value = zlib.crc32(f'{name} {tensor.dtype} {tuple(tensor.shape)};'.encode(), value)
        value = zlib.crc32(tensor.contiguous().reshape(-1).view(torch.uint8).numpy(), value)
    return f'{value:08x}'
