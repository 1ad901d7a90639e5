# An image encoder in SigLIP's manner: no prefix token, other mean and std.
_base_ = './swap_image_default.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='vit_base_patch16_siglip_224.v2_webli',
        img_size=128,
        embed_dim=128,
        depth=6,
        num_heads=4,
        init_values=1.0,
        adapter=dict(type='FullTuning'),
    )
)
