"""Values that all parts of the media server share: actions of services, commands, plans of fetches, failures."""
