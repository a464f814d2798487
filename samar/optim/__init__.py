"""Sharpness-aware optimizers: SAM, ASAM, VaSSO and SAMAR around any torch base optimizer."""
