"""Write checkpoints so that a complete one always exists, in folders that can be moved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mapper_mm.checkpoints.best import BEST
from mapper_mm.checkpoints.io import WHOLE_FILES
from mapper_mm.checkpoints.last import (
    FOR_USE,
    TO_GO_ON_FROM,
    checkpoints,
    last_checkpoint,
    write_last_checkpoint,
)
from mapper_mm.checkpoints.plain import make_plain, restore_history
from mapper_mm.registry import HOOKS


@HOOKS.register_module(name='CheckpointHook')
class WholeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with safer handling of existing files.

    It has the same arguments and, in configs of this project, the same name.

    - A file contains plain data, which torch reads without running any code, and gets its name
      only when it is complete on the disk.
    - An old file is removed only when the next one is complete and ``last_checkpoint`` names it.
    - ``last_checkpoint`` contains a name in its own folder, and the previous best file is searched
      by its name, so the folder can be copied or moved.
    - The best file contains its score in ``meta``.
    - A new training in a folder with checkpoints of another one gives a warning.
    - Only files in its own folder are removed. MMEngine would also remove files of a previous
      folder when training is resumed in another one.

    A file that cannot be written (the disk is full) ends training with a
    :class:`~mapper_mm.errors.WriteError`, because further results could not be saved either.
    Training can be resumed from the last complete file.
    """

    def before_train(self, runner: Runner) -> None:
        """Find existing files and warn about those of another training."""
        # Object stores (s3://) have no incomplete files and no renaming.
        is_local = '://' not in str(self.out_dir or runner.work_dir)
        if is_local and self.backend_args is None and self.file_client_args is None:
            self.backend_args = dict(backend=WHOLE_FILES)
        hub = runner.message_hub
        goes_on = runner.epoch > 0 or runner.iter > 0
        elsewhere = goes_on and not self._began_here(runner)
        if elsewhere and 'keep_ckpt_ids' in hub.runtime_info:
            hub.update_info('keep_ckpt_ids', [])
        self._forget_other_scores(runner)
        super().before_train(runner)
        # MMEngine sets one or the other, depending on the number of metrics in save_best.
        if getattr(self, 'best_ckpt_path', None) is not None:
            self.best_ckpt_path = None if elsewhere else self._in_this_folder(self.best_ckpt_path)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            if path is not None:
                here = None if elsewhere else self._in_this_folder(path)
                self.best_ckpt_path_dict[key] = here
        if is_main_process():
            # Left by a process that was killed while saving.
            for part in Path(self.out_dir).glob('*.pth.part'):
                part.unlink(missing_ok=True)
        if not goes_on:
            self._warn_of_others(runner)

    def _forget_other_scores(self, runner: Runner) -> None:
        """Forget the best score of another metric, which MMEngine would compare with."""
        hub = runner.message_hub
        if self.save_best is None or len(self.key_indicators) > 1:
            return
        best_by = [self.key_indicators[0], self.rules[0]]
        was = hub.runtime_info.get('best_by')
        if was is not None and list(was) != best_by and 'auto' not in (was[0], best_by[0]):
            runner.logger.warning(
                f'default_hooks.checkpoint.save_best was {was[0]!r} and is {best_by[0]!r}: the '
                'best checkpoint by the former is kept, and the best score is reset.'
            )
            for key in ('best_score', 'best_ckpt'):
                hub.runtime_info.pop(key, None)
        hub.update_info('best_by', best_by)

    def _began_here(self, runner: Runner) -> bool:
        source = runner._load_from or last_checkpoint(runner.work_dir, quiet=True)
        folder = Path(self.out_dir or runner.work_dir)
        if self.out_dir is not None:
            # MMEngine creates a folder with the work directory's name in it.
            folder /= Path(runner.work_dir).name
        return source is not None and Path(source).parent.resolve() == folder.resolve()

    def _in_this_folder(self, path: str) -> str | None:
        path = self.file_backend.join_path(self.out_dir, Path(path).name)
        is_there = self.file_backend.isfile(path) or self.file_backend.isdir(path)
        return path if is_there else None

    def _warn_of_others(self, runner: Runner) -> None:
        others = checkpoints(self.out_dir, TO_GO_ON_FROM + FOR_USE)
        if others:
            runner.logger.warning(
                f'{self.out_dir} holds checkpoints of another training: '
                f'{", ".join(path.name for path in others)}. This training starts from scratch and '
                'replaces those with the same names. Use `--resume` to resume the other training, '
                'or another `--work-dir` to keep both.'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the score to the best file and convert checkpoints to plain data.

        Raises:
            TypeError: If anything in the checkpoint cannot be converted.
        """
        metrics = getattr(self, '_metrics', None)
        if metrics is not None and 'optimizer' not in checkpoint:
            metric, rule = self.key_indicators[0], self.rules[0]
            checkpoint['meta'][BEST] = dict(metric=metric, rule=rule, score=metrics[metric])
        make_plain(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the objects that MMEngine needs to resume."""
        if runner._resume:
            restore_history(checkpoint)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        self._metrics = metrics
        try:
            with self._removals_at_the_end():
                super()._save_best_checkpoint(runner, metrics)
        finally:
            self._metrics = None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        surplus = self._drop_surplus(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_last_checkpoint(runner.work_dir, self.last_ckpt)
            for path in surplus:
                _remove(self.file_backend, path)

    def _drop_surplus(self, runner: Runner, step: int) -> list[str]:
        """Record that a step is kept; return the files that exceed the maximum."""
        surplus = []
        # An epoch is saved again after a best validation.
        if self.max_keep_ckpts > 0 and not (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            # A full deque would silently drop its first item.
            while len(self.keep_ckpt_ids) >= self.max_keep_ckpts:
                old = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                surplus.append(self.file_backend.join_path(self.out_dir, old))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return surplus

    @contextmanager
    def _removals_at_the_end(self) -> Iterator[None]:
        """Delay the removal of files until everything is saved."""
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        in_use = {getattr(self, 'best_ckpt_path', None), self.last_ckpt}
        in_use |= set(getattr(self, 'best_ckpt_path_dict', {}).values())
        for path in later.removed:
            # A resumed training may write a file with the same name.
            if path not in in_use:
                _remove(backend, path)


class _RemovesLater:
    """A file backend that collects the files to remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    rmtree = remove


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    # DeepSpeed's checkpoints are folders.
    elif backend.isdir(path):
        backend.rmtree(path)
