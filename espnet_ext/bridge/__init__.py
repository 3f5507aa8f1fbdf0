"""The only rooms that know ESPnet's insides: version shims, dotted paths, tasks, weights."""
