"""What a front-end removes and keeps, where the truth is known."""
