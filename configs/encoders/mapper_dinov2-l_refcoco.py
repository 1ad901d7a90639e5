# DINOv2 ViT-L/14 in place of ViT-B/14. BERT and its adapters stay as they are.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        arch='large',
        pretrained='./pretrained/dinov2_vitl14_pretrain.pth',
        # The last block of each third, and three eighths of the width: what the paper has in B.
        adapter=dict(layers=(7, 15, 23), bottleneck=384),
    )
)
