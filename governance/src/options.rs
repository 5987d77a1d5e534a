//! Runtime options: consent and its kind, of contracts, of user documents, of the service; and the governed options that say how the application
//! decides.

use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, contract_path, segment};
use crate::contracts::OptionStatus;
use crate::member::Actions;

/// # Errors
/// All return [`ClientError::Service`] when the service refuses.
impl Client {
    /// Status of an option of a contract: `execution`, `logging`, `telemetry`.
    pub fn contract_option(
        &self,
        contract: &str,
        option: &str,
    ) -> Result<OptionStatus, ClientError> {
        let path = contract_path(contract, &["runtimeoptions", option, "status"])?;
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }

    /// Status of an option of the service, such as `autoapprove-deploymentspec-proposal`.
    pub fn service_option(&self, option: &str) -> Result<OptionStatus, ClientError> {
        let path = format!("/app/runtimeoptions/{}/status", segment(option)?);
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }

    /// Status of an option of an accepted user document: `execution`, `telemetry`.
    pub fn document_option(
        &self,
        contract: &str,
        document: &str,
        option: &str,
    ) -> Result<OptionStatus, ClientError> {
        let path = document_option(contract, document, option, "status")?;
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }

    /// Sets the calling approver's own switch: an option is on while no approver has switched it off.
    pub fn set_document_option(
        &self,
        contract: &str,
        document: &str,
        option: &str,
        enabled: bool,
    ) -> Result<(), ClientError> {
        let verb = if enabled { "enable" } else { "disable" };
        let path = document_option(contract, document, option, verb)?;
        self.write(Request::post(path).json(&json!({}))?)?;
        Ok(())
    }
}

impl Actions {
    /// Sets options of one contract; `null` takes one back.
    #[must_use]
    pub fn set_contract_options(self, contract: &str, options: &Value) -> Self {
        let args = json!({ "contractId": contract, "options": options });
        self.action("set_contract_options", args)
    }

    /// Sets options for every contract that says nothing itself.
    #[must_use]
    pub fn set_application_options(self, options: &Value) -> Self {
        self.action("set_application_options", json!({ "options": options }))
    }

    /// Turns logging or telemetry of a contract on or off.
    #[must_use]
    pub fn set_contract_option(self, contract: &str, option: &str, enabled: bool) -> Self {
        let verb = if enabled { "enable" } else { "disable" };
        let name = format!("set_contract_runtime_options_{verb}_{option}");
        self.action(&name, json!({ "contractId": contract }))
    }
}

fn document_option(
    contract: &str,
    document: &str,
    option: &str,
    verb: &str,
) -> Result<String, ClientError> {
    let below = ["userdocuments", document, "runtimeoptions", option, verb];
    contract_path(contract, &below)
}
