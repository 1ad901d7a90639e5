"""Mirror a picture together with its phrase."""

import unicodedata
from collections.abc import Mapping, Sequence

from mmdet.datasets.transforms import RandomFlip

from mapper_mm.registry import TRANSFORMS

from .exchange import ExchangedWords, words_of_any_language
from .mirror_words import can_be_mirrored, swap_left_right


@TRANSFORMS.register_module()
class PhraseFlip(RandomFlip):
    """Mirror picture, box and phrase left to right.

    A picture is not mirrored if it is unsure whether its mirrored phrase would be true
    (:func:`~.mirror_words.can_be_mirrored`). The rules are for English. For
    other languages disable mirroring (``prob=0``) or list the words that change:

        dict(
            type='PhraseFlip',
            words=dict(links='rechts', linke='rechte', linker='rechter'),
            keep_words=['Uhr', 'Pfeil', 'Fahrerseite'],
        )

    Args:
        prob: Probability of a flip, in [0, 1], if the phrase allows it.
        words: Words to exchange, each pair once. They match as whole words in lower case, upper
            case or capitalised; in scripts without spaces (Chinese, Japanese, Korean, Thai) they
            match anywhere. Nothing else is known about the language, so list all forms. Default:
            English.
        keep_words: Other words with which a picture is not mirrored, matched in the same way.

    Required keys:
        img, text; gt_bboxes and content_box (optional).

    Modified keys:
        img, text, gt_bboxes, content_box, homography_matrix.

    Added keys:
        flip, flip_direction.

    Raises:
        WrongConfigError: If ``words`` are not pairs of different words.
    """

    def __init__(
        self,
        prob: float = 0.5,
        words: Mapping[str, str] | None = None,
        keep_words: Sequence[str] = (),
    ) -> None:
        super().__init__(prob=float(prob), direction='horizontal')
        self.words = words
        self.keep_words = tuple(keep_words)
        self._own = None if words is None else ExchangedWords(words)
        self._kept = words_of_any_language(self.keep_words) if keep_words else None

    def mirrored(self, text: str) -> str | None:
        """Return the phrase for the mirrored picture, or None if it might not be true."""
        if self._own is None:
            mirrored = swap_left_right(text) if can_be_mirrored(text) else None
        else:
            # Normalise, because accents may be combining characters or parts of letters.
            text = unicodedata.normalize('NFC', text)
            mirrored = self._own.swap(text) if self._own.can_be_swapped(text) else None
            # If words overlap, as in Chinese, the meaning is unclear.
            if mirrored is not None and self._own.swap(mirrored) != text:
                return None
        # Also check the mirrored phrase, because mirroring twice must give the phrase back.
        if mirrored and self._kept and any(map(self._kept.search, (text, mirrored))):
            return None
        return mirrored

    def transform(self, results: dict) -> dict:
        """Mirror ``results``, or leave it unchanged."""
        if self.mirrored(results['text']) is not None:
            return super().transform(results)
        results.update(flip=False, flip_direction=None)
        return results

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        results['text'] = self.mirrored(results['text'])
        if 'content_box' in results:
            width = results['img'].shape[1]
            x0, y0, x1, y1 = results['content_box']
            results['content_box'] = (width - x1, y0, width - x0, y1)
