"""Pre-train the tiny frozen encoders of the embedded default on generated scenes and phrases.

These are three encoders in the formats of the real ones, loaded by the same classes:

- a ViT with LayerScale (timm) for DINOv2, trained to predict from each patch what it shows and the
  box of that thing;
- a CLIP text transformer (transformers), trained by image-text contrast against that ViT's regions;
- a BERT (transformers), trained by masked language modelling on phrases.

It also writes a vocabulary like RoBERTa's, without an encoder:
configs/ablations/swap_text_roberta.py trains one from scratch.

Scenes and phrases are drawn from other seeds than those of ShapesRef.
"""

import argparse
import time
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm

# isort: split
import torch
from transformers import AutoTokenizer

from mapper_mm.shapes_ref.pretrain.bert import pretrain_bert
from mapper_mm.shapes_ref.pretrain.scenes import draw_scenes
from mapper_mm.shapes_ref.pretrain.vision import pretrain_vision_and_clip
from mapper_mm.shapes_ref.pretrain.vocabularies import (
    train_bert_tokenizer,
    train_clip_tokenizer,
    train_roberta_tokenizer,
)

ENCODERS = Path(mapper_mm.__file__).parent / 'assets' / 'tiny_encoders'


def load_or_train(name: str, train, texts: list[str], anew: bool):
    """Return the tokenizer of the package, or train a new one."""
    return train(texts) if anew else AutoTokenizer.from_pretrained(ENCODERS / name)


def main() -> None:
    """Draw the data, train all three encoders and write them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--out', type=Path, default=ENCODERS)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--scenes', type=int, default=20_000)
    parser.add_argument('--epochs', type=int, default=9, help='epochs of the ViT and CLIP')
    parser.add_argument('--bert-steps', type=int, default=1600)
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument(
        '--new-vocabularies',
        action='store_true',
        help='also train the tokenizers. Their trainers break ties randomly, so no seed gives the '
        "same vocabulary twice. Default: the package's tokenizers",
    )
    parser.add_argument(
        '--vit',
        metavar='MODEL',
        help="train nothing but this vision transformer of timm's, as small as the default's, and "
        'write MODEL.safetensors; see configs/ablations/swap_image_*.py',
    )
    args = parser.parse_args()
    if args.scenes < args.batch:
        parser.error(f'--scenes {args.scenes} must be at least --batch {args.batch}')
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.time()
    scenes, phrases = draw_scenes(args.scenes, args.seed)
    print(f'{args.scenes} scenes, {len(phrases)} phrases  {time.time() - start:.0f} s', flush=True)
    captions = [text for texts in scenes.captions for text in texts]
    clip_tokenizer = load_or_train(
        'clip_text_tiny', train_clip_tokenizer, captions, args.new_vocabularies
    )
    if args.vit is not None:
        torch.manual_seed(args.seed)
        pretrain_vision_and_clip(
            scenes, clip_tokenizer, args.out, args.epochs, args.batch, args.vit
        )
        return
    bert_tokenizer = load_or_train(
        'bert_tiny', train_bert_tokenizer, phrases, args.new_vocabularies
    )
    load_or_train(
        'roberta_tiny', train_roberta_tokenizer, phrases, args.new_vocabularies
    ).save_pretrained(args.out / 'roberta_tiny')
    # Seed each training, so that each can be run alone.
    torch.manual_seed(args.seed)
    pretrain_bert(phrases, bert_tokenizer, args.out, args.bert_steps, 8 * args.batch)
    torch.manual_seed(args.seed)
    pretrain_vision_and_clip(scenes, clip_tokenizer, args.out, args.epochs, args.batch)


if __name__ == '__main__':
    main()
