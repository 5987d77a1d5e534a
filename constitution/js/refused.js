// CON-03: actions that CCF's sample constitution has and this one refuses (W18).
//
// The application is native, and part of what a node's measurement covers; a scripted one beside it could read every
// secret and would be covered by nothing but a proposal. SGX enclaves, executors, and certificates
// by ACME are not supported.

for (const name of ["set_js_app", "remove_js_app", "set_js_runtime_options", "refresh_js_app_bytecode_cache"]) {
  action(name, {
    check() {
      refuse("CON-03", `${name} is refused: the application is native, and its code is voted on as host data of nodes`);
    },
    apply() {
      refuse("CON-03", `${name} is refused`);
    },
  });
}

const OTHER_NODES = [
  "add_node_code",
  "remove_node_code",
  "add_executor_node_code",
  "remove_executor_node_code",
  "trigger_acme_refresh",
];

for (const name of OTHER_NODES) {
  action(name, {
    check() {
      refuse("CON-03", `${name} is refused: no node of this kind is supported`);
    },
    apply() {
      refuse("CON-03", `${name} is refused`);
    },
  });
}
