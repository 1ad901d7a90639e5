import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mapper_mm.datasets import set_canvas
from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.models.backbones import TimmViT
from mapper_mm.models.grounders import mapper
from mapper_mm.models.structures import select
from mapper_mm.registry import DATASETS, MODELS

CONFIG = 'configs/mapper_shapes.py'


@pytest.fixture(scope='module')
def config(pytestconfig):
    return Config.fromfile(pytestconfig.rootpath / CONFIG)


@pytest.fixture(scope='module')
def dataset_root(tmp_path_factory):
    return str(tmp_path_factory.mktemp('shapes') / 'data')


def samples(config, root, loader, count=4):
    config = copy.deepcopy(config)
    set_canvas(config)
    cfg = config[loader].dataset
    scenes = dict(train=4, val=2, testA=1, testB=1)
    cfg.update(data_root=root, num_scenes=scenes, workers=0)
    dataset = DATASETS.build(cfg)
    return pseudo_collate([dataset[i] for i in range(count)])


def batch_of(batch):
    return {f'batch_{name}': value for name, value in batch.items()}


@pytest.fixture
def model(config):
    model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    return model


def test_losses_reach_every_trainable_parameter_and_no_other(model, config, dataset_root):
    model.train()
    batch = model.data_preprocessor(samples(config, dataset_root, 'train_dataloader'), True)
    losses = model(**batch, mode='loss')
    assert set(losses) == {'loss_l1', 'loss_iou', 'loss_attention', 'acc@0.5'}
    loss, _ = model.parse_losses(losses)
    loss.backward()
    # LoCA's biases before BatchNorm have a gradient of 0 in theory; it must be there all the same,
    # or DDP would have to search for unused parameters in every step.
    trainable = trainable_params(model)
    assert all(param.grad is not None for param in trainable.values())
    frozen = [p for name, p in model.named_parameters() if name not in trainable]
    assert frozen and all(param.grad is None for param in frozen)


