"""A wheel has ``app.py``, ``pages``, ``assets`` and Streamlit's configuration here."""
