"""What both shells do with a stage: portions, attempts, an outbox, and what is measured."""
