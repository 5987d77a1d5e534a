//! Values in and out of the realm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::convert::Coerced;
use rquickjs::function::{Rest, This};
use rquickjs::{ArrayBuffer, Ctx, Error, Exception, FromJs, Function, Object, TypedArray, Value};

use crate::runtime::session::Session;

/// A native function of `length` parameters that gets all its arguments.
pub(crate) fn native<'js, F>(
    ctx: &Ctx<'js>,
    name: &str,
    length: usize,
    function: F,
) -> rquickjs::Result<Function<'js>>
where
    F: Fn(Ctx<'js>, Vec<Value<'js>>) -> rquickjs::Result<Value<'js>> + 'js,
{
    Function::new(ctx.clone(), move |ctx: Ctx<'js>, args: Rest<Value<'js>>| {
        function(ctx, args.0)
    })?
    .with_name(name)?
    .with_length(length)
}

/// As [`native`], with `this`.
pub(crate) fn method<'js, F>(
    ctx: &Ctx<'js>,
    name: &str,
    length: usize,
    function: F,
) -> rquickjs::Result<Function<'js>>
where
    F: Fn(Ctx<'js>, Value<'js>, Vec<Value<'js>>) -> rquickjs::Result<Value<'js>> + 'js,
{
    Function::new(
        ctx.clone(),
        move |this: This<Value<'js>>, ctx: Ctx<'js>, args: Rest<Value<'js>>| {
            function(ctx, this.0, args.0)
        },
    )?
    .with_name(name)?
    .with_length(length)
}

/// Exactly `N` arguments, or CCF's `TypeError`.
pub(crate) fn exactly<'js, const N: usize>(
    ctx: &Ctx<'js>,
    args: Vec<Value<'js>>,
) -> rquickjs::Result<[Value<'js>; N]> {
    args.try_into().map_err(|args: Vec<_>| {
        Exception::throw_type(
            ctx,
            &format!("Passed {} arguments, but expected {N}", args.len()),
        )
    })
}

/// JavaScript's `String(value)`; lone surrogates become U+FFFD.
pub(crate) fn to_text<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<String> {
    match Coerced::<String>::from_js(ctx, value.clone()) {
        Ok(Coerced(text)) => Ok(text),
        Err(Error::Utf8(_)) => {
            let text = Coerced::<rquickjs::String<'js>>::from_js(ctx, value)?.0;
            let class: Object<'js> = ctx.globals().get("String")?;
            let prototype: Object<'js> = class.get("prototype")?;
            let well_formed: Function<'js> = prototype.get("toWellFormed")?;
            well_formed.call((This(text),))
        }
        Err(error) => Err(error),
    }
}

/// As [`to_text`], cut at the first NUL as the C strings of CCF are.
pub(crate) fn to_c_text<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<String> {
    let mut text = to_text(ctx, value)?;
    if let Some(end) = text.find('\0') {
        text.truncate(end);
    }
    Ok(text)
}

/// `JSON.stringify(value)`; `None` for what has no JSON.
pub(crate) fn to_json<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<Option<String>> {
    match ctx.json_stringify(value)? {
        Some(json) => to_text(ctx, json.into_value()).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn is_truthy<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<bool> {
    Ok(Coerced::<bool>::from_js(ctx, value)?.0)
}

/// The bytes of an `ArrayBuffer`, or `TypeError(message)`.
pub(crate) fn bytes<'js>(
    ctx: &Ctx<'js>,
    session: &Session,
    value: &Value<'js>,
    message: &str,
) -> rquickjs::Result<Vec<u8>> {
    let buffer = value
        .as_object()
        .and_then(|object| ArrayBuffer::from_object(object.clone()));
    let Some(buffer) = buffer else {
        // The engine has already thrown something less clear.
        ctx.catch();
        return Err(Exception::throw_type(ctx, message));
    };
    let view = TypedArray::<u8>::from_arraybuffer(buffer)?;
    let text: String = session.to_base64(ctx)?.call((This(view),))?;
    STANDARD
        .decode(text)
        .map_err(|e| Exception::throw_internal(ctx, &e.to_string()))
}

/// A new `ArrayBuffer`.
pub(crate) fn buffer<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> rquickjs::Result<Value<'js>> {
    Ok(ArrayBuffer::new_copy(ctx.clone(), bytes)?.into_value())
}

/// A new string.
pub(crate) fn text<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Value<'js>> {
    Ok(rquickjs::String::from_str(ctx.clone(), text)?.into_value())
}

/// `undefined`.
pub(crate) fn undefined<'js>(ctx: &Ctx<'js>) -> Value<'js> {
    Value::new_undefined(ctx.clone())
}
