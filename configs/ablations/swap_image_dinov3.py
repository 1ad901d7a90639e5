# An image encoder in DINOv3's manner: RoPE, registers, timm's `Eva`.
_base_ = './swap_image_default.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='vit_small_patch16_dinov3',
        img_size=128,
        embed_dim=128,
        depth=6,
        num_heads=4,
        init_values=1.0,
        adapter=dict(type='FullTuning'),
    )
)
