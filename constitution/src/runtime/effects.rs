//! What only `apply` may do: `ccf.node`, `ccf.network`, and the JWT and bytecode functions (CCF interface, section 4.5).

use std::rc::Rc;

use rquickjs::{Ctx, Exception, Object, Value};

use crate::host::{Answer, Ask, Effect};
use crate::runtime::session::Session;
use crate::runtime::values::{self, native};

type Body<'js> = fn(&Ctx<'js>, &Session, Vec<Value<'js>>) -> rquickjs::Result<Effect>;

pub(crate) fn install<'js>(
    ctx: &Ctx<'js>,
    ccf: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    let node = Object::new(ctx.clone())?;
    define(&node, session, "triggerLedgerRekey", "", 0, |_, _, _| {
        Ok(Effect::TriggerLedgerRekey)
    })?;
    define(
        &node,
        session,
        "transitionServiceToOpen",
        "Unable to open service: ",
        2,
        open,
    )?;
    define(
        &node,
        session,
        "triggerRecoverySharesRefresh",
        "",
        0,
        |_, _, _| Ok(Effect::TriggerRecoverySharesRefresh),
    )?;
    define(&node, session, "triggerLedgerChunk", "", 0, |_, _, _| {
        Ok(Effect::TriggerLedgerChunk)
    })?;
    define(&node, session, "triggerSnapshot", "", 0, |_, _, _| {
        Ok(Effect::TriggerSnapshot)
    })?;
    ccf.set("node", node)?;

    let network = Object::new(ctx.clone())?;
    define(
        &network,
        session,
        "getLatestLedgerSecretSeqno",
        "",
        0,
        |_, _, _| Ok(Effect::LatestLedgerSecretSeqno),
    )?;
    define(
        &network,
        session,
        "generateEndorsedCertificate",
        "Failed to create endorsed cert: ",
        3,
        |ctx, _, args| {
            let [csr, from, period] = values::exactly(ctx, args)?;
            let csr = values::to_c_text(ctx, csr)?;
            let from = values::to_c_text(ctx, from)?;
            Ok(Effect::GenerateEndorsedCertificate(
                csr,
                from,
                days(ctx, &period)?,
            ))
        },
    )?;
    define(
        &network,
        session,
        "generateNetworkCertificate",
        "Error: ",
        2,
        |ctx, _, args| {
            let [from, period] = values::exactly(ctx, args)?;
            let from = values::to_c_text(ctx, from)?;
            Ok(Effect::GenerateNetworkCertificate(
                from,
                days(ctx, &period)?,
            ))
        },
    )?;
    ccf.set("network", network)?;

    define(
        ccf,
        session,
        "setJwtPublicSigningKeys",
        "Error setting JWT public signing keys: ",
        3,
        |ctx, _, args| {
            let [issuer, metadata, jwks] = values::exactly(ctx, args)?;
            let issuer = values::to_c_text(ctx, issuer)?;
            Ok(Effect::SetJwtPublicSigningKeys(
                issuer,
                json(ctx, metadata, "metadata")?,
                json(ctx, jwks, "jwks")?,
            ))
        },
    )?;
    define(
        ccf,
        session,
        "removeJwtPublicSigningKeys",
        "Failed to remove JWT public signing keys: ",
        1,
        |ctx, _, args| {
            let [issuer] = values::exactly(ctx, args)?;
            Ok(Effect::RemoveJwtPublicSigningKeys(values::to_c_text(
                ctx, issuer,
            )?))
        },
    )?;
    // There is no scripted application on this host, hence no bytecode.
    ccf.set(
        "refreshAppBytecodeCache",
        native(ctx, "refreshAppBytecodeCache", 0, |ctx, _| {
            Ok(values::undefined(&ctx))
        })?,
    )
}

fn define<'js>(
    object: &Object<'js>,
    session: &Rc<Session>,
    name: &'static str,
    prefix: &'static str,
    length: usize,
    body: Body<'js>,
) -> rquickjs::Result<()> {
    let session = Rc::clone(session);
    object.set(
        name,
        native(object.ctx(), name, length, move |ctx, args| {
            if args.len() != length {
                return Err(Exception::throw_type(
                    &ctx,
                    &format!("Passed {} arguments but expected {length}", args.len()),
                ));
            }
            let effect = body(&ctx, &session, args)?;
            match session.perform(&ctx, effect, prefix)? {
                Answer::Text(text) => values::text(&ctx, &text),
                Answer::Number(Some(number)) => Ok(Value::new_number(ctx, number as f64)),
                _ => Ok(values::undefined(&ctx)),
            }
        })?,
    )
}

fn open<'js>(ctx: &Ctx<'js>, session: &Session, args: Vec<Value<'js>>) -> rquickjs::Result<Effect> {
    let [previous, next] = values::exactly(ctx, args)?;
    let previous = if previous.is_undefined() {
        None
    } else {
        Some(values::bytes(
            ctx,
            session,
            &previous,
            "Previous service identity argument is not an array buffer",
        )?)
    };
    if next.is_undefined() {
        return Err(Exception::throw_internal(
            ctx,
            "Proposal requires a service identity",
        ));
    }
    let next = values::bytes(
        ctx,
        session,
        &next,
        "Next service identity argument is not an array buffer",
    )?;
    Ok(Effect::TransitionServiceToOpen(previous, next))
}

fn days(ctx: &Ctx<'_>, value: &Value<'_>) -> rquickjs::Result<u64> {
    match value.as_number() {
        Some(days) if days.fract() == 0.0 && (1.0..=1e6).contains(&days) => Ok(days as u64),
        _ => Err(Exception::throw_type(
            ctx,
            "validity period must be a number of days",
        )),
    }
}

fn json<'js>(ctx: &Ctx<'js>, value: Value<'js>, name: &str) -> rquickjs::Result<String> {
    values::to_json(ctx, value)?
        .ok_or_else(|| Exception::throw_type(ctx, &format!("{name} argument is not a JSON object")))
}

impl Session {
    /// Has the host perform an effect; a refusal becomes an exception that starts with `prefix`.
    fn perform(&self, ctx: &Ctx<'_>, effect: Effect, prefix: &str) -> rquickjs::Result<Answer> {
        match self.ask(ctx, Ask::Effect(effect))? {
            Answer::Refused(reason) => {
                Err(Exception::throw_internal(ctx, &format!("{prefix}{reason}")))
            }
            answer => Ok(answer),
        }
    }
}
