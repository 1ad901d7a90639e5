# A small MaPPER on the tiny encoders of the package.
tiny_encoders = 'mapper_mm::assets/tiny_encoders/'

model = dict(
    type='MaPPER',
    backbone=dict(
        type='DINOv2',
        # Also the canvas of the pipelines: a side, or (height, width), multiples of the patch size.
        img_size=128,
        adapter=dict(type='LoCA', layers=(1, 3, 5), bottleneck=48, scale=0.2),
        arch=dict(patch_size=16, embed_dim=128, depth=6, num_heads=4, init_values=1.0),
        pretrained=tiny_encoders + 'dinov2_tiny.safetensors',
    ),
    language_model=dict(
        type='PriorGuidedBERT',
        max_tokens=16,
        adapter=dict(type='DyPA', layers=(1, 2, 3), rank=16),
        pgt=dict(type='PGT'),
        arch=tiny_encoders + 'bert_tiny',
        pretrained=tiny_encoders + 'bert_tiny',
        prior=dict(
            type='CLIPTextPrior',
            arch=tiny_encoders + 'clip_text_tiny',
            pretrained=tiny_encoders + 'clip_text_tiny',
        ),
    ),
    neck=dict(
        type='FusionEncoder',
        embed_dims=128,
        num_layers=2,
        num_heads=4,
        ffn_dims=512,
        dropout=0.0,
        pre_norm=True,
        embed_std=0.1,
    ),
    bbox_head=dict(
        type='BoxHead',
        loss_l1=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0),
        # Not in the paper; AttentionLoss explains why a ten-minute training needs it.
        loss_attention=dict(type='AttentionLoss', loss_weight=2.0),
    ),
    # mean and std are those of the image encoder.
    data_preprocessor=dict(type='GroundingDataPreprocessor', bgr_to_rgb=True),
)
