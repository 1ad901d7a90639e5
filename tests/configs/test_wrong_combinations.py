"""Parts that do not fit each other end in a sentence that names the key and what is right."""

import copy
import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from samples import noise_batch

from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config, check_parts
from mapper_mm.cli.config_file import load_config
from mapper_mm.cli.preflight import check_requirements
from mapper_mm.datasets import set_canvas
from mapper_mm.errors import UserError
from mapper_mm.models.necks import Neck
from mapper_mm.models.structures import Fusion
from mapper_mm.registry import MODELS

BASE = Path(__file__).parents[2] / 'configs' / 'mapper_shapes.py'
TINY = 'mapper_mm::assets/tiny_encoders/'
BERT, CLIP, ROBERTA = (TINY + name for name in ('bert_tiny', 'clip_text_tiny', 'roberta_tiny'))


@MODELS.register_module(force=True)
class NoAttentionNeck(Neck):
    """Says what its query read, and not where it looked."""

    embed_dims = 128

    def __init__(self, image_dims, grid, **filled_in):
        super().__init__()
        self.grid = grid
        self.proj = torch.nn.Linear(image_dims, self.embed_dims)

    def forward(self, image, text, with_attention=False):
        return Fusion(self.proj(image.tokens.mean(1)), self.grid)


def backbone(**settings):
    """DINOv3 in small."""
    small = dict(img_size=128, embed_dim=32, depth=2, num_heads=2)
    name = 'vit_small_patch16_dinov3'
    own = dict(_delete_=True, type='TimmViT', model_name=name, **small)
    return dict(backbone={**own, **settings})


def features(**settings):
    small = dict(depths=(1, 1, 1, 1), dims=(8, 8, 16, 16))
    own = dict(_delete_=True, type='TimmFeatures', model_name='convnext_tiny', img_size=128)
    return dict(backbone={**own, **small, **settings})


def text(**settings):
    """A language model of any family; RoBERTa in small."""
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    arch = dict(model_type='roberta', vocab_size=501, max_position_embeddings=34, **sizes)
    own = dict(_delete_=True, type='TransformersTextEncoder', arch=arch, tokenizer=ROBERTA)
    model = {**own, **settings}
    return dict(language_model={key: value for key, value in model.items() if value != 'none'})


def bert(**settings):
    return dict(language_model=settings)


