"""Several gateways on one machine: worker processes of one consumer group under a supervisor."""
