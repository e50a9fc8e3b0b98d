"""The edge's agent: keeps HAProxy's map equal to what flag, lease and kill latch allow."""
