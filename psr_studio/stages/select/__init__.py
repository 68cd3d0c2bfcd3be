"""Select: the budget of K images per class is spent, live or saved under a name."""
