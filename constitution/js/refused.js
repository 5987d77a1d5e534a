// CON-03: actions that CCF's sample constitution has and this one refuses (W18).
//
// The application is native, and part of what a node's measurement covers; a scripted one beside it could read every
// secret and would be covered by nothing but a proposal. SGX enclaves and their code ids are not supported.

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

for (const name of ["add_node_code", "remove_node_code"]) {
  action(name, {
    check() {
      refuse("CON-03", `${name} is refused: nodes of this kind are not supported`);
    },
    apply() {
      refuse("CON-03", `${name} is refused`);
    },
  });
}
