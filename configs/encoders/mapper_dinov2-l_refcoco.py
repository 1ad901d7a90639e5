# DINOv2 ViT-L/14 instead of ViT-B/14. BERT and its adapters do not change.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        arch='large',
        pretrained='./pretrained/dinov2_vitl14_pretrain.pth',
        # The last block of each third, and three eighths of the width, as in the paper for ViT-B.
        adapter=dict(layers=(7, 15, 23), bottleneck=384),
    )
)
