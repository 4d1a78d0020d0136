//! Aliases, virtual, users, domains, routes and access tables.
