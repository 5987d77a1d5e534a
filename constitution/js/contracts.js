// Contracts, what is deployed under them, their switches, and documents of members.

function isAcceptedContract(id) {
  return gov("accepted_contracts").has(id);
}

// CON-61: these actions are about an accepted contract.
function checkAccepted(id) {
  checkName(id, "contractId");
  if (!isAcceptedContract(id)) refuse("CON-61", `contract ${id} is not accepted`);
}

// CON-60: what is accepted has content.
function checkContent(value, field) {
  checkObject(value, field);
  if (isAbsent(value.data)) refuse("CON-60", `${field}.data is missing`);
}

action("set_contract", {
  check(args) {
    checkName(args.contractId, "contractId");
    checkContent(args.contract, "contract");
  },
  apply(args, proposalId) {
    // CON-12 has kept a second one from getting here; an accepted contract never changes.
    if (isAcceptedContract(args.contractId)) {
      refuse("CON-12", `contract ${args.contractId} is already accepted`);
    }
    gov("accepted_contracts").set(args.contractId, {
      data: args.contract.data,
      proposalId,
      finalVotes: finalVotes(proposalId),
    });
  },
});

function deployment(name, field, table) {
  action(name, {
    check(args) {
      checkAccepted(args.contractId);
      checkObject(args[field], field);
    },
    apply(args) {
      gov(table).set(args.contractId, { data: args[field].data });
    },
  });
}

deployment("set_deployment_spec", "spec", "deployment_specs");
deployment("set_deployment_info", "info", "deployment_info");

function contractSwitch(name, table, status) {
  action(name, {
    check(args) {
      checkAccepted(args.contractId);
    },
    apply(args) {
      gov(table).set(args.contractId, { status });
    },
  });
}

contractSwitch("set_contract_runtime_options_enable_telemetry", "contracts_telemetry_status", "enabled");
contractSwitch("set_contract_runtime_options_disable_telemetry", "contracts_telemetry_status", "disabled");
contractSwitch("set_contract_runtime_options_enable_logging", "contracts_logging_status", "enabled");
contractSwitch("set_contract_runtime_options_disable_logging", "contracts_logging_status", "disabled");

action("set_cgs_runtime_options", {
  check(args) {
    // CON-63: these options exist. Each lets a member with a role do without votes what CON-17 and CON-18 say.
    const options = [
      "autoapprove-constitution-proposal",
      "autoapprove-jsapp-proposal",
      "autoapprove-deploymentspec-proposal",
      "autoapprove-deploymentinfo-proposal",
      "autoapprove-cleanroompolicy-proposal",
    ];
    if (!options.includes(args.option)) refuse("CON-63", `option must be one of ${options.join(", ")}`);
    if (!["enabled", "disabled"].includes(args.status)) {
      refuse("CON-63", "status must be enabled or disabled");
    }
  },
  apply(args) {
    gov("cgs_runtime_options").set(args.option, { status: args.status });
  },
});

action("set_member_document", {
  check(args) {
    checkName(args.documentId, "documentId");
    checkContent(args.document, "document");
    optional(checkName, args.document.contractId, "document.contractId");
  },
  apply(args, proposalId) {
    const documents = gov("accepted_member_documents");
    if (documents.has(args.documentId)) {
      refuse("CON-13", `document ${args.documentId} is already accepted`);
    }
    documents.set(args.documentId, {
      data: args.document.data,
      contractId: args.document.contractId,
      proposalId,
      finalVotes: finalVotes(proposalId),
    });
  },
});
