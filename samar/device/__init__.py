"""Every question about devices: where, in which number format, how long, in how much memory.

Nobody else names a kind of device or a number format; a test reads every file for it.
"""
