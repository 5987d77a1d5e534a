// Which code may join as a node. All of it is the members' (H16), but for raising a minimum.

function addToJoinPolicy(table, key, value, proposalId) {
  gov(table).set(key, value);
  dropOtherProposals(proposalId);
}

action("add_snp_measurement", {
  check(args) {
    checkHex(args.measurement, 96, "measurement");
  },
  apply(args, proposalId) {
    addToJoinPolicy("nodes.snp.measurements", args.measurement, "AllowedToJoin", proposalId);
  },
});

action("remove_snp_measurement", {
  check(args) {
    checkText(args.measurement, "measurement");
  },
  apply(args) {
    gov("nodes.snp.measurements").delete(args.measurement);
  },
});

action("add_snp_host_data", {
  check(args) {
    checkHex(args.host_data, 64, "host_data");
    checkText(args.security_policy, "security_policy");
    // CON-40: a policy shown is the policy meant.
    if (args.security_policy !== "") {
      const digest = digestOf(args.security_policy);
      if (digest !== args.host_data) {
        refuse("CON-40", `the digest of security_policy is ${digest}, not ${args.host_data}`);
      }
    }
  },
  apply(args, proposalId) {
    addToJoinPolicy("nodes.snp.host_data", args.host_data, args.security_policy, proposalId);
  },
});

action("remove_snp_host_data", {
  check(args) {
    checkText(args.host_data, "host_data");
  },
  apply(args) {
    gov("nodes.snp.host_data").delete(args.host_data);
  },
});

action("add_snp_uvm_endorsement", {
  check(args) {
    checkName(args.did, "did");
    checkName(args.feed, "feed");
    checkName(args.svn, "svn");
  },
  apply(args, proposalId) {
    const feeds = gov("nodes.snp.uvm_endorsements").get(args.did) ?? {};
    const changed = { ...feeds, [args.feed]: { svn: args.svn } };
    addToJoinPolicy("nodes.snp.uvm_endorsements", args.did, changed, proposalId);
  },
});

action("remove_snp_uvm_endorsement", {
  check(args) {
    checkName(args.did, "did");
    checkName(args.feed, "feed");
  },
  apply(args) {
    const table = gov("nodes.snp.uvm_endorsements");
    const { [args.feed]: removed, ...rest } = table.get(args.did) ?? {};
    if (Object.keys(rest).length === 0) {
      table.delete(args.did);
    } else {
      table.set(args.did, rest);
    }
  },
});

const TCB_COMPONENTS = ["boot_loader", "tee", "snp", "microcode", "fmc"];

// CON-42: a minimum names a processor and says a number for each component.
function checkTcb(args) {
  checkObject(args.tcb_version, "tcb_version");
  for (const name of TCB_COMPONENTS) {
    if (name === "fmc") {
      optional(checkInteger, args.tcb_version[name], 0, 255, `tcb_version.${name}`);
    } else {
      checkInteger(args.tcb_version[name], 0, 255, `tcb_version.${name}`);
    }
  }
}

function checkCpuid(args) {
  if (!isHex(args.cpuid, 8)) refuse("CON-42", "cpuid must be 8 lowercase hexadecimal digits");
}

// CON-23: alone, an operator only *raises* every component of a minimum that is there. A minimum where there was none
// would be a rule nobody voted for; one below would let older firmware in.
function raises(cpuid, proposed) {
  const current = gov("nodes.snp.tcb_versions").get(cpuid);
  return (
    isObject(current) &&
    TCB_COMPONENTS.some((name) => !isAbsent(current[name])) &&
    TCB_COMPONENTS.every((name) => {
      const [now, then] = [current[name], proposed[name]];
      if (isAbsent(now) || isAbsent(then)) return isAbsent(now) && isAbsent(then);
      return Number.isInteger(now) && Number.isInteger(then) && then >= now;
    })
  );
}

// Other than in CCF's sample, a minimum does not drop open proposals: with that, an operator could keep members from ever
// deciding anything.
action("set_snp_minimum_tcb_version", {
  check(args) {
    checkCpuid(args);
    checkTcb(args);
  },
  apply(args) {
    gov("nodes.snp.tcb_versions").set(args.cpuid, args.tcb_version);
  },
  operator: (args) => raises(args.cpuid, args.tcb_version),
});

action("set_snp_minimum_tcb_version_hex", {
  check(args) {
    checkCpuid(args);
    if (!isHex(args.tcb_version, 16)) {
      refuse("CON-42", "tcb_version must be 16 lowercase hexadecimal digits");
    }
    try {
      ccf.tcbHexToPolicy(args.cpuid, args.tcb_version);
    } catch (e) {
      refuse("CON-42", `${e.message}`);
    }
  },
  apply(args) {
    const policy = ccf.tcbHexToPolicy(args.cpuid, args.tcb_version);
    gov("nodes.snp.tcb_versions").set(args.cpuid, policy);
  },
  operator: (args) => raises(args.cpuid, ccf.tcbHexToPolicy(args.cpuid, args.tcb_version)),
});

action("remove_snp_minimum_tcb_version", {
  check: checkCpuid,
  apply(args) {
    const table = gov("nodes.snp.tcb_versions");
    if (!table.has(args.cpuid)) refuse("CON-42", `no minimum for ${args.cpuid}`);
    table.delete(args.cpuid);
  },
});
