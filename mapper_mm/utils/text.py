"""Text that can be written anywhere."""


def printable(text: str) -> str:
    r"""Text without what UTF-8 does not have.

    A file's name may be any bytes. Python reads those that are not UTF-8 as halves of characters,
    which no terminal, log or table takes.

    Args:
        text: Any text.

    Returns:
        str: The same, with ``\udce9`` spelled out in the place of such a half.
    """
    return text.encode('utf-8', 'backslashreplace').decode()


def first_lines(lines: list[str], number: int = 8) -> str:
    """Some lines below each other, indented, and how many more there are."""
    more = [f'... {len(lines) - number} more'] if lines[number:] else []
    return '\n  '.join([*lines[:number], *more])
