"""The inferencer, which predicts boxes for images and phrases."""

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
from .precision import check_precision, computing_at


@INFERENCERS.register_module()
class GroundingInferencer(BaseInferencer):
    """Find the objects that phrases describe in images.

        inferencer = GroundingInferencer(weights='work_dirs/mapper_shapes/best_....pth')
        inferencer('street.jpg', ['the red car', 'man on the left'])['predictions']
        # [dict(phrase='the red car', bbox=[x1, y1, x2, y2], image='street.jpg'), ...]

    Args:
        model: A config: a file, a name as in configs/ without .py, or the config itself. Default:
            the config in the checkpoint. It is read as data, not executed, and only components
            known to be harmless are built.
        weights: The checkpoint. Frozen encoders and tokenizers that it does not contain are read
            from the paths in the config.
        device: Device to compute on. Default: an accelerator if there is one.
        scope: Registry scope of names in the config.
        show_progress: Whether to show a progress bar.
        precision: 'float32', 'bfloat16', or 'float16' on an accelerator. Half precision is faster
            and changes boxes a little, see docs/performance.md.

    Raises:
        OptionError: If ``weights`` is None, or ``precision`` is another one.
        WrongConfigError: If ``model`` is None and the checkpoint contains no config with plain
            values and known components.
        MissingWeightsError: If frozen weights that it does not contain are not on this machine.
        WrongCheckpointError: If the checkpoint does not fit the model.
        WrongWeightsError: If the frozen weights differ from those that the checkpoint records.
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
        precision: str = 'float32',
    ) -> None:
        init_default_scope(scope)
        model, weights = (
            os.fspath(given) if isinstance(given, os.PathLike) else given
            for given in (model, weights)
        )
        super().__init__(model, weights, device, scope, show_progress)
        self._precision = precision
        check_precision(precision, self.model)

    def __call__(
        self,
        inputs: Any | Iterable[Any],
        texts: str | Iterable[str],
        return_datasamples: bool = False,
        batch_size: int = 1,
        **kwargs: Any,
    ) -> dict:
        """Find the object that each phrase describes.

        One image is combined with every phrase, and one phrase with every image. Otherwise the
        first image is combined with the first phrase, the second with the second, and so on.

        Args:
            inputs: An image or several (a list or another iterable; an array (N, H, W, 3) is N
                images). An image is

                - a path (str or PathLike), or a URL: ``file:``, ``data:``, ``http(s):`` or another
                  one that :mod:`mmengine.fileio` reads,
                - the bytes of a file (bytes, bytearray, memoryview), or a file opened in binary
                  mode, which is read from the start if it is seekable,
                - a Pillow image, which is rotated by its EXIF orientation and put on white if it
                  is transparent, like a file,
                - an array (H, W, 3) uint8 BGR, as OpenCV reads it,
                - a dict with one of these as its only value, ``img_path`` or ``img``.

                Tensors are an error, because torchvision's are RGB and OpenMMLab's are BGR.
            texts: A phrase or several. The name of a file is not a phrase.
            return_datasamples: Whether to return predictions as mmdet's DetDataSamples.
            batch_size: Number of pairs that are computed at once, at least 1.
            **kwargs: Arguments of :meth:`visualize`.

        Returns:
            dict: ``predictions``, for each pair a dict of phrase, bbox ([x1, y1, x2, y2] in
            pixels of the image as shown) and image (the path or URL as given, or None), and
            ``visualization``, pictures (H, W, 3) RGB if ``return_vis``.

        Raises:
            PhraseError: If a phrase is empty or not a string, or most of its words are unknown.
            BadImageError: If an input is not an image, or an image cannot be read.
            OptionError: If the numbers of images and phrases do not fit, or another argument is
                wrong.
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
        """Combine images and phrases as a call does; :meth:`visualize` takes the result."""
        return pair(inputs, texts, self.take_image)

    def take_image(self, image: Any, number: int = 0) -> GivenImage:
        """Read an image once, so that the result can be passed to several calls.

        Args:
            image: An image, as in a call.
            number: Index of the image, for messages.

        Raises:
            BadImageError: If it is not an image, or cannot be read.
        """
        return take_image(image, number, self._load.backend_args, self._background)

    def forward(self, inputs: dict | tuple, **kwargs: Any) -> Any:
        """Compute a batch, at the precision that was asked for."""
        with computing_at(self._precision, self.model):
            return super().forward(inputs, **kwargs)

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
        """Build the model without executing the config in a checkpoint, unlike MMEngine.

        An empty ``cfg`` is filled in from the checkpoint.
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
        # Otherwise missing or unexpected tensors would be ignored and boxes would be wrong.
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
        # A collate function named in the config would be imported; the preprocessor needs this one.
        return pseudo_collate

    def _init_visualizer(self, cfg: dict) -> Visualizer | None:
        # Do not write pictures to the visualization backends of a training.
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
            inputs: Pairs of image and phrase, from :meth:`pair`.
            preds: The predictions.
            show: Whether to open a window for each picture.
            wait_time: Seconds that the window stays open; 0 waits for a key.
            out_dir: Folder to write pictures to, as <image>_<number of the pair>.png. <image> is
                the name of the image's file or image_<its number>. A number is appended if the
                file exists. None: no pictures are written.
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
        """Convert results to plain Python values, unless ``return_datasample``."""
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
    """Check the parts of a stored config that an inferencer builds.

    Raises:
        WrongConfigError: If a part is missing or not a known component.
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
