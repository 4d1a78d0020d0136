//! The section `[spamcheck]` of pennypost.toml, below the options of the command line.
//!
//! Read as a filter, and by hand only with `-c`: a command in a pipe must not change with the site's configuration, and
//! starts faster without.

use crate::args::Options;
use penny_base::Config;

/// Fills in what the command line left open.
pub fn lay_under(mut o: Options, filter: bool) -> Result<Options, String> {
    if o.config.is_none() && !filter {
        return Ok(o);
    }
    let section = Config::load(o.config.as_deref()).map_err(|m| m.to_string().replace('\n', "; "))?.spamcheck;
    let named = |path: std::path::PathBuf| Some(path).filter(|p| !p.as_os_str().is_empty());
    o.tables = o.tables.or_else(|| named(section.tables));
    o.rules = o.rules.or_else(|| named(section.rules));
    o.spam_cut = o.spam_cut.or(Some(section.spam_cut.0));
    o.ham_cut = o.ham_cut.or(Some(section.ham_cut.0));
    o.authserv_ids.extend(section.authserv_ids);
    Ok(o)
}
