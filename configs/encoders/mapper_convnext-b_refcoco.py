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
        # LoCA is for the tokens of transformers; this stands beside the MLP of every block.
        adapter=dict(type='BottleneckAdapter', bottleneck=64, scale=0.1),
    )
)
