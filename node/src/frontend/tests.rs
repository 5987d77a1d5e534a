//! Requests through frontends, with a pipeline that needs no disk.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ccf_rs::{
    Auth, Caller, Context, Endpoints, Error, Headers, Historical, HostError, ReadContext, ReadHost,
    Reply, Result, Router, Seqno, Table, Text, TxId, TxStatus, View, WriteContext,
};

use super::*;
use crate::store::{Access, Chain, State, Store, Writes};

static ROWS: Table<String, String, Text> = Table::text("public:rows");

#[derive(Default)]
struct App {
    runs: AtomicUsize,
}

struct FlatChain;

impl Chain for FlatChain {
    fn view_of(&self, _: Seqno) -> Option<View> {
        Some(View(2))
    }

    fn status_of(&self, _: TxId) -> TxStatus {
        TxStatus::Committed
    }

    fn last_committed(&self) -> TxId {
        TxId::new(2, 1)
    }

    fn historical(&self, _: RangeInclusive<Seqno>) -> std::result::Result<Historical, HostError> {
        Ok(Historical::Pending)
    }

    fn committed(&self, _: &str, _: &[u8]) -> Option<crate::store::Bytes> {
        None
    }
}

/// Accepts the bearer `good`; has to be run again for `patience`, but for the last of 30 times for `luck`.
#[derive(Default)]
struct Bearer {
    tries: AtomicUsize,
}

impl Authenticate for Bearer {
    fn authenticate(
        &self,
        _: &[Auth],
        credentials: &Credentials<'_>,
        _: &mut dyn ReadHost,
    ) -> std::result::Result<Caller, Unauthenticated> {
        let member = || Ok(Caller::Member("m".to_owned().into()));
        match credentials.headers.first("authorization") {
            Some("good") => member(),
            Some("luck") if self.tries.fetch_add(1, Ordering::SeqCst) == 29 => member(),
            Some("luck" | "patience") => Err(Unauthenticated::Retry),
            _ => Err(Unauthenticated::Refused(Box::new(Reply::error(
                &Error::refused(401, "InvalidAuthenticationInfo", "no"),
            )))),
        }
    }
}

fn put(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    app.runs.fetch_add(1, Ordering::SeqCst);
    let key: String = ctx.path("key")?;
    let value = String::from_utf8_lossy(&ctx.request().body).into_owned();
    ctx.table(&ROWS).put(&key, &value)?;
    match value.as_str() {
        "panic" => panic!("as asked"),
        "refuse" => Err(Error::bad_request("Asked", "as asked")),
        "deny" => Ok(Reply::error(&Error::bad_request("Asked", "as asked")).keeping_writes()),
        "conflict" => Err(HostError::Retry.into()),
        "forbidden" => Ok(ctx
            .writer()
            .put("public:ccf.gov.x", b"k", b"v")
            .map(|()| Reply::ok())?),
        _ => Ok(Reply::ok()),
    }
}

fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let key: String = ctx.path("key")?;
    let value = ctx
        .read(&ROWS)
        .get(&key)?
        .ok_or_else(|| Error::not_found("RowNotFound", "no such row"))?;
    Ok(Reply::text("text/plain", value))
}

fn root(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    Reply::json(&ctx.reader().root_at_read_version()?[0])
}

struct Rig {
    dispatcher: Arc<Dispatcher>,
    app: Arc<App>,
    store: Arc<Store>,
    pipeline: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    fn new(is_open: fn(&State) -> bool, blocking: bool) -> Self {
        let rig = Self::without_pipeline(is_open, blocking, Duration::from_secs(60));
        rig.with_pipeline()
    }

    fn without_pipeline(is_open: fn(&State) -> bool, blocking: bool, patience: Duration) -> Self {
        let app = Arc::new(App::default());
        let endpoints = Endpoints::new(Arc::clone(&app))
            .put("/rows/{key}", put)
            .auth([Auth::MemberCert])
            .get("/rows/{key}", show)
            .post("/root", root)
            .needs_root()
            .build();
        let store = Arc::new(Store::new(State::default(), [9; 32]));
        let frontend = Frontend {
            name: "app",
            router: Router::new(endpoints),
            access: Access::Application,
            is_open,
            blocking,
        };
        let dispatcher = Dispatcher::new(Parts {
            store: Arc::clone(&store),
            chain: Arc::new(FlatChain),
            frontends: vec![frontend],
            authenticator: Box::new(Bearer::default()),
            clock: Box::new(|| Duration::from_secs(1)),
            commit_patience: patience,
        });
        Self {
            dispatcher: Arc::new(dispatcher),
            app,
            store,
            pipeline: None,
        }
    }

