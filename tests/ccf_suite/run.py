"""Runs governance tests of CCF's own suite against a node of ours.

    run.py CCF_SOURCE PROGRAM [TEST...]

CCF_SOURCE is a checkout of CCF, PROGRAM the built `cleanroom`. CCF's infrastructure starts the program as it starts its own
nodes; nothing of it is changed but that one node is a network. Prints `PASSED name`, `FAILED name: reason` per test, in the
order below; after a failure the network may be unfit, so the next test gets a fresh one. Not in the list: what starts a second
node, and what writes through CCF's logging application.

The interpreter needs what CCF's `tests/requirements.txt` lists for the modules imported, and CCF's Python package.
"""

import importlib
import importlib.util
import os
import stat
import sys
import tempfile
import traceback
import unittest.mock

# Module, functions, arguments of its network.
SUITES = [
    (
        "governance_js",
        [
            "test_all_open_proposals",
            "test_cose_msg_type_validation",
            "test_proposal_validation",
            "test_proposal_storage",
            "test_proposal_withdrawal",
            "test_ballot_storage",
            "test_pure_proposals",
            "test_proposals_with_votes",
            "test_check_proposal_id_is_set_correctly",
            "test_vote_failure_reporting",
            "test_operator_proposals_and_votes",
            "test_operator_provisioner_proposals_and_votes",
            "test_apply",
            "test_set_constitution",
            "test_set_constitution_validation",
            "test_read_write_restrictions",
            "test_final_proposal_visibility",
            "test_proposal_replay_protection",
        ],
        {},
    ),
    (
        "governance_api",
        ["test_api_service_state", "test_api_transactions"],
        {},
    ),
    (
        "memberclient",
        [
            "test_missing_signature_header",
            "test_corrupted_signature",
            "test_rapid_governance",
            "test_governance",
        ],
        {},
    ),
    (
        "membership",
        [
            "test_add_member",
            "test_remove_member_no_reqs",
            "test_update_recovery_shares",
            "test_set_recovery_threshold",
        ],
        {},
    ),
    (
        "governance",
        [
            "test_create_endpoint",
            "test_consensus_status",
            "test_member_data",
            "test_ack_state_digest_update",
            "test_binding_proposal_to_service_identity",
            "test_each_node_cert_renewal",
            "test_all_nodes_cert_renewal",
            "test_service_cert_renewal",
        ],
        {},
    ),
    (
        "e2e_common_endpoints",
        ["test_node_ids", "test_readiness", "test_memory", "test_large_messages"],
        {},
    ),
]


def wrap_program(folder, program):
    """CCF's infrastructure calls `./NAME --config FILE --log-level LEVEL`."""
    path = os.path.join(folder, "cleanroom_node")
    with open(path, "w", encoding="utf-8") as f:
        f.write(
            "#!/bin/sh\n"
            'while [ $# -gt 0 ]; do case "$1" in --config) c="$2"; shift;; esac; shift; done\n'
            f'exec {program} node start --config "$c" 2>&1\n'
        )
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def binaries(folder, source):
    """What the infrastructure looks for beside a CCF program."""
    for path in [
        "python/utils/keygenerator.sh",
        "python/utils/submit_recovery_share.sh",
        "tests/config.jinja",
    ]:
        target = os.path.join(folder, os.path.basename(path))
        os.symlink(os.path.join(source, path), target)


def stand_ins():
    """Modules that only tests of several nodes use."""
    for name in ["iptc", "pandas", "polars", "plotext", "boofuzz", "matplotlib.pyplot", "locust"]:
        parts = name.split(".")
        if importlib.util.find_spec(parts[0]) is None:
            for depth in range(len(parts)):
                sys.modules[".".join(parts[: depth + 1])] = unittest.mock.MagicMock()


def arguments(source, folder, program, more):
    import infra.e2e_args

    constitution = os.path.join(source, "samples", "constitutions")
    argv = ["run", "-b", folder, "--package", program, "--label", "foreign"]
    argv += ["--workspace", os.path.join(folder, "workspace")]
    argv += ["--initial-operator-count", "1"]
    for part in [
        "default/actions.js",
        "test/test_actions.js",
        "default/validate.js",
        "test/resolve.js",
        "default/apply.js",
    ]:
        argv += ["--constitution", os.path.join(constitution, part)]
    sys.argv = argv
    args = infra.e2e_args.cli_args()
    args.nodes = infra.e2e_args.nodes(args, 1)
    args.jinja_templates_path = os.path.join(source, "samples", "templates")
    args.authenticate_session = "COSE"
    for name, value in more.items():
        setattr(args, name, value)
    return args


def run(source, folder, program, suite, wanted):
    import infra.network

    module_name, names, more = suite
    names = [name for name in names if not wanted or name in wanted]
    if not names:
        return 0
    module = importlib.import_module(module_name)
    failed = 0
    while names:
        args = arguments(source, folder, program, more)
        with infra.network.network(
            args.nodes, args.binary_dir, pdb=args.pdb
        ) as network:
            network.start_and_open(args)
            if hasattr(network.consortium, "set_authenticate_session"):
                network.consortium.set_authenticate_session(args.authenticate_session)
            while names:
                name = names.pop(0)
                function = getattr(module, name, None)
                if function is None:
                    continue
                try:
                    function(network, args)
                    print(f"PASSED {module_name}.{name}", file=sys.__stderr__, flush=True)
                except Exception as error:  # whatever a test throws is its verdict
                    failed += 1
                    reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
                    print(f"FAILED {module_name}.{name}: {reason}", file=sys.__stderr__, flush=True)
                    traceback.print_exc(file=sys.stdout)
                    break
    return failed


def main():
    source, program = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    wanted = set(sys.argv[3:])
    sys.path.insert(0, os.path.join(source, "tests"))
    stand_ins()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        binaries(folder, source)
        wrapped = wrap_program(folder, program)
        os.chdir(folder)
        for suite in SUITES:
            failed += run(source, folder, wrapped, suite, wanted)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
