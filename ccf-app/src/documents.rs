//! Documents of a contract: what is agreed under it beside its terms (endpoints E20 to E27, E31 to E33, E40 to E46).
//!
//! *Member documents* are accepted by governance; *user documents* by the approvers their draft names, through a
//! [user proposal](crate::user_proposals). Both have drafts with versions, are read with a derived state as contracts are, and are handed
//! to attested clean rooms once accepted.
//!
//! Ids of documents are unique in the service. Routes below a contract see that contract's documents only (W25); the older routes
//! without a contract see all. A draft stays with the contract it was made for.
//!
//! What user documents say is kept in private tables, with a digest in the public row (W15). Member documents are public: a
//! proposal of the consortium is.

mod consent;
mod list;
mod member;
mod release;
mod shown;
mod target;
pub(crate) mod ties;
mod user;

use ccf_rs::{Auth, Endpoints};

use crate::App;
use crate::callers::{NOT_ACTIVE, NOT_REGISTERED, PEOPLE, PEOPLE_OR_ANYONE};
use crate::envelope::{self, Envelope};
use crate::freshness;
use crate::membership;
use crate::options::Status;
use crate::paging::Paging;
use crate::releases;

pub(crate) use user::{
    Approver, Draft as UserDraft, accept, already_accepted, approvers, draft as user_draft,
    is_accepted,
};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    let endpoints = member_documents(endpoints);
    let endpoints = user_documents(endpoints);
    consents(endpoints)
}

/// How a change of a draft is refused, beside the codes of its kind.
const NOT_DRAFTED: [(u16, &str); 7] = [
    membership::NO_PART,
    (403, "DraftOwnedByAnother"),
    (400, "ContractIdMissing"),
    (400, "DataMissing"),
    (404, "ContractNotFound"),
    (400, "ContractIdMismatch"),
    (412, "PreconditionFailed"),
];

const MEMBER_DRAFT: [(u16, &str); 2] = [
    (405, "DocumentAlreadyAccepted"),
    (409, "DocumentAlreadyExists"),
];

const USER_DRAFT: [(u16, &str); 2] = [
    (405, "UserDocumentAlreadyAccepted"),
    (409, "UserDocumentAlreadyExists"),
];

fn member_documents(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/memberdocuments", member::list)
        .auth(PEOPLE)
        .summary("List the ids of a contract's member documents")
        .query::<Paging>()
        .reply::<Vec<member::Listed>>()
        .refuses(NOT_REGISTERED)
        .put(
            "/contracts/{contractId}/memberdocuments/{documentId}",
            member::put,
        )
        .auth([Auth::MemberCert])
        .summary("Create or change the draft of a member document")
        .body::<target::Body>()
        .answers(200, "The draft is stored.")
        .refuses(NOT_ACTIVE)
        .refuses(NOT_DRAFTED)
        .refuses(MEMBER_DRAFT)
        .post(
            "/contracts/{contractId}/memberdocuments/{documentId}",
            member::show,
        )
        .auth(PEOPLE)
        .summary("Read a member document, its state and its version")
        .reply::<shown::Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "DocumentNotFound")])
        .post(
            "/contracts/{contractId}/memberdocuments/accepted/{documentId}",
            release::member,
        )
        .summary("Hand an accepted member document to an attested clean room")
        .body::<Envelope>()
        .describe(releases::described)
        .refuses([(404, "DocumentNotFound"), (400, "ContractIdMismatch")])
        .get("/memberdocuments", member::list)
        .auth(PEOPLE)
        .summary("List the ids of the member documents of all contracts")
        .query::<Paging>()
        .reply::<Vec<member::Listed>>()
        .refuses(NOT_REGISTERED)
        .put("/memberdocuments/{documentId}", member::put)
        .auth([Auth::MemberCert])
        .summary("Create or change the draft of a member document of any contract")
        .body::<target::Body>()
        .answers(200, "The draft is stored.")
        .refuses(NOT_ACTIVE)
        .refuses(NOT_DRAFTED)
        .refuses(MEMBER_DRAFT)
        .get("/memberdocuments/{documentId}", member::show)
        .auth(PEOPLE)
        .summary("Read a member document of any contract")
        .reply::<shown::Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "DocumentNotFound")])
}

