"""The fusion decoder: one query reads the words, then the patches that fit them."""

from torch import Tensor, nn

from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens
from mapper_mm.registry import MODELS

from .base import Neck


class FusionDecoderLayer(nn.Module):
    """The query reads text, then the image, by attention; what goes in is normalised first.

    Args:
        embed_dims: width D.
        num_heads: attention heads.
        ffn_dims: width of the feed-forward network.
        dropout: on attention's weights, after each part and in the feed-forward network.
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
        """Let the query read.

        Args:
            query: (B, 1, D).
            text: (B, L, D).
            text_padding_mask: (B, L) bool.
            image: (B, P + N, D).
            image_keys: the same with positions.
            image_padding_mask: (B, P + N) bool.
            with_attention: also give where it looked in the image.

        Returns:
            tuple[Tensor, Tensor | None]: (B, 1, D), and (B, 1, P + N), the mean of the heads, or
            None.
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
    """A light neck: one learned query reads text and image; tokens do not read each other.

    Its cost grows with the number of tokens, that of :class:`FusionEncoder` with its square.

    Args:
        image_dims: width of the image tokens.
        text_dims: width of the text tokens.
        num_prefix_tokens: image tokens before those of the patches.
        grid: rows and columns of patches.
        max_tokens: L text tokens, as the language model's ``max_tokens``.
        embed_dims: width D of the decoder.
        num_layers: decoder layers.
        num_heads: attention heads.
        ffn_dims: width of the feed-forward networks.
        dropout: see :class:`FusionDecoderLayer`.
        embed_std: standard deviation that the query and the position embeddings start with.
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
        # Tokens of any encoder come in one magnitude.
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
        """Fuse.

        Args:
            image: with a padding mask.
            text: of as many phrases.
            with_attention: also put out where the query looks in the last layer.

        Returns:
            Fusion: what the query read, and its attention if it was asked for.
        """
        words = self.text_proj(text.tokens) + self.text_pos_embed.weight
        values = self.image_proj(image.tokens)
        keys = values + self.image_pos_embed.weight
        # A query that starts from the words it is about knows at once what to look for.
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
