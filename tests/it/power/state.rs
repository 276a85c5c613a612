//! What a state holds, read through the store's own contract.

use std::path::Path;

use ucdn_watch::domain::model::{KnownTask, TargetName, TaskRowId, Timestamp, WebhookName};
use ucdn_watch::store::{Delivery, Store, TargetState, sqlite};

/// All that the program would go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    target: TargetState,
    tasks: Vec<KnownTask>,
    pending_for_ops: Vec<Delivery>,
    pending_for_down: Vec<Delivery>,
}

/// Opens the state in a folder, as the next start of the program does; it must be sound.
pub(super) fn content(folder: &Path) -> Content {
    let opened = sqlite::open(&folder.join("state.db"), Timestamp::default()).unwrap();
    assert_eq!(opened.loss, None);
    let store = opened.store;
    let shop = TargetName("shop".to_owned());
    let last = store.last_task_row_id().unwrap();
    let numbers: Vec<TaskRowId> = (0..=last.0).map(TaskRowId).collect();
    let known = store.known_tasks(&shop, &numbers).unwrap();
    let mut tasks: Vec<KnownTask> = known.into_values().collect();
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    let subscribers = |name: &str| {
        store
            .pending(&WebhookName(name.to_owned()), usize::MAX / 2)
            .unwrap()
    };
    Content {
        target: store.target(&shop).unwrap(),
        tasks,
        pending_for_ops: subscribers("ops"),
        pending_for_down: subscribers("down"),
    }
}