fn user_documents(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/userdocuments", user::list)
        .auth(PEOPLE)
        .summary("List a contract's user documents, all or those with some labels")
        .query::<user::ListQuery>()
        .reply::<user::List>()
        .refuses(NOT_REGISTERED)
        .refuses([(400, "InvalidParameter")])
        .put(
            "/contracts/{contractId}/userdocuments/{documentId}",
            user::put,
        )
        .auth(PEOPLE)
        .summary("Create or change the draft of a user document")
        .body::<target::Body>()
        .answers(200, "The draft is stored.")
        .refuses(NOT_REGISTERED)
        .refuses(NOT_DRAFTED)
        .refuses(USER_DRAFT)
        .post(
            "/contracts/{contractId}/userdocuments/{documentId}",
            user::show,
        )
        .auth(PEOPLE)
        .summary("Read a user document, its state and its version")
        .reply::<shown::Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "UserDocumentNotFound")])
        .post(
            "/contracts/{contractId}/userdocuments/accepted/{documentId}",
            release::user,
        )
        .summary("Hand an accepted user document to an attested clean room")
        .body::<Envelope>()
        .describe(releases::described)
        .refuses([
            (404, "UserDocumentNotFound"),
            (400, "ContractIdMismatch"),
            (403, "UserDocumentRuntimeOptionDisabled"),
        ])
        .get("/userdocuments", user::list)
        .auth(PEOPLE)
        .summary("List the user documents of all contracts")
        .query::<user::ListQuery>()
        .reply::<user::List>()
        .refuses(NOT_REGISTERED)
        .refuses([(400, "InvalidParameter")])
        .put("/userdocuments/{documentId}", user::put)
        .auth(PEOPLE)
        .summary("Create or change the draft of a user document of any contract")
        .body::<target::Body>()
        .answers(200, "The draft is stored.")
        .refuses(NOT_REGISTERED)
        .refuses(NOT_DRAFTED)
        .refuses(USER_DRAFT)
        .get("/userdocuments/{documentId}", user::show)
        .auth(PEOPLE)
        .summary("Read a user document of any contract")
        .reply::<shown::Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "UserDocumentNotFound")])
}

/// How an approver's change of an option is refused.
const NOT_SET: [(u16, &str); 5] = [
    (400, "UserDocumentNotAccepted"),
    (400, "ApproversNotFound"),
    (403, "NotUserDocumentApprover"),
    (400, "InvalidUserDocumentRuntimeOption"),
    (400, "ContractIdMismatch"),
];

fn consents(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post(
            "/contracts/{contractId}/userdocuments/{documentId}/runtimeoptions/{option}/status",
            consent::status,
        )
        .forwarding(freshness::WHERE_ISSUED)
        .auth(PEOPLE_OR_ANYONE)
        .summary("Status of a user document's runtime option; with evidence: consent check")
        .optional_body::<Envelope>()
        .reply::<Status>()
        .refuses(NOT_REGISTERED)
        .refuses(envelope::EVIDENCE_REFUSALS)
        .refuses([
            (400, "InvalidUserDocumentRuntimeOption"),
            (400, "ContractIdMismatch"),
        ])
        .post(
            "/contracts/{contractId}/userdocuments/{documentId}/runtimeoptions/{option}/enable",
            consent::enable,
        )
        .auth(PEOPLE)
        .summary("Enable an option of a user document, as far as the calling approver is concerned")
        .answers(200, "The approver's flag is set.")
        .refuses(NOT_REGISTERED)
        .refuses(NOT_SET)
        .post(
            "/contracts/{contractId}/userdocuments/{documentId}/runtimeoptions/{option}/disable",
            consent::disable,
        )
        .auth(PEOPLE)
        .summary("Disable an option of a user document")
        .answers(200, "The approver's flag is set.")
        .refuses(NOT_REGISTERED)
        .refuses(NOT_SET)
}
