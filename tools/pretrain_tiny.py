"""Pre-train the tiny frozen encoders of the embedded default on generated scenes and phrases.

Three stand-ins, in the formats of the real ones and loaded by the same classes:

- a ViT with LayerScale (timm) for DINOv2, trained densely: each patch says what it shows, and where
  the thing it shows ends;
- a CLIP text transformer (transformers), trained by image-text contrast against that ViT's regions;
- a BERT (transformers), trained by masked language modelling on phrases.

Scenes and phrases are drawn from other seeds than ShapesRef's own.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

# First, for it says in a sentence what of the following is missing or too old.
import mapper_mm

# isort: split
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from tokenizers import BertWordPieceTokenizer, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as RawTokenizer
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torchvision.ops import generalized_box_iou_loss
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from mapper_mm.shapes_ref import (
    attribute_filter,
    render,
    sample_phrases,
    sample_scene,
    visible_masks,
)
from mapper_mm.shapes_ref.scene import COLOURS, SHAPES, SIZES, TEXTURES
from mapper_mm.utils.whole_files import whole_file

CANVAS, PATCH = 128, 16
GRID = CANVAS // PATCH
ATTRIBUTES = dict(
    shape=tuple(SHAPES), colour=tuple(COLOURS), texture=tuple(TEXTURES), size=tuple(SIZES)
)
VIT = dict(patch_size=PATCH, embed_dim=128, depth=6, num_heads=4, init_values=1.0)
BERT = dict(
    hidden_size=128,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=512,
    max_position_embeddings=32,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
CLIP = dict(
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=512,
    max_position_embeddings=32,
    projection_dim=64,
)
MAX_THINGS = 9
CAPTIONS = 3
MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
# ShapesRef draws from seeds of its own; this keeps the two apart.
SEED_STREAM = 20_240_913
ENCODERS = Path(mapper_mm.__file__).parent / 'assets' / 'tiny_encoders'


@dataclass
class Scenes:
    """Rendered scenes with what each patch shows.

    Attributes:
        images: (S, CANVAS, CANVAS, 3) uint8 RGB.
        content: (S, 4) int, where the picture is on the canvas.
        shown: (S, CANVAS, CANVAS) bool, whether a pixel shows a thing.
        cover: (S, GRID, GRID, MAX_THINGS) uint8, how many of a patch's pixels show each thing.
        labels: (S, MAX_THINGS, 4) int64, the things' attributes; -1 for no thing.
        boxes: (S, MAX_THINGS, 4) float, x1, y1, x2, y2 in [0, 1] of the canvas.
        captions: a list of CAPTIONS texts for each scene.
        caption_labels: (S, CAPTIONS, 4) int64, the attributes a caption names; -1 for any.
    """

    images: Tensor
    content: Tensor
    shown: Tensor
    cover: Tensor
    labels: Tensor
    boxes: Tensor
    captions: list[list[str]]
    caption_labels: Tensor


def draw_scenes(count: int, seed: int) -> tuple[Scenes, list[str]]:
    """Draw scenes, and the phrases people might say about them."""
    images = np.zeros((count, CANVAS, CANVAS, 3), np.uint8)
    content = np.zeros((count, 4), np.int64)
    shown = np.zeros((count, CANVAS, CANVAS), bool)
    cover = np.zeros((count, GRID, GRID, MAX_THINGS), np.uint8)
    labels = np.full((count, MAX_THINGS, 4), -1, np.int64)
    boxes = np.zeros((count, MAX_THINGS, 4), np.float32)
    captions, caption_labels, phrases = [], np.full((count, CAPTIONS, 4), -1, np.int64), []
    for i in range(count):
        rng = np.random.default_rng([SEED_STREAM, seed, i])
        scene = sample_scene(rng)
        ratio = CANVAS / max(scene.width, scene.height)
        width, height = round(scene.width * ratio), round(scene.height * ratio)
        left, top = rng.integers(CANVAS - width + 1), rng.integers(CANVAS - height + 1)
        window = np.s_[top : top + height, left : left + width]
        images[i][window] = cv2.resize(
            render(scene), (width, height), interpolation=cv2.INTER_LINEAR
        )
        content[i] = left, top, left + width, top + height
        masks = visible_masks(scene)
        for j, thing in enumerate(scene.things):
            mask = np.zeros((CANVAS, CANVAS), bool)
            mask[window] = cv2.resize(
                masks[j].view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
            )
            shown[i] |= mask
            cover[i, :, :, j] = mask.reshape(GRID, PATCH, GRID, PATCH).sum((1, 3))
            labels[i, j] = _label(thing)
            boxes[i, j] = (np.array(thing.box) * ratio + [left, top, left, top]) / CANVAS
        captions.append([])
        for j in range(CAPTIONS):
            words = attribute_filter(scene.things[rng.integers(len(scene.things))], rng)
            captions[-1].append(words.text)
            caption_labels[i, j] = _label(words)
        phrases += [phrase.text for phrase in sample_phrases(scene, rng, 3)]
    arrays = (torch.from_numpy(a) for a in (images, content, shown, cover, labels, boxes))
    return Scenes(*arrays, captions, torch.from_numpy(caption_labels)), phrases


def _label(thing) -> list[int]:
    values = (getattr(thing, name) for name in ATTRIBUTES)
    return [
        -1 if value is None else names.index(value)
        for names, value in zip(ATTRIBUTES.values(), values, strict=True)
    ]


class DenseHeads(nn.Module):
    """What the ViT's patch tokens are asked while it is pre-trained.

    Attributes and boxes are read along fixed orthogonal directions of length 1. A learned head
    would learn to read what is written small; a fixed one makes the ViT write it large, as the
    features of large models do for what matters, and what is large is quickly learned from.
    """

    def __init__(self, dims: int, text_dims: int) -> None:
        super().__init__()
        directions = nn.init.orthogonal_(torch.empty(dims, dims))
        counts = [len(values) + 1 for values in ATTRIBUTES.values()]
        *attributes, box, _ = directions.split([*counts, 4, dims - sum(counts) - 4])
        for name, rows in zip(ATTRIBUTES, attributes, strict=True):
            self.register_buffer(name, rows.contiguous())
        self.register_buffer('box', box.contiguous())
        # Pixels are asked of an earlier layer: the last one would be mostly about them.
        self.mask = nn.Linear(dims, PATCH * PATCH)
        self.region = nn.Linear(dims, text_dims)
        self.temperature = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def attributes(self, tokens: Tensor) -> dict[str, Tensor]:
        """Logits by attribute, the first of each for "no thing"."""
        return {name: tokens @ getattr(self, name).T for name in ATTRIBUTES}

    def boxes(self, tokens: Tensor) -> Tensor:
        """x1, y1, x2, y2 in [0, 1] of the canvas: what is written is eight times as large."""
        return 0.5 + tokens @ self.box.T / 8


def patches(x: Tensor) -> Tensor:
    """(B, CANVAS, CANVAS) to (B, GRID * GRID, PATCH * PATCH)."""
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
    """Each patch names the attributes of the thing it mostly shows, its pixels and its box."""
    area, thing = cover.max(-1)
    has_thing = area >= 0.1 * PATCH * PATCH
    index = thing.unsqueeze(-1).expand(-1, -1, 4)
    truth = labels.gather(1, index).masked_fill(~has_thing.unsqueeze(-1), -1) + 1
    losses = {
        name: F.cross_entropy(logits.flatten(0, 1), truth[..., i].flatten())
        for i, (name, logits) in enumerate(heads.attributes(tokens).items())
    }
    losses['mask'] = F.binary_cross_entropy_with_logits(heads.mask(middle), patches(shown).float())
    # Where on the canvas, not how far from the patch: the fusion encoder adds positions to queries
    # and keys only, so what it reads from a token must say where.
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
    """Each thing, averaged over the pixels that show it, names its attributes and its captions.

    The captions are contrasted by sigmoid: is the caption true of the thing?
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
    # Few captions are true of a thing: each side weighs the same.
    losses['contrast'] = loss[true].mean() + loss[~true].mean()
    return losses


