"""Settings: the schema of configuration files, and the plan of runs that they ask for."""
