"""Sharpness-aware optimizers: SAM, VaSSO and SAMAR around any torch base optimizer."""
