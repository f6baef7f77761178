"""What only Keras and TensorFlow know: layer hooks, symbolic calls, snapshots, the processor."""
