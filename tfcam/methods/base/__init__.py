"""What a method is: the explainer, and the families that leave a method its formula only."""
