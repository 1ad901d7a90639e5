# What the published code does and the paper or reason speaks against; for its checkpoints.
# docs/architecture.md lists it, and what of it is not followed even here.
published_behaviour = dict(
    # BatchNorm counts an image once for each of its expressions.
    share_images=False,
    language_model=dict(
        token_types=False,
        # BERT's dropout stays on in training.
        frozen_dropout=True,
        # CLIP is fed the numbers of BERT's tokens.
        prior=dict(reads='bert_ids')),
    # Padding is not excluded: its attention logits get 1 more.
    neck=dict(padding_bias=1.0),
    # Predictions are cut to the canvas, not to the picture.
    bbox_head=dict(clip_border=False))
