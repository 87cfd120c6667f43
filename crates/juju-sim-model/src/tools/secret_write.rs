//! secret-add, secret-set, secret-remove.

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, Options};
use super::secret_content::{from_args, from_file};
use crate::context::{SecretUri, Update};
use crate::go::quote;
use crate::state::RotatePolicy;
use crate::time;

const FLAGS: &[Flag] = &[
    Flag::text(&["expire"]),
    Flag::text(&["rotate"]),
    Flag::text(&["description"]),
    Flag::text(&["label"]),
    Flag::text(&["file"]),
    Flag::text(&["owner"]),
];

/// The URI that comes first.
pub(super) fn uri_argument(options: &Options) -> Result<SecretUri, Stop> {
    let Some(uri) = options.args.first() else {
        return usage("missing secret URI");
    };
    SecretUri::parse(uri).map_err(Stop::Usage)
}

fn update(call: &Call<'_>, options: &Options, args: &[String]) -> Result<Update, Stop> {
    let given = |name: &str| options.given(name).filter(|text| !text.is_empty());
    let expire = given("expire")
        .map(|text| expiry(call.model.now_ms, text))
        .transpose()?;
    let rotate = given("rotate").map(policy).transpose()?;
    let owner = options.given("owner").unwrap_or("application");
    if !matches!(owner, "application" | "unit") {
        return usage(format!("secret owner {} not valid", quote(owner)));
    }
    let mut content = from_args(call, args)?;
    if let Some(path) = given("file") {
        content.0.extend(from_file(call, path)?.0);
    }
    Ok(Update {
        label: given("label").map(str::to_owned),
        description: given("description").map(str::to_owned),
        rotate,
        expire,
        content,
    })
}

fn policy(text: &str) -> Result<RotatePolicy, Stop> {
    let known = RotatePolicy::ALL.iter().find(|(word, _)| *word == text);
    let unknown = || Stop::Usage(format!("rotate policy {} not valid", quote(text)));
    known.map(|(_, policy)| *policy).ok_or_else(unknown)
}

/// A time, or a duration from now.
fn expiry(now_ms: u64, text: &str) -> Result<String, Stop> {
    if let Some(time) = time::parse(text) {
        return Ok(time);
    }
    match time::duration_ms(text) {
        None => usage(format!("expire time or duration {} not valid", quote(text))),
        Some(duration) => match u64::try_from(duration)
            .ok()
            .filter(|duration| *duration > 0)
        {
            Some(duration) => Ok(time::rfc3339(now_ms.saturating_add(duration))),
            None => usage(format!(
                "negative expire duration {} not valid",
                quote(text)
            )),
        },
    }
}

pub(super) fn add(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(FLAGS)?;
    if options.args.is_empty() && options.text("file").is_empty() {
        return usage("missing secret value or filename");
    }
    let update = update(call, &options, &options.args)?;
    if update.content.0.is_empty() {
        return failed("empty secret value not valid");
    }
    let by_application = options.text("owner") != "unit";
    let uri = call
        .context
        .create_secret(call.model, by_application, update);
    let uri = uri.map_err(Stop::Failed)?;
    call.write(&format!("{uri}\n"));
    Ok(())
}

pub(super) fn set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(FLAGS)?;
    let uri = uri_argument(&options)?;
    let update = update(call, &options, &options.args[1..])?;
    call.context
        .update_secret(call.model, &uri.id, update)
        .map_err(Stop::Failed)
}

pub(super) fn remove(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[Flag::int(&["revision"])])?;
    let uri = uri_argument(&options)?;
    no_more(&options.args[1..])?;
    // Zero and less mean the whole secret.
    let revision = options
        .text("revision")
        .parse()
        .ok()
        .filter(|revision| *revision > 0);
    call.context
        .remove_secret(call.model, &uri.id, revision)
        .map_err(Stop::Failed)
}
