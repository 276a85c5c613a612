//! `[targets.NAME]`: the task lists to watch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::accounts::RawAccount;
use super::diagnostics::{Diagnostics, KeyLocation, Parsed};
use super::poll::{PollTable, RawPollKeys};
use super::reader::{Field, Table, all};
use super::settings::Target;
use crate::domain::model::{AccountName, TargetName, TaskKind};
use crate::domain::suggest::did_you_mean;

/// At most so many account names are listed in an error.
const MAX_LISTED: usize = 20;

/// A parsed target.
pub(super) struct RawTarget {
    name: TargetName,
    location: KeyLocation,
    target: Target,
}

/// What the keys of a target refer to.
pub(super) struct TargetContext<'a> {
    /// Names of all accounts. `None` if `accounts` is unusable.
    pub(super) accounts: Option<BTreeSet<&'a str>>,
    /// `[poll]`.
    pub(super) poll: Parsed<&'a PollTable>,
}

/// The entries of `targets`, not yet parsed.
pub(super) fn entries<'a>(table: &mut Table<'a>) -> Parsed<Vec<Field<'a>>> {
    let hint = "add a target: [targets.main], which may have no keys";
    table.nonempty_entries("targets", hint)
}

/// Parses all targets.
pub(super) fn parse(entries: &[Field<'_>], context: &TargetContext<'_>) -> Parsed<Vec<RawTarget>> {
    all(entries.iter().map(|field| parse_target(field, context)))
}

fn parse_target(field: &Field<'_>, context: &TargetContext<'_>) -> Parsed<RawTarget> {
    let name = field.user_given_name();
    let target = field.table(|table| parse_keys(table, context));
    Ok(RawTarget {
        name: TargetName(name?.to_owned()),
        location: field.location().clone(),
        target: target??,
    })
}

fn parse_keys(table: &mut Table<'_>, context: &TargetContext<'_>) -> Parsed<Target> {
    let account = account(table, context.accounts.as_ref());
    let project_id = table.get("project_id", |field| Ok(field.nonempty_text()?.to_owned()));
    let is_dcdn = table.get("is_dcdn", Field::flag);
    let tasks = table.get("tasks", |field| {
        field.word(&[
            ("refresh", TaskKind::Refresh),
            ("prefetch", TaskKind::Prefetch),
        ])
    });
    let own = RawPollKeys::parse(table);
    table.refuse(
        "retention",
        "applies to all targets and can't be set for one; set it in [poll]",
    );
    let diagnostics = table.diagnostics();
    let poll = own.and_then(|own| context.poll?.settings(diagnostics, &own));
    Ok(Target {
        account: account?,
        project_id: project_id?,
        is_dcdn: is_dcdn?,
        tasks: tasks?.unwrap_or(TaskKind::Refresh),
        poll: poll?,
    })
}

fn account(table: &mut Table<'_>, known: Option<&BTreeSet<&str>>) -> Parsed<AccountName> {
    let given = table.get("account", |field| {
        let name = field.text()?;
        match known {
            Some(known) if field.diagnostics().is_complete() && !known.contains(name) => {
                let suggestion = did_you_mean(name, known.iter().copied());
                Err(field.error(format!("unknown account `{name}`{suggestion}")))
            }
            _ => Ok(AccountName::from(name)),
        }
    })?;
    if let Some(name) = given {
        return Ok(name);
    }
    // An unusable `accounts` was reported already.
    let known = known.ok_or_else(Diagnostics::already_reported)?;
    if let (Some(only), 1) = (known.first(), known.len()) {
        return Ok(AccountName::from(*only));
    }
    let location = table.location().missing("account");
    let message = format!("missing; set one of the accounts {}", listed(known));
    Err(table.diagnostics().missing(&location, message))
}

fn listed(names: &BTreeSet<&str>) -> String {
    let listed: Vec<&str> = names.iter().copied().take(MAX_LISTED).collect();
    let rest = names.len() - listed.len();
    let more = if rest > 0 { ", …" } else { "" };
    format!("{}{more}", listed.join(", "))
}

/// Warns of accounts that no target uses, and of targets that watch the same list.
pub(super) fn warn<'a>(
    diagnostics: &Diagnostics<'_>,
    targets: &[RawTarget],
    accounts: impl Iterator<Item = &'a RawAccount>,
) {
    let used: BTreeSet<&AccountName> = targets.iter().map(|raw| &raw.target.account).collect();
    for account in accounts {
        if !used.contains(&account.name) {
            diagnostics.warn(&account.location, "no target uses this account");
        }
    }
    let mut lists = HashMap::new();
    for RawTarget {
        name,
        location,
        target,
    } in targets
    {
        let list = (
            &target.account,
            &target.project_id,
            target.is_dcdn,
            target.tasks,
        );
        let first = *lists.entry(list).or_insert(name);
        if first != name {
            let message =
                format!("same task list as target {first}; each event is reported for both");
            diagnostics.warn(location, message);
        }
    }
}

/// The targets by name.
pub(super) fn by_name(targets: Vec<RawTarget>) -> BTreeMap<TargetName, Target> {
    targets
        .into_iter()
        .map(|raw| (raw.name, raw.target))
        .collect()
}
