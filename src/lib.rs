//! The charm: one short process for each hook and action.
//!
//! ```text
//!         Juju (hook tools)      this machine       the worker (REST)
//!                └─────────────┬──────┴──────────┬─────────┘
//!                           observe            apply      ◄── the only IO, no decisions
//!                              │                 ▲
//!                         Observation ─► plan() ─► Plan    ◄── the only decisions, no IO
//! ```
//!
//! [`dispatch`] is the spine: rounds of observe, plan, keep and apply until a plan is empty, then
//! promises and status. [`observe`] has one file per place that is looked at, [`apply`] one per
//! kind of step, [`host`] one per program or protocol, [`actions`] one per Juju action. Every
//! decision is `connect_core`'s; the hook commands are `hook_tools`'.
//!
//! Exit status: 0 when the world is as good as it can be for now, 1 when a retry by Juju is the
//! cure (a hook command failed, or this machine could not be read).

pub mod actions;
pub mod apply;
pub mod dispatch;
pub mod host;
pub mod observe;
pub mod report;
pub mod world;
