# DINOv2 ViT-B/14 with the four register tokens that its release calls reg4.
_base_ = '../mapper_refcoco.py'
model = dict(backbone=dict(registers=4, pretrained='./pretrained/dinov2_vitb14_reg4_pretrain.pth'))
