# SigLIP 2 ViT-B/16 of the image side, as it was trained for 512 pixels: no prefix token.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='vit_base_patch16_siglip_512.v2_webli',
        img_size=512,
        pretrained='./pretrained/vit_base_patch16_siglip_512.v2_webli/model.safetensors',
        # The last block of each third, and three eighths of the width.
        adapter=dict(type='LoCA', layers=(3, 7, 11), bottleneck=288, scale=0.2),
    )
)
