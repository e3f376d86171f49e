//! The rules of a store as tests that every backend has to pass, and a store in memory to compare with.
//!
//! A backend implements [`Fixture`] and calls [`suite!`](crate::conformance::suite) in a test file: each
//! rule becomes a test of its own, named as the rule. [`compare_with_model`] runs seeded sequences of
//! operations on the backend and on [`ModelStore`] and asks both the same questions. What is durable is
//! not asked here: only a backend knows its disk.

mod accounts;
mod appends;
mod backups;
mod creations;
mod devices;
mod inboxes;
mod model;
mod queries;
mod random;
mod retention;
mod rosters;
mod scene;
mod sealed;

pub use model::ModelStore;
pub use random::compare_with_model;

use tidings_model::{ConversationId, Seq};

use crate::store::{Reader, Writer};

/// How the suite gets at a store of a backend.
pub trait Fixture {
    /// Opens a store that holds nothing.
    fn open_fresh() -> Self;

    /// The store's writer.
    fn writer(&mut self) -> &mut dyn Writer;

    /// Opens a reader. The suite drops them all before it calls [`Fixture::reopen`].
    fn reader(&mut self) -> Box<dyn Reader>;

    /// Closes the store and opens it again.
    #[must_use]
    fn reopen(self) -> Self;

    /// Changes a byte of an entry's stored payload, behind the store's back.
    fn damage_payload(&mut self, conversation: ConversationId, seq: Seq);
}

/// Makes a test of each rule for a [`Fixture`], and one that compares it with the model for all seeds that
/// the second argument gives. A seed that fails is printed with the command that replays it, so the
/// backend takes its seed from `TIDINGS_SEED` where that is set.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_suite {
    ($fixture:ty, $seeds:expr) => {
        $crate::conformance_rules!(conformance_tests, $fixture);

        #[test]
        fn answers_are_those_of_the_model_for_every_seed() {
            for seed in $seeds {
                println!(
                    "replay: TIDINGS_SEED={seed} cargo test -p {} answers_are_those_of_the_model",
                    env!("CARGO_PKG_NAME")
                );
                $crate::conformance::compare_with_model::<$fixture>(seed);
            }
        }
    };
}

pub use conformance_suite as suite;

