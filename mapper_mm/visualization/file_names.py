"""Unique file names for pictures."""

import os
from pathlib import Path


class PictureNames:
    """Give every picture of a run its own file in a folder.

    If another picture of the run has the same name, the source folder is prepended
    (``val_000001_3.png``), then also its parent folder, and finally a number is appended.

    Args:
        folder: The folder for the pictures. It is created with the first name.
        keep: Whether to keep pictures of earlier runs and append a number to new names. Otherwise
            they are overwritten.
    """

    def __init__(self, folder: str | Path, keep: bool = False) -> None:
        self.folder = Path(folder)
        self.keep = keep
        self._given: set[str] = set()
        # Check now, before other processes of this run write pictures.
        there = self.folder.is_dir() and not keep
        self._may_be_written_over = set(os.listdir(self.folder)) if there else set()

    def name(self, source: str | Path, ending: str) -> Path:
        """Return a unique path and reserve it with an empty file.

        Args:
            source: Path or name of the original picture.
            ending: Appended to the name of ``source``, with the suffix: ``_3.png``.

        Raises:
            OSError: If the file cannot be created.
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
            # Only one of several processes succeeds.
            (self.folder / name).open('xb').close()
        except FileExistsError:
            if name not in self._may_be_written_over:
                return False
        self._given.add(name)
        return True
