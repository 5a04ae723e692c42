"""The ``xtcocotools`` API on top of pycocotools."""

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

__all__ = ['COCO', 'COCOeval']
