//! Whose certificates are believed at one place, where it is not the system's trust: a
//! server in the house most often has a certificate that was made in the house.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::Limits;

/// Most certificates of one file.
const MOST: usize = 64;
/// Most of a name that a certificate holds which is repeated.
const LONGEST_NAME: usize = 80;

/// Certificates in whose name a server may speak: those of authorities, or its own.
/// Cheap to clone; equal where the certificates are.
#[derive(Clone)]
pub struct Trust(Arc<Inner>);

struct Inner {
    certificates: Vec<CertificateDer<'static>>,
    tls: Arc<ClientConfig>,
    /// Made when first of use.
    http: OnceLock<reqwest::Client>,
}

/// Believes what one of these authorities has signed, and these very certificates.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    listed: Vec<CertificateDer<'static>>,
    /// `None`: there are none.
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

// === impl Trust ===

impl Trust {
    /// From the text of a PEM file. An error says what is wrong with it.
    pub fn of(pem: &[u8]) -> Result<Self, String> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .take(MOST + 1)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("it is not a PEM file: {error}"))?;
        match certificates.len() {
            0 => return Err("it holds no certificate (-----BEGIN CERTIFICATE-----)".into()),
            count if count > MOST => {
                return Err(format!("it holds more than {MOST} certificates"));
            }
            _ => {}
        }
        let wrong = |error: &dyn std::fmt::Display| format!("it cannot be believed: {error}");
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| wrong(&error))?;
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| wrong(&error))?;
        Self::with(certificates, Some(authorities)).map_err(|error| wrong(&error))
    }

    /// Believes nobody.
    pub fn nobody() -> Self {
        static NOBODY: OnceLock<Trust> = OnceLock::new();
        #[expect(clippy::expect_used, reason = "the same provider serves every TLS version here")]
        let made = || Self::with(Vec::new(), None).expect("TLS can be spoken");
        NOBODY.get_or_init(made).clone()
    }

    fn with(
        certificates: Vec<CertificateDer<'static>>,
        authorities: Option<Arc<WebPkiServerVerifier>>,
    ) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let listed = certificates.clone();
        let verifier = Verifier { provider: provider.clone(), listed, authorities };
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Arc::new(Inner { certificates, tls: Arc::new(tls), http: OnceLock::new() })))
    }

    pub fn tls(&self) -> Arc<ClientConfig> {
        self.0.tls.clone()
    }

    /// For HTTP under this trust; the same connections for all who have it.
    pub(super) fn http(&self, limits: &Limits) -> Result<reqwest::Client, reqwest::Error> {
        if let Some(client) = self.0.http.get() {
            return Ok(client.clone());
        }
        let tls = ClientConfig::clone(&self.0.tls);
        let made = super::builder(limits).tls_backend_preconfigured(tls).build()?;
        Ok(self.0.http.get_or_init(|| made).clone())
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.certificates == other.0.certificates
    }
}

impl Eq for Trust {}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({} certificates)", self.0.certificates.len())
    }
}

// === impl Verifier ===

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // A certificate that signed itself is no authority's, and often names no host; whoever
        // lists it here means this very server, which proves below that it holds the key.
        if self.listed.iter().any(|listed| listed == own) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(own, between, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, own, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, own, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a server's certificate is not believed, and what to do; `None` where something else
/// went wrong.
pub fn distrusted(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    if let Some(deeper) = inner.downcast_ref::<io::Error>() {
        return distrusted(deeper);
    }
    let Error::InvalidCertificate(why) = inner.downcast_ref::<Error>()? else { return None };
    let own = "give its certificate, or that of who signed it, in the service's ca_file";
    Some(match why {
        CertificateError::UnknownIssuer => {
            format!("nobody who is trusted here has signed it; {own}")
        }
        CertificateError::NotValidForName => {
            format!("it is not for that name; use the name it is for, or {own}")
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("it names no host; {own}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().take(3).map(|name| bare(name)).collect();
            format!("it is for {} and not for that name; use such a name", names.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; renew it on the server".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; compare the clocks of both machines".into()
        }
        // An authority's own certificate, shown as a server's: one that signed itself, most often.
        CertificateError::Other(_) => format!("{why}; {own}"),
        other => format!("{other}; renew it on the server"),
    })
}

/// The library writes `DnsName("a")` and `IpAddress(1.2.3.4)`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_said() {
        let why = |pem: &[u8]| Trust::of(pem).unwrap_err();
        assert!(why(b"").contains("no certificate"));
        assert!(why(b"sk-1\n").contains("no certificate"));
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(why(key).contains("no certificate"));
        let torn = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(why(torn).contains("no PEM") || why(torn).contains("not a PEM"), "{}", why(torn));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(why(empty).contains("cannot be believed"), "{}", why(empty));
    }

    #[test]
    fn only_a_certificate_that_is_not_believed_is_told_as_such() {
        assert_eq!(distrusted(&io::Error::other("x")), None);
        let tls = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        assert_eq!(distrusted(&tls(Error::DecryptError)), None);
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(distrusted(&tls(unknown)).unwrap().contains("ca_file"));
        let name = Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("gpu").unwrap(),
            presented: vec!["DnsName(\"a.example\")".into()],
        });
        assert!(distrusted(&tls(name)).unwrap().contains("for a.example and not"));
    }
}
