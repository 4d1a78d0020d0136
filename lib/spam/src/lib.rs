//! Spam scoring: bounded view, features, table, rules.
