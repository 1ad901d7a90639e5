"""Convert text so that it can be written anywhere."""


def printable(text: str) -> str:
    r"""Escape characters that cannot be encoded as UTF-8.

    A file name may contain any bytes. Python decodes bytes that are not UTF-8 to lone surrogates,
    which cannot be written to terminals, logs or tables.

    Args:
        text: Any text.

    Returns:
        str: The text with ``\udce9`` instead of such a surrogate.
    """
    return text.encode('utf-8', 'backslashreplace').decode()


def first_lines(lines: list[str], number: int = 8) -> str:
    """Join the first lines, indented, and append the number of the others."""
    more = [f'... {len(lines) - number} more'] if lines[number:] else []
    return '\n  '.join([*lines[:number], *more])
