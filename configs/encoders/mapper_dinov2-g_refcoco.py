# DINOv2 ViT-g/14 in place of ViT-B/14: 1.1 billion parameters.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        arch='giant',
        pretrained='./pretrained/dinov2_vitg14_pretrain.pth',
        # The last block of each third of 40, and three eighths of the width.
        adapter=dict(layers=(12, 26, 39), bottleneck=576),
    )
)
