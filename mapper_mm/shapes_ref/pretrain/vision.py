"""Pre-training of the tiny ViT and the tiny CLIP text transformer, which read scenes together."""

import time
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from mapper_mm.utils.whole_files import whole_file

from .dense import DenseHeads, dense_losses, region_losses
from .optimizer import optimizer_for
from .scenes import CANVAS, PATCH, Scenes

VIT = dict(patch_size=PATCH, embed_dim=128, depth=6, num_heads=4, init_values=1.0)
CLIP = dict(
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=512,
    max_position_embeddings=32,
    projection_dim=64,
)
# ImageNet's, DINOv2's and DINOv3's.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pretrain_vision_and_clip(
    scenes: Scenes,
    tokenizer: CLIPTokenizer,
    out: Path,
    epochs: int,
    batch: int,
    model_name: str | None = None,
) -> None:
    """Train the ViT and the CLIP text transformer together, and write both.

    Args:
        scenes: what is drawn.
        tokenizer: CLIP's.
        out: the folder to write to.
        epochs: times that all scenes are seen.
        batch: scenes a step.
        model_name: a vision transformer of timm's to be trained in place of the default's, of the
            same sizes. Only it is written, as ``<model_name>.safetensors``.
    """
    if model_name is None:
        vit = VisionTransformer(img_size=CANVAS, num_classes=0, **VIT)
    else:
        vit = timm.create_model(model_name, img_size=CANVAS, num_classes=0, **VIT)
    trained_as = vit.pretrained_cfg if model_name else dict(mean=MEAN, std=STD)
    start_wider(vit)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        **CLIP,
    )
    clip = CLIPTextModelWithProjection(config)
    heads = DenseHeads(VIT['embed_dim'], CLIP['projection_dim'])
    encoded = [tokenizer(texts).input_ids for texts in scenes.captions]
    steps = epochs * (len(scenes.images) // batch)
    params = [*vit.parameters(), *clip.parameters(), *heads.parameters()]
    optimizer, schedule = optimizer_for(params, steps, 2e-3)
    start = time.time()
    for step in range(steps):
        if step % (steps // epochs) == 0:
            order = torch.randperm(len(scenes.images))
        pick = order[step % (steps // epochs) * batch :][:batch]
        images, shown, cover, boxes = augment(
            *(
                x[pick]
                for x in (scenes.images, scenes.content, scenes.shown, scenes.cover, scenes.boxes)
            ),
            mean=trained_as['mean'],
            std=trained_as['std'],
        )
        tokens, (middle,) = vit.forward_intermediates(
            images, indices=[VIT['depth'] // 2], output_fmt='NLC'
        )
        tokens = tokens[:, vit.num_prefix_tokens :]
        losses = dense_losses(heads, tokens, middle, shown, cover, scenes.labels[pick], boxes)
        texts = [torch.tensor(ids) for i in pick.tolist() for ids in encoded[i]]
        padded = nn.utils.rnn.pad_sequence(
            texts, batch_first=True, padding_value=tokenizer.eos_token_id
        )
        ends = torch.tensor([len(ids) - 1 for ids in texts])
        hidden = clip.text_model(input_ids=padded).last_hidden_state
        text = clip.text_projection(hidden[torch.arange(len(texts)), ends])
        losses |= region_losses(
            heads, tokens, text, cover, scenes.labels[pick], scenes.caption_labels[pick]
        )
        optimizer.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            shown = '  '.join(f'{name} {loss.item():.3f}' for name, loss in losses.items())
            print(f'vision {step}/{steps}  {time.time() - start:.0f} s  {shown}', flush=True)
        if step % 500 == 499 or step == steps - 1:
            if model_name is None:
                save_vision_and_clip(vit, clip, tokenizer, out)
            else:
                save_vision(vit, out / f'{model_name}.safetensors')


def start_wider(vit: nn.Module) -> None:
    """Weights for a width of 128: timm's own start (std 0.02) is for ViTs many times as wide."""
    for module in vit.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    # Of those that turn queries and keys by their places there is none.
    if vit.pos_embed is not None:
        nn.init.trunc_normal_(vit.pos_embed, std=0.3)


def save_vision(vit: nn.Module, file: Path) -> None:
    """Write a ViT as timm's safetensors."""
    state = {name: tensor.half().contiguous() for name, tensor in vit.state_dict().items()}
    with whole_file(file) as part:
        save_file(state, part)


def save_vision_and_clip(vit, clip, tokenizer, out: Path) -> None:
    """Write the ViT as timm's safetensors and CLIP's text side as a transformers directory."""
    save_vision(vit, out / 'dinov2_tiny.safetensors')
    half = CLIPTextModelWithProjection(clip.config)
    half.load_state_dict(clip.state_dict())
    half.half().save_pretrained(out / 'clip_text_tiny')
    tokenizer.save_pretrained(out / 'clip_text_tiny')


def augment(
    images: Tensor,
    content: Tensor,
    shown: Tensor,
    cover: Tensor,
    boxes: Tensor,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
):
    """Normalise with exact zeros in the padding; mirror half; shift brightness and colour."""
    x = images.permute(0, 3, 1, 2).float()
    gain = 1 + 0.2 * (2 * torch.rand(len(x), 3, 1, 1) - 1)
    x = (x * gain).clamp(0, 255)
    mean, std = (255 * torch.tensor(levels)[:, None, None] for levels in (mean, std))
    x = (x - mean) / std
    line = torch.arange(CANVAS)
    inside_x = (line >= content[:, :1]) & (line < content[:, 2:3])
    inside_y = (line >= content[:, 1:2]) & (line < content[:, 3:4])
    x = x * (inside_y[:, None, :, None] & inside_x[:, None, None, :])
    flip = torch.rand(len(x)) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    shown = torch.where(flip[:, None, None], shown.flip(2), shown)
    cover = torch.where(flip[:, None, None, None], cover.flip(2), cover)
    mirrored = torch.stack([1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], -1)
    boxes = torch.where(flip[:, None, None], mirrored, boxes)
    return x, shown, cover.flatten(1, 2).float(), boxes
