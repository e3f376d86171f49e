//! Reads the databases of a stage that was torn down, and gives them to the check.

use anyhow::Result;
use tidings_model::{ConversationId, Range, Seq};

use crate::check::{Reader, Tally, compare, merge};
use crate::plan::Line;
use crate::record::Record;
use crate::stage::Stage;

/// Compares what every member has with what was said.
///
/// # Errors
/// A database cannot be read.
pub(crate) fn judge(stage: &Stage, has_owner: bool) -> Result<Tally> {
    if has_owner { judge_group(stage) } else { judge_pairs(stage) }
}

/// The log of a group is the administrator's, who was there throughout.
fn judge_group(stage: &Stage) -> Result<Tally> {
    let group = stage.conversations[0];
    let log = Record::read(&stage.folder_of_owner(), group)?;
    let mut readers = Vec::new();
    for (member, account) in stage.accounts.iter().copied().enumerate() {
        let record = Record::read(&stage.folder_of(member), group)?;
        readers.push(Reader { account, record, ranges: log.ranges(account) });
    }
    let lines: Vec<&Line> = stage.plan.lines.iter().collect();
    Ok(compare(&lines, &stage.accounts, &log.messages, &readers))
}

/// The log of a pair is what the two have together; where they do not agree on a place, one of them
/// has it in another order.
fn judge_pairs(stage: &Stage) -> Result<Tally> {
    let mut tally = Tally::default();
    for one in (0..stage.accounts.len()).step_by(2) {
        let conversation: ConversationId = stage.conversations[one];
        let records = [one, one + 1]
            .into_iter()
            .map(|member| Record::read(&stage.folder_of(member), conversation))
            .collect::<Result<Vec<_>>>()?;
        let (log, disagreements) = merge(&records);
        let whole = Range { from: Seq::FIRST, to: None };
        let readers: Vec<Reader> = records
            .into_iter()
            .zip([one, one + 1])
            .map(|(record, member)| Reader {
                account: stage.accounts[member],
                record,
                ranges: vec![whole],
            })
            .collect();
        let of_pair = |line: &&Line| line.sender == one || line.sender == one + 1;
        let lines: Vec<&Line> = stage.plan.lines.iter().filter(of_pair).collect();
        tally += compare(&lines, &stage.accounts, &log, &readers);
        tally.swapped += disagreements;
    }
    Ok(tally)
}