@pytest.mark.parametrize('long', [[0], [1, 3], [0, 1, 2, 3]])
def test_nothing_is_learned_from_a_phrase_that_is_too_long(model, config, dataset_root, long):
    model.train()
    batch = model.data_preprocessor(samples(config, dataset_root, 'train_dataloader'), True)
    for row in long:
        batch['data_samples'][row].set_metainfo(dict(text='the red star ' * 9))
    kept = [row for row in range(4) if row not in long]
    with torch.no_grad():
        fusion, _ = copy.deepcopy(model).extract_feat(**batch_of(batch), with_attention=True)
    of_kept = [batch['data_samples'][row] for row in kept]
    expected = kept and model.bbox_head.loss(select(fusion, kept), of_kept)
    losses = model(**batch, mode='loss')
    of_all = {'loss_l1', 'loss_iou', 'loss_attention'}
    assert set(losses) == ({*of_all, 'acc@0.5'} if kept else of_all)
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name] if kept else torch.zeros(()))
    model.parse_losses(losses)[0].backward()
    grads = [param.grad for param in trainable_params(model).values()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
    assert any(grad.any() for grad in grads) == bool(kept)


@pytest.mark.parametrize('long', [[3], [2, 3]])
def test_processes_count_by_what_they_have_left(long, model, config, dataset_root, monkeypatch):
    """Two processes of two samples do what one of four does, however many each skips."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    batch = model.data_preprocessor(samples(config, dataset_root, 'train_dataloader'), True)
    for row in long:
        batch['data_samples'][row].set_metainfo(dict(text='the red star ' * 9))

    def losses_and_gradient(rows):
        model.zero_grad()
        data_samples = [batch['data_samples'][row] for row in rows]
        losses = model(batch['inputs'][rows], data_samples, mode='loss')
        loss, _ = model.parse_losses(losses)
        loss.backward()
        return loss, torch.cat([p.grad.flatten() for p in trainable_params(model).values()])

    expected = losses_and_gradient([0, 1, 2, 3])
    mean = torch.tensor((4 - len(long)) / 2)
    monkeypatch.setattr(mapper, 'reduce_mean', lambda _: mean)
    first, second = losses_and_gradient([0, 1]), losses_and_gradient([2, 3])
    for one, other, whole in zip(first, second, expected, strict=True):
        torch.testing.assert_close((one + other) / 2, whole, rtol=1e-4, atol=1e-5)


def test_predictions_are_boxes_in_the_picture(model, config, dataset_root):
    batch = samples(config, dataset_root, 'val_dataloader')
    with torch.no_grad():
        results = model.eval().val_step(batch)
    for result in results:
        height, width = result.ori_shape
        x1, y1, x2, y2 = result.pred_instances.bboxes[0].tolist()
        assert 0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height


def test_a_sample_does_not_depend_on_its_batch(model, config, dataset_root):
    def boxes(batch):
        with torch.no_grad():
            return torch.cat([r.pred_instances.bboxes for r in model.eval().val_step(batch)])

    batch = samples(config, dataset_root, 'val_dataloader')
    alone = [{key: values[i : i + 1] for key, values in batch.items()} for i in range(4)]
    together = boxes(copy.deepcopy(batch))
    torch.testing.assert_close(
        torch.cat([boxes(one) for one in alone]), together, rtol=1e-4, atol=1e-3
    )


def test_all_attention_is_sdpa(model, config, dataset_root, monkeypatch):
    sdpa, calls = torch.nn.functional.scaled_dot_product_attention, []
    monkeypatch.setattr(
        torch.nn.functional,
        'scaled_dot_product_attention',
        lambda *args, **kwargs: calls.append(1) or sdpa(*args, **kwargs),
    )
    batch = model.data_preprocessor(samples(config, dataset_root, 'val_dataloader'))
    text = model.language_model
    ids, padding_mask = torch.ones(1, 4, dtype=torch.int64), torch.zeros(1, 4, dtype=torch.bool)
    parts = [
        (model.backbone.layers, lambda: model.backbone(batch['inputs'])),
        (text.prior.layers, lambda: text.prior.features(ids, padding_mask)),
        ([*text.layers, *text.prior.layers], lambda: text(['the star'], ['record'])),
        (
            [*model.backbone.layers, *text.layers, *text.prior.layers, *model.neck.layers],
            lambda: model(**batch, mode='tensor'),
        ),
    ]
    for layers, forward in parts:
        calls.clear()
        with torch.no_grad():
            forward()
        assert len(calls) == len(layers) > 0


def test_the_phrase_and_the_picture_both_matter(model, config, dataset_root):
    batch = model.data_preprocessor(samples(config, dataset_root, 'val_dataloader'))
    model.eval()
    with torch.no_grad():
        before = model(**batch, mode='tensor')
        grey = model(torch.zeros_like(batch['inputs']), batch['data_samples'], mode='tensor')
        for sample in batch['data_samples']:
            sample.set_metainfo(dict(text='the large black heart on the left'))
        other = model(**batch, mode='tensor')
    assert (before - grey).abs().max() > 1e-4
    assert (before - other).abs().max() > 1e-4


@pytest.mark.parametrize('told', [True, False])
def test_an_image_is_encoded_once_for_all_of_its_phrases(model, config, dataset_root, told):
    batch = samples(config, dataset_root, 'val_dataloader')
    # The last one is another crop, say, of the same file.
    batch['inputs'][3] = batch['inputs'][3].flip(-1)
    batch = model.data_preprocessor(batch)
    inputs, data_samples = batch['inputs'], batch['data_samples']
    assert len({sample.img_path for sample in data_samples}) == 1
    if not told:
        for sample in data_samples:
            sample.set_metainfo(dict(image_number=None))
    encoded = []
    model.backbone.register_forward_pre_hook(lambda _, args: encoded.append(len(args[0])))
    with torch.no_grad():
        tokens = model.eval()._encode_images(inputs, data_samples).tokens
        assert encoded == [2]
        torch.testing.assert_close(tokens, model.backbone(inputs).tokens, rtol=1e-4, atol=1e-5)
        encoded.clear()
        model.share_images = False
        same = model._encode_images(inputs, data_samples).tokens
        torch.testing.assert_close(same, tokens)
        assert encoded == [4], 'as published'


def test_padding_is_known_by_a_patchs_first_pixel(model, config, dataset_root):
    batch = model.data_preprocessor(samples(config, dataset_root, 'val_dataloader', count=1))
    batch['data_samples'][0].set_metainfo(dict(content_box=(0, 17, 128, 111)))
    mask = model._patch_padding(batch['inputs'], batch['data_samples'])
    assert mask.shape == (1, 65) and not mask[0, 0]
    rows = mask[0, 1:].view(8, 8)
    # Rows start at 0, 16 (padding), 32 ... 96, 112 (padding).
    assert rows.all(1).tolist() == [True, True, *[False] * 5, True]


@pytest.mark.parametrize(
    'box, rows, columns',
    [
        # Between two first rows; over the edge of two patches; a pixel; a corner of the canvas.
        ((0, 17, 128, 20), [1], range(8)),
        ((0, 12, 128, 17), [1], range(8)),
        ((0, 13, 128, 15), [0], range(8)),
        ((17, 33, 18, 34), [2], [1]),
        ((127, 127, 128, 128), [7], [7]),
        ((20, 0, 25, 128), range(8), [1]),
        # Thick enough for a first row, as published: the rest of it does not count.
        ((0, 15, 128, 18), [1], range(8)),
    ],
)
def test_no_picture_is_all_padding(model, config, dataset_root, box, rows, columns):
    batch = model.data_preprocessor(samples(config, dataset_root, 'val_dataloader', count=2))
    whole, thin = batch['data_samples']
    thin.set_metainfo(dict(content_box=box))
    mask = model._patch_padding(batch['inputs'], [whole, thin])
    assert torch.equal(mask[:1], model._patch_padding(batch['inputs'][:1], [whole]))
    seen = ~mask[1, 1:].view(8, 8)
    assert seen.any(1).nonzero().flatten().tolist() == list(rows)
    assert seen.any(0).nonzero().flatten().tolist() == list(columns)


def test_registers_go_all_the_way(config, dataset_root):
    """LoCA, the fusion encoder's positions, the padding mask and the loss on attention."""
    cfg = copy.deepcopy(config.model)
    cfg.backbone.update(registers=4, pretrained=None)
    model = MODELS.build(cfg)
    model.init_weights()
    assert len(model.neck.pos_embed.weight) == 1 + model.language_model.max_tokens + 5 + 64
    batch = model.data_preprocessor(samples(config, dataset_root, 'train_dataloader'), True)
    mask = model._patch_padding(**batch_of(batch))
    assert mask.shape == (4, 5 + 64) and not mask[:, :5].any()
    loss, _ = model.parse_losses(model.train()(**batch, mode='loss'))
    loss.backward()
    trainable = trainable_params(model)
    assert all(param.grad is not None for param in trainable.values())
    assert 'backbone.vit.reg_token' not in trainable
    with torch.no_grad():
        (result, *_) = model.eval().val_step(samples(config, dataset_root, 'val_dataloader'))
    assert result.pred_instances.bboxes.shape == (1, 4)


@pytest.mark.parametrize('arch, registers', [('base', 4), ('large', 0), ('large', 4)])
def test_variants_of_the_paper_recipe_build_offline(arch, registers, pytestconfig):
    cfg = Config.fromfile(pytestconfig.rootpath / 'configs/mapper_refcoco.py')
    cfg.model.backbone.update(arch=arch, registers=registers)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert len(model.neck.pos_embed.weight) == 1 + 20 + 1 + registers + 37 * 37


def test_paper_recipe_builds_offline(pytestconfig):
    cfg = Config.fromfile(pytestconfig.rootpath / 'configs/mapper_refcoco.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in trainable_params(model).values()) == 11_547_167 - 49_248


@pytest.mark.parametrize(
    'part, other, base',
    [
        ('backbone', 'PriorGuidedBERT', 'ImageEncoder'),
        ('language_model', 'DINOv2', 'LanguageModel'),
        ('neck', 'BoxHead', 'Neck'),
        ('bbox_head', 'mmdet.FPN', 'Head'),
    ],
)
def test_a_part_in_anothers_place_is_named(part, other, base, config):
    cfg = dict(copy.deepcopy(config.model), **{part: dict(type=other)})
    with pytest.raises(WrongConfigError, match=f"`model.{part}.type='{other}'` is no {base}"):
        MODELS.build(cfg)


def test_what_a_part_lacks_is_named(config, monkeypatch):
    monkeypatch.delattr(TimmViT, 'patch_size')
    with pytest.raises(WrongConfigError, match="type='DINOv2'` has no patch_size: "):
        MODELS.build(copy.deepcopy(config.model))


def test_pictures_are_normalised_as_the_image_encoder_was_trained(config):
    cfg = copy.deepcopy(config.model)
    tiny = dict(depth=2, embed_dim=48, num_heads=2)
    cfg.backbone = dict(
        type='TimmViT', model_name='vit_base_patch16_siglip_224', img_size=128, **tiny
    )
    assert MODELS.build(cfg).data_preprocessor.mean.flatten().tolist() == [127.5] * 3
    cfg.data_preprocessor.mean = [123.675, 116.28, 103.53]
    with pytest.raises(WrongConfigError, match=r'leave mean and std out, or .*\[127.5, 127.5'):
        MODELS.build(cfg)
    cfg.data_preprocessor.check_mean_std = False
    preprocessor = MODELS.build(cfg).data_preprocessor
    torch.testing.assert_close(preprocessor.mean.flatten(), torch.tensor([123.675, 116.28, 103.53]))
