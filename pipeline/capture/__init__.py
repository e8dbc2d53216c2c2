"""A camera's process: its connections, its sessions, its books, and when it holds back."""
