"""Names for pictures that are written, so that none is written over another."""

import os
from pathlib import Path


class PictureNames:
    """Gives every picture of a run a file of its own in a folder.

    A name that another picture of the run has gets the folder that the picture comes from in front
    (``val_000001_3.png``), then the one above that as well, and at last a number behind it.

    Args:
        folder: Where the pictures go. It is made when the first name is asked for.
        keep: Keep pictures of earlier runs too: where one is there, the new one gets a number.
            Otherwise they are written over.
    """

    def __init__(self, folder: str | Path, keep: bool = False) -> None:
        self.folder = Path(folder)
        self.keep = keep
        self._given: set[str] = set()
        # Now, before other processes of this run write any.
        there = self.folder.is_dir() and not keep
        self._may_be_written_over = set(os.listdir(self.folder)) if there else set()

    def name(self, source: str | Path, ending: str) -> Path:
        """A path that no other picture has; an empty file takes the place.

        Args:
            source: What it is a picture of: a path, or a name.
            ending: What stands behind the name of ``source``, with the suffix: ``_3.png``.

        Raises:
            OSError: If nothing can be written there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        source, end = Path(source), Path(ending)
        stem = source.stem + end.stem
        parents = [] if self.keep else [p for p in source.parent.parts if p not in ('/', '..')]
        names = ['_'.join([*parents[-count:], stem]) for count in (1, 2) if count <= len(parents)]
        for name in [stem, *names, *(f'{stem}_{number}' for number in range(1, 1_000_000))]:
            if self._take(name + end.suffix):
                break
        return self.folder / (name + end.suffix)

    def _take(self, name: str) -> bool:
        if name in self._given:
            return False
        try:
            # Of several processes one gets it.
            (self.folder / name).open('xb').close()
        except FileExistsError:
            if name not in self._may_be_written_over:
                return False
        self._given.add(name)
        return True
