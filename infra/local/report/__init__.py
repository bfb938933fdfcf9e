"""What a play of the shopper came to: ``report.json`` and a page of plots, from its log, Kafka and the bundles' manifests alone."""
