# Differences of the published code, for its checkpoints. docs/architecture.md lists them, and those
# that cannot be reproduced.
published_behaviour = dict(
    # BatchNorm counts an image once for each of its expressions.
    share_images=False,
    language_model=dict(
        # BERT without token types, and with its own dropout in training.
        type='PublishedBERT',
        # CLIP reads BERT's token ids.
        prior=dict(type='PublishedCLIPTextPrior'),
    ),
    # Padding is not masked: 1 is added to its attention logits.
    neck=dict(type='PublishedFusionEncoder'),
    # Predictions are clamped to the canvas, not to the picture.
    bbox_head=dict(type='PublishedBoxHead'),
)
