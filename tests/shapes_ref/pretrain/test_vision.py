import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from transformers import CLIPTextModelWithProjection

from mapper_mm.shapes_ref.pretrain.scenes import CANVAS, draw_scenes
from mapper_mm.shapes_ref.pretrain.vision import (
    VIT,
    augment,
    pretrain_vision_and_clip,
    start_wider,
)
from mapper_mm.shapes_ref.pretrain.vocabularies import train_clip_tokenizer


def test_augmented_things_stay_where_they_are_seen():
    scenes, _ = draw_scenes(8, seed=0)
    arguments = scenes.images, scenes.content, scenes.shown, scenes.cover, scenes.boxes
    images, shown, cover, boxes = augment(*arguments)
    flipped = [not torch.equal(*pair) for pair in zip(shown, scenes.shown, strict=True)]
    assert any(flipped) and not all(flipped)
    for i, flip in enumerate(flipped):
        x1, y1, x2, y2 = scenes.content[i].tolist()
        if flip:
            x1, x2 = CANVAS - x2, CANVAS - x1
            assert torch.equal(shown[i], scenes.shown[i].flip(1))
            assert torch.equal(cover[i], scenes.cover[i].flip(1).flatten(0, 1).float())
            assert torch.equal(boxes[i, :, [1, 3]], scenes.boxes[i, :, [1, 3]])
            assert torch.equal(boxes[i, :, 0], 1 - scenes.boxes[i, :, 2])
        outside = torch.ones(CANVAS, CANVAS, dtype=torch.bool)
        outside[y1:y2, x1:x2] = False
        # What is padded is exactly 0, whatever the brightness.
        assert not images[i][:, outside].any() and images[i][:, ~outside].any()


def test_positions_and_weights_start_wider_than_timms():
    vit = VisionTransformer(img_size=32, num_classes=0, **VIT)
    narrow = vit.blocks[0].mlp.fc1.weight.std().item(), vit.pos_embed.std().item()
    start_wider(vit)
    assert vit.blocks[0].mlp.fc1.weight.std().item() > 2 * narrow[0]
    assert vit.pos_embed.std().item() > 5 * narrow[1]


def test_both_are_written_as_their_libraries_read_them(tmp_path, capsys):
    scenes, _ = draw_scenes(8, seed=1)
    tokenizer = train_clip_tokenizer([text for texts in scenes.captions for text in texts])
    pretrain_vision_and_clip(scenes, tokenizer, tmp_path, epochs=2, batch=4)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith('vision 0/4') and last.startswith('vision 3/4')
    for name in ('shape', 'region_colour', 'mask', 'box', 'contrast'):
        assert f'  {name} ' in last
    vit = VisionTransformer(img_size=CANVAS, num_classes=0, **VIT)
    vit.load_state_dict(load_file(tmp_path / 'dinov2_tiny.safetensors'))
    clip = CLIPTextModelWithProjection.from_pretrained(tmp_path / 'clip_text_tiny')
    for model in (vit, clip):
        assert all(param.isfinite().all() for param in model.parameters())
