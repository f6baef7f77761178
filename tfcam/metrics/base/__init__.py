"""What a metric is: the scores, perturbations and curves that leave a metric its formula only."""
