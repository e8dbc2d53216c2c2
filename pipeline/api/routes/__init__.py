"""One file per group of operations; each makes a router for one version of the API."""
