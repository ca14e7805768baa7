"""Turns Hugging Face and diffusers models into Lakegen model packs."""