    fn with_pipeline(mut self) -> Self {
        let worker = Arc::clone(&self.store);
        self.pipeline = Some(std::thread::spawn(move || {
            while let Some(mut batch) = worker.take(Duration::from_secs(1)) {
                if batch.transactions.is_empty() {
                    continue;
                }
                worker.publish(&batch, &Writes::new(), [9; 32]);
                for done in batch
                    .transactions
                    .iter_mut()
                    .filter_map(|pending| pending.done.take())
                {
                    let _ = done.send(Ok(()));
                }
            }
        }));
        self
    }

    async fn call(&self, verb: &str, target: &str, bearer: &str, body: &str) -> Reply {
        let headers = Headers::new([("Authorization".to_owned(), bearer.to_owned())]);
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.dispatcher
            .call(Incoming {
                accepted: AcceptedEndpoints::all(),
                verb: verb.into(),
                target: target.into(),
                headers,
                body,
                certificate: None,
            })
            .await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.store.close();
        if let Some(pipeline) = self.pipeline.take() {
            let _ = pipeline.join();
        }
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply
        .headers
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value.as_str())
}

fn code(reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_write_is_answered_with_its_id_and_then_read() {
    for blocking in [false, true] {
        let rig = Rig::new(node_is_open, blocking);
        let reply = rig.call("PUT", "/app/rows/a?x=1", "good", "one").await;
        assert_eq!((reply.status, header(&reply, TX)), (200, Some("2.1")));
        // Paths that name no frontend belong to the application.
        for target in ["/app/rows/a", "/rows/a"] {
            let reply = rig.call("GET", target, "", "").await;
            assert_eq!(
                (reply.status, reply.body.as_slice()),
                (200, b"one".as_slice())
            );
            assert_eq!(
                header(&reply, TX),
                Some("2.2"),
                "the state read is the one behind the signature"
            );
        }
    }
}

const TX: &str = "x-ms-ccf-transaction-id";

#[tokio::test]
async fn refusals_drop_writes_and_recorded_denials_keep_them() {
    let rig = Rig::new(node_is_open, false);
    let reply = rig.call("PUT", "/app/rows/a", "good", "refuse").await;
    assert_eq!((reply.status, header(&reply, TX)), (400, None));
    assert_eq!(
        code(&rig.call("GET", "/app/rows/a", "", "").await),
        "RowNotFound"
    );
    let reply = rig.call("PUT", "/app/rows/a", "good", "deny").await;
    assert_eq!((reply.status, header(&reply, TX)), (400, Some("2.1")));
    assert_eq!(rig.call("GET", "/app/rows/a", "", "").await.body, b"deny");
}

#[tokio::test]
async fn the_uninvited_are_refused_before_the_handler_runs() {
    let rig = Rig::new(node_is_open, false);
    let reply = rig.call("PUT", "/app/rows/a", "bad", "one").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (401, "InvalidAuthenticationInfo")
    );
    assert_eq!(rig.app.runs.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_is_answered_and_leaves_nothing() {
    let rig = Rig::new(node_is_open, false);
    let reply = rig.call("PUT", "/app/rows/a", "good", "panic").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (500, "InternalError")
    );
    assert_eq!(rig.call("GET", "/app/rows/a", "", "").await.status, 404);
    assert_eq!(
        rig.call("PUT", "/app/rows/a", "good", "one").await.status,
        200
    );
}

#[tokio::test]
async fn an_application_cannot_write_the_frameworks_tables() {
    let rig = Rig::new(node_is_open, false);
    let reply = rig.call("PUT", "/app/rows/a", "good", "forbidden").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (500, "InternalError")
    );
    assert!(
        !String::from_utf8_lossy(&reply.body).contains("ccf.gov"),
        "causes inside the service stay inside"
    );
}

