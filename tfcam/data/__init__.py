"""Images, labels and datasets in; checked batches out."""
