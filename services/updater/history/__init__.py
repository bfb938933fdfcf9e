"""How a shop begins: ``python -m services.updater.history`` makes counters, the base bundle and its checkpoint of a shop's past."""