def load_or_train(name: str, train, texts: list[str], anew: bool):
    """The tokenizer that comes with the package, or a new one."""
    return train(texts) if anew else AutoTokenizer.from_pretrained(ENCODERS / name)


def train_clip_tokenizer(captions: list[str]) -> CLIPTokenizer:
    """A byte-pair vocabulary in CLIP's manner."""
    raw = RawTokenizer(models.BPE(end_of_word_suffix='</w>'))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = [chr(c) for c in range(ord('!'), ord('~') + 1)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, end_of_word_suffix='</w>', initial_alphabet=letters, show_progress=False
    )
    raw.train_from_iterator(captions, trainer)
    model = json.loads(raw.to_str())['model']
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(' ')) for m in model['merges']]
    names = list(model['vocab'])
    names += [f'{c}</w>' for c in letters if f'{c}</w>' not in model['vocab']]
    names += ['<|startoftext|>', '<|endoftext|>']
    return CLIPTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=merges)


def train_bert_tokenizer(phrases: list[str]) -> BertTokenizer:
    """A WordPiece vocabulary in BERT's manner; single letters make every word readable."""
    raw = BertWordPieceTokenizer(lowercase=True)
    alphabet = [chr(c) for c in range(ord('!'), ord('~') + 1) if not chr(c).isupper()]
    raw.train_from_iterator(
        phrases + alphabet + [f'a{c}' for c in alphabet],
        vocab_size=500,
        min_frequency=1,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    vocab = raw.get_vocab()
    for piece in (f'##{c}' for c in alphabet if c.isalnum()):
        vocab.setdefault(piece, len(vocab))
    return BertTokenizer(vocab=vocab)


def optimizer_for(params, steps: int, lr: float):
    """AdamW with a one-cycle learning rate."""
    optimizer = torch.optim.AdamW(params, lr=lr, weight_decay=0.02)
    return optimizer, OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)


