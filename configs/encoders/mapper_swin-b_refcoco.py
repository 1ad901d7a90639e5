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
        # The last block of each third of the stage of stride 16, and three eighths of its width.
        adapter=dict(type='LoCA', layers=(9, 15, 21), bottleneck=192, scale=0.2),
    )
)
