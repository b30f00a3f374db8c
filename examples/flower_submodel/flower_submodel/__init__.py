"""A click model trained on Flower: nobody but its user sees which items a user has."""
