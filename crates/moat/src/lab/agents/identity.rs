//! With what a client and a provider's server know each other, in files, and what of it an eavesdropper would recognise.

use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::x509::X509;

use super::{Agents, customer};
use crate::lab::error::Error;
use crate::lab::process;
use crate::lab::scenario::{Credentials, DotsClient, Gateway, Provider, Scenario};

impl Agents {
    /// Gives a client credentials from a provider, which nobody else trusts, in files named after the client.
    pub(super) fn issue(
        &self,
        scenario: &Scenario,
        client: &DotsClient,
        provider: &Provider,
    ) -> Result<(), Error> {
        let pki = self.file(provider.node);
        let [certificate, key] = certificate(&pki, client.name);
        let customer = customer(provider);
        if scenario.credentials == Credentials::SharedKeys || certificate.exists() {
            return Ok(());
        }
        self.pki(&["issue", "--client", &customer], &pki)?;
        let issued = self::certificate(&pki, &customer);
        for (from, to) in issued.iter().zip([certificate, key]) {
            std::fs::rename(from, &to).map_err(Error::io(format!("make {}", to.display())))?;
        }
        Ok(())
    }

    /// Makes what a provider's server needs to know itself and its customer.
    pub(super) fn issue_server(
        &self,
        scenario: &Scenario,
        provider: &Provider,
    ) -> Result<(), Error> {
        let pki = self.file(provider.node);
        std::fs::create_dir(&pki).map_err(Error::io(format!("make {}", pki.display())))?;
        match scenario.credentials {
            Credentials::Certificates => {
                self.pki(&["init", "--name", provider.pvd], &pki)?;
                self.pki(&["issue", "--server", provider.dots_name], &pki)
            }
            Credentials::SharedKeys => self.pki(&["psk", &customer(provider)], &pki),
        }
    }

    /// Makes what a gateway needs to know itself, and a client of the site to be known to it.
    pub(super) fn issue_inside(&self, scenario: &Scenario, gateway: &Gateway) -> Result<(), Error> {
        let pki = self.file(&inside(gateway));
        std::fs::create_dir(&pki).map_err(Error::io(format!("make {}", pki.display())))?;
        self.pki(&["init", "--name", gateway.pvd], &pki)?;
        self.pki(&["issue", "--server", gateway.dots_name], &pki)?;
        for client in scenario.clients_inside(gateway) {
            let customer = customer_inside(gateway, client);
            self.pki(&["issue", "--client", &customer], &pki)?;
        }
        Ok(())
    }

    /// The keys of a gateway's file that name what it is to the inside.
    pub(super) fn gateway_keys(&self, gateway: &Gateway) -> String {
        certificate_keys(&self.file(&inside(gateway)), gateway.dots_name)
    }

    /// The keys of a client's file that name its credentials for a gateway.
    pub(super) fn inside_keys(&self, client: &DotsClient, gateway: &Gateway) -> String {
        let customer = customer_inside(gateway, client);
        certificate_keys(&self.file(&inside(gateway)), &customer)
    }

    fn pki(&self, arguments: &[&str], folder: &Path) -> Result<(), Error> {
        let mut command = Command::new(&self.moat);
        command.arg("pki").args(arguments).arg("--dir").arg(folder);
        process::output(&mut command).map(drop)
    }

    /// The keys of a client's file that name its credentials for a provider.
    pub(super) fn client_keys(
        &self,
        scenario: &Scenario,
        client: &DotsClient,
        provider: &Provider,
    ) -> String {
        let pki = self.file(provider.node);
        match scenario.credentials {
            Credentials::Certificates => certificate_keys(&pki, client.name),
            Credentials::SharedKeys => shared_keys(&pki, &customer(provider)),
        }
    }

    /// The keys of a server's file that name its own credentials, and those of its `[[customer]]`.
    pub(super) fn server_keys(&self, scenario: &Scenario, provider: &Provider) -> [String; 2] {
        let pki = self.file(provider.node);
        match scenario.credentials {
            Credentials::Certificates => {
                [certificate_keys(&pki, provider.dots_name), String::new()]
            }
            Credentials::SharedKeys => [String::new(), shared_keys(&pki, &customer(provider))],
        }
    }

    /// The public keys with which clients of the site show a provider's server who they are, as they are in certificates.
    pub(crate) fn public_keys(
        &self,
        scenario: &Scenario,
        provider: &Provider,
    ) -> Result<Vec<Vec<u8>>, Error> {
        if scenario.credentials == Credentials::SharedKeys {
            return Ok(Vec::new());
        }
        let pki = self.file(provider.node);
        let mut keys = Vec::new();
        for client in scenario.clients_of(provider) {
            let [file, _] = certificate(&pki, client.name);
            let read = || -> std::io::Result<Vec<u8>> {
                let certificate = X509::from_pem(&std::fs::read(&file)?)?;
                Ok(certificate.public_key()?.public_key_to_der()?)
            };
            keys.push(read().map_err(Error::io(format!("read {}", file.display())))?);
        }
        Ok(keys)
    }
}

/// The folder of what a gateway issued.
fn inside(gateway: &Gateway) -> String {
    format!("{}-inside", gateway.client.name)
}

/// What a gateway calls a client of the site.
pub(crate) fn customer_inside(gateway: &Gateway, client: &DotsClient) -> String {
    format!("{}.{}", client.name, gateway.pvd)
}

/// The files of a certificate and its key.
fn certificate(pki: &Path, name: &str) -> [PathBuf; 2] {
    [
        pki.join(format!("{name}.pem")),
        pki.join(format!("{name}-key.pem")),
    ]
}

/// The keys of a configuration file that name an agent's certificate.
fn certificate_keys(pki: &Path, name: &str) -> String {
    let [certificate, key] = certificate(pki, name);
    format!(
        "certificate = {certificate:?}\nprivate_key = {key:?}\ntrust_anchors = {:?}\n",
        pki.join("ca.pem"),
    )
}

/// Those that name a shared key.
fn shared_keys(pki: &Path, identity: &str) -> String {
    let file = pki.join(format!("{identity}.psk"));
    format!("psk_identity = {identity:?}\npsk_key_file = {file:?}\n")
}
