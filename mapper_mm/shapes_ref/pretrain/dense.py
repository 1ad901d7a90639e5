"""Pre-training tasks of the tiny ViT, for each patch and for each thing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import generalized_box_iou_loss

from .scenes import ATTRIBUTES, GRID, PATCH


class DenseHeads(nn.Module):
    """Heads for pre-training on the ViT's patch tokens.

    Attributes and boxes are read along fixed orthogonal directions of length 1. A learned head
    could read small values; a fixed head makes the ViT output large values, like the important
    features of large models, from which other layers learn quickly.
    """

    def __init__(self, dims: int, text_dims: int) -> None:
        super().__init__()
        directions = nn.init.orthogonal_(torch.empty(dims, dims))
        counts = [len(values) + 1 for values in ATTRIBUTES.values()]
        *attributes, box, _ = directions.split([*counts, 4, dims - sum(counts) - 4])
        for name, rows in zip(ATTRIBUTES, attributes, strict=True):
            self.register_buffer(name, rows.contiguous())
        self.register_buffer('box', box.contiguous())
        # Predict pixels from an earlier layer, because they would dominate the last one.
        self.mask = nn.Linear(dims, PATCH * PATCH)
        self.region = nn.Linear(dims, text_dims)
        self.temperature = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def attributes(self, tokens: Tensor) -> dict[str, Tensor]:
        """Return logits by attribute; the first of each is for "no thing"."""
        return {name: tokens @ getattr(self, name).T for name in ATTRIBUTES}

    def boxes(self, tokens: Tensor) -> Tensor:
        """Return x1, y1, x2, y2 in [0, 1] of the canvas; features are eight times as large."""
        return 0.5 + tokens @ self.box.T / 8


def patches(x: Tensor) -> Tensor:
    """Reshape (B, CANVAS, CANVAS) to (B, GRID * GRID, PATCH * PATCH)."""
    x = x.unflatten(1, (GRID, PATCH)).unflatten(3, (GRID, PATCH))
    return x.transpose(2, 3).flatten(3).flatten(1, 2)


def dense_losses(
    heads: DenseHeads,
    tokens: Tensor,
    middle: Tensor,
    shown: Tensor,
    cover: Tensor,
    labels: Tensor,
    boxes: Tensor,
) -> dict[str, Tensor]:
    """Predict from each patch the attributes, pixels and box of the thing that it mostly shows."""
    area, thing = cover.max(-1)
    has_thing = area >= 0.1 * PATCH * PATCH
    index = thing.unsqueeze(-1).expand(-1, -1, 4)
    truth = labels.gather(1, index).masked_fill(~has_thing.unsqueeze(-1), -1) + 1
    losses = {
        name: F.cross_entropy(logits.flatten(0, 1), truth[..., i].flatten())
        for i, (name, logits) in enumerate(heads.attributes(tokens).items())
    }
    losses['mask'] = F.binary_cross_entropy_with_logits(heads.mask(middle), patches(shown).float())
    # Absolute positions, because the fusion encoder adds positions to queries and keys only, so the
    # values of its tokens must contain the place.
    pred, truth_boxes = heads.boxes(tokens)[has_thing], boxes.gather(1, index)[has_thing]
    losses['box'] = 20 * F.l1_loss(pred, truth_boxes)
    losses['iou'] = generalized_box_iou_loss(pred, truth_boxes, reduction='mean')
    return losses


def region_losses(
    heads: DenseHeads,
    tokens: Tensor,
    text: Tensor,
    cover: Tensor,
    labels: Tensor,
    caption_labels: Tensor,
) -> dict[str, Tensor]:
    """Predict attributes and captions of each thing from the mean of its visible patches.

    The contrast with captions is by sigmoid: is the caption true for the thing?
    """
    pixels = cover.sum(1)
    pooled = cover.transpose(1, 2) @ tokens / pixels.clamp(min=1).unsqueeze(-1)
    regions, truth = pooled[pixels > 0], labels[pixels > 0]
    losses = {
        f'region_{name}': F.cross_entropy(logits, truth[:, i] + 1)
        for i, (name, logits) in enumerate(heads.attributes(regions).items())
    }
    logits = F.normalize(text, dim=-1) @ F.normalize(heads.region(regions), dim=-1).T
    logits = logits * heads.temperature.exp() + heads.bias
    wanted = caption_labels.flatten(0, 1)[:, None]
    true = ((wanted == -1) | (wanted == truth[None])).all(-1)
    loss = F.binary_cross_entropy_with_logits(logits, true.float(), reduction='none')
    # Few captions are true for a thing, so weight both classes equally.
    losses['contrast'] = loss[true].mean() + loss[~true].mean()
    return losses
