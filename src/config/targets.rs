//! `[targets.NAME]`: lists of tasks.

use std::collections::{BTreeMap, BTreeSet};

use super::Target;
use super::poll::{PollKeys, PollTable};
use super::reader::{Field, Table, all};
use super::report::{Place, Read, Report};
use super::suggest::did_you_mean;
use crate::domain::model::{AccountName, TargetName, TaskKind};

/// A target, and where it stands.
pub(super) struct TargetDraft {
    pub(super) name: TargetName,
    place: Place,
    target: Target,
}

/// What a target's keys may refer to.
pub(super) struct Around<'a> {
    /// The names under `accounts`; `None` if that table is unusable.
    pub(super) accounts: Option<Vec<&'a str>>,
    /// `[poll]`.
    pub(super) poll: Read<&'a PollTable>,
}

/// The entries of `targets`, whatever they hold.
pub(super) fn entries<'a>(table: &mut Table<'a>) -> Read<Vec<Field<'a>>> {
    let hint = "at least one target: write [targets.main], even with nothing below it";
    table.named("targets", hint)
}

/// Reads all targets.
pub(super) fn read(entries: &[Field<'_>], around: &Around<'_>) -> Read<Vec<TargetDraft>> {
    all(entries.iter().map(|field| target(field, around)))
}

fn target(field: &Field<'_>, around: &Around<'_>) -> Read<TargetDraft> {
    let name = field.own_name();
    let target = field.table(|table| read_keys(table, around));
    Ok(TargetDraft {
        name: TargetName(name?.to_owned()),
        place: field.place().clone(),
        target: target??,
    })
}

fn read_keys(table: &mut Table<'_>, around: &Around<'_>) -> Read<Target> {
    let account = account(table, around.accounts.as_deref());
    let project_id = table.get("project_id", |field| Ok(field.nonempty_text()?.to_owned()));
    let is_dcdn = table.get("is_dcdn", Field::flag);
    let tasks = table.get("tasks", |field| {
        field.word(&[
            ("refresh", TaskKind::Refresh),
            ("prefetch", TaskKind::Prefetch),
        ])
    });
    let own = PollKeys::read(table);
    table.refuse("retention", "is one for all targets: it belongs in [poll]");
    let report = table.report();
    let poll = own.and_then(|own| around.poll?.settings(report, &own));
    Ok(Target {
        account: account?,
        project_id: project_id?,
        is_dcdn: is_dcdn?,
        tasks: tasks?.unwrap_or(TaskKind::Refresh),
        poll: poll?,
    })
}

fn account(table: &mut Table<'_>, known: Option<&[&str]>) -> Read<AccountName> {
    let given = table.get("account", |field| {
        let name = field.text()?;
        match known {
            Some(known) if field.report().is_whole() && !known.contains(&name) => {
                let nearest = did_you_mean(name, known.iter().copied());
                Err(field.error(format!("there is no account {name:?}{nearest}")))
            }
            _ => Ok(AccountName::from(name)),
        }
    })?;
    if let Some(name) = given {
        return Ok(name);
    }
    let place = table.place().missing("account");
    match known {
        Some([only]) => Ok(AccountName::from(*only)),
        Some(several) => {
            let names = several.join(", ");
            let message = format!("is missing: expected one of the accounts {names}");
            Err(table.report().missing(&place, message))
        }
        // That there is no account was reported where accounts are read.
        None => Err(Report::silently()),
    }
}

/// Warns of accounts and targets that do nothing of their own.
pub(super) fn warn(
    report: &Report<'_>,
    targets: &[TargetDraft],
    accounts: &[(AccountName, Place)],
) {
    let used: BTreeSet<&AccountName> = targets.iter().map(|draft| &draft.target.account).collect();
    for (name, place) in accounts {
        if !used.contains(name) {
            report.warn(place, "no target uses this account");
        }
    }
    for (index, draft) in targets.iter().enumerate() {
        let same = |other: &&TargetDraft| is_same_list(&other.target, &draft.target);
        if let Some(first) = targets.iter().take(index).find(same) {
            let message = format!(
                "is the same list as target {}: each event will be told twice",
                first.name
            );
            report.warn(&draft.place, message);
        }
    }
}

fn is_same_list(one: &Target, other: &Target) -> bool {
    one.account == other.account
        && one.project_id == other.project_id
        && one.is_dcdn == other.is_dcdn
        && one.tasks == other.tasks
}

/// The targets by name.
pub(super) fn by_name(drafts: Vec<TargetDraft>) -> BTreeMap<TargetName, Target> {
    drafts
        .into_iter()
        .map(|draft| (draft.name, draft.target))
        .collect()
}