DYPA = dict(_delete_=True, type='DyPA', layers=(1,), rank=8)
LOCA = dict(_delete_=True, type='LoCA', layers=(1,), bottleneck=12)
ROBERTA_OF_BERTS = dict(
    **dict(model_type='roberta', vocab_size=396, hidden_size=16, num_hidden_layers=2),
    **dict(num_attention_heads=2, intermediate_size=16, max_position_embeddings=34),
)
# What is changed in the model, and what is said: the key, and the right value.
WRONG = {
    'unknown model': (
        backbone(model_name='vit_base_patch16_dinv3'),
        r'`backbone.model_name=.* near ones are vit_base_patch16_dinov3',
    ),
    'unknown tag': (
        backbone(model_name='vit_small_patch16_dinov3.lvd'),
        r"no weights 'lvd' .* has vit_small_patch16_dinov3.lvd1689m",
    ),
    'no model': (
        dict(backbone=dict(_delete_=True, type='TimmViT', img_size=128)),
        r"model.backbone: TimmViT needs 'model_name'",
    ),
    'no transformer': (
        dict(backbone=dict(_delete_=True, type='TimmViT', model_name='resnet18', img_size=128)),
        r"`backbone.type='TimmFeatures'`",
    ),
    'misspelt option of timm': (backbone(dept=3), r'`backbone.dept`.* did you mean `depth`'),
    'an option of DINOv2': (backbone(arch='base'), r'`backbone.arch` .* leave it out'),
    'heads': (backbone(num_heads=3), r'`backbone.num_heads=3`.* one of 1, 2, 4, 8'),
    'stride': (features(stride=14), r'`backbone.stride=14`.* strides 4, 8, 16, 32'),
    'canvas': (dict(backbone=dict(img_size=130)), r'`backbone.img_size`.*img_size=128 or 144'),
    'canvas of a feature map': (features(img_size=130), r'`backbone.img_size`.*=128 or 144'),
    'wide canvas': (
        backbone(img_size=(128, 130)),
        r'`backbone.img_size`.*img_size=128 or \(128, 144\)',
    ),
    "another encoder's mean": (
        dict(data_preprocessor=dict(mean=[127.5] * 3)),
        r'`model.data_preprocessor.mean=.*leave mean and std out, or set mean=\[123.675',
    ),
    "ImageNet's std for SigLIP": (
        {
            **backbone(model_name='vit_base_patch16_siglip_224.v2_webli'),
            'data_preprocessor': dict(std=[58.395, 57.12, 57.375]),
        },
        r'data_preprocessor.std=.*std=\[127.5, 127.5, 127.5\]',
    ),
    'weights of another model': (
        backbone(pretrained=TINY + 'dinov2_tiny.safetensors'),
        r'`backbone.pretrained=.*no register tokens, the model has 4',
    ),
    'a neck that says not where it looked': (
        dict(
            neck=dict(_delete_=True, type='NoAttentionNeck'),
            bbox_head=dict(_delete_=True, type='HeatmapHead'),
        ),
        r"`model.bbox_head.type='HeatmapHead'`.*`Fusion.attention`",
    ),
    'the same with its loss': (
        dict(neck=dict(_delete_=True, type='NoAttentionNeck')),
        r'`model.bbox_head.loss_attention`.*`Fusion.attention`',
    ),
    'a head as neck': (
        dict(neck=dict(_delete_=True, type='BoxHead')),
        r"`model.neck.type='BoxHead'` .*Neck",
    ),
    'LoCA in a text encoder': (
        bert(adapter=LOCA),
        r"language_model.adapter.type='LoCA' .*patches",
    ),
    'DyPA in an image encoder': (
        dict(backbone=dict(adapter=DYPA)),
        r"backbone.adapter.*\('mlp', 'parallel'\)",
    ),
    'LoCA in ResNet': (
        dict(
            backbone=dict(
                **dict(_delete_=True, type='TimmFeatures', model_name='resnet18', img_size=128),
                adapter=dict(type='LoCA', bottleneck=12),
            )
        ),
        r'backbone.adapter.*FullTuning, BitFit and LoRA',
    ),
    'layers of a deeper encoder': (
        dict(backbone=dict(adapter=dict(layers=(3, 7, 11)))),
        r'backbone.adapter.layers: no layer 7; .*0 to 5',
    ),
    'a prior without tokenizer': (
        bert(prior=dict(pretrained=None)),
        r'`language_model.prior.pretrained` is None.*`tokenizer`',
    ),
    'a language model without tokenizer': (
        text(tokenizer='none'),
        r'`language_model.pretrained` is None.*`tokenizer`',
    ),
    'PGT without prior': (bert(prior=None), r'language_model.pgt.*set language_model.prior'),
    'a language model as prior': (
        bert(prior=dict(_delete_=True, type='TransformersTextEncoder', arch=BERT)),
        r'language_model.prior.*TransformersTextPrior',
    ),
    'a prior as language model': (
        dict(language_model=dict(type='CLIPTextPrior')),
        r"`model.language_model.type='CLIPTextPrior'` .*LanguageModel",
    ),
    'too many tokens': (bert(max_tokens=77), r'language_model.max_tokens=77.* 3 .* to 32'),
    # Two positions of RoBERTa's are of no token.
    "too many tokens of RoBERTa's": (
        text(max_tokens=33),
        r'language_model.max_tokens=33.* 3 .* to 32',
    ),
    "BERT's vocabulary for RoBERTa": (
        text(arch=ROBERTA_OF_BERTS, tokenizer=BERT),
        r'`language_model.tokenizer=.*WordPiece, not byte-level BPE',
    ),
    "RoBERTa's vocabulary for BERT": (
        bert(tokenizer=ROBERTA),
        r'`language_model.tokenizer=.*501 tokens, the model 396',
    ),
    "CLIP's weights for BERT": (
        bert(pretrained=CLIP),
        r"`language_model.pretrained=.*'clip_text_model', not 'bert'",
    ),
    "BERT's directory for CLIP": (
        bert(prior=dict(arch=BERT, pretrained=BERT)),
        r"`language_model.prior.arch=.*'bert', not 'clip'",
    ),
    'no kind of model': (
        text(arch=dict(hidden_size=16)),
        r'`language_model.arch`.*no model_type.* bert, roberta',
    ),
    'a misspelt kind': (text(arch=dict(model_type='robrta')), r"arch`.*did you mean 'roberta'\?"),
    'a kind that is not read': (text(arch=dict(model_type='gpt2')), r"'gpt2', .* bert, roberta"),
    'no directory': (
        text(arch='./pretrained/roberta-base', pretrained='./pretrained/roberta-base'),
        r'hf download FacebookAI/roberta-base',
    ),
}


def train_one_step(file):
    """What tools/train.py does until the first batch is learned from."""
    init_default_scope('mapper_mm')
    config = load_config(file)
    set_canvas(config)
    check_config(config)
    check_parts(config, 'train')
    with build_errors_name_settings(config):
        check_requirements(config, ['train_dataloader', 'val_dataloader'], weights=True)
        model = MODELS.build(copy.deepcopy(config.model))
        model.init_weights()
        batch = model.data_preprocessor(noise_batch(model.backbone.input_size), True)
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        loss.backward()


def write(folder, model):
    file = folder / 'wrong.py'
    file.write_text(f'_base_ = {BASE.as_posix()!r}\nmodel = {model!r}\n')
    return file


@pytest.mark.parametrize('model, said', WRONG.values(), ids=list(WRONG))
def test_it_is_said_in_a_sentence(model, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        train_one_step(write(tmp_path, model))
    message = str(error.value)
    assert re.search(said, message, re.S), message
    assert 'Traceback' not in message and len(message) < 900


@pytest.mark.parametrize(
    'model',
    [{}, backbone(), features(), text(), {**backbone(), **text()}],
    ids=['default', 'TimmViT', 'TimmFeatures', 'RoBERTa', 'both'],
)
def test_what_is_wrong_above_is_right_but_for_that(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_one_step(write(tmp_path, model))
