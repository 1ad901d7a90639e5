# MaPPER on DINOv2 ViT-B/14, bert-base-uncased and CLIP ViT-B/16's text encoder, as in the paper.
# Paths start with './', because other names of missing folders would be searched on the hub.
model = dict(
    type='MaPPER',
    backbone=dict(
        type='DINOv2',
        # Also the canvas of the pipelines: a side, or (height, width), multiples of the patch size.
        img_size=518,
        adapter=dict(type='LoCA', layers=(3, 7, 11), bottleneck=288, scale=0.2),
        arch='base',
        pretrained='./pretrained/dinov2_vitb14_pretrain.pth',
    ),
    language_model=dict(
        type='PriorGuidedBERT',
        max_tokens=20,
        # Accuracy is over all expressions, as in the paper.
        truncation=True,
        adapter=dict(type='DyPA', layers=(3, 7, 11), rank=32),
        pgt=dict(type='PGT'),
        arch='base',
        pretrained='./pretrained/bert-base-uncased',
        prior=dict(
            type='CLIPTextPrior', arch='base', pretrained='./pretrained/clip-vit-base-patch16'
        ),
    ),
    neck=dict(
        type='FusionEncoder', embed_dims=256, num_layers=6, num_heads=8, ffn_dims=2048, dropout=0.1
    ),
    bbox_head=dict(
        type='BoxHead',
        loss_l1=dict(type='L1Loss', loss_weight=1.0),
        loss_iou=dict(type='GIoULoss', loss_weight=1.0),
    ),
    # mean and std are those of the image encoder.
    data_preprocessor=dict(type='GroundingDataPreprocessor', bgr_to_rgb=True),
)
