# ConvNeXt-B of ImageNet-22k: its map of stride 16 as tokens.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmFeatures',
        model_name='convnext_base.fb_in22k',
        stride=16,
        img_size=512,
        pretrained='./pretrained/convnext_base.fb_in22k/model.safetensors',
        # The last block of each third of the stage of stride 16, and three eighths of its width.
        adapter=dict(type='LoCA', layers=(14, 23, 32), bottleneck=192, scale=0.2),
    )
)
