"""Detect from all boxes of a file that they have another format or unit."""

import numpy as np

from .boxes import BOX_FORMATS, MAX_OVERSHOOT, are_shares

# Corners of a box in pixels, by how its four numbers are meant. The last two are not read: most
# files that hold them are noticed here.
_CORNERS = {
    'xyxy': lambda a, b, c, d: (a, b, c, d),
    'xywh': lambda a, b, c, d: (a, b, a + c, b + d),
    'cxcywh': lambda a, b, c, d: (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
    'yxyx': lambda a, b, c, d: (b, a, d, c),
}
_ADVICE = {
    'cxcywh': 'Are they the centre, width and height? Convert them to box_format={!r}.',
    'yxyx': 'Are they y1, x1, y2, x2? Convert them to box_format={!r}.',
}
# A tenth of the boxes may be bad for other reasons, and ten may be by chance; of fewer than three
# each is better told by itself.
_SHARE, _MANY, _FEW = 0.1, 10, 3
# Boxes in thousandths reach 1000 somewhere, in both directions, and never beyond.
_THOUSAND = 1001
# Pictures must be larger than this for it to be strange that no box reaches beyond 1000.
_LARGE, _UNKNOWN = 1250, 100_000


def misread(
    numbers: np.ndarray, sizes: np.ndarray, box_format: str, check_unit: bool
) -> str | None:
    """Detect that most boxes, or too many to be single mistakes, have another format.

    Args:
        numbers: (N, 4), the file's boxes in pixels.
        sizes: (N, 2) widths and heights of the boxes' pictures in pixels.
        box_format: Assumed format of the numbers, one of `BOX_FORMATS`.
        check_unit: Whether the numbers may be in another unit than pixels.

    Returns:
        A message about what is wrong and what to do, or None.
    """
    if not len(numbers):
        return None
    other = BOX_FORMATS[1 - BOX_FORMATS.index(box_format)]
    layouts = (box_format, other, *_ADVICE)
    if check_unit:
        shares = are_shares(numbers, sizes)
        if 2 * shares.sum() > len(shares):
            best = max(layouts, key=lambda name: _fit(numbers, sizes, name, 1).sum())
            return (
                f'{shares.sum()} of {len(shares)} boxes lie within 0..1, so they seem to be shares '
                "of the picture's width and height, not pixels. If they are, set box_unit='0..1'"
                f"{_format_too(best, box_format, other)}; if they are pixels, box_unit='pixel'."
            )
    fits = _fit(numbers, sizes, box_format)
    found, reason = 0, None
    for layout in layouts[1:]:
        fit = _fit(numbers, sizes, layout)
        count = (fit & ~fits).sum()
        least = _FEW if layout in _ADVICE else 1
        many = count > fits.sum() and count >= least
        if count > found and (many or (_too_many(count, fits) and fit.all())):
            found = count
            advice = _ADVICE.get(layout, 'Was the file made with box_format={!r}?')
            reason = (
                f'do not fit into their pictures as {box_format} but do as {layout}. '
                f'{advice.format(box_format if layout in _ADVICE else other)}'
            )
    if check_unit and (numbers <= _THOUSAND).all():
        best = max(layouts, key=lambda name: (_fit(numbers, sizes, name, 1000) & ~fits).sum())
        fit = _fit(numbers, sizes, best, 1000)
        count = (fit & ~fits).sum()
        up_to_it = _corners(numbers, best)[1].max(0).min() > 0.9 * _THOUSAND
        too_many = _too_many(count, fits) and fit.all() and up_to_it
        many = count > fits.sum() and count >= _FEW
        if count > found and (many or too_many):
            found = count
            reason = (
                f'reach beyond their pictures, and none beyond 1000. Are they thousandths of the '
                f"picture's width and height? Then set box_unit='0..1000'"
                f'{_format_too(best, box_format, other)}. Or are the pictures smaller copies?'
            )
    return reason and f'{found} of {len(fits)} boxes {reason}'


def thousandths(
    numbers: np.ndarray, sizes: np.ndarray, pictures: list[str], box_format: str
) -> tuple[str, bool] | None:
    """Detect that boxes which fit into their large pictures are in 0..1000 instead of pixels.

    In pixels, a box in a picture of 2000 x 2000 stays below 1000 in each direction with a
    probability of about one half. So it is no coincidence if all boxes of many pictures do, and
    reach 1000 in both directions.

    Args:
        numbers: (N, 4), the file's boxes.
        sizes: (N, 2) widths and heights of the boxes' pictures in pixels.
        pictures: N names of the boxes' pictures.
        box_format: Format of the numbers, one of `BOX_FORMATS`.

    Returns:
        A message about what is wrong and what to do, and whether this is certain; or None.
    """
    _, far = _corners(numbers, box_format)
    large = ((sizes >= _LARGE) & (sizes < _UNKNOWN)).any(1)
    if not large.any() or not (0.9 * _THOUSAND < far.max(0)).all() or far.max() > _THOUSAND:
        return None
    # Boxes in one picture are often on the same object.
    by_picture = dict(zip(pictures, sizes, strict=True))
    sides = np.array(list(by_picture.values()))
    sides = np.where((sides >= _LARGE) & (sides < _UNKNOWN), sides, 1000)
    chance, number = np.log(1000 / sides).sum(), (sides > 1000).any(1).sum()
    if chance > -7:
        return None
    certain = chance < -20 and number >= 20 and (0.975 * _THOUSAND < far.max(0)).all()
    return (
        f'{large.sum()} boxes are on {number} pictures larger than 1000 pixels, and none of all '
        f"reaches beyond {far.max():g}, so they seem to be thousandths of the picture's width and "
        "height, not pixels. If they are, set box_unit='0..1000'; if they are pixels, "
        "box_unit='pixel'."
    ), bool(certain)


def _too_many(count: int, fits: np.ndarray) -> bool:
    return count >= _MANY and count > _SHARE * len(fits)


def _format_too(layout: str, box_format: str, other: str) -> str:
    if layout == box_format:
        return ''
    return f' and box_format={other!r}' if layout == other else f'; they look like {layout}'


def _corners(numbers: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    corners = np.stack(_CORNERS[layout](*numbers.T), 1)
    return corners[:, :2], corners[:, 2:]


def _fit(
    numbers: np.ndarray, sizes: np.ndarray, layout: str, whole: int | None = None
) -> np.ndarray:
    near, far = _corners(numbers, layout)
    if whole is not None:
        near, far = near * sizes / whole, far * sizes / whole
    inside = (near >= -MAX_OVERSHOOT).all(1) & (far <= sizes + MAX_OVERSHOOT).all(1)
    return inside & (np.maximum(near, 0) < np.minimum(far, sizes)).all(1)
