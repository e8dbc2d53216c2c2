"""All of one machine under one supervisor."""
