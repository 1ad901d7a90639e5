"""Check the lists of a file in COCO's layout, whose entries have ids."""

from collections.abc import Sequence
from typing import Any

from mapper_mm.errors import BadRecordError

from .checks import nearest, shown


def lists_of(path: str, content: Any, needed: dict[str, str]) -> list[list[dict]]:
    """Return the lists of a file.

    Args:
        path: The file, for messages.
        content: The contents of the file.
        needed: Names of the lists, each with the field that all of its entries must have, or ''.

    Returns:
        list: The lists, in the order of the names.

    Raises:
        BadRecordError: If a list is missing or not a list of dicts, or an entry has no such field
            or its value is neither a number nor a string.
    """
    lists = []
    for name, field in needed.items():
        entries = content.get(name) if isinstance(content, dict) else None
        layout = f'{path}: must be a dict of {" and ".join(map(repr, needed))}, lists of dicts'
        if not isinstance(content, dict):
            raise BadRecordError(f'{layout}, but is a {type(content).__name__}.')
        if not isinstance(entries, list):
            what = (
                f'is {shown(entries)}.'
                if name in content
                else (
                    f'is missing; there are: {", ".join(map(shown, list(content)[:20])) or "none"}.'
                    f'{nearest(name, content)}'
                )
            )
            raise BadRecordError(f'{layout}; {name!r} {what}')
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise BadRecordError(
                    f'{layout}, but not all are: {name} #{number} is {shown(entry)}.'
                )
            if field and not isinstance(entry.get(field), int | str):
                is_what = f'is {shown(entry[field])}' if field in entry else 'is missing'
                raise BadRecordError(f'{layout}; of {name} #{number}, {field!r} {is_what}.')
        lists.append(entries)
    return lists


def differing(entries: list[dict], fields: Sequence[str], what: str) -> dict[int | str, str]:
    """Find ids of several entries that differ.

    Args:
        entries: Dicts with or without 'id'.
        fields: Fields that must be equal.
        what: Name of the entries in messages.

    Returns:
        dict: For each such id a message about which two entries differ, and in which field.
    """
    first, found = {}, {}
    for number, entry in enumerate(entries):
        key = entry.get('id')
        if not isinstance(key, int | str):
            continue
        other = first.setdefault(key, number)
        if other == number:
            continue
        for field in fields:
            one, two = entries[other].get(field), entry.get(field)
            if one != two:
                found.setdefault(
                    key,
                    f'{what} #{other} and #{number} both have the id {shown(key)}, and differ in '
                    f'{field!r}: {shown(one)} and {shown(two)}',
                )
    return found
