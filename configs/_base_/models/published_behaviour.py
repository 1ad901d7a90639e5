# What the published code does and the paper or reason speaks against; for its checkpoints.
# docs/architecture.md lists it, and what of it is not followed even here.
published_behaviour = dict(
    # BatchNorm counts an image once for each of its expressions.
    share_images=False,
    language_model=dict(
        # BERT without token types, and with its dropout on in training.
        type='PublishedBERT',
        # CLIP is fed the numbers of BERT's tokens.
        prior=dict(type='PublishedCLIPTextPrior'),
    ),
    # Padding is not excluded: its attention logits get 1 more.
    neck=dict(type='PublishedFusionEncoder'),
    # Predictions are cut to the canvas, not to the picture.
    bbox_head=dict(type='PublishedBoxHead'),
)
