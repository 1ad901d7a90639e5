"""The fusion encoder: a transformer encoder over [REG], text and image tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens
from mapper_mm.registry import MODELS

from .attention import attention
from .base import Neck
from .dropout import Dropout


class FusionEncoderLayer(nn.Module):
    """A transformer encoder layer that adds positions to queries and keys only.

    Args:
        embed_dims: width D.
        num_heads: number of attention heads.
        ffn_dims: width of the feed-forward network.
        dropout: dropout of attention weights, after attention and in the feed-forward network.
        pre_norm: see :class:`FusionEncoder`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        ffn_dims: int,
        dropout: float,
        pre_norm: bool = False,
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        # Only a container for the weights: its forward is slow in half precision and with dropout.
        self.self_attn = nn.MultiheadAttention(
            embed_dims, num_heads, dropout=dropout, batch_first=True
        )
        self.linear1 = nn.Linear(embed_dims, ffn_dims)
        self.linear2 = nn.Linear(ffn_dims, embed_dims)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        padding_bias: Tensor,
        num_queries: int | None = None,
        with_attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Encode tokens.

        Args:
            x: (B, S, D).
            positions: (S, D), added to queries and keys.
            padding_bias: (B, S) float, added to the attention logits of each key.
            num_queries: compute only this many of the first tokens. Default: all.
            with_attention: also return the attention weights.

        Returns:
            tuple[Tensor, Tensor | None]: the tokens (B, num_queries or S, D), and the attention
            weights (B, num_queries or S, S), a mean over the heads, or None.
        """
        values = self.norm1(x) if self.pre_norm else x
        q, k, v = self._project(values, positions, num_queries)
        dropout = self.self_attn.dropout if self.training else 0.0
        bias = padding_bias.to(q.dtype)
        attended = attention(q, k, v, bias, dropout).transpose(1, 2).flatten(2)
        weights = _weights(q, k, bias) if with_attention else None
        x = x[:, :num_queries] + self.dropout(self.self_attn.out_proj(attended))
        if self.pre_norm:
            return x + self._feed_forward(self.norm2(x)), weights
        x = self.norm1(x)
        return self.norm2(x + self._feed_forward(x)), weights

    def _project(
        self, values: Tensor, positions: Tensor, num_queries: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, H, Q, d), keys and values (B, H, S, d)."""
        keys = values + positions
        weight, bias = self.self_attn.in_proj_weight, self.self_attn.in_proj_bias
        dims = self.self_attn.embed_dim
        if num_queries is None:
            q, k = F.linear(keys, weight[: 2 * dims], bias[: 2 * dims]).chunk(2, -1)
        else:
            q = F.linear(keys[:, :num_queries], weight[:dims], bias[:dims])
            k = F.linear(keys, weight[dims : 2 * dims], bias[dims : 2 * dims])
        v = F.linear(values, weight[2 * dims :], bias[2 * dims :])
        heads = (self.self_attn.num_heads, self.self_attn.head_dim)
        return tuple(tensor.unflatten(-1, heads).transpose(1, 2) for tensor in (q, k, v))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear2(self.dropout(self.linear1(x).relu())))


def _weights(queries: Tensor, keys: Tensor, bias: Tensor) -> Tensor:
    """Return attention weights (B, Q, S), which scaled_dot_product_attention does not return."""
    logits = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
    return (logits + bias[:, None, None]).softmax(-1).mean(1)


@MODELS.register_module()
class FusionEncoder(Neck):
    """Fuse [REG], text and image tokens; the output of [REG] represents the described object.

    Args:
        image_dims: width of the image tokens.
        text_dims: width of the text tokens.
        num_prefix_tokens: number of image tokens before the patches: 1 for [CLS], 4 more with
            registers.
        grid: rows and columns of patches; 37 each for 518 pixels in patches of 14.
        max_tokens: number L of text tokens, as the language model's ``max_tokens``.
        embed_dims: width D of the encoder.
        num_layers: number of encoder layers.
        num_heads: number of attention heads.
        ffn_dims: width of the feed-forward networks.
        dropout: see :class:`FusionEncoderLayer`.
        pre_norm: apply norms to the inputs of attention and feed-forward networks, and once at the
            end, instead of to their outputs as in the paper. Tokens then keep their original
            content, so the box head learns sooner.
        embed_std: initial standard deviation of [REG] and the position embeddings. The published
            code uses 1; with a smaller value attention depends more on content at the start.

    Attributes:
        padding_bias: added to the attention logits of padding. Minus infinity masks it.
    """

    padding_bias: float = float('-inf')

    def __init__(
        self,
        image_dims: int = 768,
        text_dims: int = 768,
        num_prefix_tokens: int = 1,
        grid: tuple[int, int] = (37, 37),
        max_tokens: int = 20,
        embed_dims: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        ffn_dims: int = 2048,
        dropout: float = 0.1,
        pre_norm: bool = False,
        embed_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.image_proj = nn.Linear(image_dims, embed_dims)
        self.text_proj = nn.Linear(text_dims, embed_dims)
        self.reg_token = nn.Embedding(1, embed_dims)
        num_tokens = 1 + max_tokens + num_prefix_tokens + grid[0] * grid[1]
        self.pos_embed = nn.Embedding(num_tokens, embed_dims)
        self.layers = nn.ModuleList(
            FusionEncoderLayer(embed_dims, num_heads, ffn_dims, dropout, pre_norm)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dims) if pre_norm else nn.Identity()
        for embedding in (self.reg_token, self.pos_embed):
            nn.init.normal_(embedding.weight, std=embed_std)
        for param in self.layers.parameters():
            if param.dim() > 1:
                nn.init.xavier_uniform_(param)

    def forward(self, image: ImageTokens, text: TextTokens, with_attention: bool = False) -> Fusion:
        """Fuse image and text tokens.

        Args:
            image: B images, with a padding mask.
            text: B phrases.
            with_attention: also return [REG]'s attention in the last layer.

        Returns:
            Fusion: the output of [REG], with its attention if ``with_attention``.
        """
        image_tokens, text_tokens = self.image_proj(image.tokens), self.text_proj(text.tokens)
        reg = self.reg_token.weight.to(image_tokens.dtype).expand(len(image_tokens), 1, -1)
        x = torch.cat([reg, text_tokens, image_tokens], dim=1)
        padding_mask = torch.cat(
            [text.padding_mask.new_zeros(len(reg), 1), text.padding_mask, image.padding_mask], dim=1
        )
        bias = torch.zeros_like(padding_mask, dtype=x.dtype)
        bias = bias.masked_fill(padding_mask, self.padding_bias)
        positions = self.pos_embed.weight.to(x.dtype)
        for layer in self.layers[:-1]:
            x, _ = layer(x, positions, bias)
        # Only the output of [REG] is used, so the last layer computes only [REG].
        x, weights = self.layers[-1](
            x, positions, bias, num_queries=1, with_attention=with_attention
        )
        if weights is not None:
            weights = weights[:, 0, -(image.grid[0] * image.grid[1]) :]
        return Fusion(self.norm(x[:, 0]), image.grid, weights)
