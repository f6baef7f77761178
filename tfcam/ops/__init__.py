"""Operations on tensors and arrays: layouts, the batch axis, resizing, masks, baselines, decompositions."""
