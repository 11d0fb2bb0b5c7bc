"""Shapes of bones: templates and models, and how far one shape is from another."""
