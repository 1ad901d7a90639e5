"""List which phrases of a file may be mirrored with their pictures, and why others may not."""

import argparse
import re
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
from mapper_mm.cli.arguments import exit_on_user_error
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.datasets.transforms.frame_words import can_be_cropped
from mapper_mm.datasets.transforms.mirror_words import swap_left_right, why_not_mirrored

_DIRECTION = re.compile(r'\b(?:left|right)', re.IGNORECASE)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('file', help='phrases in UTF-8, one per line')
    parser.add_argument(
        '--list', action='store_true', help='list phrases: mirrored, or what forbids it'
    )
    add_json_argument(parser, 'of each phrase, whether it may be mirrored and cropped')
    return parser.parse_args()


def main() -> None:
    """Print shares of phrases."""
    args = parse_args()
    with exit_on_user_error():
        lines = Path(args.file).read_text(encoding='utf-8', errors='replace').splitlines()
        phrases = [line for line in lines if line.strip()]
        with_side = [phrase for phrase in phrases if _DIRECTION.search(phrase)]
        without = [phrase for phrase in phrases if not _DIRECTION.search(phrase)]
        for name, group in (('with left or right', with_side), ('without', without)):
            mirrored = [phrase for phrase in group if why_not_mirrored(phrase) is None]
            print(f'{name}: {len(mirrored)} of {_share(len(mirrored), len(group))} mirrored')
        cropped = sum(map(can_be_cropped, phrases))
        print(f'all: {cropped} of {_share(cropped, len(phrases))} cropped')
        for phrase in phrases if args.list else []:
            reason = why_not_mirrored(phrase)
            said = swap_left_right(phrase) if reason is None else f'kept for: {reason}'
            print(f'{phrase}\t{said}')
        write_json(args.json, [_as_json(phrase) for phrase in phrases])


def _as_json(phrase: str) -> dict:
    """Return whether a phrase's picture may be mirrored and cropped.

    ``mirrored`` is the mirrored phrase and ``kept_for`` the words that forbid mirroring; one of
    them is None.
    """
    reason = why_not_mirrored(phrase)
    mirrored = swap_left_right(phrase) if reason is None else None
    return dict(phrase=phrase, mirrored=mirrored, kept_for=reason, cropped=can_be_cropped(phrase))


def _share(part: int, whole: int) -> str:
    return f'{whole} ({100 * part / max(whole, 1):.1f} %)'


if __name__ == '__main__':
    main()
