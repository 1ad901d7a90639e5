"""The fusion decoder: one query attends to the words and then to the patches."""

from torch import Tensor, nn

from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens
from mapper_mm.registry import MODELS

from .base import Neck


class FusionDecoderLayer(nn.Module):
    """A pre-norm layer in which the query attends to the text, then to the image.

    Args:
        embed_dims: width D.
        num_heads: number of attention heads.
        ffn_dims: width of the feed-forward network.
        dropout: dropout of attention weights, after each part and in the feed-forward network.
    """

    def __init__(self, embed_dims: int, num_heads: int, ffn_dims: int, dropout: float) -> None:
        super().__init__()
        self.text_attn, self.image_attn = (
            nn.MultiheadAttention(embed_dims, num_heads, dropout=dropout, batch_first=True)
            for _ in range(2)
        )
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(embed_dims) for _ in range(3))
        self.ffn = nn.Sequential(
            nn.Linear(embed_dims, ffn_dims),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(ffn_dims, embed_dims),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        query: Tensor,
        text: Tensor,
        text_padding_mask: Tensor,
        image: Tensor,
        image_keys: Tensor,
        image_padding_mask: Tensor,
        with_attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Update the query.

        Args:
            query: (B, 1, D).
            text: (B, L, D).
            text_padding_mask: (B, L) bool.
            image: (B, P + N, D).
            image_keys: ``image`` plus position embeddings.
            image_padding_mask: (B, P + N) bool.
            with_attention: also return the attention to the image.

        Returns:
            tuple[Tensor, Tensor | None]: the query (B, 1, D), and the attention (B, 1, P + N), a
            mean over the heads, or None.
        """
        read, _ = self.text_attn(
            self.norm1(query), text, text, key_padding_mask=text_padding_mask, need_weights=False
        )
        query = query + self.dropout(read)
        read, attention = self.image_attn(
            self.norm2(query),
            image_keys,
            image,
            key_padding_mask=image_padding_mask,
            need_weights=with_attention,
        )
        query = query + self.dropout(read)
        return query + self.dropout(self.ffn(self.norm3(query))), attention


@MODELS.register_module()
class FusionDecoder(Neck):
    """A light neck in which one learned query attends to text and image tokens.

    Tokens do not attend to each other, so the cost is linear in the number of tokens; that of
    :class:`FusionEncoder` is quadratic.

    Args:
        image_dims: width of the image tokens.
        text_dims: width of the text tokens.
        num_prefix_tokens: number of image tokens before the patches.
        grid: rows and columns of patches.
        max_tokens: number L of text tokens, as the language model's ``max_tokens``.
        embed_dims: width D of the decoder.
        num_layers: number of decoder layers.
        num_heads: number of attention heads.
        ffn_dims: width of the feed-forward networks.
        dropout: see :class:`FusionDecoderLayer`.
        embed_std: initial standard deviation of the query and the position embeddings.
    """

    def __init__(
        self,
        image_dims: int = 768,
        text_dims: int = 768,
        num_prefix_tokens: int = 1,
        grid: tuple[int, int] = (37, 37),
        max_tokens: int = 20,
        embed_dims: int = 256,
        num_layers: int = 2,
        num_heads: int = 8,
        ffn_dims: int = 1024,
        dropout: float = 0.1,
        embed_std: float = 0.1,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        # Bring the tokens of all encoders to the same magnitude.
        self.image_proj, self.text_proj = (
            nn.Sequential(nn.Linear(dims, embed_dims), nn.LayerNorm(embed_dims))
            for dims in (image_dims, text_dims)
        )
        self.query = nn.Embedding(1, embed_dims)
        self.text_pos_embed = nn.Embedding(max_tokens, embed_dims)
        self.image_pos_embed = nn.Embedding(num_prefix_tokens + grid[0] * grid[1], embed_dims)
        self.layers = nn.ModuleList(
            FusionDecoderLayer(embed_dims, num_heads, ffn_dims, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dims)
        for embedding in (self.query, self.text_pos_embed, self.image_pos_embed):
            nn.init.normal_(embedding.weight, std=embed_std)

    def forward(self, image: ImageTokens, text: TextTokens, with_attention: bool = False) -> Fusion:
        """Fuse image and text tokens.

        Args:
            image: B images, with a padding mask.
            text: B phrases.
            with_attention: also return the query's attention in the last layer.

        Returns:
            Fusion: the query, with its attention if ``with_attention``.
        """
        words = self.text_proj(text.tokens) + self.text_pos_embed.weight
        values = self.image_proj(image.tokens)
        keys = values + self.image_pos_embed.weight
        # Starting from the mean of the words tells the query what to look for.
        weights = (~text.padding_mask).to(words)[..., None]
        mean = (words * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1)
        query = self.query.weight + mean
        attention = None
        for number, layer in enumerate(self.layers, 1):
            query, attention = layer(
                query,
                words,
                text.padding_mask,
                values,
                keys,
                image.padding_mask,
                with_attention=with_attention and number == len(self.layers),
            )
        if attention is not None:
            attention = attention[:, 0, -(image.grid[0] * image.grid[1]) :]
        return Fusion(self.norm(query[:, 0]), image.grid, attention)