def pretrain_vision_and_clip(
    scenes: Scenes, tokenizer: CLIPTokenizer, out: Path, epochs: int, batch: int
) -> None:
    """Train the ViT and the CLIP text transformer together, and write both."""
    vit = VisionTransformer(img_size=CANVAS, num_classes=0, **VIT)
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
            )
        )
        tokens, (middle,) = vit.forward_intermediates(
            images, indices=[VIT['depth'] // 2], output_fmt='NLC'
        )
        tokens = tokens[:, 1:]
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
            save_vision_and_clip(vit, clip, tokenizer, out)


def start_wider(vit: VisionTransformer) -> None:
    """Weights for a width of 128: timm's own start (std 0.02) is for ViTs many times as wide."""
    for module in vit.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    nn.init.trunc_normal_(vit.pos_embed, std=0.3)


def save_vision_and_clip(vit, clip, tokenizer, out: Path) -> None:
    """Write the ViT as timm's safetensors and CLIP's text side as a transformers directory."""
    state = {name: tensor.half().contiguous() for name, tensor in vit.state_dict().items()}
    with whole_file(out / 'dinov2_tiny.safetensors') as part:
        save_file(state, part)
    half = CLIPTextModelWithProjection(clip.config)
    half.load_state_dict(clip.state_dict())
    half.half().save_pretrained(out / 'clip_text_tiny')
    tokenizer.save_pretrained(out / 'clip_text_tiny')


def augment(images: Tensor, content: Tensor, shown: Tensor, cover: Tensor, boxes: Tensor):
    """Normalise with exact zeros in the padding; mirror half; shift brightness and colour."""
    x = images.permute(0, 3, 1, 2).float()
    gain = 1 + 0.2 * (2 * torch.rand(len(x), 3, 1, 1) - 1)
    x = (x * gain).clamp(0, 255)
    x = (x - MEAN[:, None, None]) / STD[:, None, None]
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


def decorrelation_loss(tokens: Tensor) -> Tensor:
    """How far the features' covariance is from the identity, after VICReg's covariance term.

    A small model's features are mostly their mean and a few directions; a linear layer on them
    learns several times faster where all directions count the same.
    """
    centred = tokens - tokens.mean(0)
    covariance = centred.T @ centred / len(centred)
    identity = torch.eye(len(covariance))
    return (covariance - identity).square().mean() * 10 + tokens.mean(0).square().mean()


def pretrain_bert(
    phrases: list[str], tokenizer: BertTokenizer, out: Path, steps: int, batch: int
) -> None:
    """Train BERT by masked language modelling, and write it as a transformers directory."""
    model = BertForMaskedLM(
        BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **BERT)
    )
    encoded = tokenizer(phrases).input_ids
    optimizer, schedule = optimizer_for(model.parameters(), steps, 1e-3)
    start = time.time()
    for step in range(steps):
        pick = torch.randint(len(encoded), (batch,)).tolist()
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(encoded[i]) for i in pick],
            batch_first=True,
            padding_value=tokenizer.pad_token_id,
        )
        special = torch.tensor(tokenizer.all_special_ids)
        masked = (torch.rand(ids.shape) < 0.2) & ~torch.isin(ids, special)
        truth = ids.masked_fill(~masked, -100)
        chance = torch.rand(ids.shape)
        inputs = ids.masked_fill(masked & (chance < 0.8), tokenizer.mask_token_id)
        noise = torch.randint(len(tokenizer), ids.shape)
        inputs = torch.where(masked & (chance > 0.9), noise, inputs)
        outputs = model(
            inputs,
            attention_mask=(ids != tokenizer.pad_token_id).long(),
            labels=truth,
            output_hidden_states=True,
        )
        tokens = outputs.hidden_states[-1][ids != tokenizer.pad_token_id]
        loss = outputs.loss + decorrelation_loss(tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            seconds = time.time() - start
            print(
                f'bert {step}/{steps}  {seconds:.0f} s  mlm {outputs.loss.item():.3f}  '
                f'all {loss.item():.3f}',
                flush=True,
            )
    model.bert.half().save_pretrained(out / 'bert_tiny')
    tokenizer.save_pretrained(out / 'bert_tiny')


def main() -> None:
    """Draw the data, train all three, write them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--out', type=Path, default=ENCODERS)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--scenes', type=int, default=20_000)
    parser.add_argument('--epochs', type=int, default=9, help='of the ViT and CLIP')
    parser.add_argument('--bert-steps', type=int, default=1600)
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument(
        '--new-vocabularies',
        action='store_true',
        help='train the tokenizers too. Their trainers break ties by chance, so that no seed gives '
        'the same vocabulary twice; without this, those that come with the package are taken',
    )
    args = parser.parse_args()
    if args.scenes < args.batch:
        parser.error(f'--scenes {args.scenes} must be at least --batch {args.batch}')
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.time()
    scenes, phrases = draw_scenes(args.scenes, args.seed)
    print(f'{args.scenes} scenes, {len(phrases)} phrases  {time.time() - start:.0f} s', flush=True)
    bert_tokenizer = load_or_train(
        'bert_tiny', train_bert_tokenizer, phrases, args.new_vocabularies
    )
    captions = [text for texts in scenes.captions for text in texts]
    clip_tokenizer = load_or_train(
        'clip_text_tiny', train_clip_tokenizer, captions, args.new_vocabularies
    )
    # Seeded for each, so that either can be trained without the other.
    torch.manual_seed(args.seed)
    pretrain_bert(phrases, bert_tokenizer, args.out, args.bert_steps, 8 * args.batch)
    torch.manual_seed(args.seed)
    pretrain_vision_and_clip(scenes, clip_tokenizer, args.out, args.epochs, args.batch)


if __name__ == '__main__':
    main()
