"""The lists of a file in COCO's layout, whose entries are looked up by their ids."""

from collections.abc import Sequence
from typing import Any

from mapper_mm.errors import BadRecordError

from .checks import nearest, shown


def lists_of(path: str, content: Any, needed: dict[str, str]) -> list[list[dict]]:
    """Take the lists of a file.

    Args:
        path: The file, for messages.
        content: What it holds.
        needed: The lists' names, each with the field that all of its entries must have; '' for
            none.

    Returns:
        list: The lists, in the order of the names.

    Raises:
        BadRecordError: If one is missing or no list of dicts, or an entry lacks its field or has
            something other than a number or a string there.
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
    """Find ids that several entries have which do not say the same.

    Args:
        entries: Dicts with 'id' or without.
        fields: What they must say alike.
        what: What the entries are called.

    Returns:
        dict: Of each such id, which two entries differ, and in what.
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
