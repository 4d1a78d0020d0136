//! Exit codes, errors, log, config, program skeleton, service clients.
