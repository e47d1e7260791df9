"""Masking of API objects: lists, Tables, watch events and single objects, with the Secrets that hide in them.

``ObjectMasker`` takes the JSON of an answer in pieces. ``parts`` takes it apart without holding a list as a whole,
``walk`` masks an object in place, ``rules`` says which fields are masked, ``sentinel`` what stands in their place.
"""

from connectors.kubectl.objects.masker import ObjectMasker
from connectors.kubectl.objects.rules import SECRETS

__all__ = ["SECRETS", "ObjectMasker"]
