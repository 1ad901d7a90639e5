# DINOv3 ViT-B/16: four registers, RoPE. 512 pixels are about the 518 of DINOv2, in multiples of 16.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='vit_base_patch16_dinov3.lvd1689m',
        img_size=512,
        pretrained='./pretrained/vit_base_patch16_dinov3.lvd1689m/model.safetensors',
        # The last block of each third, and three eighths of the width.
        adapter=dict(type='LoCA', layers=(3, 7, 11), bottleneck=288, scale=0.2),
    )
)
