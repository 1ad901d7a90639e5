"""Images and phrases in, boxes and pictures out."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import Compose, LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer
from torch import nn

from mapper_mm.checkpoints.bundle import use_spelled_out_archs
from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.checkpoints.partial import on_mismatch, restore_frozen
from mapper_mm.checkpoints.stored_config import check_types, stored_config, warn_of_other_settings
from mapper_mm.checkpoints.upgrade import upgrade_config
from mapper_mm.datasets import set_canvas
from mapper_mm.datasets.images import WHITE, decode_image
from mapper_mm.errors import BadImageError, OptionError, WrongConfigError
from mapper_mm.registry import INFERENCERS, MODELS, TRANSFORMS
from mapper_mm.visualization.file_names import PictureNames
from mapper_mm.visualization.grounding_visualizer import draw_sample

from .given_images import GivenImage, take_image
from .inputs import check_batch_size, check_names, check_out_dir, pair


@INFERENCERS.register_module()
class GroundingInferencer(BaseInferencer):
    """Finds what phrases mean in images.

        inferencer = GroundingInferencer(weights='work_dirs/mapper_shapes/best_....pth')
        inferencer('street.jpg', ['the red car', 'man on the left'])['predictions']
        # [dict(phrase='the red car', bbox=[x1, y1, x2, y2], image='street.jpg'), ...]

    Args:
        model: A config (file, name as in configs/ without .py, or the config itself). None: the
            config that the checkpoint was trained with, which is read as data: it is not run, and
            only components known to be harmless are built.
        weights: The checkpoint. Frozen encoders and tokenizers that it leaves out are read from
            where the config says.
        device: Where to compute; an accelerator if there is one by default.
        scope: Where names in the config are looked up.
        show_progress: Whether to show a bar.

    Raises:
        OptionError: If there are no weights.
        WrongConfigError: If no config is named, and none with plain values and known components is
            in the checkpoint.
        MissingWeightsError: If frozen weights that they leave out are not on this machine.
        WrongCheckpointError: If they are not those of the model.
        WrongWeightsError: If the frozen ones are not those that the checkpoint records.
    """

    preprocess_kwargs: set = set()
    forward_kwargs: set = set()
    visualize_kwargs: set = {'show', 'wait_time', 'out_dir', 'return_vis'}
    postprocess_kwargs: set = set()

    def __init__(
        self,
        model: Config | dict | str | Path | None = None,
        weights: str | Path | None = None,
        device: str | None = None,
        scope: str = 'mapper_mm',
        show_progress: bool = False,
    ) -> None:
        init_default_scope(scope)
        model, weights = (
            os.fspath(given) if isinstance(given, os.PathLike) else given
            for given in (model, weights)
        )
        super().__init__(model, weights, device, scope, show_progress)

    def __call__(
        self,
        inputs: Any | Iterable[Any],
        texts: str | Iterable[str],
        return_datasamples: bool = False,
        batch_size: int = 1,
        **kwargs: Any,
    ) -> dict:
        """Find what each phrase means.

        One image goes with every phrase, and one phrase with every image; else the first image
        goes with the first phrase, the second with the second.

        Args:
            inputs: An image or several (a list or anything else that gives one after the other; an
                array (N, H, W, 3) is N). An image is

                - a path (str or PathLike), or a URL: ``file:``, ``data:``, ``http(s):`` and what
                  else :mod:`mmengine.fileio` reads,
                - the bytes of a file (bytes, bytearray, memoryview), or a file that is open for
                  reading bytes: all of it, from its beginning if it can be set there,
                - a Pillow image: turned as its EXIF orientation says, and white where it is
                  transparent, as a file would be,
                - an array (H, W, 3) uint8 BGR, as OpenCV reads it,
                - a dict with one of these as its only value, ``img_path`` or ``img``.

                No tensors: whether red or blue comes first in them differs between torchvision and
                OpenMMLab.
            texts: A phrase or several. No name of a file is a phrase.
            return_datasamples: Whether predictions are mmdet's DetDataSamples.
            batch_size: How many are computed at once, at least 1.
            **kwargs: Of :meth:`visualize`.

        Returns:
            dict: ``predictions``, for each pair a dict of phrase, bbox ([x1, y1, x2, y2] in
            pixels of the image as it is shown) and image (the path or URL as given; None for
            anything else), and ``visualization``, pictures (H, W, 3) RGB if ``return_vis`` asks
            for them.

        Raises:
            PhraseError: If a phrase is empty or no string, or most of its words are unknown.
            BadImageError: If something is no image, or an image cannot be read.
            OptionError: If the numbers of images and phrases do not go together, or another
                argument is wrong.
        """
        check_names(kwargs, (*sorted(self.visualize_kwargs), 'batch_size', 'return_datasamples'))
        batch_size = check_batch_size(batch_size)
        if kwargs.get('out_dir'):
            check_out_dir(kwargs['out_dir'])
        if kwargs.get('show') and self.visualizer is None:
            raise OptionError('show=True: the config has no visualizer, which shows pictures.')
        pairs = self.pair(inputs, texts)
        return super().__call__(pairs, return_datasamples, batch_size, **kwargs)

    def pair(self, inputs: Any, texts: Any) -> list[tuple[GivenImage, str]]:
        """Bring images and phrases together, as calling it does; :meth:`visualize` takes these."""
        return pair(inputs, texts, self.take_image)

    def take_image(self, image: Any, number: int = 0) -> GivenImage:
        """Make something of an image that is read just once, in place of which it can be given.

        Args:
            image: As for calling it.
            number: Which one it is, for messages.

        Raises:
            BadImageError: If it is none, or cannot be read.
        """
        return take_image(image, number, self._load.backend_args, self._background)

    def _load_model_from_metafile(self, model: str) -> tuple[Config, None]:
        path = Path(self._get_repo_or_mim_dir(self.scope)) / 'configs' / f'{model}.py'
        if not path.is_file():
            raise FileNotFoundError(
                f'{model!r} is no config: neither a file, nor the name of one in {path.parent}.'
            )
        return Config.fromfile(path), None

    def _init_model(
        self, cfg: Config | ConfigDict, weights: str | None, device: str = 'cpu'
    ) -> nn.Module:
        """Build the model; unlike MMEngine's, without running the config that a checkpoint holds.

        ``cfg`` is filled in from it if it is empty.
        """
        if weights is None:
            raise OptionError('weights=None: name a checkpoint that tools/train.py wrote.')
        checkpoint = read_checkpoint(weights)
        is_stored = not cfg
        if is_stored:
            stored = stored_config(checkpoint, weights)
            if stored is None:
                raise WrongConfigError(
                    f'{weights} holds no config: name the one it was trained with.'
                )
            _check_what_is_built(stored, weights)
            cfg.update(ConfigDict(stored.to_dict()))
        upgrade_config(cfg.model)
        set_canvas(cfg)
        use_spelled_out_archs(cfg.model, checkpoint, weights)
        try:
            model = MODELS.build(cfg.model)
        except WrongConfigError as error:
            if not is_stored:
                raise
            # It may have been trained with more than this process has imported.
            raise WrongConfigError(
                f'{weights}: from the config in it no model can be built: {error} Name the config '
                'that it was trained with.'
            ) from error
        model.cfg = cfg
        warn_of_other_settings(cfg.model, checkpoint, weights)
        restore_frozen(model, checkpoint, weights, on_mismatch(cfg))
        # What is left out or left over would go unnoticed, and the boxes be nonsense.
        model.load_state_dict(checkpoint['state_dict'], strict=True)
        return model.to(device).eval()

    def _init_pipeline(self, cfg: dict) -> Callable[[tuple[GivenImage, str]], dict]:
        steps = [TRANSFORMS.build(step) for step in cfg['test_dataloader']['dataset']['pipeline']]
        self._load = next((s for s in steps if isinstance(s, LoadImageFromFile)), None)
        if self._load is None:
            raise WrongConfigError('test_dataloader.dataset.pipeline: no transform loads an image.')
        self._background = getattr(self._load, 'background', WHITE)
        prepare = Compose([s for s in steps if s is not self._load and not _needs_truth(s)])

        def pipeline(given: tuple[GivenImage, str]) -> dict:
            image, text = given
            return prepare(dict(self._read(image), text=text, record=image.name))

        return pipeline

    def _read(self, image: GivenImage) -> dict:
        img = image.content
        if isinstance(img, str):
            img = self._load(dict(img_path=img, record=f'number {image.number}'))['img']
        elif isinstance(img, bytes):
            try:
                img = decode_image(img, background=self._background)
            except BadImageError as error:
                raise BadImageError(
                    f'image {image.number} ({len(img)} bytes): cannot read it: {error}'
                ) from error
        size = img.shape[:2]
        return dict(img=img, img_path=image.path, img_shape=size, ori_shape=size)

    def _init_collate(self, cfg: dict) -> Callable:
        # What a config names would be imported; the preprocessor takes nothing else than this.
        return pseudo_collate

    def _init_visualizer(self, cfg: dict) -> Visualizer | None:
        # Pictures go where the caller says, not to the backends of a training.
        own = cfg.get('visualizer') or dict(type='Visualizer')
        cfg['visualizer'] = dict(own, vis_backends=None)
        return super()._init_visualizer(cfg)

    def visualize(
        self,
        inputs: list[tuple[GivenImage, str]],
        preds: list[DetDataSample],
        show: bool = False,
        wait_time: float = 0,
        out_dir: str | Path | None = None,
        return_vis: bool = False,
    ) -> list[np.ndarray]:
        """Draw the boxes.

        Args:
            inputs: Images and phrases, as of :meth:`pair`.
            preds: What was found.
            show: Whether to open a window for each.
            wait_time: Seconds the window stays; 0 for until a key is pressed.
            out_dir: Folder to write pictures to, as <image>_<number of the pair>.png, <image>
                being image_<its number> where it has no name, with another number behind it where
                there is such a file already. None: no.
            return_vis: Whether to return the pictures.
        """
        pictures = []
        if not (show or out_dir or return_vis):
            return pictures
        names = PictureNames(out_dir, keep=True) if out_dir else None
        for number, ((image, phrase), sample) in enumerate(zip(inputs, preds, strict=True)):
            picture = draw_sample(self._read(image)['img'][..., ::-1], sample)
            if show:
                self.visualizer.show(picture, win_name=phrase, wait_time=wait_time)
            if out_dir:
                path = names.name(image.file_name, f'_{number}.png')
                mmcv.imwrite(picture[..., ::-1], str(path))
            if return_vis:
                pictures.append(picture)
        return pictures

    def postprocess(
        self,
        preds: list[DetDataSample],
        visualization: list[np.ndarray],
        return_datasample: bool = False,
    ) -> dict:
        """Put results into plain Python values, unless data samples are asked for."""
        if not return_datasample:
            preds = [
                dict(
                    phrase=sample.text,
                    bbox=sample.pred_instances.bboxes[0].tolist(),
                    image=sample.img_path,
                )
                for sample in preds
            ]
        return dict(predictions=preds, visualization=visualization)


def _check_what_is_built(config: Config, name: str) -> None:
    """Check the parts of a stored config that an inferencer builds something from.

    Raises:
        WrongConfigError: If one is missing, or no component.
    """
    try:
        pipeline = config.test_dataloader.dataset.pipeline
        visualizer = dict(config.get('visualizer') or {}, vis_backends=None)
        if not (config.model.get('type') and isinstance(pipeline, list)):
            raise AttributeError('no type of model, or no list of transforms')
    except (AttributeError, TypeError, ValueError) as error:
        raise WrongConfigError(
            f'{name}: the config in it has no model, or no test_dataloader with a pipeline: name '
            'the one it was trained with.'
        ) from error
    check_types([config.model, pipeline, visualizer], name)


def _needs_truth(transform: Any) -> bool:
    return isinstance(transform, LoadAnnotations)
