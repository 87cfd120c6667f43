//! secret-get, secret-info-get, secret-ids.

use std::collections::BTreeMap;

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, OUTPUT, Options, PLAIN, SMART};
use crate::context::SecretUri;
use crate::go::{Value, base64_decode, quote};

/// The URI, if there is one: here any text that is none is complained about alike.
fn uri_or_label(options: &Options) -> Result<Option<SecretUri>, Stop> {
    let uri = match options.args.first() {
        None => None,
        Some(text) => Some(
            SecretUri::parse(text)
                .map_err(|_| Stop::Usage(format!("secret URI {} not valid", quote(text))))?,
        ),
    };
    if uri.is_none() && options.text("label").is_empty() {
        return usage("require either a secret URI or label");
    }
    Ok(uri)
}

pub(super) fn get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[
        PLAIN,
        OUTPUT,
        Flag::text(&["label"]),
        Flag::bool(&["peek"]),
        Flag::bool(&["refresh"]),
    ])?;
    let uri = uri_or_label(&options)?;
    let (peek, refresh) = (options.has("peek"), options.has("refresh"));
    if peek && refresh {
        return usage("specify one of --peek or --refresh but not both");
    }
    no_more(options.args.get(2..).unwrap_or_default())?;
    let label = options.text("label");
    let content = call
        .context
        .read_secret(call.model, uri.as_ref(), label, refresh, peek);
    let content = content.map_err(Stop::Failed)?;
    let mut values = BTreeMap::new();
    for (key, encoded) in &content.0 {
        let value = base64_decode(encoded).map_err(Stop::Failed)?;
        values.insert(key.clone(), Value::bytes(value));
    }
    let Some(wanted) = options.args.get(1).filter(|key| !key.is_empty()) else {
        return call.print(&options, &Value::Map(values));
    };
    let (key, raw) = match wanted.strip_suffix("#base64") {
        Some(key) => (key, true),
        None => (wanted.as_str(), false),
    };
    match (content.0.get(key), values.remove(key)) {
        (Some(encoded), _) if raw => call.print(&options, &Value::Text(encoded.clone())),
        (_, Some(value)) => call.print(&options, &value),
        _ => failed(format!("secret key value {} not found", quote(key))),
    }
}

pub(super) fn info_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[PLAIN, OUTPUT, Flag::text(&["label"])])?;
    let uri = uri_or_label(&options)?;
    let label = options.text("label");
    if uri.is_some() && !label.is_empty() {
        return usage("specify either a secret URI or label but not both");
    }
    no_more(options.args.get(1..).unwrap_or_default())?;
    let all = call.context.secret_metadata();
    let found = match &uri {
        Some(uri) => all.get_key_value(&uri.id),
        None => all.iter().find(|(_, metadata)| metadata.label == label),
    };
    let Some((id, metadata)) = found else {
        let wanted = uri.map_or_else(|| label.to_owned(), |uri| uri.id);
        return failed(format!("secret {} not found", quote(&wanted)));
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let owner = if metadata.by_application {
        "application"
    } else {
        "unit"
    };
    let mut fields = vec![
        ("revision", Value::Int(i64::from(metadata.revision))),
        ("label", text(&metadata.label)),
        ("owner", text(owner)),
    ];
    if !metadata.description.is_empty() {
        fields.push(("description", text(&metadata.description)));
    }
    if let Some(policy) = metadata.rotation {
        fields.push(("rotation", text(policy.as_str())));
    }
    for (name, time) in [("expiry", &metadata.expiry), ("rotates", &metadata.rotates)] {
        if let Some(time) = time {
            fields.push((name, Value::Time(time.clone())));
        }
    }
    if !metadata.access.is_empty() {
        let access = metadata.access.iter().map(|grant| {
            Value::Struct(vec![
                ("target", text(&grant.target)),
                ("scope", text(&grant.scope)),
                ("role", text("view")),
            ])
        });
        fields.push(("access", Value::List(access.collect())));
    }
    let value = Value::Map([(id.clone(), Value::Struct(fields))].into());
    call.print(&options, &value)
}

pub(super) fn ids(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    no_more(&options.args)?;
    let ids: Vec<String> = call.context.secret_metadata().into_keys().collect();
    call.print(&options, &Value::Strings((!ids.is_empty()).then_some(ids)))
}
