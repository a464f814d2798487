"""Traffic between server and browser beside Streamlit: news as a stream, orders by POST."""
