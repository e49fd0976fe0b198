"""The life of a key as a table: its states and its rows. What makes it happen is in `jvpn/keys`."""
