"""The real shells and stages on a simulated Kafka, in virtual time: one seed is one run, to the byte.

Real are `Keeper`, `Desk`, `Follower`, every stage that a keeper runs, the operations that ask, the codec and its
seals. Simulated, and named so, are Kafka (`broker`), the gallery, the key store and time. A process is a group of
tasks: it can be killed, stopped and continued at any moment, and what it has sent arrives all the same.
"""
