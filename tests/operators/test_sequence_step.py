"""A word at a position: of letters read at once, and of a caption that is written word by word."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import close, same
from small_models import reader

import tfcam

L = keras.layers
WORDS = [0, 3, 1, 2, 4]


@pytest.fixture(name="reader")
def _reader():
    return reader()


@pytest.fixture
def captioner():
    """Return a network from images and the words so far to the next words, by cross attention."""
    image, words = keras.Input((16, 12, 3), name="image"), keras.Input((4,), dtype="int32", name="words")
    features = L.Reshape((-1, 8))(L.Conv2D(8, 3, 2, activation="relu", name="conv")(image))
    text = L.Embedding(5, 8)(words)
    read = L.MultiHeadAttention(2, 4)(text, features)
    return keras.Model([image, words], L.Dense(5)(read + text))


def at(step, words):
    """Return an operator of the logits as a user would write it."""
    return lambda model, x, y: tf.gather(model(x)[:, step], words, batch_dims=1)


@pytest.mark.parametrize("step", [0, 2, -1])
def test_the_score_is_the_logit_of_the_word_at_the_step(reader, images, step):
    logits = keras.Model(reader.input, reader.layers[-2].output)
    expected = tfcam.GradCAM(logits, operator=at(step, WORDS)).explain(images)
    same(tfcam.GradCAM(reader, operator=tfcam.SequenceStep(step)).explain(images, WORDS), expected)


def test_by_default_it_is_the_predicted_word(reader, images):
    words = np.asarray(reader(images))[:, 1].argmax(-1)
    explainer = tfcam.GradCAM(reader, operator=tfcam.SequenceStep(1))
    same(explainer.explain(images), explainer.explain(images, words))
    top, found = explainer.explain_top(images, 2)
    assert (np.asarray(found)[:, 0] == words).all()
    same(top[:, 0], explainer.explain(images))


def test_a_caption_is_explained_word_by_word(captioner, images):
    words = np.random.default_rng(0).integers(0, 5, (5, 4))
    for step in range(4):
        found = tfcam.GradCAM(captioner, operator=tfcam.SequenceStep(step), conv_layer="conv")
        by_hand = tfcam.GradCAM(captioner, operator=at(step, WORDS), conv_layer="conv")
        close(found.explain((images, words), WORDS), by_hand.explain((images, words)))


def test_a_step_that_there_is_not_is_refused(reader, images):
    for step in (3, -4):
        with pytest.raises(ValueError, match=rf"no step {step}: expected \(N, steps, words\)"):
            tfcam.GradCAM(reader, operator=tfcam.SequenceStep(step))
    flat = keras.Model(reader.input, reader.layers[-3].output)
    with pytest.raises(ValueError, match=r"no step 0"):
        tfcam.GradCAM(flat, operator="sequence step")
    with pytest.raises(ValueError, match="target 5 is out of range"):
        tfcam.GradCAM(reader, operator="sequence step").explain(images, 5)
