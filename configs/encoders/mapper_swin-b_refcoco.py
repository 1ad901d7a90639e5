# Swin-B, as it was trained for 384 pixels: its map of stride 16 as tokens.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmFeatures',
        model_name='swin_base_patch4_window12_384.ms_in22k',
        stride=16,
        img_size=384,
        pretrained='./pretrained/swin_base_patch4_window12_384.ms_in22k/model.safetensors',
        # LoCA is for the tokens of transformers; this stands beside the MLP of every block.
        adapter=dict(type='BottleneckAdapter', bottleneck=64, scale=0.1),
    )
)
