//! The server's context: certificates by server name, tickets shared by every process forked from this one.
//!
//! Invariants  a context that cannot be loaded is an error at start and at reload; the old one stays in use then
//! Failures    text with the file that is wrong

use openssl::ssl::{
    NameType, SniError, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVersion,
};
use penny_base::config::TlsServer;
use std::collections::HashMap;
use std::path::Path;

/// A loaded context.
#[derive(Clone)]
pub struct Context(SslContext);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    /// Loads the certificate and key, and those of other names.
    pub fn load(config: &TlsServer) -> Result<Context, String> {
        let names = load_names(config)?;
        let mut builder = builder(config, &config.certificate, &config.key)?;
        if !names.is_empty() {
            builder.set_servername_callback(move |ssl, _| {
                let name = ssl.servername(NameType::HOST_NAME).unwrap_or("").to_ascii_lowercase();
                match find_name(&names, &name) {
                    Some(context) => ssl.set_ssl_context(context).map_err(|_| SniError::ALERT_FATAL),
                    None => Ok(()),
                }
            });
        }
        Ok(Context(builder.build()))
    }

    pub(crate) fn ssl(&self) -> &SslContext {
        &self.0
    }
}

/// The exact name, then the wildcard one label up (RFC 6125 6.4.3).
fn find_name<'a>(names: &'a HashMap<String, SslContext>, name: &str) -> Option<&'a SslContext> {
    names.get(name).or_else(|| names.get(&format!("*.{}", name.split_once('.')?.1)))
}

fn builder(config: &TlsServer, certificate: &Path, key: &Path) -> Result<SslContextBuilder, String> {
    let wrong = |file: &Path, e: openssl::error::ErrorStack| format!("{}: {e}", file.display());
    let own = |e: openssl::error::ErrorStack| e.to_string();
    let mut b = SslContext::builder(SslMethod::tls_server()).map_err(own)?;
    let lowest = if config.min_version == "1.3" { SslVersion::TLS1_3 } else { SslVersion::TLS1_2 };
    b.set_min_proto_version(Some(lowest)).map_err(own)?;
    b.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION | SslOptions::CIPHER_SERVER_PREFERENCE);
    // memory of an idle session: buffers only while they are in use
    b.set_mode(SslMode::RELEASE_BUFFERS | SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    // stateless tickets: the key lives in this context, so every forked child can resume
    b.set_session_cache_mode(SslSessionCacheMode::OFF);
    b.set_session_id_context(b"pennypost").map_err(own)?;
    b.set_certificate_chain_file(certificate).map_err(|e| wrong(certificate, e))?;
    b.set_private_key_file(key, SslFiletype::PEM).map_err(|e| wrong(key, e))?;
    b.check_private_key().map_err(|e| wrong(key, e))?;
    Ok(b)
}

/// `NAME.pem` with `NAME.key` in the directory of names.
fn load_names(config: &TlsServer) -> Result<HashMap<String, SslContext>, String> {
    let mut names = HashMap::new();
    let entries = match std::fs::read_dir(&config.names) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        Err(e) => return Err(format!("{}: {e}", config.names.display())),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "pem") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            names.insert(name, builder(config, &path, &path.with_extension("key"))?.build());
        }
    }
    Ok(names)
}
