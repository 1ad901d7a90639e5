# Perception Encoder's core ViT-B/16. It was trained on 224 pixels: positions are interpolated.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='vit_pe_core_base_patch16_224.fb',
        img_size=512,
        pretrained='./pretrained/vit_pe_core_base_patch16_224.fb/model.safetensors',
        # The last block of each third, and three eighths of the width.
        adapter=dict(type='LoCA', layers=(3, 7, 11), bottleneck=288, scale=0.2),
    )
)
