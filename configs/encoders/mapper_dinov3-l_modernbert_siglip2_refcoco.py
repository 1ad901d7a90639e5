# DINOv3 ViT-L/16 and ModernBERT, guided by SigLIP 2.
_base_ = './mapper_dinov3-l_refcoco.py'
model = dict(
    language_model=dict(
        type='TransformersTextEncoder',
        arch=dict(_delete_=True, model_type='modernbert'),
        pretrained='./pretrained/ModernBERT-base',
        # The last of each third of 22 layers.
        adapter=dict(layers=(6, 14, 21)),
        prior=dict(
            _delete_=True,
            type='TransformersTextPrior',
            arch=dict(model_type='siglip_text_model', vocab_size=256000),
            pretrained='./pretrained/siglip2-base-patch16-224',
        ),
    )
)
