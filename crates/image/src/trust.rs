//! Which servers are believed to be who they say.

use std::path::PathBuf;
use std::sync::Arc;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Where the certificates are that servers' own ones must be signed by.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// A file and a folder in the place of the system's; both are used when both are given.
    file: Option<PathBuf>,
    folder: Option<PathBuf>,
}

impl Trust {
    /// By `SSL_CERT_FILE` and `SSL_CERT_DIR`, as OpenSSL reads them.
    pub(crate) fn from_variables(value_of: impl Fn(&'static str) -> Option<String>) -> Trust {
        Trust {
            file: value_of("SSL_CERT_FILE").map(PathBuf::from),
            folder: value_of("SSL_CERT_DIR").map(PathBuf::from),
        }
    }

    /// How a server is asked over TLS. Without any certificate that is an error where TLS is needed.
    /// A server that is asked by plain http may still send on to https, which fails then.
    pub(crate) fn settings(&self, is_needed: bool) -> Result<TlsConfig, String> {
        let found = match (&self.file, &self.folder) {
            (None, None) => rustls_native_certs::load_native_certs(),
            (file, folder) => {
                rustls_native_certs::load_certs_from_paths(file.as_deref(), folder.as_deref())
            }
        };
        if found.certs.is_empty() && is_needed {
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(format!(
                "no certificate to know the server by was found ({}); install ca-certificates or \
                 name a file in SSL_CERT_FILE",
                if why.is_empty() {
                    "the system has none".to_owned()
                } else {
                    why.join("; ")
                }
            ));
        }
        let certificates = found.certs.iter();
        let certificates = certificates.map(|one| Certificate::from_der(one).to_owned());
        let roots: RootCerts = certificates.collect::<Vec<_>>().into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = TlsConfig::builder().root_certs(roots);
        Ok(settings
            .unversioned_rustls_crypto_provider(provider)
            .build())
    }
}