/// The list of all rules, handed to a macro of this crate.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_rules {
    ($macro:ident, $($fixture:ty)?) => {
        $crate::$macro! {
            ($($fixture)?)
            appends: [
                entries_are_numbered_from_one_without_a_gap
                time_of_an_entry_is_never_earlier_than_that_of_the_one_before
                payloads_come_back_byte_for_byte
                answer_carries_the_checksum_of_the_entry
                retry_is_answered_with_the_first_seq
                retry_with_other_bytes_says_so_and_the_first_ones_stand
                retry_of_an_event_is_known_by_what_was_asked
                message_and_event_under_one_id_differ
                time_of_the_device_is_kept_as_it_came_and_decides_nothing
                duplicates_within_a_batch_are_one_entry
                message_id_in_another_log_is_taken
                message_id_of_another_device_is_another_message
                retry_is_answered_before_membership_is_checked
                retry_of_a_roster_change_is_answered_before_its_version_is_checked
                strangers_and_missing_conversations_are_refused_alike
                former_member_is_told_so
                membership_is_checked_before_the_version_of_the_roster
                refused_operation_leaves_its_neighbours_alone
                entries_outlive_a_reopening
            ]
            creations: [
                creation_writes_the_first_entry_and_the_members
                direct_conversation_is_made_once_from_both_sides
                notes_to_self_are_made_once
                repeated_creation_of_a_group_is_answered_with_its_first_entry
                creation_under_a_used_id_says_whether_something_else_was_asked
                group_of_others_does_not_answer_for_its_id
                message_id_in_another_log_makes_no_conversation
                accounts_of_the_first_members_exist
                conversations_of_an_account_are_limited
                repeated_creation_is_answered_after_the_first_entry_was_dropped
            ]
            rosters: [
                range_begins_with_the_entry_that_adds_and_ends_with_the_one_that_removes
                coming_back_begins_another_range
                change_for_another_version_is_rejected
                of_two_changes_for_one_version_in_a_batch_the_first_wins
                version_grows_by_one_with_each_change
                name_and_roles_change_with_their_entry
                act_that_does_not_fit_is_skipped
                unknown_account_does_not_join
                members_come_in_the_order_in_which_they_first_joined
                every_join_leaves_an_outbox_row
                conversation_is_listed_once_its_row_is_relayed
                relaying_twice_is_done
                outbox_rows_come_oldest_first_and_their_ids_are_never_used_again
                marks_never_go_back
                marks_of_those_who_left_are_skipped
                receipts_come_with_small_conversations_only
                direct_conversation_names_the_partner
            ]
            retention: [
                author_erases_what_they_wrote
                moderator_erases_what_others_wrote_and_a_member_does_not
                events_are_not_erased
                erasing_is_for_members_inside_their_ranges
                retry_of_an_erased_message_is_still_answered
                payload_expires_at_its_time_by_the_servers_clock
                expiry_erases_the_longest_expired_first_up_to_its_bound
                life_of_a_payload_may_reach_past_the_end_of_time
                floor_never_goes_back_and_stops_at_the_head
                old_entries_go_a_while_after_everybody_has_them
                entry_that_a_member_lacks_is_kept_however_old
                who_left_or_joined_later_holds_nothing_back
                who_comes_back_holds_back_what_they_lacked_when_they_left
                retention_goes_on_where_its_bounds_ended_it
                log_goes_on_behind_its_floor
                message_id_of_a_dropped_entry_is_free_again
                renewed_epoch_keeps_the_entries
                all_epochs_are_renewed_with_their_heads
            ]
            accounts: [
                first_account_is_the_administrator
                repeated_sign_up_gets_the_same_answer
                sign_up_under_an_id_in_use_is_refused
                sign_up_checks_ids_then_invite_then_name
                invite_makes_one_account
                invite_ends_at_its_time
                administrators_invite_makes_an_administrator
                refused_sign_up_uses_no_invite_up
                device_is_added_once
                devices_of_an_account_are_limited
                revoked_device_is_gone_and_its_id_never_used_again
                device_of_another_account_is_not_found
                resume_counter_seen_before_tells_of_a_restored_device
                resume_time_never_goes_back
                display_name_changes_for_everybody
                open_invites_of_an_account_are_limited
                invite_made_again_ends_when_it_was_to_end
                servers_own_invite_replaces_the_one_before
                account_is_found_by_name_and_by_id_with_its_verifiers
            ]
            queries: [
                reader_sees_what_was_applied_before_it_asked
                page_ends_at_its_count
                page_ends_before_its_bytes_but_holds_one_entry
                page_ends_at_its_last_seq
                page_past_the_head_is_empty
                page_tells_the_checksum_at_its_cursor
                damaged_entry_is_named_and_never_shown
                page_ends_before_a_damaged_entry
                other_logs_are_served_beside_a_damaged_entry
                damaged_entry_can_be_erased
                unknown_conversation_is_not_found
                roster_tells_whether_a_message_is_in_its_log
                roster_brings_the_profiles_that_exist
            ]
            sealed: [
                sealed_conversation_begins_with_its_group
                sealed_and_open_entries_do_not_mix
                message_of_another_epoch_is_refused_with_the_present_one
                commit_takes_the_group_to_its_next_epoch
                of_two_commits_of_one_epoch_in_a_batch_the_first_wins
                retry_is_answered_after_the_epoch_has_moved
                membership_is_checked_before_the_group
                commit_changes_the_roster_whatever_its_version
                leave_is_kept_with_the_group_and_stays_in_its_epoch
                messages_wait_until_those_who_left_are_removed
                device_out_of_its_list_is_due_in_every_group
                restart_begins_the_next_generation_with_what_it_adds
                only_messages_are_erased
                account_has_met_those_of_its_conversations
            ]
            inboxes: [
                welcome_reaches_the_inbox_of_each_joiner
                relaying_a_welcome_twice_brings_one_item
                welcomes_of_one_commit_are_kept_until_the_last_joiner_has_theirs
                welcome_for_a_revoked_device_goes_nowhere
                message_to_a_device_comes_once
                message_goes_to_devices_of_the_account_alone
                inbox_is_full_at_its_count
                acknowledged_items_are_gone_and_places_go_on
                inbox_pages_end_at_their_count_and_size
            ]
            backups: [
                chunk_is_added_once_and_numbers_are_never_used_again
                backup_is_read_from_its_end_to_its_beginning
                backup_is_full_at_its_bytes_and_small_chunks_count_too
                backup_is_each_accounts_own
            ]
            devices: [
                device_list_grows_at_its_end
                device_list_that_differs_or_has_a_gap_is_a_conflict
                new_identity_begins_behind_the_list_that_was_seen
                device_lists_come_beyond_what_is_known
                device_that_leaves_the_list_is_revoked
                key_packages_are_given_away_once_oldest_first
                package_that_is_or_was_there_is_skipped
                stock_of_key_packages_is_limited
                last_resort_is_given_when_the_stock_is_empty_and_stays
                replaced_stock_is_gone_with_its_last_resort
                stock_is_void_after_all_epochs_were_renewed
                repeated_claim_gets_the_same_for_a_day
                claimer_and_revoked_devices_give_no_package
                account_log_keeps_the_latest_value_of_each_key
                dropped_key_keeps_its_place
                keys_of_an_account_log_are_limited
                pages_of_an_account_log_end_at_their_count_and_size
            ]
        }
    };
}

/// Makes a test of each rule.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_tests {
    (($fixture:ty) $($group:ident: [$($rule:ident)*])*) => {
        $(mod $group {
            #[allow(unused_imports)]
            use super::*;

            $(#[test]
            fn $rule() {
                $crate::conformance::rules::$rule::<$fixture>();
            })*
        })*
    };
}

/// Makes a public function of each rule, so that one which the list forgets is dead code.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_functions {
    (() $($group:ident: [$($rule:ident)*])*) => {
        $($(
            #[doc = concat!("Holds the rule `", stringify!($rule), "`.")]
            pub fn $rule<F: super::Fixture>() {
                super::$group::$rule::<F>();
            }
        )*)*
    };
}

/// The rules, each a function that panics where the store breaks it.
pub mod rules {
    crate::conformance_rules!(conformance_functions,);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model has to keep its own rules.
    struct ModelFixture(ModelStore);

    impl Fixture for ModelFixture {
        fn open_fresh() -> Self {
            Self(ModelStore::default())
        }

        fn writer(&mut self) -> &mut dyn Writer {
            &mut self.0
        }

        fn reader(&mut self) -> Box<dyn Reader> {
            Box::new(self.0.clone())
        }

        fn reopen(self) -> Self {
            self
        }

        fn damage_payload(&mut self, conversation: ConversationId, seq: Seq) {
            self.0.damage_payload(conversation, seq);
        }
    }

    crate::conformance::suite!(ModelFixture, 0..4);
}
