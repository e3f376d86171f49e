//! A group's record in the store, and the group that it describes.

use std::sync::Arc;

use tidings_messaging::store::GroupRecord;
use tidings_model::{GroupEpoch, Refusal};
use tidings_protocol_mls::{DeviceLists, Observer, ObserverError, Snapshot};

/// Takes a group up from its record.
pub(crate) fn load(record: &GroupRecord, lists: Arc<dyn DeviceLists>) -> Result<Observer, Refusal> {
    let snapshot = Snapshot {
        state: record.state.clone(),
        tree: record.tree.clone(),
        group_info: Some(record.group_info.clone()),
        left: record.left.iter().cloned().collect(),
    };
    let damaged = |reason: String| {
        tracing::error!(reason, "the record of a group is damaged");
        Refusal::Unavailable
    };
    let group = Observer::load(&snapshot, lists).map_err(|error| damaged(error.to_string()))?;
    if place(&group) == record.place {
        Ok(group)
    } else {
        Err(damaged(format!("it is of {:?}, not {:?}", place(&group), record.place)))
    }
}

/// Makes the record of a group.
pub(crate) fn make(group: &Observer) -> Result<GroupRecord, ObserverError> {
    let snapshot = group.snapshot()?;
    Ok(GroupRecord {
        place: place(group),
        state: snapshot.state,
        tree: snapshot.tree,
        group_info: snapshot.group_info.unwrap_or_default(),
        left: snapshot.left.into_iter().collect(),
    })
}

fn place(group: &Observer) -> GroupEpoch {
    GroupEpoch { generation: group.group_id().generation, epoch: group.epoch() }
}
