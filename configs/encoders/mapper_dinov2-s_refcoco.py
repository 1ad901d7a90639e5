# DINOv2 ViT-S/14 in place of ViT-B/14. LoCA at the last block of each third, three eighths of the
# width, as in the paper's B.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        arch='small',
        pretrained='./pretrained/dinov2_vits14_pretrain.pth',
        adapter=dict(layers=(3, 7, 11), bottleneck=144),
    )
)