#[tokio::test]
async fn conflicts_are_run_again_and_given_up_in_the_end() {
    let rig = Rig::new(node_is_open, false);
    let reply = rig.call("PUT", "/app/rows/a", "good", "conflict").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (503, "TransactionCommitAttemptsExceedLimit")
    );
    assert_eq!(header(&reply, "retry-after"), Some("3"));
    assert_eq!(rig.app.runs.load(Ordering::SeqCst), 30);
}

/// What authentication reads may have to be read again, too: no caller is told of it.
#[tokio::test]
async fn authentication_is_run_again_as_handlers_are() {
    let rig = Rig::new(node_is_open, false);
    let reply = rig.call("PUT", "/app/rows/a", "patience", "x").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (503, "TransactionCommitAttemptsExceedLimit")
    );
    assert_eq!(rig.app.runs.load(Ordering::SeqCst), 0);
    rig.call("PUT", "/app/rows/a", "luck", "conflict").await;
    assert_eq!(rig.app.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn paths_and_verbs_that_do_not_exist() {
    let rig = Rig::new(node_is_open, false);
    for target in [
        "/app/rows",
        "/app/rows/a/",
        "/app/rows/a/b",
        "/app",
        "/",
        "/nowhere/x",
    ] {
        let reply = rig.call("GET", target, "", "").await;
        assert_eq!(
            (reply.status, code(&reply).as_str()),
            (404, "ResourceNotFound"),
            "{target}"
        );
    }
    for verb in ["POST", "BREW"] {
        let reply = rig.call(verb, "/app/rows/a", "good", "").await;
        assert_eq!(
            (reply.status, code(&reply).as_str()),
            (405, "UnsupportedHttpVerb"),
            "{verb}"
        );
        assert_eq!(header(&reply, "allow"), Some("OPTIONS, GET, PUT"));
    }
    let reply = rig.call("OPTIONS", "/app/rows/a", "", "").await;
    assert_eq!(
        (reply.status, header(&reply, "allow")),
        (204, Some("OPTIONS, GET, PUT"))
    );
}

#[tokio::test]
async fn a_closed_frontend_says_so() {
    let rig = Rig::new(app_is_open, false);
    let reply = rig.call("GET", "/app/rows/a", "", "").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (404, "FrontendNotOpen")
    );
}

#[test]
fn the_application_opens_with_the_service_and_governance_with_its_certificate() {
    let row = |table: &str, value: &str| -> Writes {
        [(
            Arc::from(table),
            [(Arc::from([0; 8]), Some(Arc::from(value.as_bytes())))].into(),
        )]
        .into()
    };
    let state = State::default();
    assert!(!gov_is_open(&state) && !app_is_open(&state));
    let state = state.with(
        Seqno(1),
        &row("public:ccf.gov.nodes.endorsed_certificates", "PEM"),
    );
    assert!(gov_is_open(&state) && !app_is_open(&state));
    for (info, open) in [
        (r#"{"status":"Opening"}"#, false),
        ("rubbish", false),
        (r#"{"cert":"x","status":"Open"}"#, true),
    ] {
        assert_eq!(
            app_is_open(&state.with(Seqno(2), &row("public:ccf.gov.service.info", info))),
            open,
            "{info}"
        );
    }
}

#[tokio::test]
async fn handlers_that_ask_for_the_root_get_it() {
    let rig = Rig::new(node_is_open, false);
    assert_eq!(rig.call("POST", "/app/root", "", "").await.body, b"9");
}

#[tokio::test]
async fn a_caller_is_not_kept_waiting_for_a_disk_that_does_not_answer() {
    let rig = Rig::without_pipeline(node_is_open, false, Duration::from_millis(20));
    let reply = rig.call("PUT", "/app/rows/a", "good", "one").await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (503, "TransactionReplicationFailed")
    );
    assert_eq!(
        rig.call("GET", "/app/rows/a", "", "").await.status,
        404,
        "nobody is shown it"
    );
}

#[tokio::test]
async fn d06_errors_have_details_only_when_there_are_some() {
    let rig = Rig::new(node_is_open, false);
    let unknown = rig.call("GET", "/app/none", "good", "").await;
    let body: serde_json::Value = serde_json::from_slice(&unknown.body).unwrap();
    let error = body["error"].as_object().unwrap();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message"]);
    assert_eq!(error["message"], "Unknown path: /none.");
    assert_eq!(header(&unknown, "content-type"), Some("application/json"));
}
