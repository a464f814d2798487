"""Jobs as files: a zip that another samar imports, TensorBoard events."""
